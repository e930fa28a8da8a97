"""Losses of models without a network, as a yardstick for a network's loss.

    uniform    all symbols are equally likely: ln V nats per symbol
    unigram    how often each symbol occurs in the training text
    order-5    the five symbols before, by interpolated Witten-Bell smoothing
    xz         a general compressor that has seen the training text

The first three predict the same symbols as the network, ids[1:]. They are fitted on the model's training split
only, so they have seen nothing that the network has not.
"""

import lzma
import math
from collections.abc import Iterator

import numpy as np

from charrnn.runs.yardstick import LIKENESS_ORDER, Yardstick
from charrnn.text.batches import Text, spread_part
from charrnn.text.items import Items
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

    def __init__(self, training: np.ndarray, vocab_size: int, order: int = NGRAM_ORDER) -> None:
        self.vocab_size = vocab_size
        self.order = order
        training = training[-FIT_AT_MOST:]
        self._tables = []
        for k in range(order + 1):
            contexts, grams = self._keys(training, k)
            gram_keys, first, gram_counts = np.unique(grams, return_index=True, return_counts=True)
            context_keys, place, types = np.unique(contexts[first], return_inverse=True, return_counts=True)
            counts = np.bincount(place, gram_counts, len(context_keys))
            self._tables.append((context_keys, counts, types, gram_keys, gram_counts))

    def _keys(self, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """A number for the k symbols before each of ids[k:], and one for these and the symbol itself.

        Numbers are unique if V^(order+1) fits in 64 bits, and almost always otherwise.
        """
        exact = self.vocab_size ** (self.order + 1) < 2**64
        multiplier = np.uint64(self.vocab_size if exact else ODD)
        if len(ids) <= k:
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        keys = np.zeros(len(ids) - k, np.uint64)
        for back in range(k, 0, -1):
            keys = keys * multiplier + ids[k - back : len(ids) - back].astype(np.uint64)
        return keys, keys * multiplier + ids[k:].astype(np.uint64)

    def losses(self, ids: np.ndarray, order: int | None = None) -> np.ndarray:
        """-log p of each of `ids` given up to `order` symbols before it in `ids`, in nats, (N,)."""
        p = np.full(len(ids), 1 / self.vocab_size)
        for k in range((self.order if order is None else order) + 1):
            contexts, grams = self._keys(ids, k)
            context_keys, counts, types, gram_keys, gram_counts = self._tables[k]
            n, t = _looked_up(context_keys, contexts, counts, types)
            (n_gram,) = _looked_up(gram_keys, grams, gram_counts)
            seen = n > 0
            p[k:][seen] = (n_gram[seen] + t[seen] * p[k:][seen]) / (n[seen] + t[seen])
        return -np.log(p)

    def mean_loss(self, ids: np.ndarray, order: int | None = None) -> float:
        """The mean of `losses` over ids[1:]."""
        total = 0.0
        for start in range(1, len(ids), SYMBOLS_AT_ONCE):
            before = min(start, self.order)
            total += float(self.losses(ids[start - before : start + SYMBOLS_AT_ONCE], order)[before:].sum())
        return total / (len(ids) - 1)


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
    """Losses on a validation text (at least two symbols) of simple models fitted to a training text."""
    vocab_size = len(vocabulary)
    if isinstance(training, Items) or isinstance(validation, Items):
        return None
    training = np.asarray(spread_part(training, YARDSTICK_FIT))
    validation = np.asarray(spread_part(validation, YARDSTICK_SCORED))
    whole = NGrams(training, vocab_size)
    losses = math.log(vocab_size), whole.mean_loss(validation, 0), whole.mean_loss(validation)
    size = int(HELD_OUT_SHARE * len(training) / HELD_OUT_PIECES)
    if min(size * HELD_OUT_PIECES, len(validation)) < SHORTEST_COMPARED:
        return Yardstick(*losses)
    middles = (2 * np.arange(HELD_OUT_PIECES) + 1) * len(training) // (2 * HELD_OUT_PIECES)
    pieces = (middles - size // 2)[:, None] + np.arange(size)
    rest = NGrams(np.delete(training, pieces), vocab_size, LIKENESS_ORDER)
    held_out = sum(rest.mean_loss(training[piece]) for piece in pieces) / HELD_OUT_PIECES
    return Yardstick(*losses, rest.mean_loss(validation), held_out)
