"""A suffix array: finds any string in a text by binary search.

The suffixes are sorted by prefix doubling (Manber and Myers 1993, with the groups of Larsson and
Sadakane 2007): once they are sorted by their first h symbols, the ranks of the suffixes h further on
sort them by 2h symbols, and only groups that are still equal are sorted again.

An index takes 4 bytes per symbol; making it takes about 10 bytes per symbol and a few hundred megabytes. It is
made once and kept in the cache under the hash of the text.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

import numpy as np

from charrnn.errors import DataError
from charrnn.text.cache import kept

SUFFIXES_AT_ONCE = 1 << 20  # suffixes sorted at once, unless a group of equal ones is larger
FIRST_LOOK = 32  # symbols compared before looking for a longer match
MOST_SYMBOLS = 2**31 - 1  # most symbols that can be numbered with 32 bits


class SuffixIndex:
    """The places of a text, sorted by the suffixes that begin there.

    ids : (N,) unsigned integers, may be memory-mapped; suffixes : (N,) int32
    """

    def __init__(self, ids: np.ndarray, suffixes: np.ndarray) -> None:
        self.symbols = len(ids)
        self.width = ids.dtype.itemsize  # bytes of a symbol; big-endian, so that they sort like the numbers
        self._text = np.ascontiguousarray(ids, ids.dtype.newbyteorder(">")).view(np.uint8).data
        self._suffixes = suffixes
        self._places = suffixes.data

    def encode(self, ids: np.ndarray) -> bytes:
        """Ids in the form that `longest` and `find` take."""
        return ids.astype(f">u{self.width}").tobytes()

    def longest(self, text: bytes, start: int) -> int:
        """Length in symbols of the longest beginning of text[start:] that occurs in the indexed text."""
        look, found = FIRST_LOOK, 0
        while True:
            wanted = self._piece(text, start, look)
            after = bisect_left(self._places, wanted, key=lambda place: self._piece(self._text, place, look))
            for place in self._places[max(0, after - 1) : after + 1]:
                found = max(found, _common(wanted, self._piece(self._text, place, look)) // self.width)
            if found * self.width < len(wanted) or found < look:
                return found
            look *= 4

    def find(self, wanted: bytes) -> tuple[int, int]:
        """The number of occurrences in the indexed text, and the place of the first."""
        size = len(wanted) // self.width

        def beginning(place: int) -> bytes:
            return self._piece(self._text, place, size)

        begin = bisect_left(self._places, wanted, key=beginning)
        end = bisect_right(self._places, wanted, begin, key=beginning)
        return end - begin, int(self._suffixes[begin:end].min(initial=self.symbols))

    def _piece(self, text: bytes | memoryview, place: int, size: int) -> bytes:
        return bytes(text[place * self.width : (place + size) * self.width])


def _common(one: bytes, other: bytes) -> int:
    """Number of bytes at the start that two texts share."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def indexed(ids: np.ndarray) -> SuffixIndex:
    """The index of a text, from the cache or made now. ids : (N,) unsigned integers, may be memory-mapped.

    Without a usable cache it is made each time.

    Raises DataError if the text is too large.
    """
    if len(ids) > MOST_SYMBOLS:
        raise DataError(
            f"the training text has {len(ids):,} symbols; the limit of an index is {MOST_SYMBOLS:,}. "
            "Name a part of the text with --novelty-corpus"
        )
    content = hashlib.sha256(ids.dtype.str.encode())
    for begin in range(0, len(ids), SUFFIXES_AT_ONCE):
        content.update(np.ascontiguousarray(ids[begin : begin + SUFFIXES_AT_ONCE]).data)
    name = f"{content.hexdigest()}.suffixes"
    return SuffixIndex(ids, kept(name, np.dtype(np.int32), lambda: [sort_suffixes(ids)], len(ids)))


def sort_suffixes(ids: np.ndarray) -> np.ndarray:
    """The places of `ids` (N,), sorted by the suffixes that begin there, int32 of shape (N,).

    A suffix that is a prefix of another comes before it.
    """
    suffixes, rank = _by_first_symbol(ids)
    V = int(ids.max(initial=0)) + 1
    looked = max(1, int(63 / np.log2(V + 1)))  # symbols that fit in one key
    unsorted = np.ones(len(ids), bool)

    def first_symbols(places: np.ndarray) -> np.ndarray:
        keys = np.zeros(len(places), np.int64)
        for k in range(looked):
            inside = places + k < len(ids)
            keys *= V + 1
            keys[inside] += ids[places[inside] + k].astype(np.int64) + 1
        return keys

    def order_further_on(places: np.ndarray) -> np.ndarray:
        """Sort key: the group of a suffix, then the rank of the suffix `looked` symbols further on."""
        keys = rank[places] * np.int64(len(ids) + 1)
        inside = places + looked < len(ids)
        keys[inside] += rank[places[inside] + looked] + 1
        return keys

    _refine(suffixes, rank, unsorted, first_symbols)
    while unsorted.any():
        _refine(suffixes, rank, unsorted, order_further_on)
        looked *= 2
    return suffixes


def _by_first_symbol(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The suffixes sorted by their first symbol, and the rank of each: the start of its group of equals."""
    suffixes, rank = np.empty(len(ids), np.int32), np.empty(len(ids), np.int32)
    blocks = [slice(begin, begin + SUFFIXES_AT_ONCE) for begin in range(0, len(ids), SUFFIXES_AT_ONCE)]
    V = int(ids.max(initial=0)) + 1
    counts = [np.bincount(ids[block], minlength=V) for block in blocks]
    first = np.cumsum(total := np.sum(counts, axis=0, initial=0)) - total if blocks else np.zeros(V, int)
    free = first.copy()
    for block, count in zip(blocks, counts, strict=True):
        order = np.argsort(ids[block], kind="stable")
        symbols = ids[block][order]
        within = np.arange(len(order)) - (np.cumsum(count) - count)[symbols]
        suffixes[free[symbols] + within] = block.start + order
        rank[block] = first[ids[block]]
        free += count
    return suffixes, rank


def _refine(
    suffixes: np.ndarray,
    rank: np.ndarray,
    unsorted: np.ndarray,
    keys_of: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Sort the suffixes that are still `unsorted` by a key that keeps each within its group; update their ranks.

    unsorted : (N,) bool, for each place in `suffixes`
    """
    for begin, stop in _slices(suffixes, rank):
        slots = begin + np.flatnonzero(unsorted[begin:stop])
        if not slots.size:
            continue
        places = suffixes[slots]
        keys = keys_of(places)
        order = np.argsort(keys)
        keys, places = keys[order], places[order]
        suffixes[slots] = places
        new = np.r_[True, keys[1:] != keys[:-1]]
        rank[places] = slots[np.flatnonzero(new)[np.cumsum(new) - 1]]
        unsorted[slots] = ~(new & np.r_[new[1:], True])


def _slices(suffixes: np.ndarray, rank: np.ndarray) -> Iterator[tuple[int, int]]:
    """Slices of `suffixes`, about SUFFIXES_AT_ONCE long, that cut no group in two."""
    begin, N = 0, len(suffixes)
    while begin < N:
        stop = min(begin + SUFFIXES_AT_ONCE, N)
        if stop < N:
            first = int(rank[suffixes[stop]])  # start of the group that the cut would split
            if first > begin:
                stop = first
            else:  # it is larger than a block: take the whole group
                stop = begin + bisect_right(range(begin, N), first, key=lambda slot: rank[suffixes[slot]])
        yield begin, stop
        begin = stop
