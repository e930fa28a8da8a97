"""Names and values, one below the other."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.letters import plain


def card(rows: Iterable[tuple[str, str]], console: Console) -> Table:
    """The rows as two columns, the names dim. Values are plain text, never markup."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(plain(value, console)))
    return table
