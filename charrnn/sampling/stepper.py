"""One symbol at a time: the forward pass of `network.py`, prepared for sampling.

A chunk is fast because its input product is hoisted out of the time loop. A single symbol has no such loop, so
everything that does not depend on the symbol is computed once:

    table[s] = W_ih x(s) + b                       layer 0's input product, embedding included
    a = [W_ih | b | W_hh] [h_{l-1}; 1; h_l]        the other layers' pre-activations, as one product
    logits = [W | b] [h_{L-1}; 1]

The states lie in one array as h_0, 1, h_1, 1, …, so each of these vectors is a slice of it and
none is ever copied; a layer overwrites its own h in place. The letters and numbers of equations are those
of rnn.py, gru.py and lstm.py. Streams are the last axis here; for a single stream there is no such axis,
and the products are matrix times vector.
"""

from collections.abc import Callable, Sequence

import numpy as np

from charrnn.nn.network import Clamp, Network

Symbols = int | np.ndarray
Layer = Callable[[Symbols], None]


class Stepper:
    """Reads one symbol of each of B streams at a time, returns the logits of the next one, keeps the state.

    Weights are copied: training the network later does not change a stepper. The results equal those of
    `Network.forward` up to rounding.

    clamps : cells whose signal is held, in any layers; masks and values (1, H) or (B, H)
    """

    def __init__(self, network: Network, streams: int = 1, clamps: Sequence[Clamp] = ()) -> None:
        self.network = network
        self.streams = streams
        self.clamps = tuple(clamps)
        L, H, V = network.config.layers, network.config.hidden, network.vocab_size
        self._h = self._zeros(L, H + 1)
        self._h[:, H] = 1
        self._gates = self._zeros(L, 5 * H)  # for the LSTM: i, f, o, g, followed by c
        make = {"rnn": self._rnn, "gru": self._gru, "lstm": self._lstm}[network.config.cell]
        self._layers: list[Layer] = [make(layer) for layer in range(L)]
        self._head = self._matrix(np.c_[network.params["head.weight"], network.params["head.bias"]])
        self._top, self._logits = self._h[-1], self._zeros(V)

    def step(self, symbols: Symbols) -> np.ndarray:
        """Read a symbol: an int, or an array (B,) for several streams.

        Returns the logits, (V,) or (V, B) for several streams, in a buffer that the next call overwrites.
        """
        for layer in self._layers:
            layer(symbols)
        return np.dot(self._head, self._top, self._logits)

    @property
    def state(self) -> np.ndarray:
        """A copy of the state after the last symbol, (L, S, B, H). Setting one with B = 1 sets all streams."""
        return np.stack([self._with_streams(array).swapaxes(1, 2) for array in self._state_arrays()], axis=1)

    @state.setter
    def state(self, state: np.ndarray) -> None:
        for s, array in enumerate(self._state_arrays()):
            self._with_streams(array)[...] = state[:, s].swapaxes(1, 2)

    def _state_arrays(self) -> list[np.ndarray]:
        H = self.network.config.hidden
        return [self._h[:, :H], self._gates[:, 4 * H :]][: len(self.network.cell.STATES)]

    def _with_streams(self, array: np.ndarray) -> np.ndarray:
        return array[..., None] if self.streams == 1 else array

    def _zeros(self, *shape: int) -> np.ndarray:
        """A buffer, with one more axis for several streams."""
        return np.zeros(shape if self.streams == 1 else (*shape, self.streams), self.network.theta.dtype)

    def _matrix(self, weight: np.ndarray) -> np.ndarray:
        """A copy in BLAS's fastest memory order: columns for a vector, rows for a matrix."""
        return np.array(weight, self.network.theta.dtype, order="F" if self.streams == 1 else "C")

    def _lookup(self, layer: int, weight_ih: np.ndarray, bias: np.ndarray) -> Callable | None:
        """For layer 0, a function from symbols to W_ih x + b; None for the others."""
        if layer > 0:
            return None
        if self.network.config.embedding:
            weight_ih = weight_ih @ self.network.params["embedding.weight"].T
        table = np.ascontiguousarray(weight_ih + bias[:, None])
        if self.streams == 1:
            return list(np.ascontiguousarray(table.T)).__getitem__
        found = self._zeros(len(table))
        return lambda symbols: np.take(table, symbols, axis=1, out=found, mode="clip")

    def _inputs(self, layer: int) -> np.ndarray:
        """[h_{l-1}; 1; h_l], or h_0 for layer 0."""
        H = self.network.config.hidden
        if layer == 0:
            return self._h[0, :H]
        return self._h[layer - 1 : layer + 1].reshape(2 * H + 2, *self._h.shape[2:])[: 2 * H + 1]

    def _hold(self, layer: int) -> Callable[[np.ndarray], None] | None:
        """A function that puts the clamped values into an array (H,) or (H, B), if this layer has any."""
        holds = [clamp.hold(self.network.config.cell) for clamp in self.clamps if clamp.layer == layer]
        if not holds:
            return None
        shape, dtype = (self.streams, self.network.config.hidden), self.network.theta.dtype
        mask, values = np.zeros(shape, bool), np.zeros(shape, dtype)
        for where, value in holds:
            np.copyto(values, value, where=where, casting="same_kind")
            mask |= where
        mask, values = (mask[0], values[0]) if self.streams == 1 else (mask.T.copy(), values.T.copy())
        return lambda array: np.copyto(array, values, where=mask)

    def _rnn(self, layer: int) -> Layer:
        w = self.network.layer(self.network.params, layer)
        lookup, hold = self._lookup(layer, w["weight_ih"], w["bias"]), self._hold(layer)
        matrix = self._matrix(w["weight_hh"] if lookup else np.c_[w["weight_ih"], w["bias"], w["weight_hh"]])
        inputs, h = self._inputs(layer), self._h[layer, :-1]
        a = self._zeros(len(h))
        is_tanh, zero = self.network.config.nonlinearity == "tanh", np.zeros((), a.dtype)

        def step(symbols: Symbols) -> None:
            np.dot(matrix, inputs, a)  # (1)
            if lookup is not None:
                np.add(a, lookup(symbols), a)
            if is_tanh:  # (2)
                np.tanh(a, h)
            else:
                np.maximum(a, zero, out=h)
            if hold is not None:
                hold(h)

        return step

    def _gru(self, layer: int) -> Layer:
        w = self.network.layer(self.network.params, layer)
        H = self.network.config.hidden
        half = np.repeat(np.array((0.5, 0.5, 1), self._h.dtype), H)  # σ(a) = ½ + ½ tanh(a/2)
        b_hn = np.r_[np.zeros(2 * H, self._h.dtype), w["bias_hn"]]
        weight_ih, bias = w["weight_ih"] * half[:, None], w["bias"] * half
        lookup, hold = self._lookup(layer, weight_ih, bias), self._hold(layer)
        matrix_u = self._matrix(np.c_[w["weight_hh"] * half[:, None], b_hn])
        own, h = self._h[layer], self._h[layer, :-1]
        matrix_a, below = self._matrix(np.c_[weight_ih, bias]), self._h[layer - 1]  # where lookup is None
        a, u, n = self._zeros(3 * H), self._zeros(3 * H), self._zeros(H)
        u_rz, u_n, r, z = u[: 2 * H], u[2 * H :], u[:H], u[H : 2 * H]
        one_half = np.array(0.5, a.dtype)

        def step(symbols: Symbols) -> None:
            np.dot(matrix_u, own, u)  # (1), with b_hn in the block of n
            x = lookup(symbols) if lookup is not None else np.dot(matrix_a, below, a)
            np.add(u_rz, x[: 2 * H], u_rz)  # (2)
            np.tanh(u_rz, u_rz)
            np.multiply(u_rz, one_half, u_rz)
            np.add(u_rz, one_half, u_rz)
            np.multiply(r, u_n, n)  # (3)
            np.add(n, x[2 * H :], n)
            np.tanh(n, n)
            np.subtract(h, n, h)  # (4)
            np.multiply(h, z, h)
            np.add(h, n, h)
            if hold is not None:
                hold(h)

        return step

    def _lstm(self, layer: int) -> Layer:
        H, dtype = self.network.config.hidden, self._h.dtype
        half = np.repeat(np.array((0.5, 0.5, 0.5, 1), dtype), H)  # σ(a) = ½ + ½ tanh(a/2)
        w = {  # gates in the order i, f, o, g, which puts those with a σ side by side
            name: np.concatenate([value[: 2 * H], value[3 * H :], value[2 * H : 3 * H]])
            * (half[:, None] if value.ndim == 2 else half)
            for name, value in self.network.layer(self.network.params, layer).items()
        }
        lookup, hold = self._lookup(layer, w["weight_ih"], w["bias"]), self._hold(layer)
        matrix = self._matrix(w["weight_hh"] if lookup else np.c_[w["weight_ih"], w["bias"], w["weight_hh"]])
        inputs, h = self._inputs(layer), self._h[layer, :-1]
        # With c directly after the gates, one product of two slices is both i ∘ g and f ∘ c.
        gates, ig_fc, tanh_c = self._gates[layer], self._zeros(2 * H), self._zeros(H)
        a, i_f_o, i_f, o, g_c = (
            gates[: 4 * H],
            gates[: 3 * H],
            gates[: 2 * H],
            gates[2 * H : 3 * H],
            gates[3 * H :],
        )
        ig, fc, c = ig_fc[:H], ig_fc[H:], gates[4 * H :]
        one_half = np.array(0.5, dtype)

        def step(symbols: Symbols) -> None:
            np.dot(matrix, inputs, a)  # (1)
            if lookup is not None:
                np.add(a, lookup(symbols), a)
            np.tanh(a, a)  # (2)
            np.multiply(i_f_o, one_half, i_f_o)
            np.add(i_f_o, one_half, i_f_o)
            np.multiply(i_f, g_c, ig_fc)  # (3)
            np.add(ig, fc, c)
            if hold is not None:
                hold(c)
            np.tanh(c, tanh_c)  # (4)
            np.multiply(o, tanh_c, h)

        return step
