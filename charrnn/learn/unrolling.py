"""Chapter 3: the same step again and again, and the state that is handed on."""

from dataclasses import dataclass

import numpy as np

from charrnn.learn.small import column, make_network

H = 8
READ = "she sells sea shells by the sea shore."
CUT = 14  # characters in the first chunk


@dataclass(frozen=True)
class Unrolling:
    """h : (T, H) over READ; carried, reset : (T - CUT, H), the second chunk from the state handed on, and from zero"""

    h: np.ndarray
    carried: np.ndarray
    reset: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """The error of the reset chunk, ‖h - h'‖ at each step after the cut."""
        return np.linalg.norm(self.reset - self.h[CUT:], axis=1)

    @property
    def facts(self) -> dict[str, str]:
        return {
            "T": str(len(READ)),
            "H": str(H),
            "numbers": str(H * H),
            "carried_gap": f"{abs(self.carried - self.h[CUT:]).max():g}",
        }


def compute() -> Unrolling:
    """One line read whole, and in two chunks with and without the state."""
    network = make_network("rnn", H, seed=5)
    x, zero = column(READ), network.zero_state(1)

    def read(chunk: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, last, trace = network.forward(chunk, state)
        return trace.layers[0]["h"][:, 0].copy(), last

    whole, _ = read(x, zero)
    _, handed_on = read(x[:CUT], zero)
    carried, _ = read(x[CUT:], handed_on)
    reset, _ = read(x[CUT:], zero)
    return Unrolling(whole, carried, reset)
