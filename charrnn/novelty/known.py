"""Whether an item as a whole is in the text that a model was trained on: exact, by digests of all items."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model
from charrnn.score.evaluation import form_of, splits_of
from charrnn.text.cache import kept
from charrnn.text.corpus import read_corpus
from charrnn.text.items import Items
from charrnn.text.vocabulary import Vocabulary

DIGEST = np.dtype("S16")
AT_ONCE = 1 << 16  # items digested at a time


class KnownItems:
    """The texts of some items, to look texts up in: 16 bytes of each, sorted, kept in the cache under their content."""

    def __init__(self, vocab: Vocabulary, parts: Sequence[Items]) -> None:
        self._digests = _indexed(vocab, parts)

    def __contains__(self, text: object) -> bool:
        assert isinstance(text, str)
        digest = _digest(text).rstrip(b"\0")  # numpy gives a digest without the zeros at its end
        place = int(np.searchsorted(self._digests, digest))
        return place < len(self._digests) and self._digests[place] == digest


@dataclass(frozen=True)
class TrainingParts:
    """The items that a model was trained on, validated and tested with, by these names."""

    vocab: Vocabulary
    parts: Mapping[str, Items]

    @classmethod
    def of(cls, model: Model, option: str, file: str | None = None) -> "TrainingParts":
        """Those of the text that the model's card names; or of a file, all to train on.

        option : that asks for them, for messages

        Raises UsageError for a model that was not trained on items, DataError if its text is missing or has changed.
        """
        if model.vocab.items is None:
            raise UsageError(f"{option} needs a model of items: charrnn train TEXT --items line")
        if file is not None:
            corpus = read_corpus(file, **form_of(model), vocabulary=model.vocab, grow=True, options=())
            assert corpus.items is not None
            return cls(corpus.vocabulary, {"train": corpus.items})
        parts, why_not = splits_of(model)
        if parts is None:
            raise DataError(
                f"{option} looks items up in the training text, but {why_not}. "
                "Name that text with --novelty-corpus FILE"
            )
        return cls(model.vocab, parts)

    def of_parts(self, *names: str) -> tuple[Vocabulary, list[Items]]:
        """The items of some parts, with the vocabulary that they need."""
        return self.vocab, [self.parts[name] for name in names if name in self.parts]


def texts_of(vocab: Vocabulary, items: Items) -> Iterator[str]:
    """The text of each item."""
    return (vocab.decode(items.text(n)) for n in range(len(items)))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST.itemsize).digest()


def _indexed(vocab: Vocabulary, parts: Sequence[Items]) -> np.ndarray:
    """The digests of all items in ascending order, from the cache or made now."""
    content = hashlib.sha256(repr(vocab.to_json()).encode())
    for items in parts:
        for array in (items.ids, items.starts, items.stops, items.conditions):
            content.update(f"{array.dtype.str} {len(array)}".encode())
            for begin in range(0, len(array), AT_ONCE):
                content.update(np.ascontiguousarray(array[begin : begin + AT_ONCE]).data)
    count = sum(map(len, parts))
    return kept(f"{content.hexdigest()}.items", DIGEST, lambda: [_sorted(vocab, parts, count)], count)


def _sorted(vocab: Vocabulary, parts: Sequence[Items], count: int) -> np.ndarray:
    digests = (_digest(text) for items in parts for text in texts_of(vocab, items))
    found = np.fromiter(digests, DIGEST, count)
    found.sort()
    return found
