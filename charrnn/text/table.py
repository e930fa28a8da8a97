"""Read texts, with or without labels, from a CSV file; write CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from charrnn.errors import DataError, UsageError
from charrnn.files.reading import read_file, read_stdin
from charrnn.text.vocabulary import listing

MOST_BYTES = 1 << 28  # largest table, which is held in memory
LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit is 131,072


@dataclass(frozen=True)
class Row:
    """A text, its label if labels are read, and the line of the file on which it ends."""

    text: str
    label: str
    line: int


def read_table(file: str, text_column: str | None = None, label_column: str | None = None) -> list[Row]:
    """The rows of a CSV file in UTF-8, or of stdin for "-".

    text_column, label_column : names in the first row; None means "text" and "label" if the file has them, and
        otherwise the first and second column of a file without a header. A label_column of "" means that no
        labels are read

    Raises DataError naming the line if the table is malformed, UsageError for a missing column.
    """
    name = "stdin" if file == "-" else file
    rows = _rows(file, name)
    if not rows:
        raise DataError(f"{name} has no rows")
    wanted = [text_column or "text"] + ([] if label_column == "" else [label_column or "label"])
    header = [cell.strip().casefold() for cell in rows[0][1]]
    if all(column.strip().casefold() in header for column in wanted):
        places = [header.index(column.strip().casefold()) for column in wanted]
        begin = 1
    elif text_column or label_column:
        raise UsageError(
            f"{name} has no column {' or no column '.join(map(repr, wanted))} in its first row; "
            f"the columns there are {listing([repr(cell) for cell in rows[0][1]])}"
        )
    else:
        places, begin = list(range(len(wanted))), 0
    found = []
    for line, cells in rows[begin:]:
        if len(cells) != len(rows[0][1]) or len(cells) <= max(places):
            raise DataError(
                f"{name}, line {line}: {len(cells)} columns, where {max(len(rows[0][1]), max(places) + 1)} "
                "are expected. Put a text that contains a comma in double quotes"
            )
        values = [cells[place] for place in places]
        if "" in values:
            empty = wanted[values.index("")]
            raise DataError(f"{name}, line {line}: the {empty} is empty. Remove that row")
        found.append(Row(values[0], values[1] if len(values) > 1 else "", line))
    if not found:
        raise DataError(f"{name} has a header but no rows")
    return found


def csv_text(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV; a float32 has the fewest digits that restore its value."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(header)
    table.writerows(map(str, row) for row in rows)
    return stream.getvalue()


def _rows(file: str, name: str) -> list[tuple[int, list[str]]]:
    """Line number and cells of each non-blank row."""
    try:
        content = read_stdin(MOST_BYTES) if file == "-" else read_file(file, MOST_BYTES)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: not UTF-8 text ({error.reason}). Convert it to UTF-8"
        ) from None
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)

    def lines() -> Iterator[tuple[int, list[str]]]:
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            raise DataError(f"{name}, line {reader.line_num}: not CSV ({error})") from None

    return list(lines())
