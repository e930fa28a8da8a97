"""Chapter 2: one step of the vanilla layer, number by number."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from charrnn.learn.characters import key
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network

H = 4
BIAS = 0.3, -0.2, 0.1, -0.4
SATURATED, APART = 0.95, 0.5  # of the first unit, and of the states after two characters


@dataclass(frozen=True)
class OneStep:
    """The parts of a[t] and the values computed from them, (H,) each.

    before, other, now : the characters; other_h : h after `other` and `now`
    """

    before: str
    other: str
    now: str
    h_before: np.ndarray
    from_input: np.ndarray
    from_before: np.ndarray
    bias: np.ndarray
    a: np.ndarray
    h: np.ndarray
    other_h: np.ndarray

    @property
    def distance(self) -> float:
        """How far apart the states after the two characters are."""
        return float(np.linalg.norm(self.h - self.other_h))

    @property
    def adds_up(self) -> bool:
        """Whether the numbers as they are shown, rounded, give their sums and tanh as they are shown."""
        x, before, b, a, h = (
            np.round(part, 2) for part in (self.from_input, self.from_before, self.bias, self.a, self.h)
        )
        return np.allclose(x + before + b, a) and np.allclose(np.round(np.tanh(a), 2), h)

    @property
    def facts(self) -> dict[str, str]:
        return {
            "before": key(self.before),
            "now": key(self.now),
            "other": key(self.other),
            "a0": f"{self.a[0]:.2f}",
            "h0": f"{self.h[0]:.2f}",
            "parts0": _sum([float(part[0]) for part in (self.from_input, self.from_before, self.bias)]),
            "h_list": listed(self.h),
            "other_list": listed(self.other_h),
            "distance": f"{self.distance:.2f}",
        }


def compute(text: LessonText) -> OneStep:
    """A second step taken apart, and after another first step, of the first random weights that show well."""
    return next(
        data
        for data in (_taken_apart(text, seed) for seed in count(1))
        if data.adds_up and abs(data.h[0]) > SATURATED and data.distance > APART
    )


def _taken_apart(text: LessonText, seed: int) -> OneStep:
    network = make_network("rnn", H, len(text.vocabulary), seed)
    w = network.layer(network.params, 0)
    w["bias"][:] = BIAS
    before, other, now = text.two_befores
    states = []
    for first in (before, other):
        _, _, trace = network.forward(text.column(first + now), network.zero_state(1))
        states.append(trace.layers[0]["h"][:, 0].copy())
    h_before, h = states[0]
    from_input = w["weight_ih"][:, text.column(now)[0, 0]]
    from_before = w["weight_hh"] @ h_before
    a = from_input + w["bias"] + from_before
    return OneStep(
        before, other, now, h_before, from_input, from_before, w["bias"].copy(), a, h, states[1][1]
    )


def _sum(values: list[float]) -> str:
    """A sum as one writes it: 2.83 - 0.23 + 0.30."""
    return f"{values[0]:.2f}" + "".join(f" {'-' if v < 0 else '+'} {abs(v):.2f}" for v in values[1:])


def listed(values: np.ndarray) -> str:
    """A vector in the words: [0.30, -0.20]."""
    return "[" + ", ".join(f"{value:.2f}" for value in values) + "]"
