"""Models to exchange, with random weights, and something for them to read."""

import numpy as np

from helpers.random_models import random_model

VOCAB = "\n !abcde"
T, B, H, E = 9, 3, 5, 4

CELLS = [("lstm", "tanh"), ("gru", "tanh"), ("rnn", "tanh"), ("rnn", "relu")]
SHAPES = [
    (cell, nonlinearity, layers, embedding)
    for cell, nonlinearity in CELLS
    for layers in (1, 3)
    for embedding in (0, E)
]


def exchanged_model(cell, nonlinearity="tanh", layers=1, embedding=0, dtype=np.float32):
    return random_model(
        VOCAB, dtype=dtype, cell=cell, nonlinearity=nonlinearity, layers=layers, hidden=H, embedding=embedding
    )


def random_reading(model):
    """Symbols (T, B) and a state (L, S, B, H) to read them from."""
    rng = np.random.default_rng(4)
    ids = rng.integers(len(model.vocab), size=(T, B))
    return ids, rng.normal(0, 0.5, model.network.state_shape(model.config, B)).astype(np.float32)
