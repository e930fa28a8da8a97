"""Tables without lines: rich's for the width of a terminal, and plain lines that are never cut."""

from collections.abc import Container, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.table import Table


def table(headers: Sequence[str], *, left: Container[str], gap: int = 2, header_style: str = "dim") -> Table:
    """An empty table; columns are aligned right, except those whose headers are in `left`."""
    grid = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False, header_style=header_style)
    for header in headers:
        grid.add_column(header, justify="left" if header in left else "right", no_wrap=True)
    return grid


def telling(
    headers: Sequence[str], rows: Sequence[Mapping[str, str]], always: Container[str] = ()
) -> list[str]:
    """The columns that say something: those of ``always``, and those with more than dashes in the rows."""
    return [name for name in headers if name in always or not rows or any(row[name] != "-" for row in rows)]


def fitting(
    headers: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    least_first: Sequence[str],
    width: int,
    gap: int = 2,
) -> list[str]:
    """The columns that fit the width; those in ``least_first`` go first, in that order."""
    widths = {name: max([cell_len(name), *(cell_len(row[name]) for row in rows)]) for name in headers}
    shown = list(headers)
    for name in least_first:
        if name in shown and sum(widths[n] + gap for n in shown) - gap > width:
            shown.remove(name)
    return shown


def lines(rows: Sequence[Sequence[str]], gap: int = 2) -> Iterator[str]:
    """The rows in aligned columns, the first column aligned left and the others right."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        line = first + " " * (widths[0] - cell_len(first))
        for cell, width in zip(others, widths[1:], strict=True):
            line += " " * (gap + width - cell_len(cell)) + cell
        yield line
