"""Whether a text that is read as one stream looks like a list of items or a table."""

import csv
import json
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from charrnn.text.records import TABLES
from charrnn.text.vocabulary import listing

HEAD = 1 << 16  # characters at the beginning of a text that are looked at
FEWEST = 50  # lines of a list, at least; fewer may be short by chance
MOST_WORDS = (
    3  # in an item of a line: names, passwords, molecules have one to three, sentences and verses more
)
_NAME = re.compile(r"[^\W\d][\w .-]{0,30}")  # of a column
MOST_IDEOGRAPHS = 8  # and the like, in an item: sentences of East Asian scripts have no blanks between words
LONGEST_LINE = 200  # characters; long molecules are this long, and base64 or a paragraph is longer
ROWS = 20  # of a table whose name does not say that it is one, at least


def advice(head: str, sources: Sequence[str]) -> str:
    """A note with the command that reads the text as items; empty where it does not look like items.

    head : the first HEAD characters of the text; sources : its files
    """
    files = shlex.join(sources) if len(sources) == 1 else "FILES"
    kinds = {TABLES.get(Path(source).suffix.lower()) for source in sources}
    named = kinds.pop() if len(kinds) == 1 else None
    lines = head.split("\n")[: None if len(head) < HEAD else -1]
    if (table := _table(lines, named)) is not None:
        kind, columns = table
        options = f"{'' if named else f'--items {kind} '}--text-column COLUMN"
        options += " (with labels: --label-column COLUMN)" * (len(columns) > 1)
        pairs = ", or if it has no header: --items pairs" if (kind, len(columns)) == ("tsv", 2) else ""
        return (
            f"the text looks like a table ({kind}, columns: {listing(columns, 8)}). To train on the texts in a column: "
            f"charrnn train {files} {options}{pairs}"
        )
    if looks_like_lines(lines):
        return (
            "the text looks like a list with one item per line. To train on items that begin and end by themselves: "
            f"charrnn train {files} --items line"
        )
    return ""


def looks_like_lines(lines: Sequence[str]) -> bool:
    """Whether lines are a list: of names, words, passwords, molecules.

    Nearly all are short, begin with no blank and end like no verse or statement, and none is empty: paragraphs of
    prose, speeches of a play and functions of a program have empty lines between them, and verses have more words.
    Most are different, unlike a refrain, and of different lengths, unlike a sequence broken into lines.
    """
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1]:
        lines = lines[:-1]
    if len(lines) < FEWEST:
        return False
    items = sum(_is_item(line) for line in lines)
    (_, most_common), *_ = Counter(map(len, lines)).most_common(1)
    return (
        items >= 0.97 * len(lines)
        and sum(not line.strip() for line in lines) <= 0.01 * len(lines)
        and len(set(lines)) > 0.5 * len(lines)
        and most_common < 0.7 * len(lines)
    )


def _is_item(line: str) -> bool:
    words = line.split()
    return (
        0 < len(words) <= MOST_WORDS
        and len(line) <= LONGEST_LINE
        and not line[0].isspace()
        and line[-1] not in ",;:{}"
        and sum(character > "\u2e7f" for character in line) <= MOST_IDEOGRAPHS
    )


def _table(lines: Sequence[str], kind: str | None) -> tuple[str, list[str]] | None:
    """The kind of a table and its columns; None where the text is no table.

    kind : what the suffix of its files says; without one, the first rows must leave no doubt
    """
    if kind == "jsonl" or (kind is None and lines and lines[0].startswith("{")):
        fields = _fields(lines[: ROWS if kind is None else 1])
        return ("jsonl", fields) if fields else None
    for name, delimiter in (("tsv", "\t"), ("csv", ",")):
        header = _header(lines, delimiter, sure=kind is not None) if kind in (None, name) else []
        if header:
            return name, header
    return None


def _header(lines: Sequence[str], delimiter: str, *, sure: bool) -> list[str]:
    """The columns of a table with this delimiter; empty where it is none.

    sure : it is a table; otherwise the first rows must leave no doubt
    """
    try:
        rows = [row for row in csv.reader(lines[: 3 * ROWS], delimiter=delimiter) if row]
    except csv.Error:
        return []
    header = [cell.strip() for cell in rows[0]] if rows else []
    if sure:
        return header
    same = len(rows) >= ROWS and all(len(row) == len(header) for row in rows[:ROWS])
    names = len(set(header)) == len(header) >= 2 and all(map(_NAME.fullmatch, header))
    return header if same and names else []


def _fields(lines: Sequence[str]) -> list[str]:
    """The names in the first of some JSON objects; empty where not every line is one."""
    try:
        objects = [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError):
        return []
    return list(objects[0]) if objects and all(isinstance(one, dict) for one in objects) else []
