"""The tensors of a network, padded to the widths of the kernels and packed for the recurrent products.

Kernels work on whole vectors. If the number of cells or symbols is not a multiple of the lanes, the tensors are copied
into wider ones. Padding cells have zero weights and therefore no effect; padding symbols have a bias of NEVER and
therefore probability zero.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from charrnn.fast import layers
from charrnn.fast.cells import Cell
from charrnn.fast.compiler import Program, zeros
from charrnn.fast.ir import Target
from charrnn.nn.loss import NEVER
from charrnn.nn.masks import Masks
from charrnn.nn.network import Network


def whole_vectors(size: int, target: Target) -> int:
    """`size` rounded up to a multiple of the lanes."""
    return -(-size // target.lanes) * target.lanes


class Tensors:
    """Views or copies of the network's parameters, by name, with H and V rounded up.

    wide : name -> array; the weights of layers are (K·H, F) with H rounded up
    """

    def __init__(self, network: Network, named: Mapping[str, np.ndarray], H: int, V: int) -> None:
        self._network = network
        self._copied: list[tuple[np.ndarray, np.ndarray]] = []
        self.wide: dict[str, np.ndarray] = {}
        h = network.config.hidden
        for name, array in named.items():
            if name.startswith("head"):
                narrow, wide = array, (V, H)[: array.ndim]
            elif name == "embedding.weight":
                narrow, wide = array, array.shape
            else:
                narrow = array.reshape(-1, h, *array.shape[1:])  # (K, h) or (K, h, F)
                inputs = (H if _is_from_below(name) else array.shape[1],) if array.ndim == 2 else ()
                wide = (len(narrow), H, *inputs)
            if narrow.shape == wide:
                self.wide[name] = array
                continue
            copy = zeros(wide, array.dtype)
            if name == "head.bias":
                copy[...] = NEVER
            self._copied.append((narrow, copy[tuple(map(slice, narrow.shape))]))
            self.wide[name] = copy.reshape(-1, *wide[2:]) if len(wide) > array.ndim else copy

    def matrix(self, bare: str, layer: int) -> np.ndarray:
        """A layer's tensor by its name without the prefix."""
        return self.wide[f"{self._network.config.cell}.{bare}_l{layer}"]

    def spread(self) -> None:
        """Update the copies from the network's arrays."""
        for narrow, wide in self._copied:
            wide[...] = narrow

    def collect(self) -> None:
        """Update the network's arrays from the copies."""
        for narrow, wide in self._copied:
            narrow[...] = wide


def _is_from_below(name: str) -> bool:
    """Whether a layer's matrix multiplies cells, whose number is rounded up, rather than symbols."""
    return "weight_hh" in name or not name.endswith("_l0")


class Weights:
    """The weights shared by all shards.

    masks : by name, of the tensors that `mask` was called for, in their wide shapes, of the embedding (V, 1)
    embedding : the tensor, masked if it has a mask; None without one
    """

    def __init__(self, network: Network, cell: Cell) -> None:
        program = Program(dtype=network.theta.dtype)
        target = program.target
        self.width = whole_vectors(network.config.hidden, target)
        self.head_width = whole_vectors(network.vocab_size, target)
        self.tensors = Tensors(network, network.params, self.width, self.head_width)
        layers.add_packing(program, cell, self.width)
        program.compile()
        size = cell.gates * self.width**2
        self._network, self._program = network, program
        self.masks: dict[str, np.ndarray] = {}
        self.embedding = self.tensors.wide.get("embedding.weight")
        self.layers: list[dict[str, np.ndarray]] = []
        self.tasks: list[Callable[[], Any]] = []
        for k in range(network.config.layers):
            shared = {name: zeros(size, target.dtype) for name in ("packed", "packed_back")}
            self.tasks.append(self._packing(self.tensors.matrix("weight_hh", k), shared))
            for name in ("bias", "bias_hn"):
                if name in network.cell.parameter_shapes(1, 1):
                    shared[name] = self.tensors.matrix(name, k)
            self.layers.append(shared)

    def _packing(self, weight: np.ndarray, shared: dict[str, np.ndarray]) -> Callable[[], Any]:
        return self._program.bind("pack", weight, shared["packed"], shared["packed_back"])

    def mask(self, names: Iterable[str]) -> None:
        """From here on these tensors are used with the masks of each step."""
        for name in names:
            weight = self.tensors.wide[name]
            masked = zeros(weight.shape, weight.dtype)
            if name == "embedding.weight":
                mask, self.embedding = zeros((len(weight), 1), weight.dtype), masked
                self.tasks.append(partial(np.multiply, weight, mask, out=masked))
            else:
                mask, k = zeros(weight.shape, weight.dtype), int(name.rpartition("_l")[2])
                pack = self._packing(masked, self.layers[k])
                self.tasks[k] = partial(_mask_and_pack, weight, mask, masked, pack)
            self.masks[name] = mask

    def refresh(self, masks: Masks, run: Callable[[Sequence[Callable[[], Any]]], Any]) -> None:
        """Update from θ, with the masks of a training step. run : runs calls, in whatever order"""
        self.tensors.spread()
        h, H = self._network.config.hidden, self.width
        for name, mask in self.masks.items():
            if name not in masks.weights:
                mask[...] = 1
            elif name == "embedding.weight":
                mask[...] = masks.weights[name]
            else:
                mask.reshape(-1, H, H)[:, :h, :h] = masks.weights[name].reshape(-1, h, h)
        run(self.tasks)


def _mask_and_pack(weight: np.ndarray, mask: np.ndarray, masked: np.ndarray, pack: Callable[[], Any]) -> None:
    np.multiply(weight, mask, out=masked)
    pack()
