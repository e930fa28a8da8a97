"""What a cell is compared with: a table of the last characters, and a probe on all cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.labels import Kind
from charrnn.interpret.scores import FLAT, midranks, score

TABLE_ORDER = 3
PROBE_PLACES = 8192
FEWEST_PLACES = 8
FEWEST_KEPT = 0.5  # share of the common places that a label must leave unmasked to be fitted on them
STILL = 1e-3  # of a cell's spread over the common places: what moves less over some of them is constant there
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)

Cells = Callable[[np.ndarray | slice], np.ndarray]  # the numbers (D, n) of all cells at n places, in float32


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


@dataclass(frozen=True)
class _Sums:
    """Of n columns x of (M, n): n, Σ x (M,) and Σ x xᵀ (M, M)."""

    n: int
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> "_Sums":
        return cls(x.shape[1], x.sum(axis=1, dtype=float), (x @ x.T).astype(float))

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.n + other.n, self.first + other.first, self.second + other.second)

    def __sub__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.n - other.n, self.first - other.first, self.second - other.second)

    def gram(self, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """ZᵀZ/n of z = (x - mean)·scale, (M, M)."""
        across = np.outer(mean, self.first)
        centred = self.second - across - across.T + self.n * np.outer(mean, mean)
        return centred * np.outer(scale, scale) / self.n


def fit_probes(
    cells: Cells, usable: np.ndarray, labels: Sequence[tuple[np.ndarray, np.ndarray, Kind]], fit: slice
) -> list[Probe | None]:
    """A ridge regression of each label (values, mask, kind) on all cells, fitted on ``fit``; None for a label without
    places, or no cells.

    usable : (D,), the numbers of ``cells`` to look at, as from ``finite``; the others have a weight of 0

        w = (XᵀX/n + λI)⁻¹ Xᵀy/n,  X the standardised signals, y the label (ranks for a count)

    fitted on at most PROBE_PLACES evenly spaced places; λ is the one of RIDGES that is best on the last
    quarter of them after fitting on the rest. Its score measures what all cells know together: it
    distinguishes an unknown fact from one that is spread over many cells.

    The places are the same for all labels, so that XᵀX is computed once; of a label with a mask the masked ones are
    taken off it. A label of which most are masked has places of its own.
    """
    count = len(labels[0][0]) if labels else 0
    probes: list[Probe | None] = [None] * len(labels)
    spaced = _spaced(np.arange(*fit.indices(count)))
    early = len(spaced) * 3 // 4
    shared: dict[bytes, list[int]] = {}
    weights: dict[int, np.ndarray] = {}
    for k, (_, mask, _) in enumerate(labels):
        kept = mask[spaced]
        if early and min(kept[:early].mean(), kept[early:].mean()) >= FEWEST_KEPT:
            shared.setdefault(kept.tobytes(), []).append(k)
            continue
        own = _spaced(np.flatnonzero(mask[fit]) + (fit.start or 0))
        if len(own) >= FEWEST_PLACES and usable.any():
            probe = _Ridge(cells(own)[usable], len(own) * 3 // 4)
            [weights[k]] = probe.weights([labels[k]], own, np.ones(len(own), bool))
    if shared and len(spaced) >= FEWEST_PLACES and usable.any():
        probe = _Ridge(cells(spaced)[usable], early)
        for members in shared.values():
            kept = labels[members[0]][1][spaced]
            found = probe.weights([labels[k] for k in members], spaced, kept)
            weights.update(zip(members, found, strict=True))
    fitted = {k: w for k, w in weights.items() if w.any()}
    if fitted:
        every = np.zeros((len(fitted), len(usable)), np.float32)
        every[:, usable] = list(fitted.values())
        told = np.empty((len(fitted), count), np.float32)
        for first in range(0, count, PROBE_PLACES):
            block = slice(first, first + PROBE_PLACES)
            told[:, block] = every[:, usable] @ cells(block)[usable]
        for k, says, weights_of in zip(fitted, told, every, strict=True):
            probes[k] = Probe(says, weights_of)
    return probes


def probe_score(
    layers: Sequence[np.ndarray], values: np.ndarray, mask: np.ndarray, kind: Kind, fit: slice, judge: slice
) -> float:
    """The score on ``judge`` of what a probe on ``layers``, arrays (M, N), says; NaN without one."""

    def cells(places: np.ndarray | slice) -> np.ndarray:
        return np.concatenate([one[:, places].astype(np.float32) for one in layers])

    [probe] = fit_probes(cells, finite(layers, fit, judge), [(values, mask, kind)], fit)
    return float("nan") if probe is None else score(probe.told[judge], values[judge], mask[judge], kind)


def finite(layers: Sequence[np.ndarray], *parts: slice) -> np.ndarray:
    """Which rows of several arrays (M, N), one below the other, are finite in all parts of the text."""
    each = [[np.isfinite(one[:, part]).all(axis=1) for one in layers] for part in parts]
    return np.logical_and.reduce([np.concatenate(of_part) for of_part in each])


def _spaced(places: np.ndarray) -> np.ndarray:
    """At most PROBE_PLACES of the places, evenly spaced."""
    return places[:: max(1, -(-len(places) // PROBE_PLACES))]


class _Ridge:
    """Ridge regressions on the same n places; x : (M, n), early : those to fit on while λ is chosen."""

    def __init__(self, x: np.ndarray, early: int) -> None:
        # Numbers near 0 and of about the same size lose nothing when sums of some places are taken off those of all.
        self.scale = _inverse(x.std(axis=1), np.ptp(x, axis=1) > FLAT)
        self.x = (x - x.mean(axis=1, keepdims=True)) * self.scale[:, None]
        self.early = early
        self.before, self.after = _Sums.of(self.x[:, :early]), _Sums.of(self.x[:, early:])

    def weights(
        self, labels: Sequence[tuple[np.ndarray, np.ndarray, Kind]], places: np.ndarray, kept: np.ndarray
    ) -> list[np.ndarray]:
        """The weights (M,) of x for each label, of those of its places (n,) that are kept; all of one mask."""
        x, early = self.x, self.early
        before = self.before - _Sums.of(x[:, :early][:, ~kept[:early]])
        whole = before + self.after - _Sums.of(x[:, early:][:, ~kept[early:]])
        mean = whole.first / whole.n
        spread = np.sqrt(np.maximum(np.diag(whole.second) / whole.n - mean**2, 0))
        scale = _inverse(spread, spread > STILL)
        y = np.zeros((len(places), len(labels)))
        for column, (values, _, kind) in zip(y.T, labels, strict=True):
            truth = values[places[kept]]
            column[kept] = truth.astype(float) if kind == "bool" else midranks(truth)
            column[kept] -= column[kept].mean()

        def product(part: slice, n: int) -> np.ndarray:
            of_part = x[:, part] @ y[part].astype(x.dtype) - np.outer(mean, y[part].sum(axis=0))
            return scale[:, None] * of_part / n

        late = kept[early:]
        everywhere = np.ones(int(late.sum()), bool)
        trials = np.empty((len(RIDGES), len(labels)))
        for tried, w in zip(
            trials,
            _solved(before.gram(mean, scale), product(slice(0, early), before.n), RIDGES),
            strict=True,
        ):
            said = (w * scale[:, None]).T.astype(x.dtype) @ x[:, early:]
            for k, (values, _, kind) in enumerate(labels):
                tried[k] = score(said[k, late], values[places[early:][late]], everywhere, kind)
        best = np.argmax(np.nan_to_num(trials), axis=0)
        gram, products = whole.gram(mean, scale), product(slice(None), whole.n)
        found: list[np.ndarray] = [np.zeros(0)] * len(labels)
        for which in np.unique(best):
            members = np.flatnonzero(best == which)
            [solved] = _solved(gram, products[:, members], [RIDGES[which]])
            for k, w in zip(members.tolist(), solved.T, strict=True):
                found[k] = w * scale * self.scale
        return found


def _inverse(spread: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """1 / spread (M,); 0 of what does not move."""
    return np.divide(1, spread, out=np.zeros_like(spread), where=moves)


def _solved(gram: np.ndarray, products: np.ndarray, ridges: Sequence[float]) -> list[np.ndarray]:
    """The weights (M, K) for each λ; gram (M, M), products (M, K)."""
    return [np.linalg.solve(gram + ridge * np.eye(len(gram)), products) for ridge in ridges]
