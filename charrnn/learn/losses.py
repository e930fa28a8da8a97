"""Chapter 4: the loss of a prediction, before and after a little training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from charrnn.learn.small import TEXT, VOCABULARY, column, make_network, passes_over, train
from charrnn.nn.loss import cross_entropy, log_softmax
from charrnn.nn.network import Network

H, STEPS, CHUNKS = 32, 300, 4  # chunks in a pass over the text
PLACE = "she sells sea shells by the sea s"  # the next character is h
NEXT = "h"
SHOWN = 6


@dataclass(frozen=True)
class Losses:
    """fresh, trained : p of the next character (V,) after PLACE; loss_fresh, loss_trained : of the whole text, nats"""

    symbols: tuple[str, ...]
    fresh: np.ndarray
    trained: np.ndarray
    loss_fresh: float
    loss_trained: float
    curve: Sequence[float]  # of each pass over the text, nats per character

    @property
    def likeliest(self) -> list[int]:
        """The most likely symbols of the trained network, best first."""
        return np.argsort(-self.trained, kind="stable")[:SHOWN].tolist()

    @property
    def facts(self) -> dict[str, str]:
        right = self.symbols.index(NEXT)
        p, q = self.fresh[right], self.trained[right]
        return {
            "V": str(len(self.symbols)),
            "place": PLACE,
            "next": NEXT,
            "nats_fresh": f"{-math.log(p):.3f}",
            "nats_trained": f"{-math.log(q):.3f}",
            "loss_fresh": f"{self.loss_fresh:.2f}",
            "loss_trained": f"{self.loss_trained:.2f}",
            "bits_trained": f"{self.loss_trained / math.log(2):.2f}",
            "perplexity": f"{math.exp(self.loss_trained):.1f}",
            "steps": str(STEPS),
            "uniform": f"{math.log(len(self.symbols)):.3f}",
        }


@cache
def trained_network() -> tuple[Network, Sequence[float], Losses]:
    """A GRU of 32 units after 300 steps on the text: the network, its losses, and predictions before and after."""
    network = make_network("gru", H)

    def look() -> tuple[np.ndarray, float]:
        logits, _, _ = network.forward(column(PLACE), network.zero_state(1))
        p = np.exp(log_softmax(logits[-1, 0]))
        x = column(TEXT)
        logits, _, _ = network.forward(x[:-1], network.zero_state(1))
        return p, float(cross_entropy(logits, x[1:]).mean())

    fresh, loss_fresh = look()
    losses = np.array(train(network, passes_over(TEXT, STEPS), "adagrad", 0.1))
    curve = losses.reshape(-1, CHUNKS).mean(axis=1).tolist()
    trained, loss_trained = look()
    symbols = tuple(map(str, VOCABULARY.symbols))
    return network, curve, Losses(symbols, fresh, trained, loss_fresh, loss_trained, curve)


def compute() -> Losses:
    """Predictions of the network of this chapter and chapter 8 before and after training."""
    return trained_network()[2]
