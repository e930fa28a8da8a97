"""Reading by the compiled kernels gives what the plain network gives."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from charrnn.config import ModelConfig
from charrnn.fast import fast_network, streams
from charrnn.fast.fast_network import FastNetwork, Threads
from charrnn.nn.gradcheck import relative_error
from charrnn.nn.loss import NEVER
from charrnn.nn.network import Clamp, Network

CELLS = [{"cell": "lstm"}, {"cell": "gru"}, {"cell": "rnn"}, {"cell": "rnn", "nonlinearity": "relu"}]
LETTERS = {"lstm": ("i", "f", "g", "o", "c", "tanh_c", "h"), "gru": ("r", "z", "n", "h"), "rnn": ("h",)}
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_network, "WORTH_A_THREAD", 1)


def networks(vocab: int, threads: int, dtype: str = "float64", **model: Any) -> tuple[Network, FastNetwork]:
    config = ModelConfig(**({"layers": 2, "hidden": 10} | model))
    plain, fast = Network(config, vocab, dtype), FastNetwork(config, vocab, dtype)
    plain.theta[...] = 0.4 * np.random.default_rng(1).standard_normal(plain.theta.size)
    fast.theta[...] = plain.theta
    fast.threads = Threads(threads)
    return plain, fast


def given(network: Network, T: int, B: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbols, targets and a state."""
    rng = np.random.default_rng(T * B)
    x, y = rng.integers(0, network.vocab_size, (2, T, B))
    return x, y, (0.5 * rng.standard_normal(network.zero_state(B).shape)).astype(network.theta.dtype)


def assert_reads_the_same(plain: Network, fast: FastNetwork, T: int, B: int, error: float = 1e-12) -> None:
    """Logits, losses and records; the logits twice, the second time from the state that the first left."""
    x, y, state = given(plain, T, B)
    found = []
    for network in (plain, fast):
        logits, after = network.read(x, state)
        logits = logits.copy()
        again, last = network.read(x, after)
        again = again.copy()
        losses, same = network.losses(x, y, state, (1.0, 1.3, 0.8))
        layers, recorded = network.record(x, state, LETTERS[network.config.cell])
        records = [array.copy() for layer in layers for array in layer.values()]
        found.append([logits, after, again, last, losses, same, recorded, *records])
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        assert relative_error(ours, theirs) < error


@each_cell
def test_it_reads_as_the_plain_network(cell: dict[str, Any]) -> None:
    """By uneven shares, in several blocks and a rest; then with other weights."""
    plain, fast = networks(27, 2, **cell)
    assert_reads_the_same(plain, fast, 2 * (streams.PLACES // 4) + 6, 9)
    plain.theta *= 0.7
    fast.theta *= 0.7
    assert_reads_the_same(plain, fast, 5, 9)


@pytest.mark.parametrize(
    ("vocab", "T", "B", "embedding"),
    [
        (600, 32, 9, 0),
        (600, 32, 9, 8),
        (27, 1, 1, 0),
        (27, 31, 1, 8),
        (27, 3, streams.PLACES + 7, 0),
        (2, 32, 8, 0),
    ],
)
def test_other_shapes(vocab: int, T: int, B: int, embedding: int) -> None:
    plain, fast = networks(vocab, 1, cell="gru", layers=1, embedding=embedding)
    assert_reads_the_same(plain, fast, T, B)


@each_cell
def test_single_precision(cell: dict[str, Any]) -> None:
    plain, fast = networks(65, 2, "float32", hidden=33, **cell)
    plain.theta *= 0.4  # with larger weights the states are chaotic
    fast.theta *= 0.4
    assert_reads_the_same(plain, fast, 40, 7, error=1e-5)


def test_many_embedded_symbols_have_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read as with one, to the bit: a row of a product does not depend on the rows beside it."""
    plain, by_table = networks(40, 1, embedding=7)
    _, one_by_one = networks(40, 1, embedding=7)
    assert_reads_the_same(plain, by_table, 20, 5)
    monkeypatch.setattr(streams, "MOST_OF_A_TABLE", 10)
    assert_reads_the_same(plain, one_by_one, 20, 5)


@each_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stream_is_read_alike_beside_others(cell: dict[str, Any], dtype: str) -> None:
    """To the bit: by one thread and by three, alone and among others, in one call and in several."""
    _, one = networks(27, 1, dtype, **cell)
    _, three = networks(27, 3, dtype, **cell)
    x, y, state = given(one, 70, 11)
    whole, after = one.losses(x, y, state)
    shared, same = three.losses(x, y, state)
    assert np.array_equal(whole, shared)
    assert np.array_equal(after, same)
    first, then = one.losses(x[:33, 4:5], y[:33, 4:5], state[:, :, 4:5])
    rest, then = three.losses(x[33:, 4:5], y[33:, 4:5], then)
    assert np.array_equal(np.concatenate([first, rest], axis=1), whole[:, :, 4:5])
    assert np.array_equal(then, after[:, :, 4:5])


@each_cell
@pytest.mark.parametrize("layer", [0, 1])
def test_cells_are_held(cell: dict[str, Any], layer: int) -> None:
    """By shares of uneven size; then none is held."""
    plain, fast = networks(27, 2, **cell)
    x, _, state = given(plain, 20, 5)
    rng = np.random.default_rng(3)
    clamp = Clamp(layer, rng.random((5, 10)) < 0.3, rng.uniform(-0.9, 0.9, (5, 10)))
    free, _ = plain.read(x, state)
    free = free.copy()
    expected, after = plain.read(x, state, clamp)
    found, same = fast.read(x, state, clamp)
    assert relative_error(found, free) > 0.01
    assert relative_error(found, expected) < 1e-12
    assert relative_error(same, after) < 1e-12
    assert relative_error(fast.read(x, state)[0], free) < 1e-12


def test_nothing_to_read_leaves_the_state() -> None:
    plain, fast = networks(27, 1)
    _, _, state = given(plain, 1, 3)
    logits, after = fast.read(np.zeros((0, 3), np.int64), state)
    assert logits.shape == (0, 3, 27)
    assert np.array_equal(after, state)


def test_a_symbol_that_is_never_written_has_no_probability() -> None:
    plain, fast = networks(27, 1, "float32")
    x, y, state = given(plain, 20, 3)
    found = []
    for network in (plain, fast):
        network.params["head.bias"][5] = NEVER
        found.append(network.losses(x, y, state)[0][0])
    assert (y == 5).any()
    assert all((losses[y == 5] > 1e29).all() for losses in found)
    assert relative_error(*(losses[y != 5] for losses in found)) < 1e-5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_leave_nothing_behind(bad: float) -> None:
    """No thread warns, and afterwards it reads as before."""
    plain, fast = networks(27, 2, cell="rnn")
    fast.theta[...] = bad * np.sign(plain.theta)
    x = np.zeros((32, 9), np.int64)
    logits, _ = fast.read(x, fast.zero_state(9))
    assert not np.isfinite(logits).any()
    losses, _ = fast.losses(x, x, fast.zero_state(9))
    assert not np.isfinite(losses).any()
    fast.theta[...] = plain.theta
    assert_reads_the_same(plain, fast, 32, 9)
