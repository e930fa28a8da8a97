"""The file and line of a symbol of the corpus."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from charrnn.errors import DataError
from charrnn.text.decode import decode
from charrnn.text.sources import find_sources

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Place:
    """A symbol's place in a file: its offset in characters (bytes at byte level), and its line, from 1."""

    file: str
    offset: int
    line: int


def places(
    sources: Sequence[str],
    offsets: Sequence[int],
    *,
    level: str,
    encoding: str,
    newlines: str,
    joined: bool = False,
) -> list[Place]:
    """The places of symbols, by their numbers in the corpus that `read_corpus` makes of these sources.

    joined : whether the corpus has a newline where a file ends without one

    Raises DataError if a source cannot be read or the corpus has become too short.
    """
    waiting = sorted(range(len(offsets)), key=lambda k: -offsets[k])  # the next one last
    found: dict[int, Place] = {}
    before = 0  # symbols in earlier files
    with ExitStack() as stack:
        for source in find_sources(sources, stack, lambda _: None)[0]:
            start, lines = before, 1
            blocks = source.blocks()
            texts: Iterable[Any]
            texts = blocks if level == "byte" else decode(blocks, source.title, encoding, newlines)
            for text in _ended(texts) if joined else texts:
                if isinstance(text, str) and before == start:
                    text = text.removeprefix(BYTE_ORDER_MARK)
                newline: Any = "\n" if isinstance(text, str) else b"\n"
                while waiting and offsets[waiting[-1]] < before + len(text):
                    k = waiting.pop()
                    line = lines + text.count(newline, 0, offsets[k] - before)
                    found[k] = Place(source.name, offsets[k] - start, line)
                if not waiting:
                    return [found[k] for k in range(len(offsets))]
                before += len(text)
                lines += text.count(newline)
    if waiting:
        raise DataError(f"{', '.join(sources)} has changed: it has only {before:,} symbols now")
    return []


def _ended(texts: Iterable[Any]) -> Iterator[Any]:
    """The pieces of a file, and a newline if the last one has none."""
    text = None
    for text in texts:
        yield text
    newline = "\n" if isinstance(text, str) else b"\n"
    if text and not text.endswith(newline):
        yield newline
