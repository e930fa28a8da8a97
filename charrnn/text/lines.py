"""The lines of files, as a person counts them: empty ones too."""

from collections.abc import Sequence
from contextlib import ExitStack

from charrnn.text.passes import Form, Pass
from charrnn.text.records import ItemForm, Record, records
from charrnn.text.sources import StrPath, find_sources


def read_lines(names: Sequence[StrPath], form: Form) -> list[str]:
    """The lines of files, or of - for stdin; at byte level, bytes that are not UTF-8 become U+DC80 to U+DCFF.

    Raises DataError if they cannot be read.
    """
    lines: list[str] = []
    with ExitStack() as stack:
        found, _ = find_sources(names, stack, lambda source: None)
        reading = Pass(found, form, lambda n_bytes: None)
        for source in found:
            lines += [one.text for one in records(reading.texts(source), ItemForm("line"), source.title)]
    return lines


def pairs_of(lines: Sequence[str]) -> list[Record]:
    """Lines of input TAB output; a line without a tab has no input."""
    parted = (line.rpartition("\t") for line in lines)
    return [Record(text, (), input) for input, _, text in parted]
