"""Read the bytes of sources as characters, count them, and give each its id: what streams and items share."""

import codecs
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from charrnn.config import NEWLINES
from charrnn.errors import DataError, UsageError
from charrnn.text.decode import NotTextError, decode
from charrnn.text.sources import Source
from charrnn.text.unknown import WAYS_OUT, replacement
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary, code_points, describe, listing

CODE_POINTS = 0x110000
LF_WAY_OUT = "--newlines lf converts CR LF and CR to LF"
_BYTE_ORDER_MARK = "\ufeff"


class Meter:
    """Counts the bytes read and reports the progress."""

    def __init__(self, reading: Callable[[int, int], None]):
        self._reading = reading
        self._done, self._total = 0, 0

    def begin(self, total: int) -> None:
        self._done, self._total = 0, total

    def add(self, n_bytes: int) -> None:
        self._done += n_bytes
        self._reading(self._done, self._total)

    def end(self) -> None:
        self._reading(self._total, self._total)


@dataclass(frozen=True)
class Form:
    """How to interpret the bytes of a text."""

    level: str
    encoding: str
    newlines: str
    options: tuple[str, ...]  # those of the fields above that the user can change
    joined: bool = False  # whether a newline comes between sources where one is missing

    def __post_init__(self) -> None:
        if self.level not in ("char", "byte"):
            raise UsageError(f"--level is {self.level!r}; it must be one of: char, byte")
        if self.newlines not in NEWLINES:
            raise UsageError(f"--newlines is {self.newlines!r}; it must be one of: {', '.join(NEWLINES)}")
        try:
            "".encode(self.encoding)  # refuses codecs from bytes to bytes, such as base64
            name = codecs.lookup(self.encoding).name
        except (LookupError, ValueError):
            raise UsageError(
                f"--encoding is {self.encoding!r}, an encoding that Python does not know; "
                "try utf-8, utf-16, latin-1, cp1252, shift_jis, gb18030 or koi8-r"
            ) from None
        object.__setattr__(self, "encoding", name)

    def reason_to_skip(self, source: Source, read: Callable[[int], None]) -> str | None:
        """Why a file found in a folder is skipped; None if it is part of the text."""
        try:
            return None if sum(map(len, Pass([source], self, read))) else "empty"
        except NotTextError:
            return f"not {self.encoding} text"
        except DataError:
            return "unreadable"


class Pass:
    """One pass over the sources: blocks of code points or bytes, and statistics about them."""

    def __init__(self, sources: Sequence[Source], form: Form, read: Callable[[int], None]):
        self.sources = sources
        self.form = form
        self.read = read  # called with the number of bytes of each block
        self.sha256 = hashlib.sha256()
        self.sizes: list[int] = []  # bytes of each source
        self.lengths: list[int] = []  # symbols of each source
        self.marked: list[str] = []  # sources that begin with a byte order mark
        self.ended = 0  # sources that were given a newline

    def __iter__(self) -> Iterator[np.ndarray]:
        for source in self.sources:
            last = None
            self.lengths.append(0)
            for block in self._codes(source):
                self.lengths[-1] += len(block)
                last = block[-1]
                yield block
            if self.form.joined and source is not self.sources[-1] and last not in (None, ord("\n")):
                self.lengths[-1] += 1
                self.ended += 1
                yield np.array([ord("\n")], np.int32)

    def _codes(self, source: Source) -> Iterator[np.ndarray]:
        """The characters or bytes of a source, in blocks that are never empty."""
        if self.form.level == "byte":
            self.sizes.append(0)
            yield from (np.frombuffer(block, np.uint8) for block in self._hashed(source))
        else:
            yield from map(code_points, self.texts(source))

    def texts(self, source: Source) -> Iterator[str]:
        """The text of a source in pieces that are never empty, without its byte order mark; at byte level UTF-8 with
        half a character, U+DC80 to U+DCFF, for each byte that is not."""
        self.sizes.append(0)
        blocks = self._hashed(source)
        if self.form.level == "byte":
            decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
            ends = (decoder.decode(b"", final=True) for _ in range(1))
            yield from self._without_mark(source, chain(map(decoder.decode, blocks), ends))
            return
        decoded = decode(
            blocks,
            source.title,
            self.form.encoding,
            self.form.newlines,
            raw="level" in self.form.options,
            other="encoding" in self.form.options,
        )
        yield from self._without_mark(source, decoded)

    def _without_mark(self, source: Source, pieces: Iterable[str]) -> Iterator[str]:
        """Pieces of a text without its byte order mark; those that are empty are left out."""
        first = True
        for text in filter(None, pieces):
            if first and text[0] == _BYTE_ORDER_MARK:
                self.marked.append(source.title)
                text = text[1:]
            first = False
            if text:
                yield text

    def _hashed(self, source: Source) -> Iterator[bytes]:
        for block in source.blocks():
            self.sha256.update(block)
            self.sizes[-1] += len(block)
            self.read(len(block))
            yield block

    def notes(self) -> list[str]:
        notes = []
        if self.marked:
            notes.append(f"byte order mark (BOM) dropped at the start of {listing(self.marked)}")
        if empty := [source.title for source, size in zip(self.sources, self.sizes, strict=True) if not size]:
            notes.append(f"empty files: {listing(empty)}")
        if self.ended:
            files, it = ("1 file has", "it") if self.ended == 1 else (f"{self.ended:,} files have", "each")
            notes.append(f"{files} no newline at the end: one was put between {it} and the next file")
        return notes


def choose_symbols(
    counts: np.ndarray,
    level: str,
    min_count: int,
    vocabulary: Vocabulary | None,
    grow: bool,
    notes: list[str],
) -> Vocabulary:
    """The vocabulary for reading a text.

    counts : how often each code point or byte occurs, int64 of shape (0x110000,)
    """
    if vocabulary is None and level == "byte":
        return Vocabulary.all_bytes()
    present = np.flatnonzero(counts)
    known = np.array([], np.int64) if vocabulary is None else vocabulary.codes
    codes = known
    if vocabulary is None or grow:
        new = np.setdiff1d(present, known)
        codes = np.union1d(known, new[counts[new] >= min_count])
        if (counts[new] < min_count).any():
            codes = np.union1d(codes, [ord(REPLACEMENT)])
        if vocabulary is not None and (added := np.setdiff1d(codes, known)).size:
            notes.append(f"{len(added):,} new symbols added to the vocabulary: {_most(added, counts, level)}")
        vocabulary = Vocabulary.of_codes(level, codes.tolist(), vocabulary.items if vocabulary else None)
    assert vocabulary is not None
    return vocabulary


def table_of(
    counts: np.ndarray,
    vocabulary: Vocabulary,
    min_count: int,
    unknown: str,
    options: Collection[str],
    notes: list[str],
) -> np.ndarray:
    """The id of each code point or byte, for `np.take` with mode="clip"; V for those to leave out.

    Raises DataError for symbols that the vocabulary lacks and that may be neither skipped nor replaced.
    """
    lacking = np.setdiff1d(np.flatnonzero(counts), vocabulary.codes)
    if not lacking.size:
        return vocabulary.table(0)
    level, V = vocabulary.level, len(vocabulary)
    one, name = len(lacking) == 1, "character" if level == "char" else "byte"
    total = f"1 {name}" if one else f"{len(lacking):,} different {name}s"
    unlisted = f"{'is' if one else 'are'} not in the vocabulary"
    most = _most(lacking, counts, level)
    if unknown == "error" and REPLACEMENT not in vocabulary.symbols:
        ways = [LF_WAY_OUT] if ord("\r") in lacking and "newlines" in options else []
        if "unknown" in options:
            ways.append(WAYS_OUT)
        raise DataError(
            f"the text has {total} that {unlisted} of {V:,} symbols: {most}. "
            + ("; ".join(ways) or "Remove them, or use a model that knows them")
        )
    if unknown == "skip" and not counts[vocabulary.codes].any():
        raise DataError(f"the model knows none of the characters of the text: {most}")
    why = f"occur{'s' * one} fewer than {min_count} times" if min_count > 1 else unlisted
    were = "was" if one else "were"
    did = {"error": "became U+FFFD", "skip": f"{were} left out", "nearest": f"{were} read as the nearest"}[
        unknown
    ]
    notes.append(f"{total} that {why}, {counts[lacking].sum():,} in all, {did}: {most}")
    place = {symbol: k for k, symbol in enumerate(vocabulary.symbols)}
    table = np.full(CODE_POINTS, V, np.min_scalar_type(V))
    table[vocabulary.codes] = np.arange(len(place))
    if unknown != "skip":
        symbols = [chr(code) if level == "char" else code for code in lacking.tolist()]
        table[lacking] = [place[replacement(symbol, vocabulary, unknown)] for symbol in symbols]
    return table


def _most(codes: np.ndarray, counts: np.ndarray, level: str) -> str:
    """The most frequent of these symbols, with their counts."""
    order = codes[np.argsort(-counts[codes], kind="stable")]
    return listing([f"{describe(level, code)} ×{counts[code]:,}" for code in order.tolist()])


def cuts_of(groups: Mapping[str, Sequence[Source]], lengths: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Where the text of each group but the first begins and ends, from the length of each source."""
    cuts, begin, place = {}, 0, 0
    for part, group in groups.items():
        stop = begin + sum(lengths[place : place + len(group)])
        if part != "training":
            cuts[part] = begin, stop
        begin, place = stop, place + len(group)
    return cuts
