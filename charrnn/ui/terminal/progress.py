"""Progress bars on stderr, if that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn.ui.terminal.console import Console

BAR_WIDTH = 40


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of symbols just done; the bar vanishes at the end."""
    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


def reading_bar(done: int, total: int, width: int) -> Table:
    """A bar for reading a text: `done` bytes of `total`, which is 0 while it is unknown."""
    row = Table.grid(padding=(0, 2))
    if total:
        bar = ProgressBar(total=total, completed=done, width=min(BAR_WIDTH, max(8, width - 30)))
        row.add_row(Text("reading the text"), bar, Text(f"{100 * done // total:3}%"))
    else:
        row.add_row(Text("reading the text"), Text(f"{done / 1e6:,.0f} MB"))
    return row
