"""Chapter 8: drawing characters, more or less boldly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.learn.losses import trained_network
from charrnn.learn.small import VOCABULARY, column, draw
from charrnn.sampling.sampler import next_distribution

TEMPERATURES = (0.2, 0.5, 1.0, 2.0)
PLACE = "she sells sea shells "
LENGTH, SHOWN = 57, 6


@dataclass(frozen=True)
class Temperature:
    """p : (4, V), of the next character after PLACE at each of TEMPERATURES; samples : a text drawn at each;
    greedy : always the most likely character"""

    symbols: tuple[str, ...]
    p: np.ndarray
    samples: Sequence[str]
    greedy: str

    @property
    def likeliest(self) -> list[int]:
        """The most likely symbols at T = 1, best first."""
        return np.argsort(-self.p[2], kind="stable")[:SHOWN].tolist()

    @property
    def entropies(self) -> list[float]:
        """The entropy of each p in bits: -Σ p log2 p."""
        return [float(-(p[p > 0] * np.log2(p[p > 0])).sum()) for p in self.p]

    @property
    def facts(self) -> dict[str, str]:
        return {
            "place": PLACE,
            "bits_cold": f"{self.entropies[0]:.1f}",
            "bits_hot": f"{self.entropies[3]:.1f}",
            "greedy": self.greedy.replace("\n", "↵"),
        }


def compute() -> Temperature:
    """The network of chapter 4 at four temperatures."""
    network = trained_network()[0]
    logits, _, _ = network.forward(column(PLACE), network.zero_state(1))
    p = np.stack([next_distribution(logits[-1, 0], T) for T in TEMPERATURES])
    texts = [draw(network, VOCABULARY, PLACE, LENGTH, T) for T in (*TEMPERATURES, 0.0)]
    return Temperature(tuple(map(str, VOCABULARY.symbols)), p, texts[:-1], texts[-1])
