"""What a cell is compared with: a table of the last characters, and a probe on all cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.labels import Kind
from charrnn.interpret.scores import FLAT, midranks, score

TABLE_ORDER = 3
PROBE_PLACES = 8192
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def character_table(
    characters: np.ndarray, values: np.ndarray, mask: np.ndarray, fit: slice, order: int = TABLE_ORDER
) -> np.ndarray:
    """The mean label after the last ``order`` characters, fitted on ``fit``: the best guess without memory.

    characters : integer codes 0…V-1 (N,). An unseen context backs off to a shorter one.
    Returns the guess for every character, (N,).
    """
    n = len(characters)
    learnt = np.zeros(n, bool)
    learnt[fit] = mask[fit]
    guess = np.full(n, values[learnt].mean() if learnt.any() else 0.0)
    context = np.zeros(n, np.int64)
    for back in range(order):
        older = np.r_[np.full(min(back, n), -1), characters[: max(0, n - back)]]
        _, context = np.unique(context * (characters.max(initial=0) + 2) + older + 1, return_inverse=True)
        seen = np.bincount(context[learnt], minlength=context.max(initial=0) + 1)
        total = np.bincount(context[learnt], values[learnt], minlength=len(seen))
        known = seen[context] > 0
        guess[known] = (total[context] / np.maximum(seen[context], 1))[known]
    return guess


@dataclass(frozen=True, eq=False)
class Probe:
    """A ridge regression: what it says of each place, up to a constant (N,), and the weight of each number (D,)."""

    told: np.ndarray
    weights: np.ndarray


def fit_probe(
    layers: Sequence[np.ndarray], values: np.ndarray, mask: np.ndarray, kind: Kind, fit: slice, judge: slice
) -> Probe | None:
    """A ridge regression of the label on all cells, fitted on ``fit``; None for no cells.

        w = (XᵀX/n + λI)⁻¹ Xᵀy/n,  X the standardised signals, y the label (ranks for a count)

    fitted on at most PROBE_PLACES evenly spaced places; λ is the one of RIDGES that is best on the last
    quarter of ``fit`` after fitting on the rest. Its score measures what all cells know together: it
    distinguishes an unknown fact from one that is spread over many cells.

    layers : arrays (M, N), several numbers of each cell, D in all; those that say nothing have a weight of 0
    """

    def of(places: np.ndarray | slice) -> np.ndarray:
        return np.concatenate([one[:, places].astype(np.float32) for one in layers])

    n = len(values)
    places = np.flatnonzero(mask[fit]) + (fit.start or 0)
    places = places[:: max(1, -(-len(places) // PROBE_PLACES))]
    if len(places) < 8:
        return None
    with np.errstate(invalid="ignore"):
        usable = np.concatenate(
            [np.isfinite(one[:, fit]).all(axis=1) & np.isfinite(one[:, judge]).all(axis=1) for one in layers]
        )
    x = of(places)
    usable &= np.ptp(np.where(usable[:, None], x, 0), axis=1) > FLAT
    x = x[usable]
    if not len(x):
        return None
    mean, spread = x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
    x = (x - mean) / spread
    y = values[places].astype(float) if kind == "bool" else midranks(values[places])
    y -= y.mean()
    early = len(places) * 3 // 4
    everywhere = np.ones(len(places) - early, bool)
    trials = [
        score(w @ x[:, early:], values[places[early:]], everywhere, kind)
        for w in _ridge(x[:, :early], y[:early], RIDGES)
    ]
    ridge = RIDGES[int(np.argmax(np.nan_to_num(trials)))]
    [weights] = _ridge(x, y, (ridge,))
    told, scaled = np.empty(n, np.float32), (weights / spread[:, 0]).astype(np.float32)
    for first in range(0, n, PROBE_PLACES):
        block = slice(first, first + PROBE_PLACES)
        told[block] = scaled @ of(block)[usable]
    whole = np.zeros(len(usable))
    whole[usable] = scaled
    return Probe(told, whole)


def probe_score(
    layers: Sequence[np.ndarray], values: np.ndarray, mask: np.ndarray, kind: Kind, fit: slice, judge: slice
) -> float:
    """The score of ``fit_probe`` on ``judge``; NaN without one."""
    probe = fit_probe(layers, values, mask, kind, fit, judge)
    return float("nan") if probe is None else score(probe.told[judge], values[judge], mask[judge], kind)


def _ridge(x: np.ndarray, y: np.ndarray, ridges: Sequence[float]) -> list[np.ndarray]:
    """The weights for each λ; x (cells, n), y (n,)."""
    gram, product = (x @ x.T / x.shape[1]).astype(float), (x @ y.astype(x.dtype) / x.shape[1]).astype(float)
    return [np.linalg.solve(gram + ridge * np.eye(len(gram)), product) for ridge in ridges]
