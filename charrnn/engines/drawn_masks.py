"""The random numbers behind the masks of `charrnn.nn.masks`."""

import numpy as np

from charrnn.config import TrainConfig
from charrnn.nn.buffers import Array, Tensors
from charrnn.nn.masks import Masks


def rates(config: TrainConfig, params: Tensors) -> dict[str, float]:
    """The tensors whose weights are dropped, and at which rate."""
    found = {name: config.weight_drop for name in params if ".weight_hh_" in name}
    found["embedding.weight"] = config.embedding_dropout
    return {name: p for name, p in found.items() if p}


def draw(config: TrainConfig, params: Tensors, T: int, B: int, rng: np.random.Generator) -> Masks:
    """The masks of one chunk of T steps and B streams."""
    recurrent = [weight for name, weight in params.items() if ".weight_hh_" in name]
    H, dtype = recurrent[0].shape[1], recurrent[0].dtype

    def of_signal(p: float, *shape: int) -> Array:
        return (rng.random(shape, dtype) >= p) * dtype.type(1 / (1 - p))

    weights = {}
    for name, p in rates(config, params).items():
        rows, columns = params[name].shape
        weights[name] = _of_weights(rows, 1 if name == "embedding.weight" else columns, p, dtype, rng)
    inputs = None
    if config.input_dropout:
        inputs = of_signal(config.input_dropout, 1, B, params["embedding.weight"].shape[1])
    outputs = []
    if steps := config.masked_steps(T):
        outputs = [of_signal(config.dropout, steps, B, H) for _ in recurrent]
    return Masks(weights, inputs, outputs)


def _of_weights(rows: int, columns: int, p: float, dtype: np.dtype, rng: np.random.Generator) -> Array:
    """A mask made of 16 random bits per weight, a third of the time that floats take; p is rounded to them."""
    size, dropped = rows * columns, min(round(p * 2**16), 2**16 - 1)
    bits = rng.integers(2**64, size=-(-size // 4), dtype=np.uint64).astype("<u8", copy=False).view("<u2")
    kept = bits[:size].reshape(rows, columns) >= dropped
    return kept * dtype.type(2**16 / (2**16 - dropped))
