"""The part of a batch that one thread takes forward and backward through the whole network."""

from collections.abc import Iterable

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.fast import layers
from charrnn.fast.cells import GRU, LSTM, RNN, Cell
from charrnn.fast.compiler import Program, zeros
from charrnn.fast.softmax import add_cross_entropy
from charrnn.fast.weights import Tensors, Weights, whole_vectors
from charrnn.nn.linear import sum_by_symbol
from charrnn.nn.masks import Masks
from charrnn.nn.network import Network, views
from charrnn.nn.penalties import activation_gradient

FEW_SYMBOLS = 256  # up to this many, a row for each symbol is cheaper than finding the symbols that occur


def cell_of(config: ModelConfig) -> Cell:
    cells: dict[str, Cell] = {"lstm": LSTM(), "gru": GRU(), "rnn": RNN(config.nonlinearity)}
    return cells[config.cell]


class Layer:
    """The buffers and kernels of one layer.

    steps : (1,), of the chunk at hand; the layers of a network have it in common
    """

    def __init__(self, programs: "Programs", weights: Weights, k: int, steps: np.ndarray) -> None:
        cell, T, B, H = programs.cell, programs.T, programs.B, weights.width
        program, R, by_row = programs.of_layer(k)
        forward, backward = layers.arrays(cell, T, B, H, R), layers.backward_arrays(cell, T, B, H, R, by_row)
        shared, dtype = {"steps": steps, **weights.layers[k]}, program.target.dtype
        self.arrays = {
            name: shared[name] if name in shared else zeros(shape, np.int64 if name == "rows" else dtype)
            for name, shape in {**forward, **backward}.items()
        }
        self.forward = program.bind("forward", *(self.arrays[name] for name in forward))
        self.backward = program.bind("backward", *self.arrays.values())
        self.states = [self.arrays[name] for name in cell.states]
        self.begin(T)

    def begin(self, steps: int) -> None:
        """See `Shard.begin`. The views have a row for each place of such a chunk."""
        arrays, (B, K, H) = self.arrays, self.arrays["u"].shape
        places = steps * B
        self.table = arrays["table"].reshape(-1, K * H)[:places]  # of a layer above the first
        self.h = arrays["h"][1 : steps + 1].reshape(places, H)
        self.h_before = arrays["h"][:steps].reshape(places, H)
        self.d_recurrent = arrays["a"][:steps].reshape(places, K * H)
        # ∂loss/∂(W_ih x) in blocks of gates; for the GRU's third it differs from ∂loss/∂(W_hh h).
        self.d_input = [(slice(0, K * H), self.d_recurrent)]
        if "n" in arrays:
            n = arrays["n"][:steps].reshape(places, H)
            self.d_input = [(slice(0, 2 * H), self.d_recurrent[:, : 2 * H]), (slice(2 * H, 3 * H), n)]
        self.dh_out = arrays["dh_out"][:steps].reshape(places, H)


class Programs:
    """The kernels for training up to T steps of B streams, compiled.

    batch : the number of streams of all parts of the batch
    by_place : the input of the first layer differs from place to place, and not by the symbol alone
    epsilon : of label smoothing
    """

    def __init__(
        self,
        network: Network,
        width: int,
        T: int,
        B: int,
        batch: int,
        *,
        by_place: bool = False,
        epsilon: float = 0.0,
    ) -> None:
        config, V, dtype = network.config, network.vocab_size, network.theta.dtype
        self.cell, self.T, self.B, self.batch = cell_of(config), T, B, batch
        self.by_place = by_place
        self._first, self._above = (Program(config.cell, config.nonlinearity, dtype=dtype) for _ in range(2))
        self.rows = V if V <= FEW_SYMBOLS else min(V, T * B)
        for k in range(1 if by_place else min(2, config.layers)):
            program, rows, by_row = self.of_layer(k)
            layers.add_forward(program, self.cell, T, B, width, rows)
            layers.add_backward(program, self.cell, T, B, width, rows, by_row)
            program.compile()
        self.head = Program(batch, epsilon, dtype=dtype)
        add_cross_entropy(self.head, T, B, whole_vectors(V, self.head.target), 1 / batch, epsilon)
        self.head.compile()

    def of_layer(self, k: int) -> tuple[Program, int, bool]:
        """The program, the rows of its table, and whether gradients are summed by row: the first layer has
        a row for each symbol unless its input is `by_place`, those above one for each place."""
        by_symbol = k == 0 and not self.by_place
        return (self._first, self.rows, True) if by_symbol else (self._above, self.T * self.B, False)


def programs_by_streams(
    network: Network,
    width: int,
    T: int,
    parts: Iterable[slice],
    batch: int,
    *,
    by_place: bool = False,
    epsilon: float = 0.0,
) -> dict[int, Programs]:
    """The kernels for each number of streams among the parts of a batch."""
    return {
        B: Programs(network, width, T, B, batch, by_place=by_place, epsilon=epsilon)
        for B in {part.stop - part.start for part in parts}
    }


class Shard:
    """Takes the streams `streams` of the batch forward and backward, in chunks of up to T steps: see `begin`.

    grad : flat, as `Network.grad`; overwritten by `step`
    smooth : what label smoothing moves to each symbol, divided by the streams of the whole batch; set by the caller
    """

    def __init__(
        self,
        network: Network,
        weights: Weights,
        programs: Programs,
        streams: slice,
        grad: np.ndarray,
        config: TrainConfig,
    ) -> None:
        T, B, H, dtype = programs.T, programs.B, weights.width, grad.dtype
        self.config, self.weights, self.streams, self.grad = network.config, weights, streams, grad
        self.training, self._batch = config, programs.batch
        self._steps = zeros(1, np.int64)
        self.layers = [Layer(programs, weights, k, self._steps) for k in range(network.config.layers)]
        for layer in self.layers[0 if programs.by_place else 1 :]:
            layer.arrays["rows"][...] = np.arange(T * B).reshape(T, B)
        self.fewer_rows = programs.rows < network.vocab_size  # the table has only the symbols of this chunk
        self.symbols = np.arange(network.vocab_size)
        apart = self.fewer_rows or programs.by_place
        self.x = zeros((T, B), np.int64) if apart else self.layers[0].arrays["rows"]
        self.masks: list[
            np.ndarray
        ] = []  # with dropout, for each layer (T, B, H), or (1, B, H) for all steps
        self.dropped: list[np.ndarray] = []  # (T · B, H) for each layer
        if mask_steps := config.masked_steps(T):
            self.masks = [zeros((mask_steps, B, H), dtype) for _ in self.layers]
            self.dropped = [zeros((T * B, H), dtype) for _ in self.layers]
        self.input_mask: np.ndarray | None = None  # with input dropout, (1, B, E), and the inputs (T · B, E)
        self.embedded = self.d_embedded = np.empty((0, 0), dtype)
        if programs.by_place:
            E = network.config.embedding
            self.input_mask = zeros((1, B, E), dtype)
            self.embedded, self.d_embedded = (zeros((T * B, E), dtype) for _ in range(2))
        named = views(grad, {name: value.shape for name, value in network.params.items()})
        self.grads = Tensors(network, named, weights.width, weights.head_width)
        self.y, self.losses = zeros((T, B), np.int64), zeros((T, B), dtype)
        self._logits = zeros((T * B, weights.head_width), dtype)
        bias, d_bias = weights.tensors.wide["head.bias"], self.grads.wide["head.bias"]
        self.smooth = zeros(weights.head_width, dtype)
        arrays = [self._steps, self._logits, bias, self.y, self.losses, d_bias]
        arrays += [self.smooth] if config.label_smoothing else []
        self.cross_entropy = programs.head.bind("cross_entropy", *arrays)
        self.steps = 0
        self.begin(T)

    def begin(self, steps: int) -> None:
        """From here on chunks have this many steps, 1 to T, which are the first in each array."""
        if steps == self.steps:
            return
        self.steps = self._steps[0] = steps
        self.places = slice(0, steps * self.x.shape[1])  # of the T · B
        self.logits = self._logits[self.places]
        for layer in self.layers:
            layer.begin(steps)

    @property
    def state(self) -> np.ndarray:
        """The state after the last chunk, (L, S, B, H)."""
        H = self.config.hidden
        return np.stack([np.stack([array[-1, :, :H] for array in layer.states]) for layer in self.layers])

    @state.setter
    def state(self, value: np.ndarray) -> None:
        for layer, of_layer in zip(self.layers, value, strict=True):
            for array, state in zip(layer.states, of_layer, strict=True):
                array[-1] = 0  # in a step that diverged, the padding cells did too
                array[-1, :, : self.config.hidden] = state

    def mask(self, masks: Masks) -> None:
        """Take the masks of the next chunk, of these streams."""
        for own, mask in zip(self.masks, masks.outputs, strict=True):
            own[: len(mask), :, : mask.shape[2]] = mask
        if self.input_mask is not None:
            self.input_mask[...] = masks.inputs

    def step(self) -> float:
        """One chunk, the first steps of `x` to those of `y`: gradients into `grad`; returns the sum of the losses
        in nats."""
        with np.errstate(over="ignore", invalid="ignore"):  # per thread; the loss shows it
            self.forward()
            self.backward()
            for name, mask in self.weights.masks.items():
                self.grads.wide[name] *= mask
            self.grads.collect()
        return float(self.losses[: self.steps].sum(dtype=np.float64))

    def forward(self) -> None:
        places = self.places
        below = self._table() if self.input_mask is None else self._embed(self.input_mask)
        for k, layer in enumerate(self.layers):
            if k > 0 or self.input_mask is not None:
                np.matmul(below, self.weights.tensors.matrix("weight_ih", k).T, out=layer.table)
            layer.forward()
            below = layer.h
            if self.masks:
                below = self._times(self.masks[k], below, self.dropped[k][places])
        np.matmul(below, self.weights.tensors.wide["head.weight"].T, out=self.logits)
        self.top = below

    def _times(self, mask: np.ndarray, rows: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Rows for the places of the chunk, (steps · B, F), times a mask (T, B, F) or (1, B, F)."""
        by_step = (self.steps, -1, rows.shape[1])
        np.multiply(rows.reshape(by_step), mask[: self.steps], out=out.reshape(by_step))
        return out

    def _embed(self, mask: np.ndarray) -> np.ndarray:
        """The embedded symbols times their mask, for each place."""
        assert self.weights.embedding is not None
        rows, symbols = self.embedded[self.places], self.x[: self.steps].ravel()
        np.take(self.weights.embedding, symbols, axis=0, out=rows, mode="clip")
        return self._times(mask, rows, rows)

    def _table(self) -> np.ndarray:
        """W_ih x for each symbol, as rows of the first layer's table."""
        first, tensors = self.layers[0], self.weights.tensors
        table = first.arrays["table"]
        if self.fewer_rows:
            x = self.x[: self.steps]
            self.symbols, rows = np.unique(x, return_inverse=True)
            first.arrays["rows"][: len(x)] = rows.reshape(x.shape)
        table = table[: len(self.symbols)].reshape(len(self.symbols), -1)
        w_ih = tensors.matrix("weight_ih", 0)
        if self.weights.embedding is not None:
            np.matmul(self.weights.embedding[self.symbols], w_ih.T, out=table)
        elif self.fewer_rows:
            table[...] = w_ih.T[self.symbols]
        else:
            table[...] = w_ih.T
        return table

    def backward(self) -> None:
        grads, tensors, places = self.grads, self.weights.tensors, self.places
        penalised = self.training.ar > 0 or self.training.tar > 0
        self.cross_entropy()
        np.matmul(self.logits.T, self.top, out=grads.wide["head.weight"])
        dh = self.layers[-1].dh_out
        np.matmul(self.logits, tensors.wide["head.weight"], out=dh)
        for k in reversed(range(len(self.layers))):
            layer = self.layers[k]
            if self.masks:
                self._times(self.masks[k], dh, dh)
            if penalised and k == len(self.layers) - 1:
                by_step = (self.steps, -1, dh.shape[1])
                dh.reshape(by_step)[...] += self._penalty(layer.h.reshape(by_step))
            layer.backward()
            np.matmul(layer.d_recurrent.T, layer.h_before, out=grads.matrix("weight_hh", k))
            grads.matrix("bias", k)[...] = layer.arrays["d_bias"].reshape(-1)
            if "d_bias_hn" in layer.arrays:
                grads.matrix("bias_hn", k)[...] = layer.arrays["d_bias_hn"]
            if k > 0 or self.input_mask is not None:
                if k == 0:
                    below, dh = self.embedded[places], self.d_embedded[places]
                else:
                    below = self.dropped[k - 1][places] if self.masks else self.layers[k - 1].h
                    dh = self.layers[k - 1].dh_out
                w_ih, d_w_ih = tensors.matrix("weight_ih", k), grads.matrix("weight_ih", k)
                for i, (gates, da) in enumerate(layer.d_input):
                    np.matmul(da.T, below, out=d_w_ih[gates])
                    if i == 0:
                        np.matmul(da, w_ih[gates], out=dh)
                    else:
                        dh += da @ w_ih[gates]
            else:
                self._backward_table()
        if self.input_mask is not None:
            rows, symbols = self._times(self.input_mask, dh, dh), self.x[: self.steps].ravel()
            sum_by_symbol(symbols, rows[None], grads.wide["embedding.weight"][None])

    def _penalty(self, h: np.ndarray) -> np.ndarray:
        """What the penalties on the last layer's h (steps, B, H) add to its gradient."""
        mask = self.masks[-1][: self.steps] if self.masks else None
        alpha, beta = self.training.ar, self.training.tar
        scale = 1 / (self._batch * self.config.hidden)
        return activation_gradient(h, mask, self.y[: self.steps], alpha, beta, scale)

    def _backward_table(self) -> None:
        tensors, grads, count = self.weights.tensors, self.grads, len(self.symbols)
        d_table = self.layers[0].arrays["d_table"][:count].reshape(count, -1)
        d_w_ih = grads.matrix("weight_ih", 0)
        if self.weights.embedding is not None:
            np.matmul(d_table.T, self.weights.embedding[self.symbols], out=d_w_ih)
            d_embedding = grads.wide["embedding.weight"]
            if self.fewer_rows:
                d_embedding[...] = 0
            d_embedding[self.symbols] = d_table @ tensors.matrix("weight_ih", 0)
        elif self.fewer_rows:
            d_w_ih[...] = 0
            d_w_ih[:, self.symbols] = d_table.T
        else:
            d_w_ih[...] = d_table.T
