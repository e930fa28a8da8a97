"""Our tensors under the names and shapes of `torch.nn.RNN/GRU/LSTM`, as in the model file.

torch has two biases per gate, `bias_ih` and `bias_hh`, although one is enough. Ours is stored in `bias_ih`;
`bias_hh` is zero, except for the GRU's b_hn, to which the reset gate is applied. If a file from another program
uses both, they are added.
"""

from collections.abc import Mapping

import numpy as np

from charrnn.config import ModelConfig
from charrnn.nn.network import parameter_shapes


def shapes(config: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each tensor in a model file."""
    named: dict[str, tuple[int, ...]] = {}
    for name, shape in parameter_shapes(config, vocab_size).items():
        if ".bias_l" in name:
            named[name.replace(".bias_l", ".bias_ih_l")] = shape
            named[name.replace(".bias_l", ".bias_hh_l")] = shape
        elif ".bias_hn_l" not in name:
            named[name] = shape
    return named


def to_torch(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters of a network in torch's layout. Arrays that need no change are not copied."""
    tensors: dict[str, np.ndarray] = {}
    for name, value in params.items():
        if ".bias_l" in name:
            tensors[name.replace(".bias_l", ".bias_ih_l")] = value
            tensors[name.replace(".bias_l", ".bias_hh_l")] = np.zeros_like(value)
        elif ".bias_hn_l" in name:
            tensors[name.replace(".bias_hn_l", ".bias_hh_l")][-len(value) :] = value
        else:
            tensors[name] = value
    return tensors


def from_torch(tensors: Mapping[str, np.ndarray], params: Mapping[str, np.ndarray]) -> None:
    """Copy tensors in torch's layout into the parameters of a network."""
    for name, value in params.items():
        if ".bias_l" in name:
            bias_hh = tensors[name.replace(".bias_l", ".bias_hh_l")]
            value[...] = tensors[name.replace(".bias_l", ".bias_ih_l")]
            summed = len(bias_hh) - len(params.get(name.replace(".bias_l", ".bias_hn_l"), ()))
            value[:summed] += bias_hh[:summed]
        elif ".bias_hn_l" in name:
            value[...] = tensors[name.replace(".bias_hn_l", ".bias_hh_l")][-len(value) :]
        else:
            value[...] = tensors[name]
