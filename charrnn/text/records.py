"""Cut texts into items: lines, paragraphs, files, what stands between separators, pairs, rows of tables."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from charrnn.errors import DataError, UsageError
from charrnn.text.escapes import unescape
from charrnn.text.vocabulary import listing

TABLES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
KINDS = ("line", "blank-line", "file", "sep:TEXT", "pairs", "csv", "tsv", "jsonl")
LONGEST = 1 << 26  # characters in an item or in a row of a table; more is no item but a wrong separator


class Record(NamedTuple):
    """An item as it stands in a file: a text, its labels, and for a pair the input it belongs to."""

    text: str
    labels: tuple[str, ...] = ()
    input: str = ""


@dataclass(frozen=True)
class ItemForm:
    """How a text is cut into items.

    kind : "line", "blank-line", "file", "sep:TEXT", "pairs" (lines of input TAB output), "csv", "tsv" or "jsonl"
    text_column, label_columns, input_column : of a table

    Raises UsageError for what makes no sense.
    """

    kind: str
    text_column: str = ""
    label_columns: tuple[str, ...] = ()
    input_column: str = ""

    def __post_init__(self) -> None:
        if (self.kind not in KINDS and not self.kind.startswith("sep:")) or self.kind == "sep:TEXT":
            raise UsageError(f"--items is {self.kind!r}; it must be one of: {', '.join(KINDS)}")
        if self.kind == "sep:":
            raise UsageError("--items sep: has no text; give the text between two items, for example sep:---")
        if self.is_table and not self.text_column:
            raise UsageError(f"--items {self.kind} needs --text-column NAME, the column with the texts")
        if not self.is_table and (self.text_column or self.label_columns or self.input_column):
            raise UsageError(
                f"--items {self.kind} has no columns: --text-column, --label-column and --input-column belong to "
                "csv, tsv and jsonl"
            )
        if len(set(self.columns)) < len(self.columns):
            raise UsageError(f"the columns {listing(self.columns)} must differ")

    @property
    def columns(self) -> list[str]:
        """The columns of a table that are read: that of the texts, those of the labels, that of the inputs."""
        return [self.text_column, *self.label_columns, *[self.input_column] * bool(self.input_column)]

    @property
    def is_table(self) -> bool:
        return self.kind in TABLES.values()

    @property
    def pairs(self) -> bool:
        """Whether an item has an input."""
        return self.kind == "pairs" or bool(self.input_column)

    @property
    def separator(self) -> str:
        """What stands between two items where they are written one after the other."""
        if self.kind.startswith("sep:"):
            return f"\n{unescape(self.kind[4:])}\n"
        return "\n\n" if self.kind == "blank-line" else "\n"


def form_of(
    items: str, text_column: str, label_column: str, input_column: str, names: Iterable[str]
) -> ItemForm | None:
    """The form that settings mean; None for one stream.

    names : of the files, whose suffixes say what kind of table they are where `items` does not
    """
    labels = tuple(column.strip() for column in label_column.split(",") if column.strip())
    if not items and (text_column or labels or input_column):
        kinds = {TABLES.get(re.sub(r".*(?=\.)", "", name, flags=re.DOTALL).lower()) for name in names}
        if len(kinds) != 1 or None in kinds:
            raise UsageError(
                "--text-column belongs to a table: name files that end with "
                f"{', '.join(TABLES)}, or say what they are with --items csv, tsv or jsonl"
            )
        items = str(kinds.pop())
    return ItemForm(items, text_column, labels, input_column) if items else None


def records(pieces: Iterable[str], form: ItemForm, name: str) -> Iterator[Record]:
    """The items of one file, in order; empty ones too.

    pieces : its text, in pieces of any length; name : of the file, for messages

    Raises DataError with name and line for what cannot be read.
    """
    if form.kind == "file":
        yield Record(_without_end("".join(pieces)))
    elif form.is_table:
        yield from _rows(pieces, form, name)
    elif form.kind == "pairs":
        yield from _pairs(pieces, name)
    else:
        yield from map(Record, _CUTS.get(form.kind, _separated(form))(pieces, name))


def _without_end(line: str) -> str:
    """A line or text without the end of its last line: LF or CR LF."""
    return line.removesuffix("\n").removesuffix("\r")


def _lines(pieces: Iterable[str], name: str) -> Iterator[str]:
    """The lines of a text, each with its LF; the last one may have none."""
    rest: list[str] = []
    size = 0
    for piece in pieces:
        first, *others = piece.split("\n")
        rest.append(first)
        size += len(first)
        if size > LONGEST:
            raise DataError(f"{name} has a line of more than {LONGEST:,} characters: that is no item")
        if others:
            yield "".join(rest) + "\n"
            yield from (f"{line}\n" for line in others[:-1])
            rest, size = [others[-1]], len(others[-1])
    if last := "".join(rest):
        yield last


def _of_lines(pieces: Iterable[str], name: str) -> Iterator[str]:
    return map(_without_end, _lines(pieces, name))


def _paragraphs(pieces: Iterable[str], name: str) -> Iterator[str]:
    """What stands between blank lines."""
    held: list[str] = []
    for line in _lines(pieces, name):
        if line.isspace():
            if held:
                yield _without_end("".join(held))
            held = []
        else:
            held.append(line)
    if held:
        yield _without_end("".join(held))


def _separated(form: ItemForm) -> Callable[[Iterable[str], str], Iterator[str]]:
    """What stands between separators, without the end of a line on either side of one."""
    separator = unescape(form.kind.removeprefix("sep:"))

    def cut(pieces: Iterable[str], name: str) -> Iterator[str]:
        held = ""
        for piece in pieces:
            *found, held = (held + piece).split(separator)
            yield from map(_trimmed, found)
            if len(held) > LONGEST:
                raise DataError(
                    f"{name} has {LONGEST:,} characters without the separator {separator!r}: is it right?"
                )
        yield _trimmed(held)

    return cut


def _trimmed(text: str) -> str:
    return _without_end(text.removeprefix("\r").removeprefix("\n"))


_CUTS = {"line": _of_lines, "blank-line": _paragraphs}


def _pairs(pieces: Iterable[str], name: str) -> Iterator[Record]:
    for number, line in enumerate(_of_lines(pieces, name), start=1):
        if not line:
            yield Record("")
            continue
        parts = line.split("\t")
        if len(parts) != 2:
            raise DataError(
                f"{name}, line {number}: {len(parts) - 1} tabs; a pair is one line: its input, one tab, its output"
            )
        yield Record(parts[1], (), parts[0])


def _rows(pieces: Iterable[str], form: ItemForm, name: str) -> Iterator[Record]:
    rows: Iterator[tuple[int, Mapping[str, object]]]
    rows = _objects(pieces, name) if form.kind == "jsonl" else _cells(pieces, form, name)
    L = len(form.label_columns)
    for number, row in rows:
        try:
            values = [row[column] for column in form.columns]
        except KeyError as missing:
            raise _without(missing.args[0], list(row), form, name, number) from None
        cells = []
        for column, value in zip(form.columns, values, strict=True):
            if not isinstance(value, str):
                raise DataError(f"{name}, line {number}: {column} is {str(value)[:40]!r}; it must be a text")
            cells.append(value)
        yield Record(cells[0], tuple(cells[1 : 1 + L]), cells[1 + L] if form.input_column else "")


def _without(column: str, found: Sequence[str], form: ItemForm, name: str, number: int) -> DataError:
    """The error for a table that lacks a column of the form."""
    what = f"; it is read as {form.kind}: is it a table?" if name.lower().endswith(".txt") else ""
    kind = {form.text_column: "text", form.input_column: "input"}.get(column, "label")
    return DataError(
        f"{name}, line {number}: no column {column!r}; its columns: {listing(found, 20)} "
        f"(--{kind}-column NAME says which){what}"
    )


def _cells(pieces: Iterable[str], form: ItemForm, name: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    """The rows of a CSV or TSV file below its header, by column."""
    csv.field_size_limit(LONGEST)
    reader = csv.reader(_lines(pieces, name), strict=True, delimiter="\t" if form.kind == "tsv" else ",")
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if header and (missing := [column for column in form.columns if column not in header]):
            raise _without(missing[0], header, form, name, 1)
        if several := [column for column in form.columns if header.count(column) > 1]:
            raise DataError(
                f"{name}, line 1: {header.count(several[0])} columns are named {several[0]!r}; rename all but one"
            )
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{name}, line {reader.line_num}: {len(cells)} columns, and the header has {len(header)}. "
                    "Put a text that contains the separator in double quotes"
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: not {form.kind.upper()} ({error})") from None


def _objects(pieces: Iterable[str], name: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    """The objects of a file with one JSON object a line."""
    for number, line in enumerate(_lines(pieces, name), start=1):
        if line.isspace():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}, line {number}: not JSON ({error})") from None
        if not isinstance(value, dict):
            raise DataError(f"{name}, line {number}: {line.strip()[:40]!r} is no JSON object")
        yield number, value
