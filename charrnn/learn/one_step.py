"""Chapter 2: one step of the vanilla layer, number by number."""

from dataclasses import dataclass

import numpy as np

from charrnn.learn.small import column, make_network

H = 4
BEFORE, OTHER, NOW = "s", "t", "h"


@dataclass(frozen=True)
class OneStep:
    """The parts of a[t] and the values computed from them, (H,) each.

    other_h : h after another character
    """

    h_before: np.ndarray
    from_input: np.ndarray
    from_before: np.ndarray
    bias: np.ndarray
    a: np.ndarray
    h: np.ndarray
    other_h: np.ndarray

    @property
    def facts(self) -> dict[str, str]:
        return {
            "before": BEFORE,
            "now": NOW,
            "other": OTHER,
            "a0": f"{self.a[0]:.2f}",
            "h0": f"{self.h[0]:.2f}",
            "parts0": f"{self.from_input[0]:.2f} + {self.from_before[0]:.2f} + {self.bias[0]:.2f}",
            "h_list": _listed(self.h),
            "other_list": _listed(self.other_h),
            "distance": f"{np.linalg.norm(self.h - self.other_h):.2f}",
        }


def compute() -> OneStep:
    """The second step over "sh", taken apart; and over "th" for comparison."""
    network = make_network("rnn", H, seed=18)
    w = network.layer(network.params, 0)
    w["bias"][:] = 0.3, -0.2, 0.1, -0.4
    states = []
    for before in (BEFORE, OTHER):
        _, _, trace = network.forward(column(before + NOW), network.zero_state(1))
        states.append(trace.layers[0]["h"][:, 0].copy())
    h_before, h = states[0]
    from_input = w["weight_ih"][:, column(NOW)[0, 0]]
    from_before = w["weight_hh"] @ h_before
    a = from_input + w["bias"] + from_before
    return OneStep(h_before, from_input, from_before, w["bias"].copy(), a, h, states[1][1])


def _listed(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.2f}" for value in values) + "]"
