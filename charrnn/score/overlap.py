"""How much of a text stands word for word in a training text, whose counts know it already.

h(s_0, s_1, …) = Σ (s_i + 1) ODD^(i + 1)   modulo 2^64      equal for equal symbols, and hardly ever for others
"""

from itertools import pairwise

import numpy as np

from charrnn.text.batches import Text
from charrnn.text.items import Items, runs

ODD = 0x9E3779B97F4A7C15
INVERSE = pow(ODD, -1, 2**64)
PASSAGE = 64  # symbols
AT_ONCE = 2**21  # symbols of a text, about
REST = 42  # bits of a hash but for the first


def repeated(text: Text, training: Text) -> int:
    """How many items of a text are items of the training text too, conditions included; or how many symbols of a stream
    are in pieces of PASSAGE symbols, into which it is cut, that stand somewhere in the training text."""
    if isinstance(text, Items) and isinstance(training, Items):
        return int(np.isin(_all_hashes(text), _all_hashes(training)).sum())
    if isinstance(text, Items) or isinstance(training, Items):
        return 0
    wanted = _of_pieces(text)
    first_bits = np.zeros(2 ** (64 - REST), bool)  # a quick look that leaves few for np.isin, which sorts
    first_bits[wanted >> np.uint64(REST)] = True
    found = np.zeros(len(wanted), bool)
    for start in range(0, len(training) - PASSAGE + 1, AT_ONCE):
        passages = _of_passages(training[start : start + AT_ONCE + PASSAGE - 1])
        found |= np.isin(wanted, passages[first_bits[passages >> np.uint64(REST)]])
    return PASSAGE * int(found.sum())


def of_items(items: Items, whole: bool = False) -> np.ndarray:
    """h of the text and end of each item, or of the whole item, uint64 (N,)."""
    if not len(items):
        return np.empty(0, np.uint64)
    starts = items.starts if whole else items.starts + items.conditions
    sizes = items.stops - starts
    firsts = np.cumsum(sizes) - sizes
    places = runs(np.zeros_like(starts), sizes)
    return np.asarray(
        np.add.reduceat(
            _terms(items.ids[runs(starts, sizes)]) * _powers(ODD, int(sizes.max()))[places], firsts
        )
    )


def _all_hashes(items: Items) -> np.ndarray:
    """Those of whole items, of some at a time."""
    ends = np.cumsum(items.stops - items.starts)
    cuts = np.unique(np.searchsorted(ends, np.arange(0, int(ends[-1]) if len(ends) else 0, AT_ONCE)))
    parts = [
        of_items(items[start:stop], whole=True) for start, stop in pairwise([*cuts.tolist(), len(items)])
    ]
    return np.concatenate([np.empty(0, np.uint64), *parts])


def _of_pieces(ids: np.ndarray) -> np.ndarray:
    """h of the first PASSAGE symbols, of the next, and so on, (N // PASSAGE,)."""
    powers, step = _powers(ODD, PASSAGE), max(1, AT_ONCE // PASSAGE) * PASSAGE
    whole = ids[: len(ids) // PASSAGE * PASSAGE]
    blocks = (whole[start : start + step].reshape(-1, PASSAGE) for start in range(0, len(whole), step))
    return np.concatenate(
        [np.empty(0, np.uint64), *((_terms(block) * powers).sum(axis=1) for block in blocks)]
    )


def _of_passages(ids: np.ndarray) -> np.ndarray:
    """h of the PASSAGE symbols that begin at each place, (N - PASSAGE + 1,)."""
    sums = np.zeros(len(ids) + 1, np.uint64)
    np.cumsum(_terms(ids) * _powers(ODD, len(ids)), out=sums[1:])
    sums = sums[PASSAGE:] - sums[:-PASSAGE]
    return np.asarray(sums * _powers(INVERSE, len(sums)) * np.uint64(ODD))


def _terms(ids: np.ndarray) -> np.ndarray:
    return np.asarray(ids).astype(np.uint64) + np.uint64(1)


def _powers(base: int, count: int) -> np.ndarray:
    """base, base², … modulo 2^64."""
    return np.cumprod(np.full(count, base, np.uint64))
