"""The score that the best of many cells reaches by chance: circular shifts of the label, all at once by FFT.

Text is not exchangeable: a label that stays on for sixty characters agrees with slow cells far more often
than a shuffled label would. Shifting the label around the text keeps its runs and breaks only its link
with the signal. AUC and ρ are linear in Σ rank·label, so the scores at all shifts are one circular correlation,

    s[k] = Σ_t rank[t] w[t − k] = irfft(rfft(rank) · conj(rfft(w)))[k]

and the largest |s| over all cells, at each shift, is the family-wise null.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.labels import Kind
from charrnn.interpret.scores import has_signal, label_weights, midranks

CELLS_AT_ONCE = 16  # cells transformed at once
NEAR = 200  # characters: shifts smaller than this leave the label where it was


@dataclass(frozen=True)
class Chance:
    """The null distribution of one label over all cells.

    observed : ndarray (M,), each cell's score on the scale of ``excess``; NaN for no score
    highest : ndarray (shifts,), the largest |score| over all cells at each shift
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


def chance(signals: np.ndarray, labels: Sequence[tuple[np.ndarray, np.ndarray, Kind]]) -> list[Chance | None]:
    """The null distribution of each label (values, mask, kind) over all cells of ``signals`` (M, N).

    Ranks are taken over the whole text; masked places have weight 0. The last few
    characters may be dropped to get a fast FFT length. None for a label of one class.
    """
    M, N = signals.shape
    n = smooth_length(N)
    near = min(NEAR, n // 4)
    weights, kinds, where = [], [], []
    for k, (values, mask, kind) in enumerate(labels):
        w = label_weights(values[:n], mask[:n], kind)
        if w is not None:
            # ranks span the whole text, including masked places
            weights.append(2 * w * np.mean(mask[:n]) if kind == "bool" else w)
            kinds.append(kind)
            where.append(k)
    spectra = [np.conj(np.fft.rfft(w.astype(np.float32))) for w in weights]
    observed = np.full((len(weights), M), np.nan)
    highest = np.zeros((len(weights), n), np.float32)
    for first in range(0, M, CELLS_AT_ONCE):
        cells = [m for m in range(first, min(first + CELLS_AT_ONCE, M)) if has_signal(signals[m, :n])]
        if not cells:
            continue
        ranks = np.stack([midranks(signals[m, :n]) for m in cells]) - (n + 1) / 2
        norms = np.sqrt(np.sum(ranks * ranks, axis=1, keepdims=True)).astype(np.float32)
        spectrum = np.fft.rfft(ranks.astype(np.float32), axis=1)
        for k, (w, kind) in enumerate(zip(spectra, kinds, strict=True)):
            shifted = np.fft.irfft(spectrum * w, n, axis=1)
            if kind == "count":
                shifted /= norms
            observed[k, cells] = shifted[:, 0]
            np.maximum(highest[k], np.abs(shifted, out=shifted).max(axis=0), out=highest[k])
    results: list[Chance | None] = [None] * len(labels)
    for k, place in enumerate(where):
        results[place] = Chance(observed[k], highest[k, near : n - near])
    return results
