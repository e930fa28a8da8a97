"""Chapter 3: the same step again and again, and the state that is handed on."""

from dataclasses import dataclass

import numpy as np

from charrnn.learn.characters import key
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network

H = 8
SHOWN = 7  # steps after the cut


@dataclass(frozen=True)
class Unrolling:
    """h : (T, H) over the line; carried, reset : (T - cut, H), the second chunk from the state handed on, from zero"""

    text: LessonText
    h: np.ndarray
    carried: np.ndarray
    reset: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """The error of the reset chunk, ‖h - h'‖ at each step after the cut."""
        return np.linalg.norm(self.reset - self.h[self.text.cut :], axis=1)

    @property
    def facts(self) -> dict[str, str]:
        line, cut, V = self.text.line, self.text.cut, len(self.text.vocabulary)
        left = self.gaps[SHOWN - 1] / self.gaps[0]
        return {
            "T": str(len(line)),
            "H": str(H),
            "V": str(V),
            "numbers": str(H * (H + V)),
            "cut": str(cut),
            "after": key(line[cut]),
            "repeats": "yes" if len(set(line)) < len(line) else "",
            "carried_gap": f"{abs(self.carried - self.h[cut:]).max():g}",
            "later": str(SHOWN - 1),
            "left": f"{100 * left:.2g}",
            "fades": "yes" if left < 0.1 else "",
        }


def compute(text: LessonText) -> Unrolling:
    """One line read whole, and in two chunks with and without the state."""
    network = make_network("rnn", H, len(text.vocabulary), seed=5)
    x, zero, cut = text.column(text.line), network.zero_state(1), text.cut

    def read(chunk: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, last, trace = network.forward(chunk, state)
        return trace.layers[0]["h"][:, 0].copy(), last

    whole, _ = read(x, zero)
    _, handed_on = read(x[:cut], zero)
    carried, _ = read(x[cut:], handed_on)
    reset, _ = read(x[cut:], zero)
    return Unrolling(text, whole, carried, reset)
