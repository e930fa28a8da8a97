"""Some streams of a batch, taken forward and backward through the whole network by one thread."""

from collections.abc import Sequence

import numpy as np

from charrnn.config import ModelConfig
from charrnn.fast import layers
from charrnn.fast.cells import GRU, LSTM, RNN, Cell
from charrnn.fast.compiler import Program, zeros
from charrnn.fast.softmax import add_cross_entropy
from charrnn.fast.weights import Tensors, Weights, whole_vectors
from charrnn.nn.network import Network, views

FEW_SYMBOLS = 256  # up to here a row for each costs less than finding out which occur


def cell_of(config: ModelConfig) -> Cell:
    cells: dict[str, Cell] = {"lstm": LSTM(), "gru": GRU(), "rnn": RNN(config.nonlinearity)}
    return cells[config.cell]


class Layer:
    """The buffers and kernels of one layer."""

    def __init__(
        self, cell: Cell, weights: Weights, k: int, T: int, B: int, program: Program, by_row: bool, R: int
    ) -> None:
        H, dtype = weights.width, program.target.dtype
        own = layers.arrays(cell, T, B, H, R) | layers.backward_arrays(cell, T, B, H, R, by_row)
        shared = weights.layers[k]
        self.arrays = {
            name: shared[name] if name in shared else zeros(shape, np.int64 if name == "rows" else dtype)
            for name, shape in own.items()
        }
        forward = [self.arrays[name] for name in layers.arrays(cell, T, B, H, R)]
        both = [self.arrays[name] for name in own]
        self.forward = program.bind("forward", *forward)
        self.backward = program.bind("backward", *both)
        h, K = self.arrays["h"], cell.gates
        self.states = [self.arrays[name] for name in cell.states]
        self.h = h[1:].reshape(T * B, H)
        self.h_before = h[:-1].reshape(T * B, H)
        self.d_recurrent = self.arrays["a"].reshape(T * B, K * H)
        # ∂loss/∂(W_ih x) by blocks of gates: the GRU's third is not that of its W_hh h.
        self.d_input = [(slice(0, K * H), self.d_recurrent)]
        if "n" in self.arrays:
            n = self.arrays["n"].reshape(T * B, H)
            self.d_input = [(slice(0, 2 * H), self.d_recurrent[:, : 2 * H]), (slice(2 * H, 3 * H), n)]


class Programs:
    """The kernels for T steps of B streams, compiled."""

    def __init__(self, network: Network, width: int, T: int, B: int, batch: int) -> None:
        config, vocab_size, dtype = network.config, network.vocab_size, network.theta.dtype
        cell = cell_of(config)
        self.first, self.above = (Program(config.cell, config.nonlinearity, dtype=dtype) for _ in range(2))
        self.head = Program(batch, dtype=dtype)
        self.rows = vocab_size if vocab_size <= FEW_SYMBOLS else min(vocab_size, T * B)
        parts = [(self.first, self.rows, True)]
        if config.layers > 1:
            parts.append((self.above, T * B, False))
        for program, rows, by_row in parts:
            layers.add_forward(program, cell, T, B, width, rows)
            layers.add_backward(program, cell, T, B, width, rows, by_row)
            program.compile()
        add_cross_entropy(self.head, T * B, whole_vectors(vocab_size, self.head.target), 1 / batch)
        self.head.compile()


class Shard:
    """Streams `streams` of the batch.

    grad : flat, as `Network.grad`; overwritten by `step`
    """

    def __init__(
        self, network: Network, weights: Weights, programs: Programs, T: int, streams: slice, grad: np.ndarray
    ) -> None:
        config, V = network.config, network.vocab_size
        B, H, dtype = streams.stop - streams.start, weights.width, network.theta.dtype
        self.config, self.streams, self.weights = config, streams, weights
        cell = cell_of(config)
        self.x, self.y = zeros((T, B), np.int64), zeros((T, B), np.int64)
        self.layers = []
        for k in range(config.layers):
            program, rows = (programs.first, programs.rows) if k == 0 else (programs.above, T * B)
            self.layers.append(Layer(cell, weights, k, T, B, program, k == 0, rows))
            if k > 0:
                self.layers[k].arrays["rows"][...] = np.arange(T * B).reshape(T, B)
        first = self.layers[0].arrays
        self.fewer_rows = programs.rows < V  # the table has the rows of this chunk's symbols alone
        self.symbols = np.arange(V)
        if not self.fewer_rows:
            self.x = first["rows"]
        self.grad = grad
        named = views(grad, {name: value.shape for name, value in network.params.items()})
        self.grads = Tensors(network, named, weights.width, weights.head_width)
        self.dropped = [zeros((T * B, H), dtype) for _ in range(config.layers)]
        self.masks: Sequence[np.ndarray] | None = None
        self.logits = zeros((T * B, weights.head_width), dtype)
        self.losses = zeros(T * B, dtype)
        self.cross_entropy = programs.head.bind(
            "cross_entropy",
            self.logits,
            weights.tensors.wide["head.bias"],
            self.y,
            self.losses,
            self.grads.wide["head.bias"],
        )

    @property
    def state(self) -> np.ndarray:
        """The state after the last chunk, (L, S, B, H)."""
        H = self.config.hidden
        return np.stack([np.stack([array[-1, :, :H] for array in layer.states]) for layer in self.layers])

    @state.setter
    def state(self, value: np.ndarray) -> None:
        for layer, of_layer in zip(self.layers, value, strict=True):
            for array, state in zip(layer.states, of_layer, strict=True):
                array[-1, :, : self.config.hidden] = state

    def step(self) -> float:
        """One chunk, `self.x` to `self.y`: gradients into `grad`; returns the sum of the losses in nats."""
        self.forward()
        self.backward()
        self.grads.collect()
        return float(self.losses.sum(dtype=np.float64))

    def forward(self) -> None:
        below = self._table()
        for k, layer in enumerate(self.layers):
            if k > 0:
                table = layer.arrays["table"].reshape(len(below), -1)
                np.matmul(below, self.weights.tensors.matrix("weight_ih", k).T, out=table)
            layer.forward()
            below = layer.h
            if self.masks is not None:
                below = np.multiply(below, self.masks[k], out=self.dropped[k])
        np.matmul(below, self.weights.tensors.wide["head.weight"].T, out=self.logits)
        self.top = below

    def _table(self) -> np.ndarray:
        """W_ih x for each symbol, as rows of the first layer's table."""
        first, tensors = self.layers[0], self.weights.tensors
        table = first.arrays["table"]
        if self.fewer_rows:
            self.symbols, rows = np.unique(self.x, return_inverse=True)
            first.arrays["rows"][...] = rows.reshape(self.x.shape)
        table = table[: len(self.symbols)].reshape(len(self.symbols), -1)
        w_ih = tensors.matrix("weight_ih", 0)
        if self.config.embedding:
            np.matmul(tensors.wide["embedding.weight"][self.symbols], w_ih.T, out=table)
        elif self.fewer_rows:
            table[...] = w_ih.T[self.symbols]
        else:
            table[...] = w_ih.T
        return table

    def backward(self) -> None:
        grads, tensors = self.grads, self.weights.tensors
        self.cross_entropy()
        np.matmul(self.logits.T, self.top, out=grads.wide["head.weight"])
        H = self.weights.width
        dh = self.layers[-1].arrays["dh_out"].reshape(-1, H)
        np.matmul(self.logits, tensors.wide["head.weight"], out=dh)
        for k in reversed(range(len(self.layers))):
            layer = self.layers[k]
            if self.masks is not None:
                dh *= self.masks[k]
            layer.backward()
            np.matmul(layer.d_recurrent.T, layer.h_before, out=grads.matrix("weight_hh", k))
            grads.matrix("bias", k)[...] = layer.arrays["d_bias"].reshape(-1)
            if "d_bias_hn" in layer.arrays:
                grads.matrix("bias_hn", k)[...] = layer.arrays["d_bias_hn"]
            if k > 0:
                below = self.dropped[k - 1] if self.masks is not None else self.layers[k - 1].h
                dh = self.layers[k - 1].arrays["dh_out"].reshape(-1, H)
                w_ih, d_w_ih = tensors.matrix("weight_ih", k), grads.matrix("weight_ih", k)
                for i, (gates, da) in enumerate(layer.d_input):
                    np.matmul(da.T, below, out=d_w_ih[gates])
                    if i == 0:
                        np.matmul(da, w_ih[gates], out=dh)
                    else:
                        dh += da @ w_ih[gates]
            else:
                self._backward_table()

    def _backward_table(self) -> None:
        tensors, grads, count = self.weights.tensors, self.grads, len(self.symbols)
        d_table = self.layers[0].arrays["d_table"][:count].reshape(count, -1)
        d_w_ih = grads.matrix("weight_ih", 0)
        if self.config.embedding:
            embedding = tensors.wide["embedding.weight"][self.symbols]
            np.matmul(d_table.T, embedding, out=d_w_ih)
            d_embedding = grads.wide["embedding.weight"]
            if self.fewer_rows:
                d_embedding[...] = 0
            d_embedding[self.symbols] = d_table @ tensors.matrix("weight_ih", 0)
        elif self.fewer_rows:
            d_w_ih[...] = 0
            d_w_ih[:, self.symbols] = d_table.T
        else:
            d_w_ih[...] = d_table.T
