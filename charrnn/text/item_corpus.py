"""Read items as ids: the first pass counts characters and labels, the second writes symbols."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from charrnn.errors import DataError
from charrnn.text.cache import unnamed_ids
from charrnn.text.items import Items, hash_of, runs
from charrnn.text.passes import CODE_POINTS, Form, Pass, choose_symbols, cuts_of, table_of
from charrnn.text.records import TABLES, ItemForm, Record, records
from charrnn.text.sources import IN_MEMORY, Source, find_sources
from charrnn.text.vocabulary import ItemSymbols, Vocabulary, code_points, describe, listing

AT_ONCE = 4096  # items encoded together
BELOW_1 = np.float32(1 - 2**-24)  # the largest share; a hash just below 2^64 would be rounded to 1
MOST_LABELS = 10_000  # different ones in a column: more are no labels


@dataclass(frozen=True, eq=False)
class ItemText:
    """What is read of a text of items; the fields are those of a Corpus."""

    vocabulary: Vocabulary
    items: Items
    shares: np.ndarray
    cuts: Mapping[str, tuple[int, int]]
    label_counts: Mapping[str, Mapping[str, int]]


def read_items(
    first: Pass,
    form: ItemForm,
    groups: Mapping[str, Sequence[Source]],
    min_count: int,
    vocabulary: Vocabulary | None,
    grow: bool,
    unknown: str,
    options: Collection[str],
    notes: list[str],
) -> ItemText:
    """The items of all sources in `first`, in order; the other arguments as in `read_corpus`.

    groups : the sources by the part that they are named for

    Raises DataError for a text without items, or with labels that `vocabulary` lacks.
    """
    counts, labels, empty = _counted(first, form)
    notes += first.notes()
    notes += _tables_by_lines(first.sources, form)
    if empty:
        notes.append("1 empty item was left out" if empty == 1 else f"{empty:,} empty items were left out")
    vocabulary = _with_item_symbols(
        choose_symbols(counts, first.form.level, min_count, vocabulary, grow, notes), form, labels, grow
    )
    table = table_of(counts, vocabulary, min_count, unknown, options, notes)
    encoder = _Encoder(vocabulary, form, table)
    second = Pass(first.sources, first.form, first.read)
    lengths: list[int] = []
    blocks = (encoder.encode(block) for block in _blocks(second, form, lengths))
    ids = (
        np.concatenate(list(blocks))
        if sum(first.sizes) <= IN_MEMORY
        else unnamed_ids(vocabulary.dtype, blocks)
    )
    if second.sha256.digest() != first.sha256.digest():
        raise DataError(
            f"{_titles(first)}: the text changed while it was being read; try again when no program writes to it"
        )
    items, hashes = encoder.items(ids)
    cuts = cuts_of(groups, lengths)
    notes += _repeated(hashes, cuts, form.pairs)
    return ItemText(
        vocabulary,
        items,
        np.minimum((hashes / 2**64).astype(np.float32), BELOW_1),
        cuts,
        {column: dict(sorted(c.items())) for column, c in zip(form.label_columns, labels, strict=True)},
    )


def _titles(reading: Pass) -> str:
    return listing([source.title for source in reading.sources])


def _counted(first: Pass, form: ItemForm) -> tuple[np.ndarray, list[Counter[str]], int]:
    """How often each character occurs (CODE_POINTS,), each label of each column, and how many items are empty."""
    counts = np.zeros(CODE_POINTS, np.int64)
    labels: list[Counter[str]] = [Counter() for _ in form.label_columns]
    empty = 0
    for block in _blocks(first, form):
        kept = [record for record in block if record.text]
        empty += len(block) - len(kept)
        codes = code_points("".join(record.input + record.text for record in kept))
        occurrences = np.bincount(codes) if len(codes) else np.empty(0, np.int64)
        counts[: len(occurrences)] += occurrences
        for column, counted in enumerate(labels):
            counted.update(record.labels[column] for record in kept)
            if len(counted) > MOST_LABELS:
                raise DataError(
                    f"the column {form.label_columns[column]!r} has more than {MOST_LABELS:,} different labels: "
                    "is it the right one?"
                )
    if not counts.any():
        raise DataError(f"{_titles(first)}: there is no item in it")
    _refuse_halves(counts, labels, _titles(first))
    return counts, labels, empty


def _refuse_halves(counts: np.ndarray, labels: Sequence[Counter[str]], titles: str) -> None:
    """Raise DataError for half a character, which no file holds, in a text or a label."""
    halves = {chr(0xD800 + code) for code in np.flatnonzero(counts[0xD800:0xE000])}
    halves |= {
        character
        for counted in labels
        for value in counted
        for character in value
        if "\ud800" <= character <= "\udfff"
    }
    if halves:
        raise _half(min(halves), titles)


def _tables_by_lines(sources: Sequence[Source], form: ItemForm) -> Iterator[str]:
    """A note on tables, by their names, that are read as lists."""
    tables = [source.title for source in sources if Path(source.name).suffix.lower() in TABLES]
    if form.kind == "line" and tables:
        yield f"{listing(tables)}: read by lines, a header included; --text-column NAME reads a column"


def read_records(
    names: Sequence[str], form: ItemForm, level: str, encoding: str, newlines: str
) -> Iterator[tuple[str, Record]]:
    """The items of files in order, empty ones too, as texts, whatever their symbols and labels are.

    Each has its place before it: the name of the file, and the number of the line, table row or item in it.

    Bytes that are no UTF-8 become lone surrogates, from which they can be restored.
    """
    how = Form(level, encoding, newlines, ())
    unit = "row" if form.is_table else "line" if form.kind in ("line", "pairs") else "item"
    with ExitStack() as stack:
        sources, _ = find_sources(names, stack, lambda source: how.reason_to_skip(source, lambda n: None))
        for source in sources:
            blocks = _blocks(Pass([source], how, lambda n: None), form)
            for number, record in enumerate(chain.from_iterable(blocks), start=1):
                place = f"{source.title}, {unit} {number}"
                yield place, record if level == "char" else _as_text(record)


def _as_text(record: Record) -> Record:
    """A record whose characters stand for bytes, decoded."""

    def decoded(text: str) -> str:
        return text.encode("latin-1").decode("utf-8", "surrogateescape")

    return Record(decoded(record.text), record.labels, decoded(record.input))


def _blocks(reading: Pass, form: ItemForm, lengths: list[int] | None = None) -> Iterator[list[Record]]:
    """The items of all sources, some at a time.

    lengths : gets the number of items of each source, empty ones not counted
    """
    for source in reading.sources:
        found = records(reading.texts(source), form, source.title)
        if reading.form.level == "byte":
            found = (_in_bytes(record, source.title) for record in found)
        total = 0
        while block := list(islice(found, AT_ONCE)):
            total += sum(bool(record.text) for record in block)
            yield block
        if lengths is not None:
            lengths.append(total)


def _in_bytes(record: Record, name: str) -> Record:
    """A record whose text and input have a character, U+0000 to U+00FF, for each byte."""
    try:
        text, input = (
            value.encode("utf-8", "surrogateescape").decode("latin-1")
            for value in (record.text, record.input)
        )
    except UnicodeEncodeError as error:
        raise _half(error.object[error.start], name) from None
    return Record(text, record.labels, input)


def _half(character: str, name: str) -> DataError:
    """The error for a text or label with half of a surrogate pair, as JSON can write it."""
    what = describe("char", ord(character))
    return DataError(f"{name}: an item or a label has half a character, {what}: remove it")


def _with_item_symbols(
    vocabulary: Vocabulary, form: ItemForm, labels: Sequence[Counter[str]], grow: bool
) -> Vocabulary:
    """The vocabulary with the end symbol, the boundary and the labels of the text.

    Raises DataError where it has such symbols already, and not those of this text.
    """
    found = tuple(
        (column, tuple(sorted(counted))) for column, counted in zip(form.label_columns, labels, strict=True)
    )
    known = vocabulary.items
    if known is not None and not grow:
        if known.pairs != form.pairs or [c for c, _ in known.labels] != [c for c, _ in found]:
            raise DataError(
                f"the model was trained on {_kind(known)}, and these are {_kind(ItemSymbols(form.pairs, found))}"
            )
        for column, values in found:
            for value in values:
                vocabulary.label(column, value)  # refuses one that is not known
        return vocabulary
    if known is not None:
        before = dict(known.labels)
        found = tuple((column, tuple(sorted({*values, *before.get(column, ())}))) for column, values in found)
    return Vocabulary(vocabulary.level, vocabulary.symbols, ItemSymbols(form.pairs, found))


def _kind(symbols: ItemSymbols) -> str:
    what = "pairs" if symbols.pairs else "items"
    columns = [column for column, _ in symbols.labels]
    return f"{what} with labels ({listing(columns)})" if columns else f"{what} without labels"


class _Encoder:
    """Records into symbols: condition, text and end of each, one after the other."""

    def __init__(self, vocabulary: Vocabulary, form: ItemForm, table: np.ndarray) -> None:
        self.vocabulary, self.form, self.table = vocabulary, form, table
        self._labels = [
            {value: vocabulary.label(column, value) for value in values}
            for column, values in vocabulary.labels
        ]
        self._sizes: list[np.ndarray] = []  # of each item, condition and end included
        self._conditions: list[np.ndarray] = []
        self._hashes: list[np.ndarray] = []

    def encode(self, block: Sequence[Record]) -> np.ndarray:
        """The symbols of some records; empty ones are left out."""
        vocabulary, L = self.vocabulary, len(self._labels)
        block = [record for record in block if record.text]
        texts, of_text = self._symbols([record.text for record in block])
        inputs, of_input = self._symbols([record.input for record in block])
        conditions = L + of_input + 1 if self.form.pairs else np.full(len(block), max(L, 1))
        sizes = conditions + of_text + 1
        starts = np.cumsum(sizes) - sizes
        out = np.full(int(sizes.sum()), vocabulary.end, vocabulary.dtype)
        for k, known in enumerate(self._labels):
            out[starts + k] = [known[record.labels[k]] for record in block]
        if self.form.pairs:
            out[runs(starts + L, of_input)] = inputs
            out[starts + L + of_input] = vocabulary.boundary
        out[runs(starts + conditions, of_text)] = texts
        self._sizes.append(sizes.astype(np.int32))
        self._conditions.append(conditions.astype(np.int32))
        decides = [record.input if self.form.pairs else record.text for record in block]
        self._hashes.append(np.array([hash_of(text) for text in decides], np.uint64))
        return out

    def _symbols(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all texts, one after the other, and how many each text has."""
        ids = np.take(self.table, code_points("".join(texts)), mode="clip")
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        known = ids < len(self.vocabulary)
        if not known.all():  # unknown characters are left out
            before = np.concatenate([[0], np.cumsum(known)])
            edges = np.concatenate([[0], np.cumsum(sizes)])
            sizes, ids = np.diff(before[edges]), ids[known]
        return ids, sizes

    def items(self, ids: np.ndarray) -> tuple[Items, np.ndarray]:
        """The items that have been encoded, and the hash (N,) of the text by which each belongs to a part."""
        sizes = _joined(self._sizes)
        stops = np.cumsum(sizes, dtype=np.int64)
        return Items(ids, stops - sizes, stops, _joined(self._conditions)), _joined(self._hashes)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """All parts as one array; the list is emptied, since of ten million items nothing should be held twice."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _repeated(hashes: np.ndarray, cuts: Mapping[str, tuple[int, int]], pairs: bool) -> Iterator[str]:
    """Notes on items that occur more than once, and on held-out ones that are in the training text too.

    hashes : of the texts, or of the inputs of pairs
    """
    distinct = len(np.unique(hashes))
    if distinct < len(hashes):
        same = (
            f"{distinct:,} different input{'s' * (distinct > 1)}"
            if pairs
            else f"{distinct:,} of them different"
        )
        kept = "those of one input" if pairs else "equal ones"
        together = "" if cuts else f"; {kept} stay in one part of the text"
        yield f"{len(hashes):,} {'pairs' if pairs else 'items'}, {same}{together}"
    first = min((start for start, _ in cuts.values()), default=len(hashes))
    for part, (start, stop) in cuts.items():
        if both := int(np.isin(hashes[start:stop], hashes[:first]).sum()):
            of = f"{both:,} of the {stop - start:,}"
            yield (
                f"{of} pairs named for {part} have an input that is in the training text too"
                if pairs
                else f"{of} items named for {part} are in the training text too"
            )
