"""The console of all views: rich's, but no text on it can act on the terminal."""

from collections.abc import Iterable

import rich.console
from rich.segment import Segment

from charrnn.ui.terminal.output import escape


class Console(rich.console.Console):
    """Views escape text themselves, to know its width; this class escapes any text that they missed."""

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape(segment.text), segment.style)
