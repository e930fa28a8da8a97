"""A model with one cell that remembers, and texts whose label is what it remembers."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model.model import Model
from helpers.random_models import random_model

SYMBOLS = "\n abcdexy"
H, LATCH = 8, 5


def latch_model() -> Model:
    """Cell 5 is high after an x and low after a y, however long ago; all else forgets within a few symbols."""
    weights = random_model(SYMBOLS, cell="rnn", layers=1).weights
    weights["rnn.weight_hh_l0"][...] *= 0.3
    weights["rnn.weight_hh_l0"][LATCH] = weights["rnn.weight_hh_l0"][:, LATCH] = 0
    weights["rnn.weight_hh_l0"][LATCH, LATCH] = 2
    weights["rnn.weight_ih_l0"][LATCH] = 0
    weights["rnn.weight_ih_l0"][LATCH, [SYMBOLS.index("x"), SYMBOLS.index("y")]] = 6, -6
    weights["rnn.bias_ih_l0"][LATCH] = weights["rnn.bias_hh_l0"][LATCH] = 0
    return Model(ModelConfig(cell="rnn", layers=1, hidden=H), SYMBOLS, weights)


def latch_texts(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """x and y once each among other letters, both far from the end; the label is which came last."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        letters = rng.choice(list("abcde "), rng.integers(35, 70))
        first, second = np.sort(rng.choice(20, 2, replace=False))
        last = rng.choice(["x", "y"])
        letters[first], letters[second] = "y" if last == "x" else "x", last
        texts.append("".join(letters))
        labels.append(f"ends {last}")
    return texts, labels


def encoded(model: Model, texts: list[str]) -> list[np.ndarray]:
    return [model.vocab.encode(text) for text in texts]
