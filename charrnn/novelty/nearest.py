"""The item of the training text that is most like a given one, by edit distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.novelty.known import KnownItems, texts_of
from charrnn.score.edit_distance import distances
from charrnn.text.items import Items
from charrnn.text.vocabulary import Vocabulary, code_points

LONGEST = 1000  # characters of the texts that are compared
KINDS = 32  # characters are counted in so many kinds
AT_ONCE = 1024  # items compared before looking whether any other can be nearer


@dataclass(frozen=True)
class ItemNovelty:
    """Whether an item is in the training text as a whole; if not, the nearest item there and its distance.

    nearest : None for a known item, and where no text is short enough to be compared
    """

    known: bool
    nearest: tuple[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        nearest = None if self.nearest is None else dict(zip(("text", "distance"), self.nearest, strict=True))
        return {"known": self.known, "nearest": nearest}


class TrainingItems:
    """The items that a model was trained on, to find the nearest one.

    Two texts are at least as far apart as the numbers of their characters of some kind differ:

        distance(a, b) ≥ max( Σ max(0, a_k - b_k), Σ max(0, b_k - a_k) )      a_k: characters of kind k in a

    Items are compared in the order of this bound, until no other can be nearer.
    """

    def __init__(self, vocab: Vocabulary, parts: Sequence[Items]) -> None:
        self._known = KnownItems(vocab, parts)
        texts = [text for items in parts for text in texts_of(vocab, items) if len(text) <= LONGEST]
        self._texts = list(dict.fromkeys(texts))
        self._sizes = np.fromiter(map(len, self._texts), np.int64, len(self._texts))
        self._codes = code_points("".join(self._texts))
        self._starts = np.cumsum(self._sizes) - self._sizes
        of = np.repeat(np.arange(len(self._texts)), self._sizes)
        counts = np.bincount(of * KINDS + self._codes % KINDS, minlength=KINDS * len(self._texts))
        self._counts = counts.reshape(-1, KINDS).astype(np.int16)

    def compare(self, text: str) -> ItemNovelty:
        """Whether a text is known, and the nearest item; of several the first in the order of the bound."""
        if text in self._known:
            return ItemNovelty(True)
        if len(text) > LONGEST or not self._texts:
            return ItemNovelty(False)
        codes = code_points(text)
        more = self._counts - np.bincount(codes % KINDS, minlength=KINDS).astype(np.int16)
        bound = np.maximum(np.maximum(more, 0).sum(axis=1), np.maximum(-more, 0).sum(axis=1))
        order = np.argsort(bound, kind="stable")
        best, nearest = LONGEST + 1, 0
        for first in range(0, len(order), AT_ONCE):
            which = order[first : first + AT_ONCE]
            if bound[which[0]] >= best:
                break
            found = self._distances(codes, which)
            if found.min() < best:
                best, nearest = int(found.min()), int(which[found.argmin()])
        return ItemNovelty(False, (self._texts[nearest], best))

    def _distances(self, codes: np.ndarray, which: np.ndarray) -> np.ndarray:
        """The distance to each of some items, those of one length side by side."""
        found = np.empty(len(which), np.int64)
        for size in np.unique(self._sizes[which]):
            here = np.flatnonzero(self._sizes[which] == size)
            others = self._codes[self._starts[which[here]] + np.arange(size)[:, None]]
            found[here] = distances(codes, others)
        return found
