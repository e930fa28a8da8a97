"""Which cells of two models do the same: pairs of cells whose signals go together on one text.

    r[a, b] = corr(signal_a, signal_b);   the pairs (a, π(a)) are those of the largest Σ |r[a, π(a)]|

No cell stands in two pairs. The sign does not count, for a network can have a cell the other way round at no cost.
Units are matched so by Li, Yosinski, Clune, Lipson and Hopcroft (2016), "Convergent Learning". Beside it stands what
chance gives: the same search where the second model's signals are shifted by half the text, which keeps how slowly they
move and undoes that both models read the same character.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.errors import DataError
from charrnn.files.json_value import known
from charrnn.interpret.findings import Finding, Inspection
from charrnn.interpret.recording import Recording
from charrnn.interpret.scores import has_signal

AT_ONCE = 8192  # characters


@dataclass(frozen=True)
class Pair:
    """A cell (layer, cell) of each model, and the correlation of their signals."""

    first: tuple[int, int]
    second: tuple[int, int]
    r: float


@dataclass(frozen=True)
class Shared:
    """What each model has for a concept, None where it was not judged.

    r : correlation of the two cells; paired : whether they are a pair
    both : whether the concept is found in both, with a verdict other than none
    """

    concept: str
    first: Finding | None
    second: Finding | None
    r: float
    paired: bool

    @property
    def both(self) -> bool:
        return all(one is not None and one.verdict != "none" for one in (self.first, self.second))

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        sides = {
            name: None
            if one is None
            else {key: getattr(one, key) for key in ("layer", "cell", "verdict")}
            | {"confirm_score": float(one.confirm_score)}
            for name, one in (("first", self.first), ("second", self.second))
        }
        return {
            "concept": self.concept,
            "both": self.both,
            **sides,
            "r": known(self.r),
            "paired": self.paired,
        }


@dataclass(frozen=True)
class Matching:
    """The pairs of two models' cells, the closest first.

    median, chance : the median |r| of the pairs, and that of the pairs found after the shift
    shared : by concept, those found in both first
    """

    pairs: tuple[Pair, ...]
    median: float
    chance: float
    shared: tuple[Shared, ...]


def match(first: Inspection, second: Inspection) -> Matching:
    """Match the cells of two models that were inspected on the same text.

    Raises DataError if they read different texts.
    """
    a, b = first.recording, second.recording
    if a.text != b.text:
        raise DataError(
            "the two models read different texts; cells are matched on one text that both can read"
        )
    part = slice(a.select.start, len(a.text))
    r = correlations(a.signals[:, part], b.signals[:, part])
    partner = assigned(np.abs(r))
    pairs = [Pair(a.place(k), b.place(m), float(r[k, m])) for k, m in enumerate(partner.tolist()) if m >= 0]
    half = (part.stop - part.start) // 2
    shifted = np.abs(correlations(a.signals[:, part], np.roll(b.signals[:, part], half, axis=1)))
    by_chance = assigned(shifted)
    found = np.flatnonzero(by_chance >= 0)
    return Matching(
        tuple(sorted(pairs, key=lambda pair: -abs(pair.r))),
        float(np.median([abs(pair.r) for pair in pairs])),
        float(np.median(shifted[found, by_chance[found]])),
        tuple(_shared(first, second, r, partner)),
    )


def _shared(first: Inspection, second: Inspection, r: np.ndarray, partner: np.ndarray) -> Sequence[Shared]:
    """Each concept with the best finding of either model."""
    sides: list[dict[str, Finding]] = [{}, {}]
    for best, inspection in zip(sides, (first, second), strict=True):
        for finding in inspection.findings:
            best.setdefault(finding.concept, finding)
    shared = []
    for concept in dict.fromkeys([*sides[0], *sides[1]]):
        one, other = sides[0].get(concept), sides[1].get(concept)
        if one is None or other is None:
            shared.append(Shared(concept, one, other, float("nan"), False))
            continue
        k = _row(first.recording, one)
        m = _row(second.recording, other)
        shared.append(Shared(concept, one, other, float(r[k, m]), int(partner[k]) == m))
    return sorted(shared, key=lambda one: not one.both)


def _row(recording: Recording, finding: Finding) -> int:
    return finding.layer * recording.hidden + finding.cell


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r of each signal of a (K, N) with each of b (M, N); 0 where one is constant or not finite."""
    total = np.zeros((len(a), len(b)))
    with np.errstate(over="ignore", invalid="ignore"):  # a ReLU network may have overflowed
        (mean_a, scale_a), (mean_b, scale_b) = _moments(a), _moments(b)
        for start in range(0, a.shape[1], AT_ONCE):
            part = slice(start, start + AT_ONCE)
            total += ((a[:, part] - mean_a) * scale_a) @ ((b[:, part] - mean_b) * scale_b).T
    found: np.ndarray = np.nan_to_num(total / a.shape[1])
    return found


def _moments(signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each signal and one over its deviation (M, 1); 0 and 0 for one that says nothing."""
    usable = np.array([has_signal(one) for one in signals])[:, None]
    means, deviations = signals.mean(axis=1, keepdims=True), signals.std(axis=1, keepdims=True)
    return np.where(usable, means, 0), np.where(usable, 1 / np.where(usable, deviations, 1), 0)


def assigned(gain: np.ndarray) -> np.ndarray:
    """For each row of gain (K, M) the column it is assigned, -1 for none: no column twice, and the largest sum.

    Each row in turn takes the shortest augmenting path in reduced costs (Kuhn 1955; Jonker and Volgenant 1987).
    """
    K, M = gain.shape
    if K > M:
        of_columns = assigned(gain.T)
        rows = np.full(K, -1)
        rows[of_columns] = np.arange(M)
        return rows
    cost = -gain.astype(float)
    u, v = np.zeros(K), np.zeros(M)
    column_of, row_of = np.full(K, -1), np.full(M, -1)
    for start in range(K):
        shortest, came_from = np.full(M, np.inf), np.full(M, -1)
        open_ = np.ones(M, bool)
        row, reached, passed = start, 0.0, []
        while True:
            passed.append(row)
            through = reached + cost[row] - u[row] - v
            better = open_ & (through < shortest)
            shortest[better], came_from[better] = through[better], row
            column = int(np.argmin(np.where(open_, shortest, np.inf)))
            reached = float(shortest[column])
            open_[column] = False
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        u[start] += reached
        for row in passed[1:]:
            u[row] += reached - shortest[column_of[row]]
        v[~open_] -= reached - shortest[~open_]
        while True:  # along the path, each row takes the column by which it was left
            row = int(came_from[column])
            row_of[column] = row
            column_of[row], column = column, int(column_of[row])
            if row == start:
                break
    return column_of
