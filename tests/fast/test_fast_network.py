"""Reading by the compiled kernels gives what the plain network gives."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from charrnn.config import ModelConfig
from charrnn.fast.fast_network import FEWEST_STREAMS, STEPS, FastNetwork, Threads
from charrnn.nn.gradcheck import relative_error
from charrnn.nn.network import Network

CELLS = [{"cell": "lstm"}, {"cell": "gru"}, {"cell": "rnn"}, {"cell": "rnn", "nonlinearity": "relu"}]


def networks(vocab: int, threads: int, **model: Any) -> tuple[Network, FastNetwork]:
    config = ModelConfig(**({"layers": 2, "hidden": 10} | model))
    plain, fast = Network(config, vocab, np.float64), FastNetwork(config, vocab, np.float64)
    plain.theta[...] = 0.4 * np.random.default_rng(1).standard_normal(plain.theta.size)
    fast.theta[...] = plain.theta
    fast.threads = Threads(threads)
    return plain, fast


def assert_reads_the_same(plain: Network, fast: FastNetwork, T: int, B: int) -> None:
    """Twice, the second time from the state that the first left."""
    rng = np.random.default_rng(T * B)
    state = 0.5 * rng.standard_normal(plain.zero_state(B).shape)
    states = [state, state.copy()]
    for _ in range(2):
        x = rng.integers(0, plain.vocab_size, (T, B))
        answers = []
        for i, network in enumerate((plain, fast)):
            logits, states[i] = network.read(x, states[i])
            answers.append(logits.copy())
        assert relative_error(*answers) < 1e-12
        assert relative_error(*states) < 1e-12


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))
def test_it_reads_as_the_plain_network(cell: dict[str, Any]) -> None:
    """Whole blocks and a rest, by uneven shares; then with other weights."""
    plain, fast = networks(27, 2, **cell)
    assert_reads_the_same(plain, fast, 2 * STEPS + 6, 9)
    plain.theta *= 0.7
    fast.theta *= 0.7
    assert_reads_the_same(plain, fast, STEPS, 9)


@pytest.mark.parametrize(
    ("vocab", "T", "B", "embedding"),
    [
        (600, STEPS, 9, 0),
        (600, STEPS, 9, 8),
        (27, STEPS - 1, 9, 0),
        (27, STEPS, FEWEST_STREAMS - 1, 8),
        (2, STEPS, 8, 0),
    ],
)
def test_other_shapes(vocab: int, T: int, B: int, embedding: int) -> None:
    plain, fast = networks(vocab, 1, cell="gru", layers=1, embedding=embedding)
    assert_reads_the_same(plain, fast, T, B)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_leave_nothing_behind(bad: float) -> None:
    """No thread warns, and afterwards it reads as before."""
    plain, fast = networks(27, 2, cell="rnn")
    fast.theta[...] = bad * np.sign(plain.theta)
    x = np.zeros((STEPS, 9), np.int64)
    logits, _ = fast.read(x, fast.zero_state(9))
    assert not np.isfinite(logits).any()
    fast.theta[...] = plain.theta
    assert_reads_the_same(plain, fast, STEPS, 9)
