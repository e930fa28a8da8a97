"""Streams that one thread reads side by side, in blocks of time, by the kernels of `charrnn.fast.reading`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.fast import reading
from charrnn.fast.compiler import Program, zeros
from charrnn.fast.shard import cell_of
from charrnn.fast.weights import whole_vectors
from charrnn.nn.loss import NEVER
from charrnn.nn.network import Clamp, Network

PLACES = 256  # symbols per block: efficient products, whose results stay in the cache
MOST_OF_A_TABLE = 2**22  # numbers; a larger table of embedded symbols is not made beforehand
LETTERS = {"lstm": "ifgo", "gru": "rz", "rnn": ""}  # of the gates in `a`


@cache
def program_of(cell: str, nonlinearity: str, dtype: np.dtype[Any]) -> Program:
    """The compiled kernels for a kind of cell."""
    program = Program(cell, nonlinearity, dtype=dtype)
    reading.add_product(program)
    reading.add_layer(program, cell_of(ModelConfig(cell=cell, nonlinearity=nonlinearity)))
    reading.add_losses(program)
    program.compile()
    return program


class Weights:
    """A network's weights as the kernels read them; H is rounded up to whole vectors, columns to whole panels.

    table : (V, N), W_ih x + b of each symbol; None if it would be large, then symbols are embedded as they come
    """

    def __init__(self, network: Network) -> None:
        config, V, dtype = network.config, network.vocab_size, network.theta.dtype
        self.network, self.cell = network, cell_of(config)
        self.program = program_of(config.cell, config.nonlinearity, dtype)
        target = self.target = self.program.target
        self.H = whole_vectors(config.hidden, target)
        self.N = reading.whole_panels(self.cell.gates * self.H, target)
        self.V = reading.whole_panels(V, target)
        self._theta = np.empty_like(network.theta)  # that these are of
        self._empty = True
        self.table: np.ndarray | None = None
        if not config.embedding or V * self.N <= MOST_OF_A_TABLE:
            self.table = zeros((V, self.N), dtype)
        self.layers: list[dict[str, np.ndarray]] = []
        for k in range(config.layers):
            layer = {"packed": zeros(self.H * self.N, dtype), "bias": zeros(self.N, dtype)}
            if k > 0 or self.table is None:
                layer["packed_ih"] = zeros((self.H if k else config.embedding) * self.N, dtype)
            if config.cell == "gru":
                layer["bias_hn"] = zeros(self.H, dtype)
            self.layers.append(layer)
        self.head = {"packed_ih": zeros(self.H * self.V, dtype), "bias": zeros(self.V, dtype)}
        self.head["bias"][...] = NEVER
        self.zero = zeros(self.N, dtype)

    def refresh(self) -> None:
        """Follow the network's weights if they have changed."""
        network = self.network
        bits = f"i{network.theta.itemsize}"
        if not self._empty and np.array_equal(self._theta.view(bits), network.theta.view(bits)):
            return
        self._theta[...], self._empty = network.theta, False
        with np.errstate(over="ignore", invalid="ignore"):  # of weights that are no numbers
            self._take()

    def _take(self) -> None:
        network = self.network
        for k, arrays in enumerate(self.layers):
            params = network.layer(network.params, k)
            reading.pack(self._by_gate(params["weight_hh"].T, self.H), arrays["packed"], self.target)
            arrays["bias"][...] = self._by_gate(params["bias"][None], 1)[0]
            if "bias_hn" in arrays:
                arrays["bias_hn"][: network.config.hidden] = params["bias_hn"]
            if "packed_ih" in arrays:
                depth = arrays["packed_ih"].size // self.N
                reading.pack(self._by_gate(params["weight_ih"].T, depth), arrays["packed_ih"], self.target)
        if self.table is not None:
            w_ih_t = network.layer(network.params, 0)["weight_ih"].T
            if network.config.embedding:
                w_ih_t = network.params["embedding.weight"] @ w_ih_t
            self.table[...] = self._by_gate(w_ih_t, len(self.table))
            self.table += self.layers[0]["bias"]
        head = np.zeros((self.H, self.V), network.theta.dtype)
        head[: network.config.hidden, : network.vocab_size] = network.params["head.weight"].T
        reading.pack(head, self.head["packed_ih"], self.target)
        self.head["bias"][: network.vocab_size] = network.params["head.bias"]

    def _by_gate(self, matrix: np.ndarray, depth: int) -> np.ndarray:
        """A matrix (F, K·h) with padding: (depth, N), where each gate begins at a multiple of H."""
        wide, h = np.zeros((depth, self.N), matrix.dtype), self.network.config.hidden
        for gate in range(self.cell.gates):
            wide[: len(matrix), gate * self.H : gate * self.H + h] = matrix[:, gate * h : (gate + 1) * h]
        return wide


class Streams:
    """Up to `most` streams.

    Each method reads symbols x (T, B) on from the state of the streams, which `begin` sets.
    """

    def __init__(self, weights: Weights, most: int) -> None:
        self.weights, self.most = weights, most
        config, dtype = weights.network.config, weights.network.theta.dtype
        cell, program, H, N = weights.cell, weights.program, weights.H, weights.N
        R = self._places = max(most, PLACES)
        self._symbols, self._targets = zeros(R, np.int64), zeros(R, np.int64)
        self._nats, self._logits = zeros(R, dtype), zeros((R, weights.V), dtype)
        self._embedded = zeros((R, config.embedding), dtype) if weights.table is None else None
        self._sizes, self._head_sizes = zeros(5, np.int64), zeros(2, np.int64)
        places = zeros(R, np.int64)
        places[...] = np.arange(R)
        inputs, length = zeros((R, N), dtype), reading.SIZES + program.target.tile[0]
        self._of_streams, self._of_places = zeros(length, np.int64), zeros(length, np.int64)
        self._of_embedded, self._of_head = zeros(length, np.int64), zeros(length, np.int64)
        shared = {
            "sizes": self._sizes,
            "product_sizes": self._of_streams,
            "zero": weights.zero,
            "u": zeros((R, N), dtype),
            "a": zeros((R, cell.gates, H), dtype),
        } | {name: zeros((R, H), dtype) for name in ("tanh_c", "n")}
        self._layers: list[dict[str, np.ndarray]] = []
        self._calls: list[list[Callable[[], Any]]] = []
        below = self._embedded
        for k, of_layer in enumerate(weights.layers):
            calls = []
            arrays = shared | {name: zeros((2 * R, H), dtype) for name in cell.states}
            arrays |= {name: zeros((R, H), dtype) for name in ("held", "values")}
            if "packed_ih" in of_layer:
                assert below is not None
                sizes = self._of_places if k else self._of_embedded
                product = [sizes, below, of_layer["packed_ih"], of_layer["bias"], inputs]
                calls.append(program.bind("product", *product))
                arrays |= {"rows": places, "table": inputs}
            else:
                assert weights.table is not None
                arrays |= {"rows": self._symbols, "table": weights.table}
            arrays |= of_layer
            calls.append(program.bind("layer", *(arrays[name] for name in reading.layer_arrays(cell))))
            self._layers.append(arrays)
            self._calls.append(calls)
            below = arrays["h"]
        assert below is not None
        head = [self._of_head, below, weights.head["packed_ih"], weights.head["bias"], self._logits]
        self._head = program.bind("product", *head)
        self._losses = program.bind("losses", self._head_sizes, self._logits, self._targets, self._nats)

    def begin(self, state: np.ndarray, clamps: Sequence[Clamp] = ()) -> None:
        """state : (L, S, B, H); clamps : for these streams"""
        h, self._B, self._T = self.weights.network.config.hidden, state.shape[2], 0
        for arrays, of_layer in zip(self._layers, state, strict=True):
            for name, values in zip(self.weights.cell.states, of_layer, strict=True):
                arrays[name][: self._B] = 0
                arrays[name][: self._B, :h] = values
        self._clamped = bool(clamps)
        for arrays in self._layers:
            arrays["held"][...] = 0
        for clamp in clamps:
            mask, values = clamp.hold(self.weights.network.config.cell)
            arrays = self._layers[clamp.layer]
            arrays["held"][: self._B, :h], arrays["values"][: self._B, :h] = mask, values

    def state(self) -> np.ndarray:
        """(L, S, B, H)"""
        h = self.weights.network.config.hidden
        return np.array(
            [[arrays[name][: self._B, :h] for name in self.weights.cell.states] for arrays in self._layers]
        )

    def read(self, x: np.ndarray, logits: np.ndarray) -> None:
        """Put the logits into an array (T, B, V)."""
        for block in self._blocks(x, kept=False):
            self._run(x[block])
            self._head()
            found = self._logits[: x[block].size].reshape(*x[block].shape, -1)
            logits[block] = found[..., : self.weights.network.vocab_size]

    def losses(self, x: np.ndarray, y: np.ndarray, temperatures: Sequence[float], nats: np.ndarray) -> None:
        """Put -log p of the targets y (T, B) at each temperature into an array (K, T, B)."""
        for block in self._blocks(x, kept=False):
            size, shape = y[block].size, y[block].shape
            self._targets[:size].reshape(shape)[...] = y[block]
            self._run(x[block])
            self._head()
            before = 1.0
            for of_temperature, temperature in zip(nats, temperatures, strict=True):
                if temperature != before:
                    self._logits[:size] *= before / temperature
                    before = temperature
                self._losses()
                of_temperature[block] = self._nats[:size].reshape(shape)

    def record(self, x: np.ndarray, layers: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Put what layers have at each step into their arrays (T, B, H), which have the letters of the equations."""
        for block in self._blocks(x, kept=True):
            for k, arrays in self._each_layer(x[block]):
                for letter, array in layers[k].items():
                    array[block] = self._found(arrays, letter, x[block].shape)

    def _found(self, arrays: Mapping[str, np.ndarray], letter: str, shape: tuple[int, ...]) -> np.ndarray:
        """What a layer has at each step, (t, B, H)."""
        (T, B), config = shape, self.weights.network.config
        if letter in self.weights.cell.states:
            found = arrays[letter][B : (T + 1) * B]
        elif letter in LETTERS[config.cell]:
            found = arrays["a"][: T * B, LETTERS[config.cell].index(letter)]
        else:
            found = arrays[letter][: T * B]
        return found.reshape(T, B, -1)[..., : config.hidden]

    def _blocks(self, x: np.ndarray, kept: bool) -> Iterator[slice]:
        steps = max(1, PLACES // self._B)
        for start in range(0, len(x), steps):
            block = slice(start, min(start + steps, len(x)))
            self._set_sizes(block.stop - start, kept)
            yield block

    def _set_sizes(self, T: int, kept: bool) -> None:
        if T == self._T:
            return
        weights, B, self._T = self.weights, self._B, T
        H, N, target = weights.H, weights.N, weights.target
        self._sizes[...] = T, B, H // target.lanes, B if kept else 0, self._clamped
        self._of_streams[...] = reading.product_sizes(H, N, B, target)
        self._of_places[...] = reading.product_sizes(H, N, T * B, target, first=B)
        self._of_head[...] = reading.product_sizes(H, weights.V, T * B, target, first=B)
        self._head_sizes[...] = T * B, weights.V // target.lanes
        if self._embedded is not None:
            self._of_embedded[...] = reading.product_sizes(self._embedded.shape[1], N, T * B, target)

    def _run(self, x: np.ndarray) -> None:
        for _ in self._each_layer(x):
            pass

    def _each_layer(self, x: np.ndarray) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Take a block of symbols through the layers, and yield each layer's arrays as soon as it is done."""
        self._symbols[: x.size].reshape(x.shape)[...] = x
        if self._embedded is not None:
            embedding = self.weights.network.params["embedding.weight"]
            np.take(embedding, self._symbols[: x.size], axis=0, out=self._embedded[: x.size], mode="clip")
        for k, calls in enumerate(self._calls):
            for call in calls:
                call()
            yield k, self._layers[k]
