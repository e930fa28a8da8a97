"""How well a cell's signal follows a label: rank scores, for one cell or for all of them.

Signals are arrays (M, N): M cells, N characters. Labels come with the places that count. A cell whose signal
is constant or not finite has no score (NaN). Scores are signed: AUC below 1/2 or ρ below 0 is a cell that
falls where the label rises.

    AUC = (Σ_{on} rank − n₁(n₁+1)/2) / (n₁ n₀)          ρ = corr(rank(signal), rank(label))

with mid-ranks for ties (Mann and Whitney 1947; Spearman 1904).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.labels import Kind, Label, runs

BLOCK = 32  # cells ranked at once
FLAT = 1e-6  # a signal that moves less than this is constant
STEADY = 10  # characters without change that make a place count as one for memory
BINS = 10
CHANCE: dict[Kind, float] = {"bool": 0.5, "count": 0.0}  # AUC and ρ of an unrelated cell


def midranks(x: np.ndarray) -> np.ndarray:
    """Ranks 1…n of x (n,), ties sharing their mean rank."""
    order = np.argsort(x)
    ranks = np.empty(len(x))
    ranks[order] = _ranks_in_order(x[order])
    return ranks


def _ranks_in_order(ascending: np.ndarray) -> np.ndarray:
    starts, lengths = runs(ascending)
    no_ties = len(starts) == len(ascending)
    return starts + 1.0 if no_ties else np.repeat(starts + (lengths + 1) / 2, lengths)


def has_signal(x: np.ndarray) -> bool:
    """Whether x (n,) is finite and moves."""
    return bool(len(x)) and bool(np.isfinite(x).all()) and float(np.ptp(x)) > FLAT


def label_weights(values: np.ndarray, mask: np.ndarray, kind: Kind) -> np.ndarray | None:
    """w (N,), 0 where masked, such that Σ w·rank is AUC − 1/2 (bool) or ρ·‖rank − mean‖ (count).

    None for a label of one class.
    """
    y = values[mask].astype(float) if kind == "bool" else midranks(values[mask])
    y -= y.mean() if len(y) else 0.0
    size = float(np.sum(y * y))
    if size == 0:
        return None
    weights = np.zeros(len(values))
    on = values[mask].sum()
    weights[mask] = y / (on * (len(y) - on)) if kind == "bool" else y / np.sqrt(size)
    return weights


def score(signal: np.ndarray, values: np.ndarray, mask: np.ndarray, kind: Kind) -> float:
    """AUC (bool) or Spearman's ρ (count) of one signal (N,) where ``mask``; NaN without a score."""
    return float(score_cells(signal[None], [(values, mask, kind)])[0, 0])


def score_cells(signals: np.ndarray, labels: Sequence[tuple[np.ndarray, np.ndarray, Kind]]) -> np.ndarray:
    """AUC or ρ of every cell for every label (values, mask, kind), as an array (labels, M); NaN for no score.

    Each signal is sorted once; labels that share a mask share its ranks.
    """
    M, N = signals.shape
    scores = np.full((len(labels), M), np.nan)
    groups: dict[bytes, list[int]] = {}
    weights = np.empty((len(labels), N))
    for k, (values, mask, kind) in enumerate(labels):
        w = label_weights(values, mask, kind)
        if w is not None:
            weights[k] = w
            groups.setdefault(np.packbits(mask).tobytes(), []).append(k)
    ranks = np.zeros((BLOCK, N))  # at masked places any number will do: its weight is 0
    for first in range(0, M, BLOCK):
        block = np.ascontiguousarray(signals[first : first + BLOCK])
        orders = np.argsort(block, axis=1)
        for members in groups.values():
            mask = labels[members[0]][1]
            norms = np.empty(len(block))
            for row, (x, order) in enumerate(zip(block, orders, strict=True)):
                kept = order[mask[order]]
                ascending = x[kept]
                if not np.isfinite(x[mask]).all() or not ascending[-1] - ascending[0] > FLAT:
                    norms[row] = np.nan
                    continue
                centred = _ranks_in_order(ascending) - (len(kept) + 1) / 2
                norms[row] = np.sqrt(centred @ centred)
                ranks[row, kept] = centred
            sums = ranks[: len(block)] @ weights[members].T
            for column, k in enumerate(members):
                bool_kind = labels[k][2] == "bool"
                found = sums[:, column] + 0.5 if bool_kind else sums[:, column] / norms
                found = np.clip(found, 0 if bool_kind else -1, 1)  # rounding may pass a perfect score
                scores[k, first : first + len(block)] = np.where(np.isnan(norms), np.nan, found)
    return scores


def excess(score: np.ndarray | float, kind: Kind) -> np.ndarray | float:
    """A score on a scale where 0 is chance and ±1 perfect: 2·AUC − 1, or ρ as it is."""
    return 2 * score - 1 if kind == "bool" else score


def along(sign: int, value: float, kind: Kind) -> float:
    """Convert a score of the signal to that of sign·signal."""
    return value if sign > 0 else 2 * CHANCE[kind] - value


def _age(values: np.ndarray, stretches: np.ndarray | None) -> np.ndarray:
    """Characters since ``values`` (N,) last changed, or its stretch of text began; 0 where that is."""
    starts, lengths = runs(values, stretches)
    return np.arange(len(values)) - np.repeat(starts, lengths)


def steady(values: np.ndarray, stretches: np.ndarray | None = None) -> np.ndarray:
    """Where ``values`` (N,) has not changed for STEADY characters of a stretch."""
    return _age(values, stretches) >= STEADY


def steady_places(label: Label) -> np.ndarray:
    """Where a label can tell a memory (N,): a bool has not changed, a count has gone on by the same step."""
    values = label.values if label.kind == "bool" else np.diff(label.values, prepend=0)
    return label.mask & steady(values, label.stretches)


def without_character(signal: np.ndarray, characters: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The signal (N,) less its median, where ``mask``, for the current character (integer codes (N,))."""
    residual = signal.astype(float)
    places = np.flatnonzero(mask)
    places = places[np.argsort(characters[places], kind="stable")]
    if len(places):
        cuts = np.flatnonzero(np.diff(characters[places])) + 1
        for group in np.split(places, cuts):
            residual[group] -= np.median(residual[group])
    return residual


def memory_score(signal: np.ndarray, label: Label, characters: np.ndarray, part: slice) -> float:
    """The score that what was just read cannot explain, over ``part`` of the text.

    bool: AUC only where the label has not changed for STEADY characters.
    count: ρ after removing the signal's median for the current character.
    """
    values, mask = label.values[part], label.mask[part]
    if label.kind == "bool":
        return score(signal[part], values, steady_places(label)[part], "bool")
    return score(without_character(signal[part], characters[part], mask), values, mask, "count")


def steady_score(signal: np.ndarray, label: Label, characters: np.ndarray, part: slice) -> float:
    """A count's memory score over the places of ``part`` where it has gone on by the same step for STEADY characters.

    A cell that flashes at each newline and fades within a few characters has ranks enough to follow the place in
    a short line, and a memory score of 0.5. Ten characters after the newline it knows nothing: here it gets 0.
    """
    values, mask = label.values[part], steady_places(label)[part]
    return score(without_character(signal[part], characters[part], mask), values, mask, "count")


def eta_squared(signals: np.ndarray, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """η² (M,): the share of each signal's variance that lies between quantile bins of the label.

    Finds cells that follow a count without rising or falling all the way; NaN for no score.
    """
    y = values[mask].astype(float)
    if len(y) == 0:
        return np.full(len(signals), np.nan)
    edges = np.unique(np.quantile(y, np.linspace(0, 1, BINS + 1))[1:-1])
    bins = np.searchsorted(edges, y, side="left")
    counts = np.bincount(bins)
    member = (bins[:, None] == np.arange(len(counts))).astype(np.float32)
    result = np.full(len(signals), np.nan)
    for first in range(0, len(signals), BLOCK):
        x = signals[first : first + BLOCK, mask]
        with np.errstate(invalid="ignore"):
            x = x - x.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
            moves = np.ptp(x, axis=1) > FLAT  # one number that is not finite has made all of x NaN
            between = ((x @ member).astype(float) ** 2 / np.maximum(counts, 1)).sum(axis=1)
            total = np.sum(x.astype(float) ** 2, axis=1)
            result[first : first + BLOCK] = np.where(moves, between / total, np.nan)
    return result


def class_runs(
    values: np.ndarray, mask: np.ndarray, kind: Kind, stretches: np.ndarray | None = None
) -> tuple[int, int]:
    """How many runs are off and on, counting those not all masked; a count is on above its median.

    stretches : the texts of items, in which each run lies
    """
    on = values if kind == "bool" else values > (np.median(values[mask]) if mask.any() else 0)
    starts, _ = runs(on, stretches)
    counted = np.logical_or.reduceat(mask, starts)
    return int(np.sum(counted & ~on[starts].astype(bool))), int(np.sum(counted & on[starts].astype(bool)))


@dataclass(frozen=True)
class Threshold:
    """A cut on the signal, and how it divides the text: on where sign·signal > sign·cut."""

    cut: float
    sign: int
    balanced_accuracy: float = float("nan")
    f1: float = float("nan")
    mcc: float = float("nan")
    prevalence: float = float("nan")

    def applied(self, signal: np.ndarray, values: np.ndarray) -> "Threshold":
        """The same cut with its figures on (signal, values), both (n,)."""
        on, truth = self.sign * signal > self.sign * self.cut, values.astype(bool)
        tp, fp = float(np.sum(on & truth)), float(np.sum(on & ~truth))
        fn, tn = float(np.sum(~on & truth)), float(np.sum(~on & ~truth))
        nan = float("nan")
        balanced = (tp / (tp + fn) + tn / (tn + fp)) / 2 if tp + fn and tn + fp else nan
        f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else nan
        spread = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
        mcc = (tp * tn - fp * fn) / spread if spread else nan
        prevalence = (tp + fn) / len(truth) if len(truth) else nan
        return Threshold(self.cut, self.sign, balanced, f1, mcc, prevalence)


def best_threshold(signal: np.ndarray, values: np.ndarray, sign: int) -> Threshold:
    """The cut with the highest balanced accuracy, midway between two neighbouring values of the signal."""
    order = np.argsort(sign * signal)
    x, truth = (sign * signal)[order], values[order].astype(bool)
    # cutting after place k leaves the first k+1 off
    gain = np.cumsum(~truth) / max(1, np.sum(~truth)) - np.cumsum(truth) / max(1, np.sum(truth))
    between = np.flatnonzero(x[1:] > x[:-1])
    if len(between) == 0:
        return Threshold(float(signal[0]) if len(signal) else 0.0, sign)
    k = between[np.argmax(gain[between])]
    return Threshold(sign * float((x[k].astype(float) + x[k + 1]) / 2), sign)


def age_matched_accuracy(signal: np.ndarray, label: Label, cut: Threshold, part: slice) -> float:
    """Balanced accuracy of a cut over steady places, each paired with those as long after the last change.

    A cell that flashes at each quotation mark and fades tells how long ago that was, and so something of the
    label where quotations are shorter than what is between them. Of two equally old places it cannot tell
    which is inside: it gets 1/2. Ages count as equal within a tenth.
    """
    on = (cut.sign * signal > cut.sign * cut.cut)[part]
    truth, age = label.values[part].astype(bool), _age(label.values, label.stretches)[part]
    places = label.mask[part] & (age >= STEADY)
    if not places.any() or not has_signal(signal[part]):
        return float("nan")
    bins = (np.log(age[places]) / np.log(1.1)).astype(int)
    truth, on, size = truth[places], on[places], bins.max() + 1
    positive, negative = (np.bincount(bins[which], minlength=size) for which in (truth, ~truth))
    hits, rejected = (np.bincount(bins[which], minlength=size) for which in (truth & on, ~truth & ~on))
    both = (positive > 0) & (negative > 0)
    if not both.any():
        return float("nan")
    pairs = (positive * negative)[both]
    balanced = (hits[both] / positive[both] + rejected[both] / negative[both]) / 2
    return float(np.sum(balanced * pairs) / np.sum(pairs))
