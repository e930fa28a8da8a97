"""A text as a model reads it: its symbols, and a character to look at for each of them.

A text of items has a few symbols that are no characters: what an item begins with, its boundary, its end. Each has
a mark among the characters, a code point that no text can contain (U+DC80 and above stand for bytes that are no
UTF-8, these lie below). Nothing is read after an end: its place has the state that the item ended with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn.model.model import Model
from charrnn.text.batches import Text
from charrnn.text.items import Items
from charrnn.text.vocabulary import Vocabulary

END, BEGIN, BOUNDARY, LABEL = "\udc00\udc01\udc02\udc03"
MARKS = END + BEGIN + BOUNDARY + LABEL
SHOWN = dict.fromkeys(map(ord, MARKS), "▸") | {ord(END): "∎"}  # for str.translate


@dataclass(frozen=True, eq=False)
class Reading:
    """N characters, for n symbols.

    text : the characters, with a mark for each symbol of an item that is none
    ids : (n,) the symbols; ends : (N,) where in ids each character ends
    begins : (K,) the first character of each item; None for a text that is one stream
    """

    text: str
    ids: np.ndarray
    ends: np.ndarray
    begins: np.ndarray | None

    def __len__(self) -> int:
        """How many items, or characters of a stream."""
        return len(self.text) if self.begins is None else len(self.begins)

    @cached_property
    def stretches(self) -> np.ndarray | None:
        """(N,) the number of the text that each character belongs to, and -1 at a mark; None for a stream.

        An item is one text, a pair two: nothing that is told of a character reaches beyond it.
        """
        if self.begins is None:
            return None
        marks = self.marks
        new = np.ones(len(marks), bool)  # whether a text begins here, if this is no mark
        new[1:] = marks[:-1]
        new[self.begins] = True
        return np.where(marks, -1, np.cumsum(new & ~marks) - 1)

    @cached_property
    def marks(self) -> np.ndarray:
        """(N,) whether a character is a mark."""
        codes = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<i4")
        return (codes >= ord(END)) & (codes < 0xDC80)

    @cached_property
    def inputs(self) -> np.ndarray:
        """(N,) whether a character stands before the boundary of a pair, or is that."""
        n = len(self.text)
        after = np.fromiter((ch == BOUNDARY for ch in self.text), np.int64, n)
        if self.begins is None or not after.any():
            return np.zeros(n, bool)
        passed = np.cumsum(after) - after  # boundaries before each character
        return passed == np.repeat(np.arange(len(self.begins)), np.diff(np.r_[self.begins, n]))

    @property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """(K,) each: where in ids each item begins, and the place of its end symbol; of a stream, of all of it."""
        if self.begins is None:
            return np.zeros(1, int), np.full(1, len(self.ids))
        starts = np.r_[0, self.ends + 1][self.begins]
        return starts, np.r_[starts[1:], len(self.ids)] - 1

    def first(self, most: int) -> "Reading":
        """The first ``most`` characters; of items, the first whole ones that have no more in all, but at least one."""
        stop = min(most, len(self.text))
        if self.begins is not None:
            fitting = np.r_[self.begins[1:], len(self.text)]
            stop = int(fitting[max(1, int(np.searchsorted(fitting, most, side="right"))) - 1])
        return self.part(0, stop)

    def part(self, start: int, stop: int) -> "Reading":
        """Characters ``start`` to ``stop``, which are whole items where there are items."""
        first = int(self.ends[start - 1]) + 1 if start else 0
        ends = self.ends[start:stop]
        begins = self.begins
        if begins is not None:
            begins = begins[(begins >= start) & (begins < stop)] - start
        ids = self.ids[first : int(ends[-1]) + 1] if len(ends) else self.ids[:0]
        return Reading(self.text[start:stop], ids, ends - first, begins)


def reading_of(model: Model, text: str | Items | Reading, most: int | None = None) -> Reading:
    """A text as the model reads it.

    text : one stream; or items, encoded with the vocabulary of the model
    most : characters, of items symbols; what comes after so many is left out. One item that alone has more is cut

    Raises DataError for characters that the model does not know.
    """
    if isinstance(text, Reading):
        return text if most is None else text.first(most)
    if isinstance(text, Items):
        return _of_items(model.vocab, text if most is None else _first(text, most))
    text = text[:most]
    ids = model.vocab.encode(text)
    return Reading(text, ids, model.vocab.ends(text), None)


def beginning(model: Model, text: str, condition: Sequence[int]) -> Reading:
    """A text that goes on, as the model reads it, after the symbols that an item begins with.

    Raises DataError for characters that the model does not know.
    """
    if model.vocab.items is None:
        return reading_of(model, text)
    ids = np.array([*condition, *model.vocab.encode(text), model.vocab.end])
    one = np.array([len(ids)])
    whole = _of_items(model.vocab, Items(ids, one - one, one, np.array([len(condition)])))
    return Reading(whole.text[:-1], whole.ids[:-1], whole.ends[:-1], None)


def spread(text: str | Items | Reading, most: int) -> str | Items | Reading:
    """A text to read about ``most`` symbols of: of items every k-th, so that they come from all over the text."""
    if not isinstance(text, Items):
        return text
    total = int((text.places + 1).sum(dtype=np.int64))
    return text[:: max(1, -(-total // most))]


def looked_at(model: Model, ids: Text) -> str | Items:
    """A part of a corpus as it is looked at: a stream as its text, items as they are."""
    return ids if isinstance(ids, Items) else decoded(model.vocab, ids)


def decoded(vocab: Vocabulary, ids: np.ndarray) -> str:
    """The text of characters; each byte that is not UTF-8 becomes one, so that encoding restores the same bytes."""
    if vocab.level == "char":
        return vocab.decode(ids)
    return bytes(vocab.codes[ids].tolist()).decode("utf-8", "surrogateescape")


def characters_of(vocab: Vocabulary) -> list[str]:
    """Each symbol as one character: a byte that is not ASCII as the surrogate that stands for it, and the marks."""
    characters = [s if isinstance(s, str) else chr(s) if s < 128 else chr(0xDC00 + s) for s in vocab.symbols]
    others = len(vocab) - len(characters)
    return characters + [END, *[BOUNDARY] * vocab.pairs, *[LABEL] * others][:others]


def character_names(model: Model, reading: Reading) -> list[str]:
    """The characters of a text; for a mark, what its symbol is called, such as end or label origin=Irish."""
    names = list(reading.text)
    for place in np.flatnonzero(reading.marks):
        names[place] = model.vocab.name(int(reading.ids[reading.ends[place]]))
    return names


def _first(items: Items, most: int) -> Items:
    """The first items that have ``most`` symbols in all, but at least one."""
    count = int(np.searchsorted(np.cumsum(items.places + 1, dtype=np.int64), most, side="right"))
    first = items[: max(1, count)]
    return Items(first.ids, first.starts, np.minimum(first.stops, first.starts + most), first.conditions)


def _of_items(vocab: Vocabulary, items: Items) -> Reading:
    sizes = items.places + 1
    starts = np.cumsum(sizes) - sizes
    ids = np.concatenate([np.asarray(items.of(n)) for n in range(len(items))] or [np.zeros(0, vocab.dtype)])
    ids[starts + sizes - 1] = vocab.end  # of one that was cut too
    characters, C = characters_of(vocab), len(vocab.symbols)
    if vocab.level == "char":
        codes = np.array(list(map(ord, characters)), "<i4")[ids]
        codes[starts[codes[starts] == ord(END)]] = ord(BEGIN)
        text = codes.tobytes().decode("utf-32-le", "surrogatepass")
        return Reading(text, ids, np.arange(len(ids)), starts)
    pieces: list[str] = []
    lengths: list[int] = []  # symbols of each character
    begins, place = [], 0
    firsts = set(starts.tolist())
    for mark in np.flatnonzero(ids >= C).tolist():  # the last symbol is one
        if place in firsts:
            begins.append(len(lengths))
        words = decoded(vocab, ids[place:mark])
        lengths += [len(ch.encode("utf-8", "surrogateescape")) for ch in words] + [1]
        name = characters[int(ids[mark])]
        pieces += [words, BEGIN if name == END and mark in firsts else name]
        place = mark + 1
    return Reading("".join(pieces), ids, np.cumsum(lengths, dtype=np.int64) - 1, np.array(begins, int))
