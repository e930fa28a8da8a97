"""Which symbols follow the symbols before them in a text, and how often: exact counts, in bounded memory.

    n(c s)   how often symbol s follows context c, the k symbols before it
    n(c)     how often any does, Σ_s n(c s)
    t(c)     how many different ones do

For each k there is one sorted table of all sequences c s. A sequence is one number with s in its last bits, so what
follows c stands side by side: t(c) is the number of its rows. A sequence that is too long for 64 bits has a hash of c
there; two contexts with one hash share their counts, which remain those of a distribution.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np

from charrnn.errors import DataError
from charrnn.text.batches import Text, size_of
from charrnn.text.cache import kept
from charrnn.text.items import Items, runs

SYMBOLS_AT_ONCE = 2**22  # symbols of a text counted at once
LOOKED_UP_AT_ONCE = 2**18  # symbols whose counts are held at once
MOST_ROWS = 24_000_000  # of a table; making one takes up to 30 bytes per row
MOST_COUNTED = 2**32 - 1  # all counts of a table together
HASH = np.uint64(0x9E3779B97F4A7C15)


class Reach(NamedTuple):
    """Symbols, and how many before each may be looked at: in a stream all.

    ids : (N,); before : (N,), -1 where the symbol is not predicted; None for a stream
    """

    ids: np.ndarray
    before: np.ndarray | None = None

    @property
    def predicted(self) -> np.ndarray:
        """The places of the symbols that are predicted."""
        return np.arange(len(self.ids)) if self.before is None else np.flatnonzero(self.before >= 0)

    @classmethod
    def of(cls, items: Items) -> "Reach":
        """Of each item the last symbol of its condition, and what is predicted after it."""
        sizes = items.scored + 1
        places = runs(items.starts + items.conditions - 1, sizes)
        before = np.arange(len(places)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(np.asarray(items.ids[places]), np.where(before > 0, before, -1))


def windows(text: Text, order: int, size: int, first: int = 0) -> Iterator[Reach]:
    """A text in windows of about `size` predicted symbols, with up to `order` symbols before each as context.

    first : the first symbol of a stream that is predicted
    """
    if isinstance(text, Items):
        cuts = np.searchsorted(np.cumsum(text.scored), np.arange(0, text.symbols, size))
        for begin, end in pairwise([*np.unique(cuts).tolist(), len(text)]):
            yield Reach.of(text[begin:end])
        return
    for start in range(first, len(text), size):
        context = min(start, order)
        ids = np.asarray(text[start - context : start + size])
        before = np.arange(len(ids))
        before[:context] = -1
        yield Reach(ids, before)


class Matches(NamedTuple):
    """The counts of some symbols after the contexts of 0, 1, … order symbols before them, each (order + 1, N).

    seen : n(c s); context : n(c); kinds : t(c). All are 0 where c does not occur or reaches too far
    """

    seen: np.ndarray
    context: np.ndarray
    kinds: np.ndarray

    def with_those_of(self, text: "Matches", weight: int) -> "Matches":
        """These counts and `weight` times those of another text, whose kinds are those that are new here."""
        return Matches(
            self.seen + weight * text.seen, self.context + weight * text.context, self.kinds + text.kinds
        )

    def of(self, places: np.ndarray) -> "Matches":
        """Those of some of the symbols."""
        return Matches(*(numbers[:, places] for numbers in self))

    def longest(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        """The length of the longest context up to `order` that occurs and the kinds after it, each (N,); -1 and 0 where
        none does."""
        matched = (self.context[: order + 1] > 0).sum(axis=0) - 1
        return matched, self.kinds[np.maximum(matched, 0), np.arange(len(matched))]

    def probabilities(self, weight: float, base: float, order: int) -> np.ndarray:
        """p_order of the symbols, (N,)."""
        *_, p = islice(self.interpolated(weight, base), order + 1)
        return p

    def interpolated(self, weight: float, base: float) -> Iterator[np.ndarray]:
        """p_0, p_1, …, p_order of the symbols, each (N,), in one buffer.

            p_k(s | c) = (n(c s) + w t(c) p_{k-1}(s | c')) / (n(c) + w t(c))

        c' the last k - 1 symbols of c; p_{-1} = base; p_k = p_{k-1} where c does not occur. w = 1 is Witten and Bell
        (1991), as in Chen and Goodman (1999); a larger w trusts long contexts less.
        """
        p = np.full(self.seen.shape[1], base)
        for seen, context, kinds in zip(self.seen, self.context, self.kinds, strict=True):
            known = np.flatnonzero(context)
            more = weight * kinds[known]
            p[known] = (seen[known] + more * p[known]) / (context[known] + more)
            yield p


class Table(NamedTuple):
    """The different sequences of k + 1 symbols of a text in ascending order, and how often they occur.

    keys : (R,) uint64; ends : (R + 1,) uint32, the sum of the counts of all sequences before each, and of all
    """

    keys: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, counts: np.ndarray) -> "Table":
        ends = np.zeros(len(keys) + 1, np.uint32)
        np.cumsum(counts, out=ends[1:])
        return cls(keys, ends)


class Counts:
    """The tables for contexts of 0, 1, … order symbols.

    vocab_size : V; written : the number of symbols that can be predicted, if not all of V
    """

    def __init__(self, tables: list[Table], vocab_size: int, written: int | None = None) -> None:
        self.tables = tables
        self.vocab_size = vocab_size
        self.written = vocab_size if written is None else written

    @property
    def order(self) -> int:
        return len(self.tables) - 1

    @property
    def base(self) -> float:
        """p_{-1}: all symbols alike."""
        return 1 / self.written

    @classmethod
    def of(cls, text: Text, vocab_size: int, order: int, written: int | None = None) -> "Counts":
        """The counts of a text, up to the first order whose table has more than MOST_ROWS."""
        tables: list[Table] = []
        for k in range(order + 1):
            table = _counted(text, vocab_size, k)
            if table is None:
                break
            tables.append(table)
        return cls(tables, vocab_size, written)

    @classmethod
    def kept(cls, text: Text, vocab_size: int, order: int, written: int | None = None) -> "Counts":
        """The same from the cache, where they are kept under the content of the text."""
        name = _name_of(text, vocab_size)
        tables: list[Table] = []
        for k in range(order + 1):
            table = _kept(f"{name}-{k}.counts", text, vocab_size, k)
            if table is None:
                break
            tables.append(table)
        return cls(tables, vocab_size, written)

    def matches(self, text: Reach, order: int | None = None) -> Matches:
        """The counts of each symbol of a window after the symbols before it, up to `order` of them."""
        tables = self.tables if order is None else self.tables[: order + 1]
        found = Matches(*np.zeros((3, len(tables), len(text.ids)), np.int64))
        low = _low_bits(self.vocab_size)
        for k, table in enumerate(tables):
            if not len(table.keys):
                continue
            keys, places = _keys(text, self.vocab_size, k)
            # Neighbours in sorted order are neighbours in memory: a search from one to the next is quick.
            ascending = np.argsort(keys)
            keys, places = keys[ascending], places[ascending]
            first = np.searchsorted(table.keys, keys & ~low)
            last = np.searchsorted(table.keys, keys | low, side="right")
            here = np.searchsorted(table.keys, keys)
            is_seen = (here < last) & (table.keys.take(here, mode="clip") == keys)
            ends = table.ends
            found.context[k, places] = ends[last] - ends[first]
            found.kinds[k, places] = last - first
            found.seen[k, places[is_seen]] = (ends[here[is_seen] + 1] - ends[here[is_seen]]).astype(np.int64)
        return found

    def earlier(self, text: Reach, matches: Matches) -> Matches:
        """The counts of each symbol of a window in what stands before it in this window; kinds that are new here.

        matches : those of the same window
        """
        found = Matches(*np.zeros((3, len(self.tables), len(text.ids)), np.int64))
        bits = _bits(self.vocab_size)
        for k in range(len(self.tables)):
            keys, places = _keys(text, self.vocab_size, k)
            seen, _ = _before(keys, np.ones(len(keys), np.int64))
            is_new = (seen == 0) & (matches.seen[k, places] == 0)
            context, kinds = _before(keys >> np.uint64(bits), is_new.astype(np.int64))
            found.seen[k, places], found.context[k, places], found.kinds[k, places] = seen, context, kinds
        return found

    def grown(self, text: Reach, weight: int) -> "Counts":
        """These counts and `weight` times those of a window."""
        tables = []
        for k, table in enumerate(self.tables):
            sequences, _ = _keys(text, self.vocab_size, k)
            if len(table.keys) > MOST_ROWS or int(table.ends[-1]) + weight * len(sequences) > MOST_COUNTED:
                tables.append(table)  # it grows no more
                continue
            keys, counts = np.unique(sequences, return_counts=True)
            tables.append(Table.of(*_merged(table.keys, np.diff(table.ends), keys, weight * counts)))
        return Counts(tables, self.vocab_size, self.written)

    def after(
        self, context: np.ndarray, weight: float, order: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The distribution (B, V) after each of some contexts (B, L), and matched order and kinds there, each (B,).

        The latest symbol is the last. The arguments are those of `Matches.interpolated`.
        """
        B = len(context)
        p = np.full((B, self.vocab_size), self.base)
        p[:, self.written :] = 0  # symbols that are only read have the last numbers
        matched, kinds = np.full(B, -1), np.zeros(B, np.int64)
        low = _low_bits(self.vocab_size)
        for k, table in enumerate(self.tables[: min(order, context.shape[1]) + 1]):
            keys = _packed([context[:, context.shape[1] - j] for j in range(k, 0, -1)], self.vocab_size, B)
            keys = keys << np.uint64(_bits(self.vocab_size))
            first = np.searchsorted(table.keys, keys)
            last = np.searchsorted(table.keys, keys | low, side="right")
            t = last - first
            known = np.flatnonzero(t)
            rows = runs(first[known], t[known])
            n = table.ends[last[known]] - table.ends[first[known]]
            more = weight * t[known]
            p[known] *= (more / (n + more))[:, None]
            symbols = (table.keys[rows] & low).astype(np.intp)
            p[np.repeat(known, t[known]), symbols] += (table.ends[rows + 1] - table.ends[rows]) / np.repeat(
                n + more, t[known]
            )
            matched[known], kinds[known] = k, t[known]
        return p, matched, kinds


def _bits(vocab_size: int) -> int:
    """Bits of a symbol."""
    return max(1, (vocab_size - 1).bit_length())


def _low_bits(vocab_size: int) -> np.uint64:
    """A mask for the symbol of a sequence."""
    return np.uint64((1 << _bits(vocab_size)) - 1)


def _packed(context: Iterable[np.ndarray], vocab_size: int, count: int) -> np.ndarray:
    """A number for each of some contexts, uint64 (count,): its symbols one after the other, or a hash.

    context : the symbols (count,) at each of their places, the earliest first
    """
    bits, symbols = _bits(vocab_size), list(context)
    found = np.zeros(count, np.uint64)
    fits = (len(symbols) + 1) * bits <= 64
    for column in symbols:
        if fits:
            found <<= np.uint64(bits)
            found |= column.astype(np.uint64)
        else:
            found ^= column.astype(np.uint64) + np.uint64(1)
            found *= HASH
            found ^= found >> np.uint64(29)
    return found if fits else found >> np.uint64(bits)


def _keys(text: Reach, vocab_size: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """A number for each predicted symbol that has k symbols before it together with these, and its place."""
    ids = text.ids
    N = len(ids) - k
    if N <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.intp)
    keys = _packed((ids[j : j + N] for j in range(k)), vocab_size, N)
    keys <<= np.uint64(_bits(vocab_size))
    keys |= ids[k:].astype(np.uint64)
    if text.before is None:
        return keys, np.arange(k, len(ids))
    within = text.before[k:] >= k
    return keys[within], k + np.flatnonzero(within)


def _before(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many earlier places have the key of each place, and the sum of the values there."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    firsts = np.maximum.accumulate(np.where(is_first, np.arange(len(keys)), 0))
    sums = np.cumsum(values[order]) - values[order]
    number, total = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
    number[order] = np.arange(len(keys)) - firsts
    total[order] = sums - sums[firsts]
    return number, total


def _counted(text: Text, vocab_size: int, k: int) -> Table | None:
    """The table of the sequences of k + 1 symbols; None if it has more than MOST_ROWS.

    Raises DataError for a text with more symbols than MOST_COUNTED.
    """
    if size_of(text) > MOST_COUNTED:
        raise DataError(
            f"counts are of at most {MOST_COUNTED:,} symbols; the training text has {size_of(text):,}. "
            "Leave --counts out"
        )
    keys, counts = np.empty(0, np.uint64), np.empty(0, np.uint32)
    for window in windows(text, k, SYMBOLS_AT_ONCE):
        found, times = np.unique(_keys(window, vocab_size, k)[0], return_counts=True)
        keys, counts = _merged(keys, counts, found, times)
        if len(keys) > MOST_ROWS:
            return None
    return Table.of(keys, counts)


def _merged(
    keys: np.ndarray, counts: np.ndarray, more: np.ndarray, more_counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The union of two sets of keys, both ascending, with the sums of their counts."""
    more_counts = more_counts.astype(np.uint32)
    places = np.searchsorted(keys, more)
    is_known = np.zeros(len(more), bool)
    if len(keys):
        is_known = keys.take(places, mode="clip") == more
    counts = counts.astype(np.uint32)
    counts[places[is_known]] += more_counts[is_known]
    new = places[~is_known]
    return np.insert(keys, new, more[~is_known]), np.insert(counts, new, more_counts[~is_known])


def _kept(name: str, text: Text, vocab_size: int, k: int) -> Table | None:
    """`_counted` from the cache, where its numbers stand one after the other; none are there for None."""
    found = kept(name, np.dtype(np.uint32), lambda: _counted(text, vocab_size, k) or ())
    if not len(found):
        return None
    rows = len(found) // 3
    return Table(found[: 2 * rows].view(np.uint64), found[2 * rows :])


def _name_of(text: Text, vocab_size: int) -> str:
    """A name for the content of a text."""
    content = hashlib.sha256(f"{vocab_size} {type(text).__name__}".encode())
    arrays = [text.ids, text.starts, text.stops, text.conditions] if isinstance(text, Items) else [text]
    for array in arrays:
        content.update(f"{array.dtype.str} {len(array)}".encode())
        for begin in range(0, len(array), SYMBOLS_AT_ONCE):
            content.update(np.ascontiguousarray(array[begin : begin + SYMBOLS_AT_ONCE]).data)
    return content.hexdigest()
