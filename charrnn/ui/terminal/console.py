"""The console of all views: rich's, but no text that it shows can act on the terminal."""

from collections.abc import Iterable

import rich.console
from rich.segment import Segment

from charrnn.ui.terminal.output import escape


class Console(rich.console.Console):
    """Views escape text themselves, to know its width; text that one of them forgot is escaped here."""

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape(segment.text), segment.style)
