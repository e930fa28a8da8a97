"""The runs of a text that occur verbatim in the training text, and the share of its n-grams that are new.

For each place i of the text, L(i) is the length of the longest beginning of text[i:] that occurs in the
training text. Everything else follows from L: the n-gram at i is new if L(i) < n, and [i, i + L(i)) is a
copied run of maximal length, unless a run that begins earlier reaches as far.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model
from charrnn.novelty.places import Place, places
from charrnn.novelty.suffixes import indexed
from charrnn.score.evaluation import form_of, splits_of
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary

NGRAMS = (4, 8, 12, 16, 20, 24)
MOST_HELD_OUT = 20_000  # most symbols of the validation text that are also compared
RUNS_LOOKED_UP = 10  # longest copied runs of a text whose places are looked up


@dataclass(frozen=True)
class Copy:
    """A run text[start:stop] that occurs `times` times in the training text.

    first : number of the symbol at which its first occurrence begins; place : where in the files that is,
        for the longest runs only
    """

    start: int
    stop: int
    times: int
    first: int
    place: Place | None = None

    def __len__(self) -> int:
        return self.stop - self.start

    def to_json(self, text: str) -> dict[str, Any]:
        return asdict(self) | {"chars": len(self), "text": text[self.start : self.stop]}


def longest_first(copies: Sequence[Copy]) -> list[Copy]:
    """Sorted by length, longest first; equally long ones by their start."""
    return sorted(copies, key=len, reverse=True)


@dataclass(frozen=True)
class Novelty:
    """The copied runs of a text in order, and n -> share of its n-grams that are new.

    There is no entry for an n longer than the text.
    """

    text: str
    copies: list[Copy]
    new_ngrams: dict[int, float]

    @property
    def copied_share(self) -> float:
        """Share of the characters that are in a copied run."""
        inside = np.zeros(len(self.text), bool)
        for copy in self.copies:
            inside[copy.start : copy.stop] = True
        return float(inside.mean()) if self.text else 0.0

    def to_json(self) -> dict[str, Any]:
        copies = [copy.to_json(self.text) for copy in self.copies]
        return {
            "new_ngrams": self.new_ngrams,
            "copied_share": self.copied_share,
            "longest": longest_first(self.copies)[0].to_json(self.text) if copies else None,
            "copies": copies,
        }


class TrainingText:
    """The text that a model was trained on, with an index over it.

    held_out_ngrams : n -> share of new n-grams in the validation text, empty without one: the value for text by
        the same authors that copies nothing
    """

    def __init__(
        self,
        ids: np.ndarray,
        vocab: Vocabulary,
        sources: Sequence[str],
        form: dict[str, Any],
        joined: bool = False,
    ) -> None:
        self.index = indexed(ids)
        self.vocab = vocab
        self.sources = sources
        self.form = form
        self.joined = joined
        self.held_out_ngrams: dict[int, float] = {}

    @classmethod
    def of(cls, model: Model, file: str | None = None) -> "TrainingText":
        """The training part of the text that the model's card names, or all of `file`.

        Raises DataError if the text is missing or has changed.
        """
        form = form_of(model)
        if file is not None:
            if not Path(file).exists() or Path(file).is_fifo():
                raise UsageError(
                    f"--novelty-corpus {file} must be a file or folder, because it is read twice"
                )
            corpus = read_corpus(file, **form, vocabulary=model.vocab, grow=True, options=())
            return cls(corpus.ids, corpus.vocabulary, corpus.sources, form, corpus.joined)
        parts, why_not = splits_of(model)
        if parts is None:
            raise DataError(
                f"--novelty compares with the training text, but {why_not}. "
                "Name that text with --novelty-corpus FILE"
            )
        about = model.training["corpus"]
        text = cls(parts["train"], model.vocab, about["sources"], form, bool(about.get("joined")))
        lengths = text._matches(text.index.encode(parts["validation"][:MOST_HELD_OUT]))
        text.held_out_ngrams = new_ngrams(lengths)
        return text

    def compare(self, text: str, least: int) -> Novelty:
        """The copied runs of at least `least` characters in a text, and its new n-grams.

        At byte level, n-grams consist of bytes, and runs begin and end at whole characters.
        """
        ids = self.index.encode(self.vocab.encode(text))
        lengths = self._matches(ids)
        ends = np.arange(len(lengths)) + lengths
        begins = np.flatnonzero(ends > np.r_[0, ends[:-1]])
        copies = []
        for start, stop in zip(*self._characters(text, begins, ends[begins]), strict=True):
            if stop - start >= least:
                run = self.index.encode(self.vocab.encode(text[start:stop]))
                copies.append(Copy(start, stop, *self.index.find(run)))
        longest = longest_first(copies)[:RUNS_LOOKED_UP]
        read = {name: self.form[name] for name in ("level", "encoding", "newlines")}
        found = places(self.sources, [copy.first for copy in longest], **read, joined=self.joined)
        place = dict(zip(longest, found, strict=True))
        copies = [replace(copy, place=place.get(copy)) for copy in copies]
        return Novelty(text, copies, new_ngrams(lengths))

    def _matches(self, ids: bytes) -> np.ndarray:
        """L(i) for each place of a text."""
        count = len(ids) // self.index.width
        return np.array([self.index.longest(ids, i) for i in range(count)], int)

    def _characters(self, text: str, begins: np.ndarray, ends: np.ndarray) -> tuple[list[int], list[int]]:
        """Convert places in symbols to places in characters, without cutting a character."""
        if self.vocab.level == "byte":
            sizes = [len(character.encode("utf-8", "surrogateescape")) for character in text]
            edges = np.r_[0, np.cumsum(sizes, dtype=int)]
            begins = np.searchsorted(edges, begins)
            ends = np.searchsorted(edges, ends, side="right") - 1
        return begins.tolist(), ends.tolist()


def new_ngrams(lengths: np.ndarray) -> dict[int, float]:
    """n -> share of the n-grams that do not occur in the training text, from L (N,)."""
    return {n: float((lengths[: len(lengths) - n + 1] < n).mean()) for n in NGRAMS if n <= len(lengths)}
