"""Chapter 7: what a step makes of a gradient: Adagrad by hand, and three rules on one curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network, passes_over, train
from charrnn.nn.network import Network

H, STEPS, CHUNKS = 32, 200, 4  # chunks in a pass over the text
RULES = (("sgd", 0.02), ("adagrad", 0.1), ("adam", 0.01))
SHOWN, LR = 5, 0.1  # steps of a weight of W_hh that are shown; the one after them is the question


@dataclass(frozen=True)
class ByHand:
    """One step of one weight: its gradient, the sum of squares so far, the step, and the weight after it."""

    g: float
    m: float
    step: float
    weight: float


@dataclass(frozen=True)
class Optimisers:
    """place : of the weight in the first row of W_hh that has the largest gradient at first
    by_hand : its first steps by Adagrad; start : the weight before; by_rule : after each by charrnn.nn
    curves : rule -> loss of each pass over the text, nats per character"""

    text: LessonText
    place: int
    by_hand: Sequence[ByHand]
    start: float
    by_rule: Sequence[float]
    curves: dict[str, list[float]]

    @property
    def difference(self) -> float:
        """The largest between the weight by hand and by charrnn.nn."""
        return max(abs(one.weight - rule) for one, rule in zip(self.by_hand, self.by_rule, strict=True))

    @property
    def facts(self) -> dict[str, str]:
        first, last, asked = self.by_hand[0], self.by_hand[SHOWN - 1], self.by_hand[SHOWN]
        rates = {rule: f"{lr:g}" for rule, lr in RULES}
        return {
            "text": self.text.title,
            "H": str(H),
            "place": str(self.place),
            "lr": f"{LR:g}",
            "g": f"{first.g:+.4f}",
            "first": f"{first.step:+.4f}",
            "shown": str(SHOWN),
            "scale": f"{LR / math.sqrt(last.m):.3f}",
            "difference": f"{self.difference:g}",
            "steps": str(STEPS),
            **{f"lr_{rule}": rate for rule, rate in rates.items()},
            **{f"end_{rule}": f"{curve[-1]:.2f}" for rule, curve in self.curves.items()},
            "m": f"{last.m:.6f}",
            "next": str(SHOWN + 1),
            "g_next": f"{asked.g:+.4f}",
            "m_next": f"{asked.m:.6f}",
            "answer": f"{abs(asked.step):.4f}",
        }


def compute(text: LessonText) -> Optimisers:
    """The same fresh network by three rules; of Adagrad, one weight by hand."""
    curves = {}
    for rule, lr in RULES:
        losses = train(make_network("gru", H, len(text.vocabulary)), passes_over(text, STEPS), rule, lr)
        curves[rule] = np.reshape(losses, (-1, CHUNKS)).mean(axis=1).tolist()
    return Optimisers(text, *_followed(text), curves)


def _followed(text: LessonText) -> tuple[int, list[ByHand], float, list[float]]:
    """A weight, Adagrad by hand on the gradients that it saw, and where the rule itself took it."""
    network = make_network("gru", H, len(text.vocabulary))
    name = "gru.weight_hh_l0"
    gradients, weights = [], []

    def watch(network: Network) -> None:
        gradients.append(network.grads[name][0].copy())
        weights.append(network.params[name][0].copy())

    train(network, passes_over(text, SHOWN + 1), "adagrad", LR, meddle=watch)
    weights.append(network.params[name][0].copy())
    place = int(abs(gradients[0]).argmax())
    by_hand, m, weight = [], 1e-8, float(weights[0][place])
    for g in (float(row[place]) for row in gradients):
        m += g * g
        step = -LR * g / math.sqrt(m)
        weight += step
        by_hand.append(ByHand(g, m, step, weight))
    start, *after = (float(row[place]) for row in weights)
    return place, by_hand, start, after
