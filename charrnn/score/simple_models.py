"""Losses of models without a network, as a yardstick for a network's loss.

    uniform    all symbols are equally likely: ln V nats per symbol
    unigram    how often each symbol occurs in the training text
    order-5    the five symbols before, by interpolated Witten-Bell smoothing
    xz         a general compressor that has seen the training text

The first three predict the same symbols as the network: ids[1:], or the text and the end of each item. They are
fitted on the model's training split only, so they have seen nothing that the network has not. The symbols before
one of an item reach back to the last of its condition: its last label, a boundary or an end, never an item before.
"""

import lzma
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from charrnn.runs.yardstick import LIKENESS_ORDER, Yardstick
from charrnn.text.batches import Text, size_of, spread_part
from charrnn.text.items import Items, runs
from charrnn.text.vocabulary import Vocabulary

NGRAM_ORDER = 5
FIT_AT_MOST = (
    20_000_000  # last symbols of the training text that are used, since the tables must fit in memory
)
SYMBOLS_AT_ONCE = 2**20  # symbols looked up, or compressed, at once
ODD = 0x9E3779B97F4A7C15  # multiplier of the hash for vocabularies too large for exact keys

# These sizes limit the cost of a run's yardstick to about a second. Longer texts are sampled evenly.
YARDSTICK_FIT = 2**20  # symbols of the training text
YARDSTICK_SCORED = 2**17  # symbols of the validation text
HELD_OUT_SHARE = 0.1  # share of the training text that is held out,
HELD_OUT_PIECES = 20  # in this many pieces
SHORTEST_COMPARED = 1000  # symbols of either side


class NGrams:
    """Interpolated Witten-Bell: Witten and Bell (1991), as in Chen and Goodman (1999).

        p_k(s | c) = (n(c s) + t(c) p_{k-1}(s | c')) / (n(c) + t(c))

    c the k symbols before s, c' the last k - 1 of them; n(·) counts in the training text, t(c) the number
    of different symbols seen after c; p_{-1} = 1/V, and p_k = p_{k-1} if c was never seen.
    """

    def __init__(
        self, training: Text, vocab_size: int, order: int = NGRAM_ORDER, *, written: int | None = None
    ) -> None:
        """written : the number of symbols that can be predicted, if not all of vocab_size"""
        self.vocab_size = vocab_size
        self.order = order
        self._written = vocab_size if written is None else written
        if isinstance(training, Items):
            text = _Reach.of(training.spread(FIT_AT_MOST))
        else:
            text = _Reach(training[-FIT_AT_MOST:])
        self._tables = []
        for k in range(order + 1):
            contexts, grams, _ = self._keys(text, k)
            gram_keys, first, gram_counts = np.unique(grams, return_index=True, return_counts=True)
            context_keys, place, types = np.unique(contexts[first], return_inverse=True, return_counts=True)
            counts = np.bincount(place, gram_counts, len(context_keys))
            self._tables.append((context_keys, counts, types, gram_keys, gram_counts))

    def _keys(self, text: "_Reach", k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A number for the k symbols before each symbol that has so many, one for these and the symbol itself, and
        the places of these symbols.

        Numbers are unique if V^(order+1) fits in 64 bits, and almost always otherwise.
        """
        ids = text.ids
        exact = self.vocab_size ** (self.order + 1) < 2**64
        multiplier = np.uint64(self.vocab_size if exact else ODD)
        if len(ids) <= k:
            return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.intp)
        keys = np.zeros(len(ids) - k, np.uint64)
        for back in range(k, 0, -1):
            keys = keys * multiplier + ids[k - back : len(ids) - back].astype(np.uint64)
        grams = keys * multiplier + ids[k:].astype(np.uint64)
        if text.before is None:
            return keys, grams, np.arange(k, len(ids))
        within = text.before[k:] >= k
        return keys[within], grams[within], k + np.flatnonzero(within)

    def losses(self, ids: np.ndarray, order: int | None = None) -> np.ndarray:
        """-log p of each of `ids` given up to `order` symbols before it in `ids`, in nats, (N,)."""
        return self._losses(_Reach(ids), order)

    def _losses(self, text: "_Reach", order: int | None) -> np.ndarray:
        p = np.full(len(text.ids), 1 / self._written)
        for k in range((self.order if order is None else order) + 1):
            contexts, grams, places = self._keys(text, k)
            context_keys, counts, types, gram_keys, gram_counts = self._tables[k]
            n, t = _looked_up(context_keys, contexts, counts, types)
            (n_gram,) = _looked_up(gram_keys, grams, gram_counts)
            seen = n > 0
            n, t, n_gram, places = n[seen], t[seen], n_gram[seen], places[seen]
            p[places] = (n_gram + t * p[places]) / (n + t)
        return -np.log(p)

    def item_losses(self, items: Items, order: int | None = None) -> np.ndarray:
        """-log p of each item given its condition, in nats, (N,)."""
        total = np.zeros(len(items))
        ends = np.cumsum(items.scored)
        cuts = np.searchsorted(ends, np.arange(0, items.symbols, SYMBOLS_AT_ONCE))
        for begin, end in pairwise([*np.unique(cuts).tolist(), len(items)]):
            text = _Reach.of(items[begin:end])
            assert text.before is not None
            found = np.where(text.before > 0, self._losses(text, order), 0)
            first = np.cumsum(items.scored[begin:end] + 1) - items.scored[begin:end] - 1
            total[begin:end] = np.add.reduceat(found, first)
        return total

    def mean_loss(self, text: Text, order: int | None = None) -> float:
        """The mean loss of the predictions of a stream, all but the first, or of items."""
        if isinstance(text, Items):
            return float(self.item_losses(text, order).sum()) / text.symbols
        total = 0.0
        for start in range(1, len(text), SYMBOLS_AT_ONCE):
            before = min(start, self.order)
            total += float(self.losses(text[start - before : start + SYMBOLS_AT_ONCE], order)[before:].sum())
        return total / (len(text) - 1)


class _Reach(NamedTuple):
    """Symbols, and how many before each may be looked at: of a stream all.

    ids : (N,); before : (N,), -1 where the symbol is not predicted; None for a stream
    """

    ids: np.ndarray
    before: np.ndarray | None = None

    @classmethod
    def of(cls, items: Items) -> "_Reach":
        """Of each item the last symbol of its condition, and what is predicted after it."""
        sizes = items.scored + 1
        places = runs(items.starts + items.conditions - 1, sizes)
        before = np.arange(len(places)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(np.asarray(items.ids[places]), np.where(before > 0, before, -1))


def _looked_up(keys: np.ndarray, wanted: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
    """The values of the wanted keys; 0 for a missing key."""
    if not len(keys):
        return [np.zeros(len(wanted)) for _ in values]
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[place] == wanted
    return [np.where(found, value[place], 0) for value in values]


def xz_loss(training: np.ndarray, ids: np.ndarray, vocab: Vocabulary) -> float:
    """Growth of the training text's xz file, in nats per symbol, when `ids` are appended to the text."""
    bits = 8 * (_xz_bytes(vocab, training, ids) - _xz_bytes(vocab, training))
    return bits * float(np.log(2)) / len(ids)


def _xz_bytes(vocab: Vocabulary, *texts: np.ndarray) -> int:
    compressor = lzma.LZMACompressor(preset=6)
    size = sum(len(compressor.compress(block)) for text in texts for block in _bytes(vocab, text))
    return size + len(compressor.flush())


def _bytes(vocab: Vocabulary, ids: np.ndarray) -> Iterator[bytes]:
    for start in range(0, len(ids), SYMBOLS_AT_ONCE):
        block = np.asarray(ids[start : start + SYMBOLS_AT_ONCE])
        if vocab.level == "byte":
            yield vocab.codes[block].astype(np.uint8).tobytes()
        else:
            yield vocab.decode(block).encode("utf-8", "surrogatepass")


def yardstick_of(training: Text, validation: Text, vocabulary: Vocabulary) -> Yardstick | None:
    """Losses on a validation text with something to predict of simple models fitted to a training text."""
    vocab_size, written = len(vocabulary), vocabulary.written
    fitted_to, measured_on = _part(training, YARDSTICK_FIT), _part(validation, YARDSTICK_SCORED)
    if not size_of(fitted_to):
        return None
    whole = NGrams(fitted_to, vocab_size, written=written)
    losses = math.log(written), whole.mean_loss(measured_on, 0), whole.mean_loss(measured_on)
    rest, held_out = _held_out(fitted_to)
    if min(sum(map(size_of, held_out)), size_of(measured_on)) < SHORTEST_COMPARED:
        return Yardstick(*losses)
    likeness = NGrams(rest, vocab_size, LIKENESS_ORDER, written=written)
    of_held_out = sum(likeness.mean_loss(piece) for piece in held_out) / len(held_out)
    return Yardstick(*losses, likeness.mean_loss(measured_on), of_held_out)


def _part(text: Text, most: int) -> Text:
    """About `most` symbols, spread evenly over a longer text."""
    return text.spread(most) if isinstance(text, Items) else np.asarray(spread_part(text, most))


def _held_out(training: Text) -> tuple[Text, list[Text]]:
    """A training text without some pieces of it, and these pieces: of items a tenth, equal ones on one side."""
    if isinstance(training, Items):
        chosen = (_hashes(training) >> np.uint64(32)) % np.uint64(round(1 / HELD_OUT_SHARE)) == 0
        return training[~chosen], [training[chosen]]
    size = int(HELD_OUT_SHARE * len(training) / HELD_OUT_PIECES)
    middles = (2 * np.arange(HELD_OUT_PIECES) + 1) * len(training) // (2 * HELD_OUT_PIECES)
    pieces = (middles - size // 2)[:, None] + np.arange(size)
    return np.delete(training, pieces), [training[piece] for piece in pieces]


def _hashes(items: Items) -> np.ndarray:
    """A number for the text of each item, uint64 (N,): Σ symbol · ODD^place, modulo 2^64."""
    firsts = np.cumsum(items.scored) - items.scored
    places = np.arange(items.symbols) - np.repeat(firsts, items.scored)
    powers = np.cumprod(np.full(int(items.scored.max()), ODD, np.uint64))
    return np.asarray(
        np.add.reduceat((items.predicted().astype(np.uint64) + np.uint64(1)) * powers[places], firsts)
    )
