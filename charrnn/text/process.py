"""Processes: texts that a small known machine writes, so that what there is to know about them is known exactly.

A process is a hidden Markov model that emits a symbol at each change of state:

    T[v, i, j] = p(symbol v and next state j | state i),    Σ_vj T[v, i, j] = 1

What a reader of x[0], …, x[t] can know of the hidden state is the belief (Baum et al. 1970, the forward algorithm)

    η[t] = η[t-1] T[x[t]] / p(x[t] | x[<t]),    p(x[t] | x[<t]) = Σ_j (η[t-1] T[x[t]])_j

and -log p(x[t] | x[<t]) is the least that any model can lose there, on average.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np


class Process:
    """A hidden Markov model with its symbols.

    symbols : V characters
    transitions : (V, S, S), the T above
    start : (S,), the distribution of the state before the first symbol; by default the stationary one
    states : S names
    """

    def __init__(
        self,
        name: str,
        about: str,
        symbols: str,
        transitions: np.ndarray,
        states: Sequence[str],
        start: np.ndarray | None = None,
    ) -> None:
        self.name, self.about, self.symbols, self.states = name, about, symbols, tuple(states)
        self.transitions = np.asarray(transitions, np.float64)
        assert self.transitions.shape == (len(symbols), len(states), len(states))
        assert np.allclose(self.transitions.sum(axis=(0, 2)), 1, atol=1e-12)
        self.start = self.stationary if start is None else np.asarray(start, np.float64)

    @cached_property
    def stationary(self) -> np.ndarray:
        """(S,), the distribution π = π Σ_v T[v] of the state far into a text."""
        size = len(self.states)
        step = self.transitions.sum(axis=0)
        equations = np.vstack([step.T - np.eye(size), np.ones(size)])
        return np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)[0].clip(0)

    def to_json(self) -> dict[str, Any]:
        """The process in a list."""
        return {
            "name": self.name,
            "about": self.about,
            "symbols": self.symbols,
            "states": self.states,
            "entropy_rate_nats": self.entropy_rate(),
        }

    @property
    def unifilar(self) -> bool:
        """Whether state and symbol tell the next state."""
        return bool(((self.transitions > 0).sum(axis=2) <= 1).all())

    def entropy_rate(self) -> float | None:
        """The loss in nats per symbol of the best model of a long text, -Σ_i π_i Σ_v p(v | i) log p(v | i).

        None where state and symbol do not tell the next state; then the mean of `losses` on a long text estimates it.
        """
        if not self.unifilar:
            return None
        p = self.transitions.sum(axis=2)
        logs = np.log(p, where=p > 0, out=np.zeros_like(p))
        return float(-(p * logs).sum(axis=0) @ self.stationary)

    def write(self, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Symbols (N,) and the states (N,) after each, drawn one by one."""
        size = len(self.states)
        edges = self.transitions.transpose(1, 0, 2).reshape(size, -1).cumsum(axis=1)
        edges[:, -1] = 1.0  # against rounding
        uniforms = rng.random(length)
        taken = np.empty(length, np.int64)
        state = int(rng.choice(size, p=self.start / self.start.sum()))
        for t, u in enumerate(uniforms.tolist()):
            taken[t] = edge = edges[state].searchsorted(u, side="right")
            state = int(edge) % size
        return np.divmod(taken, size)

    def beliefs(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The beliefs (N, S) after each of N symbols, and the losses -log p(x[t] | x[<t]) (N,) in nats.

        A symbol that cannot come has an infinite loss; the belief after it is the stationary one.
        """
        beliefs = np.empty((len(symbols), len(self.states)))
        probabilities = np.empty(len(symbols))
        belief = self.start
        for t, symbol in enumerate(symbols.tolist()):
            joint = belief @ self.transitions[symbol]
            probabilities[t] = total = joint.sum()
            belief = beliefs[t] = joint / total if total > 0 else self.stationary
        with np.errstate(divide="ignore"):
            return beliefs, -np.log(probabilities)

    def text(self, symbols: np.ndarray) -> str:
        """The characters of symbols (N,)."""
        return "".join(self.symbols[symbol] for symbol in symbols.tolist())
