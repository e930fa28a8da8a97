"""Models of items with random weights."""

from typing import Any

import numpy as np

from charrnn.model.model import Model
from charrnn.nn.loss import NEVER
from charrnn.text.vocabulary import ItemSymbols, Vocabulary
from helpers.random_models import random_model

Labels = tuple[tuple[str, tuple[str, ...]], ...]


def item_model(
    characters: str,
    labels: Labels = (),
    *,
    pairs: bool = False,
    training: dict[str, Any] | None = None,
    **rest: Any,
) -> Model:
    """A model of items of these characters. As after training, what is only read has probability zero."""
    vocab = Vocabulary("char", tuple(sorted(characters)), ItemSymbols(pairs, labels))
    model = random_model(vocab, training, **rest)
    model.network.params["head.bias"][vocab.unwritten] = NEVER
    return model


def log_p(model: Model, before: list[int], symbols: list[int]) -> np.ndarray:
    """log p of each of some symbols that follow others, as the network's equations have it."""
    logits, _ = model.logits(np.array([*before, *symbols])[:, None])
    each = logits[:, 0] - logits[:, 0].max(axis=1, keepdims=True)
    each -= np.log(np.exp(each).sum(axis=1, keepdims=True))
    return np.array([each[len(before) - 1 + k, symbol] for k, symbol in enumerate(symbols)])
