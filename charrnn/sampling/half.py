"""Weights of half size: the large matrices as bfloat16, which has the range of float32 and 8 of its 24 bits.

Sampling one text from a large model takes as long as reading its weights. The matrices between cells and the head are
rounded; biases, the embedding and the matrix of the first layer, of which each symbol reads one row, are kept.
"""

from typing import TYPE_CHECKING

import numpy as np

from charrnn.model.model import Model, plain_copy
from charrnn.nn.loss import log_softmax

if TYPE_CHECKING:
    from charrnn.sampling.sampler import Sampler

TEXTS, LENGTH = 16, 64  # drawn to measure what the rounding costs


def rounded(model: Model) -> Model:
    """The same model with its large matrices rounded to bfloat16."""
    network = plain_copy(model.network)
    for name, tensor in network.params.items():
        if name == "head.weight" or "weight_hh" in name or ("weight_ih" in name and not name.endswith("_l0")):
            tensor[...] = to_bfloat16(tensor)
    return Model.of_network(network, model.vocab, model.training)


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """The nearest numbers with 8 bits of precision, in float32; of two that are equally near the even one."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    last = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + last) & np.uint32(0xFFFF0000)).view(np.float32)


def cost_nats(sampler: "Sampler") -> float:
    """How many nats per character the rounded weights of a sampler lose.

    The mean of Σ p log(p / q) over TEXTS texts of LENGTH characters that the models as they are write at temperature
    1; p is their distribution, and q that of the rounded ones.
    """
    from charrnn.sampling.sampler import generators, reader, uniform

    texts = sampler.of(range(TEXTS), [1.0] * TEXTS)
    *before, symbols = (np.broadcast_to(symbol, TEXTS) for symbol in texts.begins())
    as_they_are, with_half = (
        reader(models, before, TEXTS, sampler.clamps) for models in (sampler.given_models, sampler.models)
    )
    lost, count = 0.0, 0
    running = np.ones(TEXTS, bool)
    for u in uniform(generators(texts.seeds), LENGTH):
        log_p, log_q = (log_softmax(step(symbols).T.astype(np.float64)) for step in (as_they_are, with_half))
        p = np.exp(log_p)
        lost += float((p * (log_p - log_q)).sum(axis=1)[running].sum())
        count += int(running.sum())
        symbols = (np.cumsum(p, axis=1) < u[:, None] * p.sum(axis=1, keepdims=True)).sum(axis=1)
        symbols = np.minimum(symbols, p.shape[1] - 1)
        running &= symbols != (-1 if texts.end is None else texts.end)
        if not running.any():
            break
    return lost / count
