"""Chapter 7: what a step makes of a gradient: Adagrad by hand, and three rules on one curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.learn.small import TEXT, make_network, passes_over, train
from charrnn.nn.network import Network

H, STEPS, CHUNKS = 32, 200, 4  # chunks in a pass over the text
RULES = (("sgd", 0.02), ("adagrad", 0.1), ("adam", 0.01))
PLACE, SHOWN, LR = 5, 5, 0.1  # which weight of W_hh's first row is followed, for how many steps


@dataclass(frozen=True)
class ByHand:
    """One step of one weight: its gradient, the sum of squares so far, the step, and the weight after it."""

    g: float
    m: float
    step: float
    weight: float


@dataclass(frozen=True)
class Optimisers:
    """by_hand : the first steps of one weight by Adagrad; start : the weight before; by_rule : after each by charrnn.nn
    curves : rule -> loss of each pass over the text, nats per character"""

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
        first, last = self.by_hand[0], self.by_hand[-1]
        rates = {rule: f"{lr:g}" for rule, lr in RULES}
        return {
            "H": str(H),
            "place": str(PLACE),
            "lr": f"{LR:g}",
            "g": f"{first.g:+.4f}",
            "first": f"{first.step:+.4f}",
            "shown": str(SHOWN),
            "scale": f"{LR / math.sqrt(last.m):.3f}",
            "difference": f"{self.difference:g}",
            "steps": str(STEPS),
            **{f"lr_{rule}": rate for rule, rate in rates.items()},
            **{f"end_{rule}": f"{curve[-1]:.2f}" for rule, curve in self.curves.items()},
            "answer": f"{0.1 / math.sqrt(25):g}",
        }


def compute() -> Optimisers:
    """The same fresh network by three rules; of Adagrad, one weight by hand."""
    curves = {}
    for rule, lr in RULES:
        losses = train(make_network("gru", H), passes_over(TEXT, STEPS), rule, lr)
        curves[rule] = np.reshape(losses, (-1, CHUNKS)).mean(axis=1).tolist()
    return Optimisers(*_followed(), curves)


def _followed() -> tuple[list[ByHand], float, list[float]]:
    """The gradients that one weight saw, Adagrad by hand on them, and where the rule itself took it."""
    network = make_network("gru", H)
    name = "gru.weight_hh_l0"
    gradients, weights = [], []

    def watch(network: Network) -> None:
        gradients.append(float(network.grads[name][0, PLACE]))
        weights.append(float(network.params[name][0, PLACE]))

    train(network, passes_over(TEXT, SHOWN), "adagrad", LR, meddle=watch)
    weights.append(float(network.params[name][0, PLACE]))
    by_hand, m, weight = [], 1e-8, weights[0]
    for g in gradients:
        m += g * g
        step = -LR * g / math.sqrt(m)
        weight += step
        by_hand.append(ByHand(g, m, step, weight))
    return by_hand, weights[0], weights[1:]
