"""Chapter 12: drawing characters, more or less boldly."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from charrnn.learn.characters import key, seen
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.losses import trained_network
from charrnn.learn.small import draw
from charrnn.sampling.sampler import next_distribution

TEMPERATURES = (0.2, 0.5, 1.0, 2.0)
LENGTH, SHOWN = 57, 6
LONGEST = 21  # characters of the place


@dataclass(frozen=True)
class Temperature:
    """place : what is read; after : how often each character follows it in the passage, the most frequent first
    p : (4, V), of the next character at each of TEMPERATURES; samples : a text drawn at each;
    greedy : always the most likely character"""

    text: LessonText
    place: str
    after: Counter[str]
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
    def followers(self) -> np.ndarray:
        """p of all characters together that follow the place in the passage, at each temperature, (4,)."""
        return self.p[:, [self.symbols.index(ch) for ch in self.after]].sum(axis=1)

    @property
    def facts(self) -> dict[str, str]:
        return {
            "length": str(len(self.text.passage)),
            "place": seen(self.place),
            "followed": _listed(self.after),
            "open": "yes" if len(self.after) > 1 else "",
            "known_cold": f"{self.followers[0]:.2f}",
            "known_hot": f"{self.followers[3]:.2f}",
            "bits_cold": f"{self.entropies[0]:.1f}",
            "bits_hot": f"{self.entropies[3]:.1f}",
            "greedy": seen(self.greedy),
        }


def _listed(after: Counter[str]) -> str:
    """ "b once and o twice": at most four, most frequent first."""
    often = {1: "once", 2: "twice"}
    shown = [f"{key(ch)} {often.get(n, f'{n} times')}" for ch, n in after.most_common(4)]
    rest = ["others"] if len(after) > 4 else []
    *first, last = shown + rest
    return f"{', '.join(first)} and {last}" if first else last


def compute(text: LessonText) -> Temperature:
    """The network of the chapter on the loss at four temperatures."""
    network = trained_network(text)[0]
    place, after = open_place(text.passage)
    logits, _, _ = network.forward(text.column(place), network.zero_state(1))
    p = np.stack([next_distribution(logits[-1, 0], T) for T in TEMPERATURES])
    texts = [draw(network, text.vocabulary, place, LENGTH, T) for T in (*TEMPERATURES, 0.0)]
    symbols = tuple(map(str, text.vocabulary.symbols))
    return Temperature(text, place, after, symbols, p, texts[:-1], texts[-1])


def open_place(passage: str) -> tuple[str, Counter[str]]:
    """The longest stretch that comes twice and goes on differently, the first of several; and what follows it.

    Where nothing goes on differently, the first character.
    """
    for length in range(LONGEST, 0, -1):
        followers: dict[str, Counter[str]] = {}
        for start in range(len(passage) - length):
            place = passage[start : start + length]
            followers.setdefault(place, Counter())[passage[start + length]] += 1
        for place, after in followers.items():
            if len(after) > 1:
                return place, after
    return passage[:1], Counter(after for before, after in pairwise(passage) if before == passage[0])
