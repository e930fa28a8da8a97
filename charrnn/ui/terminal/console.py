"""The console of all views: rich's, but no text on it can act on the terminal."""

from collections.abc import Iterable

import rich.console
from rich.segment import Segment
from rich.style import Style

from charrnn.ui.terminal.background import theme_of
from charrnn.ui.terminal.colours import PALETTES
from charrnn.ui.terminal.output import escape

NAMES = frozenset(PALETTES["light"])


class Console(rich.console.Console):
    """Views escape text themselves, to know its width; this class escapes any text that they missed.

    Names of colours, "yellow" too, are those of the palette for the terminal's background.
    """

    def get_style(self, name: str | Style, *, default: Style | str | None = None) -> Style:
        if isinstance(name, str) and NAMES.intersection(words := name.split()):
            palette = PALETTES[theme_of(self.file)]
            name = " ".join(palette.get(word, word) for word in words)
        return super().get_style(name, default=default)

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape(segment.text), segment.style)
