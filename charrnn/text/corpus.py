"""Read a text of any size as ids: the first pass collects its symbols, the second writes their ids.

Both passes stream small blocks. A small text becomes an array in memory, a large one a memory-mapped file in the
cache, so memory does not grow with the text.
"""

import codecs
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import NEWLINES, UNKNOWN
from charrnn.errors import DataError, UsageError
from charrnn.text.cache import NoCache, map_ids, private_folder, unnamed_ids, write_ids
from charrnn.text.decode import NotTextError, decode
from charrnn.text.sources import IN_MEMORY, Source, StrPath, find_sources
from charrnn.text.unknown import replacement
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary, code_points, describe, listing

_BYTE_ORDER_MARK = "\ufeff"
_CODE_POINTS = 0x110000
_NEWLINES = "--newlines lf converts CR LF and CR to LF"


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as ids.

    name : a short name for the run folder: that of the first file (without suffix) or of the folder
    ids : (N,) of the vocabulary's dtype, in memory or memory-mapped read-only
    sha256 : digest of the raw bytes of all sources, concatenated
    sources : the files read, in order; - for stdin
    notes : messages for the user: files skipped, byte order marks dropped, characters replaced or added
    """

    name: str
    ids: np.ndarray
    vocabulary: Vocabulary
    sha256: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def read_corpus(
    sources: StrPath | Sequence[StrPath],
    *,
    level: str = "char",
    encoding: str = "utf-8",
    newlines: str = "keep",
    min_count: int = 1,
    vocabulary: Vocabulary | None = None,
    grow: bool = False,
    unknown: str = "error",
    options: Collection[str] = ("level", "encoding", "newlines"),
    reading: Callable[[int, int], None] = lambda done, total: None,
) -> Corpus:
    """Read files, folders, patterns and streams, in the given order, as one text.

    sources : files; folders (all text files in them, sorted); patterns (data/**/*.txt); pipes; - for stdin
    level : "char", or "byte" for raw bytes (256 symbols; no encoding). With `vocabulary`, its level is used
    newlines : "keep", or "lf" to convert CR LF and CR to LF
    min_count : characters that occur fewer times than this become U+FFFD
    vocabulary : use these symbols
    grow : add new symbols of the text to `vocabulary` (this changes the ids of the old ones)
    unknown : how to treat symbols that `vocabulary` lacks: "error" reads them as U+FFFD if that is in it and
        refuses them otherwise; "skip" leaves them out; "nearest" reads each as the most similar symbol
    options : which of level, encoding, newlines and unknown the user can change; messages suggest only these
    reading : called after each block with the bytes read so far and the total of both passes. The total is 0 while
        streams are copied and folders searched; at the end both are equal

    A large text is mapped from the cache, never from its own file, which may change while the ids are in use.

    Raises DataError if the text is missing, empty, not text or has unknown symbols; UsageError for options that make
    no sense; CharRNNError if the cache cannot be written.
    """
    names = [sources] if isinstance(sources, str | os.PathLike) else sources
    level = level if vocabulary is None else vocabulary.level
    form = _Form(level, encoding, newlines, tuple(options))
    if unknown not in UNKNOWN:
        raise UsageError(f"--unknown is {unknown!r}; it must be one of: {', '.join(UNKNOWN)}")
    if min_count < 1:
        raise UsageError(f"--min-count is {min_count}; it must be at least 1")
    if level == "byte" and (newlines != "keep" or min_count > 1):
        raise UsageError("--level byte reads raw bytes: it cannot be combined with --newlines or --min-count")

    with ExitStack() as stack:
        meter = _Meter(reading)
        found, notes = find_sources(
            names, stack, lambda source: form.reason_to_skip(source, meter.add), meter.add
        )
        meter.begin(2 * sum(source.size for source in found))
        first = _Pass(found, form, meter.add)
        counts = np.zeros(_CODE_POINTS, np.int64)
        for block in first:
            occurrences = np.bincount(block)
            counts[: len(occurrences)] += occurrences
        if not counts.any():
            raise DataError(f"{listing([source.title for source in found])}: there is no text in it")
        notes += first.notes()
        if level == "char" and "newlines" in options and (returns := counts[ord("\r")]):
            notes.append(f"{returns:,} carriage returns (CR) kept; {_NEWLINES}")
        vocabulary = _choose_symbols(counts, level, min_count, vocabulary, grow, notes)
        table = _table(counts, vocabulary, min_count, unknown, options, notes)
        ids = _encode(first, counts, vocabulary, table, notes)
        meter.end()
    return Corpus(
        _short_name(names, found),
        ids,
        vocabulary,
        first.sha256.hexdigest(),
        tuple(source.name for source in found),
        tuple(notes),
    )


class _Meter:
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
class _Form:
    """How to interpret the bytes of a text."""

    level: str
    encoding: str
    newlines: str
    options: tuple[str, ...]  # those of the fields above that the user can change

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
            return None if sum(map(len, _Pass([source], self, read))) else "empty"
        except NotTextError:
            return f"not {self.encoding} text"
        except DataError:
            return "unreadable"


class _Pass:
    """One pass over the sources: blocks of code points or bytes, and statistics about them."""

    def __init__(self, sources: Sequence[Source], form: _Form, read: Callable[[int], None]):
        self.sources = sources
        self.form = form
        self.read = read  # called with the number of bytes of each block
        self.sha256 = hashlib.sha256()
        self.sizes: list[int] = []  # bytes of each source
        self.marked: list[str] = []  # sources that begin with a byte order mark

    def __iter__(self) -> Iterator[np.ndarray]:
        for source in self.sources:
            self.sizes.append(0)
            blocks = self._hashed(source)
            if self.form.level == "byte":
                yield from (np.frombuffer(block, np.uint8) for block in blocks)
                continue
            for place, text in enumerate(
                decode(
                    blocks,
                    source.title,
                    self.form.encoding,
                    self.form.newlines,
                    raw="level" in self.form.options,
                    other="encoding" in self.form.options,
                )
            ):
                if place == 0 and text[0] == _BYTE_ORDER_MARK:
                    self.marked.append(source.title)
                    text = text[1:]
                yield code_points(text)

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
        return notes


def _choose_symbols(
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
        vocabulary = Vocabulary.of_codes(level, codes.tolist())
    assert vocabulary is not None
    return vocabulary


def _table(
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
    total = f"{len(lacking):,} different {'characters' if level == 'char' else 'bytes'}"
    most = _most(lacking, counts, level)
    if unknown == "error" and REPLACEMENT not in vocabulary.symbols:
        ways = [_NEWLINES] if ord("\r") in lacking and "newlines" in options else []
        if "unknown" in options:
            ways.append("--unknown skip leaves them out, --unknown nearest replaces them")
        raise DataError(
            f"the text has {total} that are not in the vocabulary of {V:,} symbols: {most}. "
            + ("; ".join(ways) or "Remove them, or use a model that knows them")
        )
    if unknown == "skip" and not counts[vocabulary.codes].any():
        raise DataError(f"the model knows none of the characters of the text: {most}")
    why = f"occur fewer than {min_count} times" if min_count > 1 else "are not in the vocabulary"
    did = {"error": "became U+FFFD", "skip": "were left out", "nearest": "were read as the nearest"}[unknown]
    notes.append(f"{total} that {why}, {counts[lacking].sum():,} in all, {did}: {most}")
    place = {symbol: k for k, symbol in enumerate(vocabulary.symbols)}
    table = np.full(_CODE_POINTS, V, np.min_scalar_type(V))
    table[vocabulary.codes] = np.arange(V)
    if unknown != "skip":
        symbols = [chr(code) if level == "char" else code for code in lacking.tolist()]
        table[lacking] = [place[replacement(symbol, vocabulary, unknown)] for symbol in symbols]
    return table


def _most(codes: np.ndarray, counts: np.ndarray, level: str) -> str:
    """The most frequent of these symbols, with their counts."""
    order = codes[np.argsort(-counts[codes], kind="stable")]
    return listing([f"{describe(level, code)} ×{counts[code]:,}" for code in order.tolist()])


def _encode(
    first: _Pass, counts: np.ndarray, vocabulary: Vocabulary, table: np.ndarray, notes: list[str]
) -> np.ndarray:
    """The second pass: ids in memory if the text is small, otherwise memory-mapped."""
    large = sum(first.sizes) > IN_MEMORY
    blocks = _ids(first, vocabulary, table)
    if not large:
        return np.concatenate(list(blocks))

    determines_the_ids: dict[str, Any] = {
        "sha256": first.sha256.hexdigest(),
        "sizes": first.sizes,
        "encoding": first.form.encoding,
        "newlines": first.form.newlines,
        **vocabulary.to_json(),
        "table": hashlib.sha256(table.tobytes()).hexdigest(),
    }
    key = hashlib.sha256(json.dumps(determines_the_ids, sort_keys=True).encode()).hexdigest()
    name, dtype = f"{key[:32]}.{vocabulary.dtype.name}", vocabulary.dtype
    present = np.flatnonzero(counts)
    id_counts = np.zeros(len(vocabulary) + 1, np.int64)
    np.add.at(id_counts, np.take(table, present, mode="clip"), counts[present])
    id_counts = id_counts[:-1]
    try:
        with private_folder() as folder:
            ids = map_ids(folder, name, dtype, id_counts)
            if ids is not None:
                return ids
            write_ids(folder, name, blocks)
            ids = map_ids(folder, name, dtype, id_counts)
            cached = folder.path / name
    except NoCache as problem:
        notes.append(f"{problem}. The text will be encoded again next time")
        return unnamed_ids(dtype, blocks)
    if ids is None:
        raise DataError(f"{cached} differs when read back: check the disk")
    notes.append(f"encoded text kept in {cached} for next time ({ids.nbytes / 1e6:,.0f} MB)")
    return ids


def _ids(first: _Pass, vocabulary: Vocabulary, table: np.ndarray) -> Iterator[np.ndarray]:
    leaves_out = int(table.max()) == len(vocabulary)
    second = _Pass(first.sources, first.form, first.read)
    with suppress(NotTextError):  # it was valid text in the first pass, so it has changed
        for codes in second:
            ids = np.take(table, codes, mode="clip")
            if leaves_out:
                ids = ids[ids < len(vocabulary)]
            yield ids.astype(vocabulary.dtype, copy=False)
    if second.sha256.digest() != first.sha256.digest():
        names = listing([source.title for source in first.sources])
        raise DataError(
            f"{names}: the text changed while it was being read; try again when no program writes to it"
        )


def _short_name(names: Sequence[StrPath], found: Sequence[Source]) -> str:
    """notes for notes.txt or the folder notes/; notes-and-2-more for three files."""
    if len(names) == 1 and os.path.isdir(names[0]):
        return os.path.basename(os.path.realpath(names[0])) or "corpus"
    more = f"-and-{len(found) - 1}-more" if len(found) > 1 else ""
    return Path(found[0].title).stem + more
