"""Two engines that take the same steps."""

import numpy as np
import pytest

from charrnn.engines.backend import NumpyBackend
from charrnn.nn.gradcheck import relative_error

RATES = {  # low: where training is chaotic, two engines that differ by a rounding drift apart
    "sgd": 0.01,
    "momentum": 0.001,
    "nesterov": 0.001,
    "adagrad": 0.01,
    "rmsprop": 0.0002,
    "adam": 0.0005,
}


def text(vocab: int, steps: int, batch: int, chunk: int) -> np.ndarray:
    """(steps, 2, chunk, batch): streams in which each symbol mostly tells the next, so that there is something
    to learn."""
    rng = np.random.default_rng(7)
    length = steps * chunk + 1
    ids = np.empty((length, batch), np.int64)
    ids[0] = rng.integers(0, vocab, batch)
    for t in range(1, length):
        ids[t] = np.where(
            rng.random(batch) < 0.2, rng.integers(0, vocab, batch), (ids[t - 1] * 3 + 1) % vocab
        )
    x, y = ids[:-1], ids[1:]
    return np.stack([x.reshape(steps, chunk, batch), y.reshape(steps, chunk, batch)], axis=1)


def assert_follows(
    plain: NumpyBackend, fast: NumpyBackend, vocab: int, steps: int, lr: float, limit: float
) -> None:
    """Losses, norms, gradients at each step, and at the end weights, memory and state."""
    config = plain._config
    losses = []
    for k, (x, y) in enumerate(text(vocab, steps, config.batch_size, config.seq_length)):
        if k % 50 == 0:
            plain.reset_state()
            fast.reset_state()
        (loss, norm), (fast_loss, fast_norm) = plain.step(x, y, lr), fast.step(x, y, lr)
        assert fast_loss == pytest.approx(loss, rel=limit), k
        assert fast_norm == pytest.approx(norm, rel=limit), k
        if not (config.clip_value or config.clip_norm):  # the numpy engine clips the gradient itself
            assert relative_error(fast.network().grad, plain.network().grad) < limit, k
        losses.append(loss)
    for name, array in plain.arrays().items():
        if array.dtype.kind == "f":
            assert relative_error(fast.arrays()[name], array) < 10 * limit, name
        else:
            np.testing.assert_array_equal(fast.arrays()[name], array)
    if steps >= 100:
        assert np.mean(losses[-20:]) < np.mean(losses[:20])  # they have learnt something
