"""Masks: random zeros in weights and signals while training, so that nothing comes to rely on a few cells.

m = 1/(1-p) with probability 1-p, else 0      its mean is 1: reading needs no mask

dropout            h'_l[t] = m[t] ∘ h_l[t]    another m at each step (Srivastava et al. 2014), on the way up only
locked dropout     h'_l[t] = m ∘ h_l[t]       one m for all steps of a chunk (Gal and Ghahramani 2016)
input dropout      x'[t] = m ∘ x[t]           the same on the embedded symbols
embedding dropout  E'[s] = m[s] E[s]          one number per symbol s, for all its places in a chunk
weight drop        W'_hh = m ∘ W_hh           one m for a chunk: DropConnect (Wan et al. 2013; Merity et al. 2018)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from charrnn.nn.buffers import Array


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
