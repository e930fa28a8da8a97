"""Masks: random zeros in weights and signals while training, so that nothing comes to rely on a few cells.

m = 1/(1-p) with probability 1-p, else 0      its mean is 1: reading needs no mask

dropout            h'_l[t] = m[t] ∘ h_l[t]    another m at each step (Srivastava et al. 2014); not on the way
                                              to the next step (Zaremba et al. 2014)
locked dropout     h'_l[t] = m ∘ h_l[t]       one m for all steps of a chunk (Gal and Ghahramani 2016)
weight drop        W'_hh = m ∘ W_hh           one m for all steps and streams of a chunk: DropConnect (Wan et
                                              al. 2013) on the recurrent weights (Merity et al. 2018)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from charrnn.config import TrainConfig
from charrnn.nn.buffers import Array, Tensors


@dataclass(frozen=True)
class Masks:
    """What a chunk's weights and signals are multiplied by; what has no mask stays as it is."""

    weights: Mapping[str, Array] = field(default_factory=dict)  # by name: (K H, H), of the embedding (V, 1)
    inputs: Array | None = None  # on the embedded symbols, (1, B, E)
    outputs: Sequence[Array] = ()  # on what each layer puts out, (T, B, H), or (1, B, H) for all steps

    def of_streams(self, streams: slice) -> "Masks":
        """The masks of a part of the batch; those of weights are the same for all of it."""
        inputs = None if self.inputs is None else self.inputs[:, streams]
        return Masks(self.weights, inputs, [mask[:, streams] for mask in self.outputs])


def rates(config: TrainConfig, params: Tensors) -> dict[str, float]:
    """The tensors whose weights are dropped, and at which rate."""
    found = {name: config.weight_drop for name in params if ".weight_hh_" in name}
    found["embedding.weight"] = config.embedding_dropout
    return {name: p for name, p in found.items() if p}


def steps_masked(config: TrainConfig, T: int) -> int:
    """How many masks of outputs there are for a chunk of T steps: none, one for all steps, or T."""
    return 0 if not config.dropout else 1 if config.dropout_kind == "locked" else T


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
    if steps := steps_masked(config, T):
        outputs = [of_signal(config.dropout, steps, B, H) for _ in recurrent]
    return Masks(weights, inputs, outputs)


def _of_weights(rows: int, columns: int, p: float, dtype: np.dtype, rng: np.random.Generator) -> Array:
    """A mask made of 16 random bits per weight, a third of the time that floats take; p is rounded to them."""
    size, dropped = rows * columns, min(round(p * 2**16), 2**16 - 1)
    bits = rng.integers(2**64, size=-(-size // 4), dtype=np.uint64).astype("<u8", copy=False).view("<u2")
    kept = bits[:size].reshape(rows, columns) >= dropped
    return kept * dtype.type(2**16 / (2**16 - dropped))
