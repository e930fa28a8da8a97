"""The score that the best of many cells reaches by chance: circular shifts of the label, all at once by FFT.

Text is not exchangeable: a label that stays on for sixty characters agrees with slow cells far more often
than a shuffled label would. Shifting the label around the text keeps its runs and breaks only its link
with the signal. AUC and ρ are linear in Σ rank·label, so the scores at all shifts are one circular correlation,

    s[k] = Σ_t rank[t] w[t − k] = irfft(rfft(rank) · conj(rfft(w)))[k]

and the largest |s| over all cells, at each shift, is the level that the best cell reaches by chance. Neighbouring
shifts score alike, so every EVERYth is enough for that level: the parts of the spectrum that cannot be told apart then
are added up, and the transform is as much shorter. A cell that was chosen on other text has a null of its own, its
score at each shift, with Holm's correction over the concepts.

Items may all be of one length, and then a shift by it would change nothing. Where a text is made of items, the label
of each is turned within it, by a number of characters of its own, ROTATIONS times.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.labels import Kind
from charrnn.interpret.scores import has_signal, label_weights, midranks

CELLS_AT_ONCE = 16  # cells transformed at once
NEAR = 200  # characters: shifts smaller than this leave the label where it was
EVERY = 4  # shifts to one that is looked at, where there are many cells
ROTATIONS = 499
ROTATED_AT_ONCE = 50


@dataclass(frozen=True)
class Chance:
    """The null distribution of one label over all cells.

    observed : ndarray (M,), each cell's score on the scale of ``excess``; NaN for no score
    highest : ndarray (shifts,), the largest |score| over all cells at each shift looked at, or rotation
    """

    observed: np.ndarray
    highest: np.ndarray

    def p_value(self, cell: int, sign: int) -> float:
        """(1 + #{shifts whose best cell scores at least as high}) / (1 + #shifts); 1 without a score."""
        seen = sign * self.observed[cell]
        if not np.isfinite(seen):
            return 1.0
        return float((1 + np.sum(self.highest >= seen)) / (1 + len(self.highest)))

    def level(self, quantile: float) -> float:
        """The score that chance reaches in a share 1 − quantile of cases."""
        return float(np.quantile(self.highest, quantile)) if len(self.highest) else float("nan")


def smooth_length(n: int) -> int:
    """The largest number up to n without a prime factor over 5: a fast length for an FFT."""
    best, two = 0, 1
    while two <= n:
        three = two
        while three <= n:
            five = three
            while five <= n:
                best = max(best, five)
                five *= 5
            three *= 3
        two *= 2
    return best


def chance(
    signals: np.ndarray,
    labels: Sequence[tuple[np.ndarray, np.ndarray, Kind]],
    stretches: np.ndarray | None = None,
    *,
    sign: int = 0,
    every: int = 1,
) -> list[Chance | None]:
    """The null distribution of each label (values, mask, kind) over all cells of ``signals`` (M, N).

    Ranks are taken over the whole text; masked places have weight 0. The last few
    characters may be dropped to get a fast FFT length. None for a label of one class.

    stretches : (N,) the texts of items within which labels are turned, -1 between them; None shifts them as a whole
    sign : 1 or -1 takes the largest of sign·score instead of |score|
    every : look at the shifts by its multiples; 1 or an even number, and no rotation is left out
    """
    if stretches is not None:
        return _by_rotation(signals, labels, stretches, sign)
    M, N = signals.shape
    n = every * smooth_length(N // every)
    near = min(NEAR, n // 4)
    shifts = np.arange(0, n, every)
    weights, kinds, where = _weights([(values[:n], mask[:n], kind) for values, mask, kind in labels])
    spectra = [np.conj(np.fft.rfft(w.astype(np.float32))) for w in weights]
    observed = np.full((len(weights), M), np.nan)
    highest = np.full((len(weights), len(shifts)), -1 if sign else 0, np.float32)
    for first in range(0, M, CELLS_AT_ONCE):
        cells = [m for m in range(first, min(first + CELLS_AT_ONCE, M)) if has_signal(signals[m, :n])]
        if not cells:
            continue
        ranks, norms = _ranks(signals[cells, :n])
        spectrum = np.fft.rfft(ranks, axis=1)
        for k, (w, kind) in enumerate(zip(spectra, kinds, strict=True)):
            shifted = np.fft.irfft(_folded(spectrum * w, n, every), len(shifts), axis=1)
            if kind == "count":
                shifted /= norms
            observed[k, cells] = shifted[:, 0]
            np.maximum(highest[k], _along(shifted, sign).max(axis=0), out=highest[k])
    results: list[Chance | None] = [None] * len(labels)
    for k, place in enumerate(where):
        results[place] = Chance(observed[k], highest[k, (shifts >= near) & (shifts < n - near)])
    return results


def _folded(spectrum: np.ndarray, n: int, every: int) -> np.ndarray:
    """The spectrum, as of rfft, of every so manyth number of those whose spectrum (M, n // 2 + 1) is given."""
    if every == 1:
        return spectrum
    m = n // every
    half = m // 2 + 1
    folded = spectrum[:, :half].copy()
    for k in range(1, every // 2):
        folded += spectrum[:, k * m : k * m + half]
    for k in range(1, every // 2 + 1):  # the other half of the whole spectrum: backwards, and conjugate
        folded += spectrum[:, k * m - half + 1 : k * m + 1][:, ::-1].conj()
    folded /= every
    return folded


def own_p_value(
    signal: np.ndarray,
    label: tuple[np.ndarray, np.ndarray, Kind],
    sign: int,
    stretches: np.ndarray | None = None,
) -> float:
    """The share of shifts at which one cell (N,), chosen with its sign on other text, scores as high; 1 for none."""
    [null] = chance(signal[None], [label], stretches, sign=sign)
    return 1.0 if null is None else null.p_value(0, sign)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value as if it stood alone, after Holm's correction (1979) for their number."""
    order = np.argsort(p_values, kind="stable")
    factors = len(order) - np.arange(len(order))
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(np.minimum(1, np.asarray(p_values)[order] * factors))
    return corrected.tolist()


def _along(scores: np.ndarray, sign: int) -> np.ndarray:
    return sign * scores if sign else np.abs(scores, out=scores)


def _weights(
    labels: Sequence[tuple[np.ndarray, np.ndarray, Kind]],
) -> tuple[list[np.ndarray], list[Kind], list[int]]:
    """The weights (n,), kind and number of each label that has two classes."""
    weights, kinds, where = [], [], []
    for k, (values, mask, kind) in enumerate(labels):
        w = label_weights(values, mask, kind)
        if w is not None:
            # ranks span the whole text, including masked places
            weights.append(2 * w * np.mean(mask) if kind == "bool" else w)
            kinds.append(kind)
            where.append(k)
    return weights, kinds, where


def _ranks(signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ranks of each signal less their mean (M, n), and their norms (M, 1)."""
    ranks = np.stack([midranks(signal) for signal in signals]) - (signals.shape[1] + 1) / 2
    norms = np.sqrt(np.sum(ranks * ranks, axis=1, keepdims=True))
    return ranks.astype(np.float32), norms.astype(np.float32)


def _by_rotation(
    signals: np.ndarray,
    labels: Sequence[tuple[np.ndarray, np.ndarray, Kind]],
    stretches: np.ndarray,
    sign: int,
) -> list[Chance | None]:
    """The same null from labels that are turned within each stretch; marks between items count for nothing."""
    inside = stretches >= 0
    weights, kinds, where = _weights([(values[inside], mask[inside], kind) for values, mask, kind in labels])
    _, which, sizes = np.unique(stretches[inside], return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(which)) - starts[which]
    rng = np.random.default_rng(0)
    results: list[Chance | None] = [None] * len(labels)
    cells = [m for m in range(len(signals)) if has_signal(signals[m, inside])]
    observed = np.full((len(weights), len(signals)), np.nan)
    highest = np.zeros((len(weights), ROTATIONS), np.float32)
    if cells and weights:
        ranks, norms = _ranks(signals[cells][:, inside])
        for k, (w, kind) in enumerate(zip(weights, kinds, strict=True)):
            observed[k, cells] = ranks @ w.astype(np.float32) / (norms[:, 0] if kind == "count" else 1)
        for first in range(0, ROTATIONS, ROTATED_AT_ONCE):
            offsets = rng.integers(0, sizes, (min(ROTATED_AT_ONCE, ROTATIONS - first), len(sizes)))
            turned = starts[which] + (place + offsets[:, which]) % sizes[which]  # (rotations, n)
            for k, (w, kind) in enumerate(zip(weights, kinds, strict=True)):
                scores = _along(ranks @ w.astype(np.float32)[turned].T, sign)
                scores = scores / norms if kind == "count" else scores
                highest[k, first : first + len(turned)] = scores.max(axis=0)
    for k, label in enumerate(where):
        results[label] = Chance(observed[k], highest[k])
    return results
