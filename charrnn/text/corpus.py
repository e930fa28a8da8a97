"""Read a text of any size as ids: the first pass collects its symbols, the second writes their ids.

Both passes stream small blocks. A small text becomes an array in memory, a large one a memory-mapped file in the
cache, so memory does not grow with the text.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import UNKNOWN
from charrnn.errors import DataError, UsageError
from charrnn.text.batches import Parts, split
from charrnn.text.cache import NoCache, map_ids, private_folder, unnamed_ids, write_ids
from charrnn.text.decode import NotTextError
from charrnn.text.item_corpus import read_items
from charrnn.text.items import Items
from charrnn.text.passes import CODE_POINTS, LF_WAY_OUT, Form, Meter, Pass, choose_symbols, cuts_of, table_of
from charrnn.text.records import ItemForm
from charrnn.text.sources import IN_MEMORY, MEMORY, Source, StrPath, find_sources
from charrnn.text.vocabulary import Vocabulary, listing


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as ids: one stream, or items.

    name : a short name for the run folder: that of the first file (without suffix) or of the folder
    ids : (N,) of the vocabulary's dtype, in memory or memory-mapped read-only
    sha256 : digest of the raw bytes of all sources, concatenated
    sources : the files read, in order; - for stdin; not those named for validation and test
    notes : messages for the user: files skipped, byte order marks dropped, characters replaced or added
    joined : whether a newline was put between files where one was missing
    cuts : where the text named for validation and the one named for test begin and end, in ids or in items;
        None where no file is named for it
    items : the items that the ids are; None for a stream
    shares : (N,) a number of each item in [0, 1), by which it belongs to a part
    label_counts : for each column of labels, how often each label occurs
    """

    name: str
    ids: np.ndarray
    vocabulary: Vocabulary
    sha256: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    joined: bool = False
    cuts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    items: Items | None = None
    shares: np.ndarray | None = None
    label_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def with_ids(self, ids: np.ndarray) -> "Corpus":
        """The same text with its symbols elsewhere."""
        items = None if self.items is None else replace(self.items, ids=ids)
        return replace(self, ids=ids, items=items)

    def parts(self, val_fraction: float, test_fraction: float) -> Parts:
        """The text to train on, to validate with and to test with.

        What a file is named for is what stands in that file. The rest comes from the other text: of a stream its
        end, of items those whose share says so.
        """
        whole: np.ndarray | Items = self.ids if self.items is None else self.items
        first = min((start for start, _ in self.cuts.values()), default=len(whole))
        named = {part: whole[slice(*cut)] for part, cut in self.cuts.items()}
        val_fraction = 0 if "validation" in named else val_fraction
        test_fraction = 0 if "test" in named else test_fraction
        if isinstance(whole, Items):
            assert self.shares is not None
            shares, rest = self.shares[:first], whole[:first]
            tested = shares >= 1 - test_fraction
            validated = (shares >= 1 - val_fraction - test_fraction) & ~tested
            found = Parts(rest[~tested & ~validated], rest[validated], rest[tested])
        else:
            found = split(whole[:first], val_fraction, test_fraction)
        return found._replace(**named)


def read_corpus(
    sources: StrPath | Source | Sequence[StrPath | Source],
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
    validation: StrPath | None = None,
    test: StrPath | None = None,
    joined: bool | None = None,
    items: ItemForm | None = None,
) -> Corpus:
    """Read files, folders, patterns and streams, in the given order, as one text, or as items.

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
    validation, test : a file, folder or pattern with the text for it
    joined : whether to put a newline between files where one is missing; by default where a folder is named
    items : how the text is cut into items; None reads it as one stream

    A large text is mapped from the cache, never from its own file, which may change while the ids are in use.

    Raises DataError if the text is missing, empty, not text or has unknown symbols; UsageError for options that make
    no sense; CharRNNError if the cache cannot be written.
    """
    names = [sources] if isinstance(sources, str | os.PathLike | Source) else sources
    level = level if vocabulary is None else vocabulary.level
    _check_options(level, newlines, min_count, unknown)
    if joined is None:
        joined = items is None and any(not isinstance(n, Source) and os.path.isdir(n) for n in names)
    joined = joined and (vocabulary is None or grow or "\n" in vocabulary.symbols or level == "byte")
    form = Form(level, encoding, newlines, tuple(options), joined)
    with ExitStack() as stack:
        meter = Meter(reading)
        groups, notes = _find({"training": names, "validation": validation, "test": test}, stack, form, meter)
        found = groups["training"]
        first = Pass([source for group in groups.values() for source in group], form, meter.add)
        meter.begin(2 * sum(source.size for source in first.sources))
        name, read = _short_name(names, found), tuple(source.name for source in found)
        if items is not None:
            made = read_items(first, items, groups, min_count, vocabulary, grow, unknown, options, notes)
            meter.end()
            sha256 = first.sha256.hexdigest()
            return Corpus(
                name,
                made.items.ids,
                made.vocabulary,
                sha256,
                read,
                tuple(notes),
                cuts=made.cuts,
                items=made.items,
                shares=made.shares,
                label_counts=made.label_counts,
            )
        counts = _count(first, notes)
        vocabulary = choose_symbols(counts, level, min_count, vocabulary, grow, notes)
        table = table_of(counts, vocabulary, min_count, unknown, options, notes)
        ids = _encode(first, counts, vocabulary, table, notes)
        meter.end()
    cuts = cuts_of(groups, first.lengths)
    return Corpus(name, ids, vocabulary, first.sha256.hexdigest(), read, tuple(notes), form.joined, cuts)


def _check_options(level: str, newlines: str, min_count: int, unknown: str) -> None:
    """Raise UsageError for options that make no sense."""
    if unknown not in UNKNOWN:
        raise UsageError(f"--unknown is {unknown!r}; it must be one of: {', '.join(UNKNOWN)}")
    if min_count < 1:
        raise UsageError(f"--min-count is {min_count}; it must be at least 1")
    if level == "byte" and (newlines != "keep" or min_count > 1):
        raise UsageError("--level byte reads raw bytes: it cannot be combined with --newlines or --min-count")


def _find(
    named: Mapping[str, StrPath | Sequence[StrPath | Source] | None],
    stack: ExitStack,
    form: Form,
    meter: Meter,
) -> tuple[dict[str, list[Source]], list[str]]:
    """The sources that are named for each part of the text, and notes on files skipped."""
    groups: dict[str, list[Source]] = {}
    notes: list[str] = []
    for part, names in named.items():
        if names is not None:
            names = [names] if isinstance(names, str | os.PathLike) else names
            groups[part], more = find_sources(
                names, stack, lambda source: form.reason_to_skip(source, meter.add), meter.add
            )
            notes += more
    return groups, notes


def _count(first: Pass, notes: list[str]) -> np.ndarray:
    """How often each code point or byte occurs in a stream, (CODE_POINTS,). Raises DataError where there is none."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for block in first:
        occurrences = np.bincount(block)
        counts[: len(occurrences)] += occurrences
    if not counts.any():
        raise DataError(f"{listing([source.title for source in first.sources])}: there is no text in it")
    notes += first.notes()
    if first.form.level == "char" and "newlines" in first.form.options and (returns := counts[ord("\r")]):
        notes.append(f"{returns:,} carriage returns (CR) kept; {LF_WAY_OUT}")
    return counts


def _encode(
    first: Pass, counts: np.ndarray, vocabulary: Vocabulary, table: np.ndarray, notes: list[str]
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
        **({"joined": True} if first.form.joined else {}),
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


def _ids(first: Pass, vocabulary: Vocabulary, table: np.ndarray) -> Iterator[np.ndarray]:
    leaves_out = int(table.max()) == len(vocabulary)
    second = Pass(first.sources, first.form, first.read)
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


def _short_name(names: Sequence[StrPath | Source], found: Sequence[Source]) -> str:
    """notes for notes.txt or the folder notes/; notes-and-2-more for three files."""
    if found[0].name == MEMORY:
        return "text"
    if len(names) == 1 and not isinstance(names[0], Source) and os.path.isdir(names[0]):
        return os.path.basename(os.path.realpath(names[0])) or "corpus"
    more = f"-and-{len(found) - 1}-more" if len(found) > 1 else ""
    return Path(found[0].title).stem + more
