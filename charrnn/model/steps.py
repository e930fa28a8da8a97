"""A model as a map of its whole state: s[t] = F(s[t-1], x[t]), s a vector of D = L S H numbers in float64.

s is h, and c of the LSTM, of every layer, in the order (L, S, H). What the model expects next is a function of s alone.
"""

from dataclasses import replace

import numpy as np

from charrnn.engines.choice import network_for_reading
from charrnn.errors import DataError
from charrnn.model.jacobian import step
from charrnn.model.model import CHUNK, Model
from charrnn.nn.loss import log_softmax

STREAMS = 4096  # rows of Jacobians at once
LARGEST = 1e100  # of a state, so that squares are finite


class Steps:
    """F, its Jacobian, and the states of a text.

    An embedding becomes part of the input weights, so that "no symbol", an input of zeros, has a meaning for any model.
    """

    def __init__(self, model: Model) -> None:
        config = model.config
        self.network = network_for_reading(replace(config, embedding=0), len(model.vocab), np.float64)
        weights = dict(model.network.params)
        if (table := weights.pop("embedding.weight", None)) is not None:
            name = f"{config.cell}.weight_ih_l0"
            weights[name] = weights[name].astype(np.float64) @ table.T.astype(np.float64)
        for name, value in weights.items():
            self.network.params[name][...] = value
        self.shape = self.network.zero_state(1)[:, :, 0].shape  # (L, S, H)
        self.size = int(np.prod(self.shape))

    def state(self, s: np.ndarray) -> np.ndarray:
        """Vectors (P, D) as states (L, S, P, H)."""
        return np.moveaxis(s.reshape(-1, *self.shape), 0, 2)

    def vector(self, state: np.ndarray) -> np.ndarray:
        """States (L, S, P, H) as vectors (P, D)."""
        return np.moveaxis(state, 2, 0).reshape(state.shape[2], -1)

    def visited(self, ids: np.ndarray) -> np.ndarray:
        """The states (N, D) after each symbol of a text that is read from the zero state.

        Raises DataError where they overflow.
        """
        found, state = np.empty((len(ids), self.size)), self.network.zero_state(1)
        letters = self.network.cell.STATES
        with np.errstate(over="ignore", invalid="ignore"):
            for begin in range(0, len(ids), CHUNK):
                symbols = ids[begin : begin + CHUNK, None].astype(np.intp)
                layers, state = self.network.record(symbols, state, letters)
                rows = [layer[letter][:, 0] for layer in layers for letter in letters]
                found[begin : begin + CHUNK] = np.concatenate(rows, axis=1)
        if not abs(found).max(initial=0) < LARGEST:
            raise DataError("the network overflows on this text: its states are no numbers to reckon with")
        return found

    def log_p(self, s: np.ndarray) -> np.ndarray:
        """The log-probabilities (P, V) of the next symbol at vectors (P, D)."""
        top = s.reshape(-1, *self.shape)[:, -1, 0]
        return log_softmax(top @ self.network.params["head.weight"].T + self.network.params["head.bias"])

    def forward(self, s: np.ndarray, x: np.ndarray) -> np.ndarray:
        """F (P, D) at vectors (P, D). x : symbols (P,), or real vectors (P, V) in place of one-hot ones"""
        if x.ndim == 1:
            _, state = self.network.read(x[None], self.state(s))
        else:
            _, state, _ = self.network.forward(x[None], self.state(s))
        return self.vector(state)

    def jacobians(self, s: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F (P, D) and ∂F/∂s (P, D, D) at vectors (P, D). x : as in `forward`"""
        after, found = np.empty_like(s), np.empty((*s.shape, self.size))
        at_once = max(1, STREAMS // self.size)
        for begin in range(0, len(s), at_once):
            part = slice(begin, begin + at_once)
            state, found[part] = step(self.network, x[part], self.state(s[part]))
            after[part] = self.vector(state)
        return after, found
