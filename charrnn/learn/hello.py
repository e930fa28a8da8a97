"""Chapter 4: the whole network unrolled over one word, with letters, logits and targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.learn.small import make_network, train
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Network
from charrnn.text.vocabulary import Vocabulary

WORD = "hello"
VOCABULARY = Vocabulary.of(WORD)
H, STEPS, LR = 3, 40, 0.3


@dataclass(frozen=True)
class Unrolled:
    """The network at each of T steps. h : (T, H); logits, p : (T, V)"""

    h: np.ndarray
    logits: np.ndarray
    p: np.ndarray

    @classmethod
    def of(cls, network: Network) -> "Unrolled":
        """The network over WORD without its last letter."""
        logits, _, trace = network.forward(inputs()[:, None], network.zero_state(1))
        return cls(trace.layers[0]["h"][:, 0].copy(), logits[:, 0].copy(), np.exp(log_softmax(logits[:, 0])))

    @property
    def p_targets(self) -> np.ndarray:
        """p of the target at each step, (T,)."""
        return self.p[np.arange(len(self.p)), targets()]


@dataclass(frozen=True)
class Hello:
    """fresh, trained : the network before and after `losses` (STEPS of them)"""

    fresh: Unrolled
    trained: Unrolled
    losses: Sequence[float]

    @property
    def facts(self) -> dict[str, str]:
        first, second = (k for k, ch in enumerate(WORD[:-1]) if ch == "l")
        names = [str(symbol) for symbol in VOCABULARY.symbols]
        return {
            "word": WORD,
            "V": str(len(VOCABULARY)),
            "H": str(H),
            "T": str(len(WORD) - 1),
            "p_fresh": f"{self.fresh.p_targets[0]:.2f}",
            "steps": str(STEPS),
            "loss_fresh": f"{self.losses[0]:.2f}",
            "loss_trained": f"{self.losses[-1]:.2f}",
            "p_l": f"{self.trained.p[first][names.index('l')]:.2f}",
            "p_o": f"{self.trained.p[second][names.index('o')]:.2f}",
            "h_first": _listed(self.trained.h[first]),
            "h_second": _listed(self.trained.h[second]),
        }


def inputs() -> np.ndarray:
    """The ids that are read, (T,)."""
    return VOCABULARY.encode(WORD[:-1]).astype(np.intp)


def targets() -> np.ndarray:
    """The ids that come next, (T,)."""
    return VOCABULARY.encode(WORD[1:]).astype(np.intp)


def compute() -> Hello:
    """A fresh network over the word, a training on it alone, and the network over the word again."""
    network = make_network("rnn", H, seed=4, vocab_size=len(VOCABULARY))
    fresh = Unrolled.of(network)
    chunk = inputs()[:, None], targets()[:, None], True
    losses = train(network, [chunk] * STEPS, "adagrad", LR)
    return Hello(fresh, Unrolled.of(network), losses)


def _listed(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.2f}" for value in values) + "]"
