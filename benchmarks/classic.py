"""The classic character-level RNN as a plain loop over time steps: what charrnn's preset `min-char-rnn` follows.

The algorithm is that of Karpathy's min-char-rnn (2015): one layer of tanh cells, one stream, chunks of 25
characters, each character a one-hot column, one matrix product per step and weight, gradients clipped to
±5, Adagrad. It is written afresh, shares no code with charrnn and takes no shortcut: it is there to be
compared with, in numbers by a test and in speed by min_char_rnn.py.

    h[t] = tanh(Wxh x[t] + Whh h[t-1] + bh)        loss = -Σ_t log softmax(Why h[t] + by)[y[t]]
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

CHUNK = 25
LIMIT = 5.0
LEARNING_RATE = 0.1


class Classic:
    """The weights, Adagrad's memory of them, and the hidden state carried from chunk to chunk.

    weights : Wxh (H, V), Whh (H, H), Why (V, H), bh (H,), by (V,); copied
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights = {
            name: value.reshape(len(value), -1).astype(np.float64) for name, value in weights.items()
        }
        self.memory = {name: np.zeros_like(value) for name, value in self.weights.items()}
        self.forget()

    def forget(self) -> None:
        """Set the hidden state to zero."""
        self.h = np.zeros_like(self.weights["bh"])

    def step(self, inputs: list[int], targets: list[int]) -> float:
        """Train on one chunk; returns its loss in nats, summed over the characters."""
        loss, gradients = self.loss_and_gradients(inputs, targets)
        for name, gradient in gradients.items():
            np.clip(gradient, -LIMIT, LIMIT, out=gradient)
            self.memory[name] += gradient * gradient
            self.weights[name] -= LEARNING_RATE * gradient / np.sqrt(self.memory[name] + 1e-8)
        return loss

    def loss_and_gradients(
        self, inputs: list[int], targets: list[int]
    ) -> tuple[float, dict[str, np.ndarray]]:
        w = self.weights
        xs, hs, ps, loss = [], [self.h], [], 0.0
        for symbol, target in zip(inputs, targets, strict=True):
            x = np.zeros((w["Wxh"].shape[1], 1))
            x[symbol] = 1
            h = np.tanh(np.dot(w["Wxh"], x) + np.dot(w["Whh"], hs[-1]) + w["bh"])
            exponentials = np.exp(np.dot(w["Why"], h) + w["by"])
            p = exponentials / np.sum(exponentials)
            loss -= float(np.log(p[target, 0]))
            xs.append(x)
            hs.append(h)
            ps.append(p)
        self.h = hs[-1]

        d = {name: np.zeros_like(value) for name, value in w.items()}
        dh_next = np.zeros_like(self.h)
        for t in reversed(range(len(inputs))):
            dy = ps[t].copy()
            dy[targets[t]] -= 1
            d["Why"] += np.dot(dy, hs[t + 1].T)
            d["by"] += dy
            dh = np.dot(w["Why"].T, dy) + dh_next
            da = (1 - hs[t + 1] * hs[t + 1]) * dh
            d["bh"] += da
            d["Wxh"] += np.dot(da, xs[t].T)
            d["Whh"] += np.dot(da, hs[t].T)
            dh_next = np.dot(w["Whh"].T, da)
        return loss, d


def chunks(ids: list[int], steps: int) -> Iterator[tuple[list[int], list[int], bool]]:
    """Inputs, targets and whether reading starts from the top, which it does again near the end of the text."""
    position = 0
    for _ in range(steps):
        if position + CHUNK + 1 >= len(ids):
            position = 0
        inputs, targets = ids[position : position + CHUNK], ids[position + 1 : position + CHUNK + 1]
        yield inputs, targets, position == 0
        position += CHUNK


def smoothed(losses: Iterable[float], vocab_size: int) -> Iterator[float]:
    """0.999 of the last value and 0.001 of the chunk's loss, from that of guessing blindly."""
    smooth = CHUNK * float(np.log(vocab_size))
    for loss in losses:
        smooth = 0.999 * smooth + 0.001 * loss
        yield smooth


def train(classic: Classic, ids: list[int], steps: int) -> Iterator[float]:
    """The loss of each chunk in nats; the hidden state is set to zero at the top of the text."""
    for inputs, targets, from_the_top in chunks(ids, steps):
        if from_the_top:
            classic.forget()
        yield classic.step(inputs, targets)
