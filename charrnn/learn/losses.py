"""Chapter 5: the loss of a prediction, before and after a little training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from charrnn.learn.characters import key, seen
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network, passes_over, train
from charrnn.model.scores import in_bits
from charrnn.nn.loss import cross_entropy, log_softmax
from charrnn.nn.network import Network

H, STEPS, CHUNKS = 32, 300, 4  # chunks in a pass over the passage
BEFORE_THE_END = 5  # of the line: where it stops before the character that is looked at
SHOWN = 5


@dataclass(frozen=True)
class Losses:
    """place : what is read; next : the id that follows it; fresh, trained : p of the next character (V,)
    loss_fresh, loss_trained : of the whole passage, nats"""

    text: LessonText
    place: str
    next: int
    symbols: tuple[str, ...]
    fresh: np.ndarray
    trained: np.ndarray
    loss_fresh: float
    loss_trained: float
    curve: Sequence[float]  # of each pass over the passage, nats per character

    @property
    def likeliest(self) -> list[int]:
        """The most likely symbols of the trained network, best first, with the one that came among them."""
        best = np.argsort(-self.trained, kind="stable")[:SHOWN].tolist()
        return best if self.next in best else [*best[:-1], self.next]

    @property
    def facts(self) -> dict[str, str]:
        p, q = self.fresh[self.next], self.trained[self.next]
        passage, commonest = self.text.passage, self.text.commonest
        share = passage.count(commonest) / len(passage)
        return {
            "text": self.text.title,
            "V": str(len(self.symbols)),
            "place": seen(self.place),
            "next": key(self.symbols[self.next]),
            "nats_fresh": f"{-math.log(p):.3f}",
            "nats_trained": f"{-math.log(q):.3f}",
            "loss_fresh": f"{self.loss_fresh:.2f}",
            "loss_trained": f"{self.loss_trained:.2f}",
            "bits_trained": f"{in_bits(self.loss_trained):.2f}",
            "perplexity": f"{math.exp(self.loss_trained):.1f}",
            "perplexity_fresh": f"{math.exp(self.loss_fresh):.1f}",
            "steps": str(STEPS),
            "uniform": f"{math.log(len(self.symbols)):.3f}",
            "length": str(len(passage)),
            "commonest": key(commonest),
            "times": str(passage.count(commonest)),
            "share": f"{share:.3f}",
            "answer": f"{-math.log(share):.4f}",
        }


@cache
def trained_network(text: LessonText) -> tuple[Network, Losses]:
    """A GRU of 32 units after 300 steps on the passage, and its predictions before and after."""
    network = make_network("gru", H, len(text.vocabulary))
    place = text.line[:-BEFORE_THE_END]
    after = text.passage[len(place)]

    def look() -> tuple[np.ndarray, float]:
        logits, _, _ = network.forward(text.column(place), network.zero_state(1))
        p = np.exp(log_softmax(logits[-1, 0]))
        x = text.column(text.passage)
        logits, _, _ = network.forward(x[:-1], network.zero_state(1))
        return p, float(cross_entropy(logits, x[1:]).mean())

    fresh, loss_fresh = look()
    losses = np.array(train(network, passes_over(text, STEPS), "adagrad", 0.1))
    curve = losses.reshape(-1, CHUNKS).mean(axis=1).tolist()
    trained, loss_trained = look()
    symbols = tuple(map(str, text.vocabulary.symbols))
    next_id = int(text.column(after)[0, 0])
    return network, Losses(text, place, next_id, symbols, fresh, trained, loss_fresh, loss_trained, curve)


def compute(text: LessonText) -> Losses:
    """Predictions of the network of this chapter and the one on temperature before and after training."""
    return trained_network(text)[1]
