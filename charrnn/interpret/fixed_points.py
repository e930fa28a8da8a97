"""Fixed points: the states that the network stays in while it reads the same symbol again and again, or none.

    F(s) = s,    s the whole state: h, and c of the LSTM, of every layer

They are what a network that keeps facts keeps them in: Sussillo and Barak, "Opening the Black Box" (2013). From states
that it visits on a text, and from means of two of them, |F(s) - s|² is brought down by Newton's method with the exact
Jacobian J of the step, damped as Levenberg (1944) and Marquardt (1963) do:

    (Aᵀ A + μ I) δ = -Aᵀ r,    r = F(s) - s,  A = J - I

A point is stable if no eigenvalue λ of J lies outside the unit circle: a small push fades like |λ|^t. Where the search
ends at r ≠ 0 there is no point but a place where the network drifts slowly: a slow point.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.interpret.reading import characters_of
from charrnn.model.model import Model
from charrnn.model.steps import Steps

STARTS, FEWEST_STARTS = 200, 10  # of a small state, and of a large one, for which each takes long
SMALL = 128  # numbers of a state
SYMBOLS = 5000  # of the text that are read
EXPECTED = 3  # characters to tell of each point
NUMBERS = 1 << 24  # of Jacobians in memory at once
ITERATIONS = 200
CONVERGED = 1e-9  # largest |r| of a fixed point
SLOW = 1e-2  # largest |r| of a slow point
SAME = 1e-4  # largest difference of two states that are one point, relative to 1 + |s|
MARGINAL = 1e-6  # |λ| - 1 that counts as none
DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-14, 1e10  # μ


@dataclass(frozen=True, eq=False)
class Point:
    """A fixed or slow point.

    state : (D,), in the order (L, S, H); residual : largest |F(s) - s|
    eigenvalues : (D,) of J, the largest first; starts : how many searches ended here
    nearest : distance to the nearest state that the text visits
    expects : the likeliest characters to come and their probabilities, best first
    """

    state: np.ndarray
    residual: float
    eigenvalues: np.ndarray
    starts: int
    nearest: float
    expects: tuple[tuple[str, float], ...]

    @property
    def radius(self) -> float:
        return float(abs(self.eigenvalues[0]))

    @property
    def unstable(self) -> int:
        """How many directions lead away."""
        return int((abs(self.eigenvalues) > 1 + MARGINAL).sum())

    @property
    def kind(self) -> str:
        """slow, stable, neutral, unstable, or saddle where some directions lead away and others do not.

        neutral: a push neither fades nor grows, as along a line of points.
        """
        if self.residual > CONVERGED:
            return "slow"
        if not self.unstable:
            return "stable" if self.radius < 1 - MARGINAL else "neutral"
        return "unstable" if self.unstable == len(self.eigenvalues) else "saddle"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "residual": self.residual,
            "spectral_radius": self.radius,
            "unstable_directions": self.unstable,
            "eigenvalues": [[z.real, z.imag] for z in self.eigenvalues.tolist()],
            "starts": self.starts,
            "distance_to_text": self.nearest,
            "expects": [{"character": c, "probability": p} for c, p in self.expects],
            "state": self.state,
        }


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """The points found, the stable ones first, and a plane to look at them in.

    lost : searches that ended nowhere
    mean (D,), axes (2, D) : of the plane of the visited states' first two principal components
    variance : share of the states' variance in that plane; visited : (N, D)
    """

    points: tuple[Point, ...]
    searches: int
    lost: int
    mean: np.ndarray
    axes: np.ndarray
    variance: float
    visited: np.ndarray

    def to_json(self) -> dict[str, Any]:
        return {"points": self.points, "searches": self.searches, "lost": self.lost}

    def places(self, states: np.ndarray) -> np.ndarray:
        """Where states (N, D) lie in the plane, (N, 2)."""
        return (states - self.mean) @ self.axes.T


@blas_threads()
def find_fixed_points(
    model: Model,
    ids: np.ndarray,
    symbol: int | None = None,
    *,
    asked: Sequence[int] = (),
    starts: int | None = None,
    seed: int = 1,
    begun: Callable[[str], None] = lambda what: None,
) -> FixedPoints:
    """The fixed points of reading `symbol` again and again, or none.

    ids : (N,), a text, of which the first SYMBOLS are read: the searches begin at its states
    asked : symbols to read from each point before looking at what the model expects
    starts : searches; by default STARTS, and fewer for a state of more than SMALL numbers
    begun : called with the name of each step that begins

    Raises DataError for an empty text.
    """
    if not len(ids):
        raise DataError("the text is empty; the searches begin at the states that the model visits on it")
    begun("reading")
    steps = Steps(model)
    x = np.zeros(len(model.vocab))
    if symbol is not None:
        x[symbol] = 1
    visited = steps.visited(ids[:SYMBOLS])
    rng = np.random.default_rng(seed)
    if starts is None:
        starts = max(FEWEST_STARTS, min(STARTS, round(STARTS * (SMALL / steps.size) ** 2)))
    first, second = visited[rng.integers(len(visited), size=(2, starts))]
    begin = np.where(np.arange(starts)[:, None] % 2, (first + second) / 2, first)
    at_once = max(1, NUMBERS // steps.size**2)
    parts = []
    for k in range(0, starts, at_once):
        some = begin[k : k + at_once]

        def tell(going: int, before: int = k, size: int = len(some)) -> None:
            begun(f"searching, {before + size - going} of {starts} searches have ended")

        parts.append(search(steps, x, some, tell))
    found, residuals = (np.concatenate(part) for part in zip(*parts, strict=True))
    ended = residuals <= SLOW
    groups = distinct(found[ended], residuals[ended])
    points = []
    for number, (where, count) in enumerate(groups, start=1):
        begun(f"eigenvalues of point {number} of {len(groups)}")
        s = found[ended][where]
        _, (jacobian,) = steps.jacobians(s[None], x[None])
        eigenvalues = np.linalg.eigvals(jacobian)
        eigenvalues = eigenvalues[np.lexsort((-eigenvalues.imag, -eigenvalues.real, -abs(eigenvalues)))]
        nearest = float(np.linalg.norm(visited - s, axis=1).min())
        expects = _expected(model, steps, s, asked)
        points.append(Point(s, float(residuals[ended][where]), eigenvalues, count, nearest, expects))
    kinds = ["stable", "neutral", "saddle", "unstable", "slow"]
    points.sort(key=lambda point: (kinds.index(point.kind), point.unstable, -point.starts))
    mean, axes = visited.mean(axis=0), np.zeros((2, steps.size))
    variances, vectors = np.linalg.eigh((visited - mean).T @ (visited - mean))
    for axis, vector in zip(axes, vectors.T[::-1], strict=False):
        axis[:] = vector * np.sign(vector[abs(vector).argmax()])
    share = float(variances[-2:].sum() / max(variances.sum(), np.finfo(float).tiny))
    return FixedPoints(tuple(points), starts, int((~ended).sum()), mean, axes, share, visited)


def _expected(
    model: Model, steps: Steps, s: np.ndarray, asked: Sequence[int]
) -> tuple[tuple[str, float], ...]:
    """The likeliest characters after reading `asked` from a state (D,), and their probabilities."""
    for symbol in asked:
        (s,) = steps.forward(s[None], np.array([symbol]))
    (log_p,) = steps.log_p(s[None])
    characters = characters_of(model.vocab)
    best = np.argsort(-log_p, kind="stable")[:EXPECTED]
    return tuple((characters[v], float(np.exp(log_p[v]))) for v in best)


def search(
    steps: Steps, x: np.ndarray, s: np.ndarray, tell: Callable[[int], None] = lambda going: None
) -> tuple[np.ndarray, np.ndarray]:
    """Where |F(s) - s|² is least near each of P vectors s (P, D), and the largest |F(s) - s| there (P,).

    x : (V,), the input; tell : called at each step with the number of searches that go on
    """
    s, inputs, unit = s.copy(), np.tile(x, (len(s), 1)), np.eye(steps.size)
    after, jacobian = steps.jacobians(s, inputs)
    r, A = after - s, jacobian - unit
    damping = np.full(len(s), DAMPING)
    for _ in range(ITERATIONS):
        going = np.flatnonzero((abs(r).max(axis=1) > CONVERGED / 10) & (damping < MOST_DAMPING))
        tell(len(going))
        if not len(going):
            break
        At = A[going].transpose(0, 2, 1)
        delta = np.linalg.solve(At @ A[going] + damping[going, None, None] * unit, -At @ r[going, :, None])
        trial = s[going] + delta[:, :, 0]
        after, jacobian = steps.jacobians(trial, inputs[going])
        better = ((after - trial) ** 2).sum(axis=1) < (r[going] ** 2).sum(axis=1)
        took = going[better]
        s[took], r[took], A[took] = trial[better], (after - trial)[better], jacobian[better] - unit
        damping[took] = np.maximum(damping[took] / 10, LEAST_DAMPING)
        damping[going[~better]] *= 4
    return s, abs(r).max(axis=1)


def distinct(states: np.ndarray, residuals: np.ndarray) -> list[tuple[int, int]]:
    """One of each group of near states (N, D), the one with the least residual, and how many are in the group."""
    left = np.argsort(residuals, kind="stable")
    groups = []
    while len(left):
        s = states[left[0]]
        same = (abs(states[left] - s) <= SAME * (1 + abs(s))).all(axis=1)
        groups.append((int(left[0]), int(same.sum())))
        left = left[~same]
    return groups
