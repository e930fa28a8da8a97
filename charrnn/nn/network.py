"""The whole network: symbols -> (embedding) -> recurrent layers -> softmax head.

    x[t] = one-hot of the symbol, or row `symbol` of the embedding
    h_0[t] = cell(x[t]);  h_l[t] = cell(dropout(h_{l-1}[t]))
    logits[t] = W dropout(h_{L-1}[t]) + b

The masks of dropout and its kin are arguments: masks.py has their equations.

All parameters are views of one flat array `theta`, all gradients of `grad`, so that clipping and
the optimiser are single passes over memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.nn import gru, linear, lstm, rnn
from charrnn.nn.buffers import Array, Buffers, Tensors, flat
from charrnn.nn.loss import cross_entropy
from charrnn.nn.masks import Masks

SHAPES_KEPT = 4  # (T, B) whose buffers are kept: training has one, validation a few
CELL_MODULES: dict[str, ModuleType] = {"rnn": rnn, "gru": gru, "lstm": lstm}


def parameter_shapes(config: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each trainable tensor, in the order of the flat buffer.

    Names are torch's, but for the biases: `bias_l0` for the one trainable bias a gate, and the
    GRU's `bias_hn_l0`.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    if config.embedding:
        shapes["embedding.weight"] = (vocab_size, config.embedding)
    inputs = config.embedding or vocab_size
    for layer in range(config.layers):
        for name, shape in CELL_MODULES[config.cell].parameter_shapes(inputs, config.hidden).items():
            shapes[f"{config.cell}.{name}_l{layer}"] = shape
        inputs = config.hidden
    shapes["head.weight"] = (vocab_size, config.hidden)
    shapes["head.bias"] = (vocab_size,)
    return shapes


def views(flat: Array, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Cut a flat array into named arrays that share its memory."""
    named, start = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        named[name] = flat[start : start + size].reshape(shape)
        start += size
    return named


@dataclass(frozen=True)
class Clamp:
    """Hold the signal of some cells of one layer at given values, at every step.

    The signal is tanh(c) for the LSTM, h for RNN and GRU. mask, values : (B, H); the values of
    an LSTM lie strictly between -1 and 1. Layers above feel it in the same step.
    """

    layer: int
    mask: Array
    values: Array

    def hold(self, cell: str) -> tuple[Array, Array]:
        """The mask, and the values the state is held at: arctanh(values) for the LSTM's c."""
        return self.mask, np.arctanh(self.values) if cell == "lstm" else self.values


@dataclass(frozen=True)
class Trace:
    """What `Network.forward` leaves for `backward`, and for those who look at cells."""

    x: Array
    layers: list[dict[str, Array]]  # arrays (T, B, …) of each layer, by the letters of its equations
    masks: Masks
    params: Tensors  # with their masks
    top: Array  # (T, B, H), what the head saw


class Network:
    """The parameters, their gradients, and the two passes. Hidden state is passed in and returned."""

    streams_at_once = 64  # a long text is best read as so many

    def __init__(self, config: ModelConfig, vocab_size: int, dtype: np.typing.DTypeLike = np.float32) -> None:
        self.config = config
        self.vocab_size = vocab_size
        self.cell = CELL_MODULES[config.cell]
        shapes, size = parameter_shapes(config, vocab_size), self.size(config, vocab_size)
        self.theta = flat(size, dtype)
        self.grad = flat(size, dtype)
        self.params = views(self.theta, shapes)
        self.grads = views(self.grad, shapes)
        self.options = {"nonlinearity": config.nonlinearity} if config.cell == "rnn" else {}
        self._buffers: dict[tuple[int, int], list[Buffers]] = {}

    @staticmethod
    def size(config: ModelConfig, vocab_size: int) -> int:
        """How many numbers the parameters are."""
        return sum(math.prod(shape) for shape in parameter_shapes(config, vocab_size).values())

    @staticmethod
    def state_shape(config: ModelConfig, batch: int) -> tuple[int, int, int, int]:
        """(L, S, B, H)."""
        return config.layers, len(CELL_MODULES[config.cell].STATES), batch, config.hidden

    def spans(self) -> dict[str, tuple[int, int]]:
        """Where each tensor lies in `theta`: name -> (start, stop)."""
        stops = np.cumsum([value.size for value in self.params.values()]).tolist()
        return dict(zip(self.params, pairwise([0, *stops]), strict=True))

    def layer(self, arrays: Tensors, layer: int) -> dict[str, Array]:
        """The tensors of one layer under their bare names: `weight_ih`, `weight_hh`, `bias`, …"""
        prefix, suffix = f"{self.config.cell}.", f"_l{layer}"
        bare = self.cell.parameter_shapes(1, 1)
        return {name: arrays[prefix + name + suffix] for name in bare}

    def _buffers_for(self, T: int, B: int) -> list[Buffers]:
        """One set a layer and one for the rest; those of the shapes used longest ago are given up."""
        buffers = self._buffers.pop((T, B), None) or [Buffers() for _ in range(self.config.layers + 1)]
        self._buffers[T, B] = buffers  # now the newest
        if len(self._buffers) > SHAPES_KEPT:
            del self._buffers[next(iter(self._buffers))]
        return buffers

    def zero_state(self, batch: int) -> Array:
        """The state before any text: zeros of shape (L, S, B, H)."""
        return np.zeros(self.state_shape(self.config, batch), self.theta.dtype)

    def forward(
        self,
        x: Array,
        state: Array,
        *,
        clamp: Clamp | Sequence[Clamp] | None = None,
        masks: Masks | None = None,
    ) -> tuple[Array, Array, Trace]:
        """Run a chunk.

        x : symbols (T, B), or real vectors (T, B, F) in place of what the first layer reads of them:
            one-hot vectors (F = V), or rows of the embedding (F = E)
        state : (L, S, B, H)
        clamp : what to hold, at most one clamp per layer
        masks : of this chunk; None for reading, which has none

        Returns logits (T, B, V), the state after the chunk (L, S, B, H), and the trace. Logits and
        trace are buffers: the next call with this T and B overwrites them.
        """
        T, B = x.shape[:2]
        dtype, config = self.theta.dtype, self.config
        *buffers, rest = self._buffers_for(T, B)
        clamps = (clamp,) if isinstance(clamp, Clamp) else clamp or ()
        below, layers, masks = x, [], masks or Masks()
        params = self.params | {name: self.params[name] * mask for name, mask in masks.weights.items()}
        if config.embedding and x.ndim == 2:
            below = params["embedding.weight"][x]
            if masks.inputs is not None:
                below *= masks.inputs
        new_state = np.empty_like(state)
        for k in range(config.layers):
            hold = next((one.hold(config.cell) for one in clamps if one.layer == k), None)
            own = self.layer(params, k)
            trace = self.cell.forward(below, state[k], own, buffers[k], hold=hold, **self.options)
            new_state[k] = [trace[name][-1] for name in self.cell.STATES]
            layers.append(trace)
            below = trace["h"]
            if masks.outputs:
                below = below * masks.outputs[k]
        weight, bias = params["head.weight"][None], params["head.bias"][None]  # one block
        (logits,) = linear.forward(below, weight, bias, out=rest("logits", (1, T, B, self.vocab_size), dtype))
        return logits, new_state, Trace(x, layers, masks, params, below)

    def read(
        self, x: Array, state: Array, clamp: Clamp | Sequence[Clamp] | None = None
    ) -> tuple[Array, Array]:
        """`forward` for those who want no trace: x (T, B), state (L, S, B, H) -> logits and the state after."""
        return self.forward(x, state, clamp=clamp)[:2]

    def losses(
        self, x: Array, targets: Array, state: Array, temperatures: Sequence[float] = (1.0,)
    ) -> tuple[Array, Array]:
        """-log p of the targets (T, B) at each of K temperatures, in nats, (K, T, B), and the state after."""
        logits, state = self.read(x, state)
        return np.array([cross_entropy(logits / one, targets) for one in temperatures]), state

    def record(self, x: Array, state: Array, letters: Sequence[str]) -> tuple[list[dict[str, Array]], Array]:
        """What each layer has at each step, (T, B, H) by the letters of its equations, and the state after.

        The arrays are buffers: the next call may overwrite them.
        """
        _, state, trace = self.forward(x, state)
        return [{letter: layer[letter] for letter in letters} for layer in trace.layers], state

    def backward(
        self, trace: Trace, d_logits: Array, d_state: Array | None = None, *, dh_top: Array | None = None
    ) -> tuple[Array, Array | None]:
        """Backward through the chunk of `trace`, run without a clamp; overwrites every array of `grads`.

        d_logits : (T, B, V), ∂loss/∂logits; d_state : (L, S, B, H), ∂loss/∂(state after the chunk)
        dh_top : (T, B, H), what penalties add to ∂loss/∂h[t] of the last layer, before its dropout
        Returns ∂loss/∂(state before) (L, S, B, H), and ∂loss/∂x (T, B, F) when x was real, else None.
        """
        (T, B), H, dtype, config = trace.x.shape[:2], self.config.hidden, self.theta.dtype, self.config
        *buffers, rest = self._buffers[T, B]
        d_state = self.zero_state(B) if d_state is None else d_state
        d_state0 = np.empty_like(d_state)
        dh: Any = rest("dh", (T, B, H), dtype)  # None below symbols
        weight, d_weight = trace.params["head.weight"][None], self.grads["head.weight"][None]
        linear.backward(trace.top, weight, d_logits[None], d_weight, self.grads["head.bias"][None], dh)
        for k in reversed(range(config.layers)):
            if trace.masks.outputs:
                dh *= trace.masks.outputs[k]
            if dh_top is not None and k == config.layers - 1:
                dh += dh_top
            x = trace.layers[k]["x"]
            dx = buffers[k]("dx", x.shape, dtype) if x.ndim == 3 else None
            params, grads = self.layer(trace.params, k), self.layer(self.grads, k)
            d_state0[k] = self.cell.backward(
                trace.layers[k], dh, d_state[k], params, grads, buffers[k], dx=dx, **self.options
            )
            dh = dx
        if config.embedding and trace.x.ndim == 3:
            self.grads["embedding.weight"][...] = 0
        elif config.embedding:
            if trace.masks.inputs is not None:
                dh *= trace.masks.inputs
            d_embedding = self.grads["embedding.weight"][None]
            linear.sum_by_symbol(trace.x.ravel(), dh.reshape(1, T * B, -1), d_embedding)
            dh = None
        for name, mask in trace.masks.weights.items():
            self.grads[name] *= mask
        return d_state0, dh
