"""Texts that are not one long stream: items, each read from the zero state up to its end symbol.

    condition, text, end

The condition is read and not scored. It is what the text depends on: its labels, or the input of a pair and a
boundary, or where there is nothing the end symbol, as if another item had just ended.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NO_TARGET = -1  # as a target: there is nothing to predict here


@dataclass(frozen=True, eq=False)
class Items:
    """Some items of a text.

    ids : flat, perhaps memory-mapped; item n is ids[starts[n] : stops[n]]
    starts, stops : (N,) places in `ids`, of the first symbol of the condition and after the end symbol
    conditions : (N,) lengths of the conditions, at least 1
    """

    ids: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    conditions: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, which: slice | np.ndarray | Sequence[int]) -> "Items":
        """Some of these items, as a slice or a mask or a list of numbers chooses."""
        chosen = which if isinstance(which, slice | np.ndarray) else np.asarray(which, np.intp)
        return Items(self.ids, self.starts[chosen], self.stops[chosen], self.conditions[chosen])

    def of(self, n: int) -> np.ndarray:
        """The symbols of item n: condition, text, end."""
        return self.ids[self.starts[n] : self.stops[n]]

    def text(self, n: int) -> np.ndarray:
        """The symbols of item n without condition and end."""
        return self.ids[self.starts[n] + self.conditions[n] : self.stops[n] - 1]

    @cached_property
    def places(self) -> np.ndarray:
        """How many symbols of each item the network reads, (N,): all but the end."""
        return np.asarray(self.stops - self.starts - 1)

    @cached_property
    def scored(self) -> np.ndarray:
        """How many symbols of each item are predicted, (N,): its text and its end."""
        return np.asarray(self.stops - self.starts - self.conditions)

    @property
    def symbols(self) -> int:
        """How many symbols are predicted in all."""
        return int(self.scored.sum(dtype=np.int64))

    def predicted(self) -> np.ndarray:
        """The symbols of all items that are predicted: text and end of each, one after the other."""
        return np.asarray(self.ids[runs(self.starts + self.conditions, self.scored)])

    def spread(self, most: int) -> "Items":
        """Items that have about `most` predicted symbols: all, or every k-th."""
        step = max(1, -(-self.symbols // max(1, most)))
        return self if step == 1 else self[::step]

    def block(
        self, which: np.ndarray, rows: int, begin: int, length: int, end: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs x and targets y (length, rows) of places begin, begin + 1, … of some items side by side.

        which : (n,) numbers of items, n ≤ rows; rows without an item, and places beyond the end of one, read `end`
            and have NO_TARGET
        """
        x = np.full((length, rows), end, np.intp)
        y = np.full((length, rows), NO_TARGET, np.intp)
        n = len(which)
        places = begin + np.arange(length + 1)[:, None]  # (length + 1, 1), of each item
        starts, last = self.starts[which], self.places[which]
        both = self.ids[starts + np.minimum(places, last)]  # (length + 1, n)
        inside = places[:-1] < last
        np.copyto(x[:, :n], both[:-1], where=inside)
        np.copyto(y[:, :n], both[1:], where=inside & (places[1:] >= self.conditions[which]))
        return x, y


def runs(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """starts[n], starts[n] + 1, …, starts[n] + sizes[n] - 1 for each n, one after the other."""
    begins = np.cumsum(sizes) - sizes
    return np.repeat(starts - begins, sizes) + np.arange(int(sizes.sum()))


def after_end(items: Items, end: int) -> Items:
    """The same texts, each after the end symbol alone, whatever their conditions are."""
    sizes = items.scored + 1
    stops = np.cumsum(sizes)
    starts = stops - sizes
    ids = np.full(int(sizes.sum()), end, items.ids.dtype)
    ids[runs(starts + 1, items.scored)] = items.predicted()
    return Items(ids, starts, stops, np.ones(len(items), np.int32))


def hash_of(text: str) -> int:
    """A 64-bit number that depends on the text alone: it decides to which part an item belongs.

    So equal items are never on both sides of a split, and an item keeps its side when others are added.
    """
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
