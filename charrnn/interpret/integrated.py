"""Integrated gradients: a difference of two outputs, shared out among the inputs that make it.

    A[s] = Σ_f (x[s,f] - x'[s,f]) ∫₀¹ ∂F/∂x[s,f] (x' + α (x - x')) dα,      Σ_s A[s] = F(x) - F(x')

x is what the network reads, x' a baseline, F = w · h[T-1] a number read from the outputs of the last layer after the
last step. Sundararajan, Taly and Yan (2017), "Axiomatic Attribution for Deep Networks"; the second equation is what
they call completeness, and how far it is missed tells how good the integral is.

The integral is a sum over the nodes of Gauss and Legendre. Along the way a gate may open or a ReLU switch, all within
a small part of [0, 1]. So an interval is halved where it has an error: the change that halving makes in A, and
what the halves miss of F at the interval's ends, which is known exactly.
"""

from dataclasses import dataclass

import numpy as np

from charrnn.nn.network import Network

NODES = 8  # per interval
TOLERANCE = 1e-4  # summed over the intervals, in the unit of F
MOST_GRADIENTS = 4096
NUMBERS_AT_ONCE = 2**24  # of the arrays that a pass keeps


@dataclass(frozen=True)
class Attributions:
    """The parts that each of T inputs has in D differences.

    parts : (D, T), A; differences : (D,), F(x) - F(x'); gradients : at how many α they were taken
    """

    parts: np.ndarray
    differences: np.ndarray
    gradients: int

    @property
    def errors(self) -> np.ndarray:
        """(D,) the completeness error: how far the sum of the parts is from the difference."""
        return np.abs(self.parts.sum(axis=1) - self.differences)


def integrated_gradients(
    network: Network,
    x: np.ndarray,
    baseline: np.ndarray,
    state: np.ndarray,
    weights: np.ndarray,
    *,
    tolerance: float = TOLERANCE,
    most: int = MOST_GRADIENTS,
) -> Attributions:
    """The attributions of D outputs F = weights[d] · h[T-1] to the T inputs, the state before them held.

    x, baseline : (T, F) real inputs of the first layer; state : (L, S, 1, H); weights : (D, H)
    most : gradients from which no interval is halved any more, whatever the error
    """
    path = _Path(network, x, baseline, state, weights)
    edges = np.array([[0.0, 1.0]])
    halves, errors = path.halved(edges, path.integrals(edges))
    while errors.sum() > tolerance and path.gradients < most:
        poor = errors > tolerance / len(errors)
        finer = _halves(edges[poor])
        parts, left = path.halved(finer, halves[poor].reshape(-1, *halves.shape[2:]))
        edges = np.concatenate([edges[~poor], finer])
        halves = np.concatenate([halves[~poor], parts])
        errors = np.concatenate([errors[~poor], left])
    ends = path.values(np.array([0.0, 1.0]))
    return Attributions(halves.sum(axis=(0, 1)), ends[1] - ends[0], path.gradients)


def _halves(edges: np.ndarray) -> np.ndarray:
    """Intervals (n, 2) -> their halves (2n, 2)."""
    middle = edges.mean(axis=1)
    return np.stack([edges[:, 0], middle, middle, edges[:, 1]], axis=1).reshape(-1, 2)


class _Path:
    """The straight line from the baseline to the input: what the network puts out on it, and the gradients."""

    def __init__(
        self, network: Network, x: np.ndarray, baseline: np.ndarray, state: np.ndarray, weights: np.ndarray
    ) -> None:
        self.network, self.baseline, self.state, self.weights = network, baseline, state, weights
        self.way = x - baseline
        self.gradients = 0
        config = network.config
        numbers = len(x) * (2 * x.shape[1] + network.vocab_size + 12 * config.layers * config.hidden)
        self._at_once = max(1, NUMBERS_AT_ONCE // numbers)
        nodes, shares = np.polynomial.legendre.leggauss(NODES)
        self._nodes, self._shares = (nodes + 1) / 2, shares / 2  # of [0, 1]

    def halved(self, edges: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The integrals over the halves (n, 2, D, T) of intervals, and the errors (n,).

        whole : (n, D, T) the integrals over the intervals at once
        """
        halves = self.integrals(_halves(edges)).reshape(-1, 2, *whole.shape[1:])
        both = halves.sum(axis=1)
        ends = self.values(edges.ravel()).reshape(*edges.shape, -1)
        missed = np.abs(ends[:, 1] - ends[:, 0] - both.sum(axis=-1))  # (n, D)
        errors: np.ndarray = (missed + np.abs(both - whole).sum(axis=-1)).max(axis=1)
        return halves, errors

    def integrals(self, edges: np.ndarray) -> np.ndarray:
        """A over each of n intervals: (n, D, T)."""
        widths = edges[:, 1] - edges[:, 0]
        slopes = self.slopes((edges[:, :1] + widths[:, None] * self._nodes).ravel())
        slopes = slopes.reshape(len(edges), NODES, *slopes.shape[1:])
        found: np.ndarray = np.einsum("n,j,njdt->ndt", widths, self._shares, slopes)
        return found

    def values(self, alphas: np.ndarray) -> np.ndarray:
        """F (A, D) at each α."""
        found = []
        for part in self._parts(alphas):
            x, state = self._at(part)
            found.append(self.network.forward(x, state)[2].top[-1] @ self.weights.T)
        return np.concatenate(found)

    def slopes(self, alphas: np.ndarray) -> np.ndarray:
        """Σ_f (x - x')_f ∂F/∂x_f (A, D, T) at each α."""
        self.gradients += len(alphas)
        found = np.empty((len(alphas), *self.weights.shape[:1], len(self.way)))
        done = 0
        for part in self._parts(alphas):
            x, state = self._at(part)
            logits, _, trace = self.network.forward(x, state)
            none, dh = np.zeros_like(logits), np.zeros_like(trace.top)
            for d, w in enumerate(self.weights):
                dh[-1] = w
                _, dx = self.network.backward(trace, none, dh_top=dh)
                assert dx is not None
                found[done : done + len(part), d] = np.einsum("taf,tf->at", dx, self.way)
            done += len(part)
        return found

    def _parts(self, alphas: np.ndarray) -> list[np.ndarray]:
        return [alphas[k : k + self._at_once] for k in range(0, len(alphas), self._at_once)]

    def _at(self, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inputs (T, A, F) at each α, and the state before them."""
        x = self.baseline[:, None] + alphas[None, :, None] * self.way[:, None]
        return x, np.repeat(self.state, len(alphas), axis=2)
