"""Small networks and chunks of made-up symbols for the tests of charrnn.nn."""

from dataclasses import dataclass

import numpy as np
import pytest

from charrnn.config import ModelConfig
from helpers.random_models import random_network

VOCAB = 5
CELLS = [
    pytest.param("rnn", "tanh", id="rnn-tanh"),
    pytest.param("rnn", "relu", id="rnn-relu"),
    pytest.param("gru", "tanh", id="gru"),
    pytest.param("lstm", "tanh", id="lstm"),
]


@dataclass
class Chunk:
    x: np.ndarray  # (T, B) symbols
    x_real: np.ndarray  # (T, B, V)
    targets: np.ndarray  # (T, B)
    state: np.ndarray  # (L, S, B, H), before the chunk
    d_state: np.ndarray  # ∂loss/∂(state after the chunk)


def make_network(
    cell, nonlinearity="tanh", layers=1, embedding=0, hidden=4, seed=0, scale=0.7, dtype=np.float64
):
    """A small network with random numbers."""
    config = ModelConfig(cell, layers, hidden, embedding, nonlinearity)
    return random_network(config, VOCAB, scale=scale, seed=seed, dtype=dtype)


def make_chunk(network, T, B=2, seed=1):
    rng = np.random.default_rng(seed)
    shape = network.zero_state(B).shape
    return Chunk(
        x=rng.integers(0, VOCAB, (T, B)),
        x_real=rng.standard_normal((T, B, VOCAB)),
        targets=rng.integers(0, VOCAB, (T, B)),
        state=rng.standard_normal(shape),
        d_state=rng.standard_normal(shape),
    )
