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

import numpy as np

from charrnn.runs.yardstick import LIKENESS_ORDER, Yardstick
from charrnn.score import overlap
from charrnn.score.counts import LOOKED_UP_AT_ONCE, Counts, Reach, windows
from charrnn.text.batches import Text, size_of, spread_part
from charrnn.text.items import Items
from charrnn.text.vocabulary import Vocabulary

NGRAM_ORDER = 5
FIT_AT_MOST = (
    20_000_000  # last symbols of the training text that are used, since the tables must fit in memory
)
SYMBOLS_AT_ONCE = 2**20  # symbols compressed at once

# These sizes limit the cost of a run's yardstick to about a second. Longer texts are sampled evenly.
YARDSTICK_FIT = 2**20  # symbols of the training text
YARDSTICK_SCORED = 2**17  # symbols of the validation text
HELD_OUT_SHARE = 0.1  # share of the training text that is held out,
HELD_OUT_PIECES = 20  # in this many pieces
SHORTEST_COMPARED = 1000  # symbols of either side


class NGrams:
    """Interpolated Witten-Bell: `Matches.interpolated` with weight 1, on counts of the end of a training text."""

    def __init__(
        self, training: Text, vocab_size: int, order: int = NGRAM_ORDER, *, written: int | None = None
    ) -> None:
        """written : the number of symbols that can be predicted, if not all of vocab_size"""
        self.order = order
        part = training.spread(FIT_AT_MOST) if isinstance(training, Items) else training[-FIT_AT_MOST:]
        self._counts = Counts.of(part, vocab_size, order, written)

    def losses(self, ids: np.ndarray, order: int | None = None) -> np.ndarray:
        """-log p of each of `ids` given up to `order` symbols before it in `ids`, in nats, (N,)."""
        return self._losses(Reach(ids), order)

    def _losses(self, text: Reach, order: int | None) -> np.ndarray:
        order = self.order if order is None else order
        return np.asarray(
            -np.log(self._counts.matches(text, order).probabilities(1, self._counts.base, order))
        )

    def item_losses(self, items: Items, order: int | None = None) -> np.ndarray:
        """-log p of each item given its condition, in nats, (N,)."""
        found = [np.empty(0)]
        for text in windows(items, self.order, LOOKED_UP_AT_ONCE):
            assert text.before is not None
            losses = np.where(text.before > 0, self._losses(text, order), 0)
            found.append(np.add.reduceat(losses, np.flatnonzero(text.before < 0)))
        return np.concatenate(found)

    def mean_loss(self, text: Text, order: int | None = None) -> float:
        """The mean loss of the predictions of a stream, all but the first, or of items."""
        if isinstance(text, Items):
            return float(self.item_losses(text, order).sum()) / text.symbols
        total = 0.0
        for window in windows(text, self.order, LOOKED_UP_AT_ONCE, first=1):
            total += float(self._losses(window, order)[window.predicted].sum())
        return total / (len(text) - 1)


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
        chosen = (overlap.of_items(training) >> np.uint64(32)) % np.uint64(round(1 / HELD_OUT_SHARE)) == 0
        return training[~chosen], [training[chosen]]
    size = int(HELD_OUT_SHARE * len(training) / HELD_OUT_PIECES)
    middles = (2 * np.arange(HELD_OUT_PIECES) + 1) * len(training) // (2 * HELD_OUT_PIECES)
    pieces = (middles - size // 2)[:, None] + np.arange(size)
    return np.delete(training, pieces), [training[piece] for piece in pieces]
