"""Chapter 9: the gates of a trained LSTM, and how far back its gradient reaches."""

from dataclasses import dataclass

import numpy as np

from charrnn.learn.characters import key
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network, passes_over, train
from charrnn.learn.vanishing import BACK, flow_over

H, STEPS = 16, 250
FORGET_BIAS = 5.0


@dataclass(frozen=True)
class Gates:
    """rows : name -> (T,), gates, c and h of one cell over the line; flows : name -> (K+1,), mean gradient norms
    marks : (T,), where the line has its divider, where its f falls most"""

    text: LessonText
    cell: int
    marks: np.ndarray
    rows: dict[str, np.ndarray]
    flows: dict[str, np.ndarray]

    @property
    def f_mark(self) -> float:
        """The mean of f at the dividers."""
        return float(self.rows["f"][self.marks].mean())

    @property
    def f_other(self) -> float:
        """The mean of f elsewhere."""
        return float(self.rows["f"][~self.marks].mean())

    @property
    def longest(self) -> str:
        """The longest piece of the passage without the divider."""
        return max(self.text.passage.replace("\n", self.text.divider).split(self.text.divider), key=len)

    @property
    def facts(self) -> dict[str, str]:
        def left(name: str) -> str:
            return f"{self.flows[name][BACK] / self.flows[name][0]:.0e}"

        is_space = self.text.divider == " "
        steps = max(1, len(self.longest))
        answer = 0.5 ** (1 / steps)
        return {
            "text": self.text.title,
            "cell": str(self.cell),
            "no_space": "" if is_space else "yes",
            "mark": "a space" if is_space else f'"{key(self.text.divider)}"',
            "f_other": f"{self.f_other:.2f}",
            "f_mark": f"{self.f_mark:.2f}",
            "by_word": "yes" if is_space and self.f_mark < 0.4 < self.f_other else "",
            "sigma_1": f"{_sigmoid(1.0):.2f}",
            "sigma_5": f"{_sigmoid(FORGET_BIAS):.3f}",
            "power_1": f"{_sigmoid(1.0) ** BACK:.0e}",
            "left_rnn": left("RNN h"),
            "left_gru": left("GRU h"),
            "left_lstm": left("LSTM c"),
            "left_open": f"{self.flows['b_f = 5'][BACK] / self.flows['b_f = 5'][0]:.2g}",
            "back": str(BACK),
            "steps": str(steps),
            "characters": "1 character" if steps == 1 else f"{steps} characters",
            "after": "1 step" if steps == 1 else f"{steps} steps",
            "answer": f"{answer:.4f}",
            "at_half": f"{0.5**steps:.2g}",
        }


def compute(text: LessonText) -> Gates:
    """The cell of a small trained LSTM whose f falls most at the dividers; the flow of fresh networks."""
    network = make_network("lstm", H, len(text.vocabulary))
    train(network, passes_over(text, STEPS), "adagrad", 0.1)
    _, _, trace = network.forward(text.column(text.line), network.zero_state(1))
    (layer,) = trace.layers
    arrays = {name: layer[name] for name in (*network.cell.GATES, "c", "h")}
    f, marks = layer["f"][:, 0], np.array([ch == text.divider for ch in text.line])
    cell = int((f[~marks].mean(axis=0) - f[marks].mean(axis=0)).argmax())
    rows = {name: array[:, 0, cell].copy() for name, array in arrays.items()}
    return Gates(text, cell, marks, rows, _flows(text))


def _flows(text: LessonText) -> dict[str, np.ndarray]:
    flows = {}
    for name, cell in (("RNN h", "rnn"), ("GRU h", "gru"), ("LSTM c", "lstm"), ("b_f = 5", "lstm")):
        network = make_network(cell, 32, len(text.vocabulary))
        if name == "b_f = 5":
            network.params["lstm.bias_l0"][32:64] = FORGET_BIAS
        flow = flow_over(network, text)
        flows[name] = (flow.h if flow.c is None else flow.c)[0]
    return flows


def _sigmoid(a: float) -> float:
    return float(1 / (1 + np.exp(-a)))
