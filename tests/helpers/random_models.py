"""Models with random weights."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from charrnn.config import ModelConfig
from charrnn.model import torch_layout
from charrnn.model.model import Model
from charrnn.nn.network import Network
from charrnn.text.vocabulary import Vocabulary


def random_network(
    config: ModelConfig, vocab_size: int, *, scale: float = 0.5, seed: int = 1, dtype: DTypeLike = np.float64
) -> Network:
    """A network all of whose numbers are random: no bias is zero, no two gates are alike."""
    network = Network(config, vocab_size, dtype)
    network.theta[...] = np.random.default_rng(seed).normal(0, scale, network.theta.size)
    return network


def random_model(
    vocab: str | Vocabulary,
    training: dict[str, Any] | None = None,
    *,
    scale: float = 0.6,
    seed: int = 1,
    dtype: DTypeLike = np.float64,
    **config: Any,
) -> Model:
    """A model all of whose numbers are random: no bias is zero, no two gates are alike.

    vocab : or a text with its characters
    training : the record of its training
    config : fields of ModelConfig; 2 layers of 8 cells unless it says otherwise
    """
    shape = ModelConfig(**{"hidden": 8, "layers": 2, **config})
    rng = np.random.default_rng(seed)
    vocabulary = vocab if isinstance(vocab, Vocabulary) else Vocabulary.of(vocab)
    shapes = torch_layout.shapes(shape, len(vocabulary))
    weights = {name: rng.normal(0, scale, size).astype(dtype) for name, size in shapes.items()}
    return Model(shape, vocabulary, weights, training)
