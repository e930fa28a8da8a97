"""The fast engine follows the numpy engine, step for step, and its gradient is the derivative of the loss.

Rates are low: where training is chaotic (a tanh RNN of one stream at a high rate), two engines that differ
by a rounding drift apart exponentially, and so would one engine on two processors.
"""

import random
import time
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers.following import RATES, assert_follows, text
from threadpoolctl import threadpool_limits

pytest.importorskip("llvmlite")

from charrnn.config import OPTIMIZERS, configs
from charrnn.engines.backend import NumpyBackend
from charrnn.engines.fast_backend import FastBackend
from charrnn.nn.gradcheck import numeric_gradient, relative_error
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network
from charrnn.score.scoring import mean_loss

CELLS = [
    pytest.param({"cell": "lstm"}, id="lstm"),
    pytest.param({"cell": "gru"}, id="gru"),
    pytest.param({"cell": "rnn"}, id="rnn-tanh"),
    pytest.param({"cell": "rnn", "nonlinearity": "relu"}, id="rnn-relu"),
]
SLOW = pytest.mark.slow
OFF = {"ar": 0.0, "tar": 0.0, "label_smoothing": 0.0}
VOCAB, BATCH, CHUNK = 27, 5, 6
SMALL = {"layers": 1, "hidden": 20, "batch_size": BATCH, "seq_length": CHUNK, "optimizer": "sgd", "seed": 3}


@pytest.fixture(autouse=True, scope="module")
def one_thread_a_product():
    with threadpool_limits(1, user_api="blas"):
        yield


def engines(vocab: int = VOCAB, threads: int = 1, **settings: Any) -> tuple[NumpyBackend, FastBackend]:
    model, config = configs(**(SMALL | settings))
    batch = config.batch_size
    return NumpyBackend(model, config, vocab, batch), FastBackend(model, config, vocab, batch, threads)


SHAPES = [
    pytest.param({"hidden": 16}, id="plain"),
    pytest.param({"layers": 3, "hidden": 32}, id="3-layers"),
    pytest.param({"embedding": 8, "threads": 2}, id="embedding"),
    pytest.param({"layers": 3, "dropout": 0.3, "threads": 3}, id="dropout"),
    pytest.param({"vocab": 300, "threads": 2}, id="few-of-many-symbols"),
    pytest.param({"vocab": 300, "embedding": 8, "layers": 3, "hidden": 32}, id="few-of-many-embedded"),
    pytest.param({"vocab": 300, "batch_size": 53, "hidden": 3}, id="many-symbols"),
    pytest.param({"batch_size": 1, "threads": 4}, id="one-stream"),
]


@pytest.mark.parametrize("cell", CELLS)
def test_it_follows_the_numpy_engine(cell: dict[str, Any]) -> None:
    """With all at once: layers, embedding, dropout, uneven shards."""
    settings = cell | {"layers": 2, "embedding": 8, "dropout": 0.3, "threads": 2, "clip_value": 0.0}
    assert_follows(*engines(**settings), VOCAB, 50, 0.01, 1e-5)


@pytest.mark.parametrize(
    "cell",
    [
        *CELLS,
        pytest.param({"cell": "gru", "hidden": 16}, id="gru-of-whole-vectors"),
        pytest.param({"cell": "gru", "input_dropout": 0.0}, id="no-input-dropout"),
        pytest.param({"cell": "gru", "vocab": 300, "input_dropout": 0.0}, id="few-of-many-symbols"),
        pytest.param({"cell": "lstm", "layers": 1, "vocab": 300}, id="one-layer"),
    ],
)
def test_it_draws_the_masks_of_the_numpy_engine(cell: dict[str, Any]) -> None:
    """In float64: a mask that differs in one place would show at once."""
    settings = {"layers": 2, "embedding": 7, "precision": "float64", "clip_value": 0.0, "threads": 2} | cell
    masked = {"dropout": 0.3, "dropout_kind": "locked", "weight_drop": 0.4, "embedding_dropout": 0.3}
    plain, fast = engines(**(masked | {"input_dropout": 0.2} | settings))
    vocab, settings = settings.get("vocab", VOCAB), settings | {"input_dropout": 0.0}
    assert_follows(plain, fast, vocab, 10, 0.05, 1e-12)
    without, _ = engines(**settings)
    for x, y in text(vocab, 10, BATCH, CHUNK):
        without.step(x, y, 0.05)
    assert relative_error(without.network().theta, fast.network().theta) > 1e-4  # they act


def test_reading_between_steps_uses_the_whole_weights() -> None:
    """And leaves the next step as it was."""
    settings = {"cell": "gru", "weight_drop": 0.5, "dropout": 0.2, "dropout_kind": "locked", "embedding": 7}
    settings |= {"embedding_dropout": 0.5, "input_dropout": 0.5}
    fast, undisturbed = (engines(**settings)[1] for _ in range(2))
    ids = np.random.default_rng(1).integers(0, VOCAB, (32, 8))
    for x, y in text(VOCAB, 4, BATCH, CHUNK):
        network = fast.network()
        logits, state = network.read(ids, network.zero_state(8))
        reference = Network(network.config, VOCAB)
        reference.theta[...] = network.theta
        expected, after, _ = reference.forward(ids, reference.zero_state(8))
        np.testing.assert_allclose(logits, expected, atol=1e-5)
        np.testing.assert_allclose(state, after, atol=1e-5)
        assert fast.step(x, y, 0.1) == undisturbed.step(x, y, 0.1)


@SLOW
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_it_follows_the_numpy_engine_in_any_shape(
    cell: dict[str, Any], shape: dict[str, Any], precision: str
) -> None:
    settings = cell | shape | {"precision": precision, "clip_value": 0.0}
    vocab = settings.get("vocab", VOCAB)
    assert_follows(*engines(**settings), vocab, 200, 0.01, 1e-5 if precision == "float32" else 1e-12)


@pytest.mark.parametrize(
    ("steps", "precision"),
    [(50, "float32"), *(pytest.param(200, precision, marks=SLOW) for precision in ("float32", "float64"))],
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer(optimizer: str, steps: int, precision: str) -> None:
    both = engines(cell="gru", hidden=8, optimizer=optimizer, clip_value=0.0, threads=2, precision=precision)
    assert_follows(*both, VOCAB, steps, RATES[optimizer], 1e-5 if precision == "float32" else 1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {"clip_value": 0.02},
        {"clip_norm": 0.5, "clip_value": 0.0},
        {"clip_norm": 0.5, "clip_value": 0.02},
        {"l1": 0.001, "l2": 0.01},
        {"l2": 0.01},
        {"ar": 2.0, "dropout": 0.2},
        {"tar": 2.0},
        {"label_smoothing": 0.2},
        {"weight_decay": 0.1, "average": 0.9},
        {"weight_decay": 0.1, "optimizer": "adam", "freeze_layers": "1", "layers": 2, "threads": 2},
        {"freeze_layers": "0", "layers": 2},
        {"freeze_layers": "0,1", "layers": 2, "l1": 0.001},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_clipping_penalties_and_frozen_layers(settings: dict[str, Any]) -> None:
    settings = {"cell": "gru", "hidden": 8, "precision": "float64", "clip_value": 0.0} | settings
    plain, fast = engines(**settings)
    before = fast.network().theta.copy()
    assert_follows(plain, fast, VOCAB, 30, 0.05, 1e-12)
    without, _ = engines(
        **(settings | {"clip_value": 0.0, "clip_norm": 0.0, "l1": 0.0, "l2": 0.0})
        | {"freeze_layers": "", "weight_decay": 0.0, "average": 0.0}
        | OFF
    )
    for x, y in text(VOCAB, 30, BATCH, CHUNK):
        without.step(x, y, 0.05)
    assert relative_error(without.network().theta, fast.network().theta) > 1e-4  # the setting acts
    spans = fast.network().spans()
    for layer in settings.get("freeze_layers", "").split(","):
        for name, (start, stop) in spans.items():
            if layer and name.endswith(f"_l{layer}"):
                assert np.array_equal(fast.network().theta[start:stop], before[start:stop])


@pytest.mark.parametrize(
    ("optimizer", "threads"),
    [(name, 2) if name == "adam" else pytest.param(name, 1, marks=SLOW) for name in OPTIMIZERS],
)
def test_the_average_is_that_of_the_numpy_engine(optimizer: str, threads: int) -> None:
    """And training is bit for bit what it is without an average."""
    settings = {
        "cell": "gru",
        "layers": 2,
        "optimizer": optimizer,
        "precision": "float64",
        "threads": threads,
    }
    plain, fast = engines(average=0.9, **settings)
    assert_follows(plain, fast, VOCAB, 60, RATES[optimizer], 1e-12)
    assert relative_error(fast.network().theta, fast.last().theta) > 1e-4
    np.testing.assert_array_equal(fast.network().theta, fast.arrays()["average"])
    _, without = engines(**settings)
    for k, (x, y) in enumerate(text(VOCAB, 60, BATCH, CHUNK)):
        if k % 50 == 0:
            without.reset_state()
        without.step(x, y, RATES[optimizer])
    np.testing.assert_array_equal(without.network().theta, fast.last().theta)
    ids = np.random.default_rng(2).integers(
        0, VOCAB, 40_000
    )  # in so many streams that compiled code reads them
    assert mean_loss(fast.network(), ids) == pytest.approx(mean_loss(plain.network(), ids), rel=1e-12)
    assert abs(mean_loss(fast.network(), ids) - mean_loss(fast.last(), ids)) > 1e-5


# ------------------------------------------------------------------------------------------------
# The gradient itself


@pytest.mark.parametrize(
    ("layers", "chunk", "embedding", "precision"),
    [
        pytest.param(*case, marks=() if case == (1, 6, 4, "float32") else SLOW)
        for case in product((1, 3), (1, 6), (0, 4), ("float32", "float64"))
    ],
)
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_the_derivative_of_the_loss(
    cell: dict[str, Any], layers: int, chunk: int, embedding: int, precision: str
) -> None:
    """Central differences of the plain network in float64, for each number of each tensor, from a state that
    is not zero and with biases that are not."""
    shape = {"layers": layers, "hidden": 4, "seq_length": chunk, "embedding": embedding, "batch_size": 3}
    model, config = configs(**(SMALL | cell | shape), precision=precision)
    vocab, rng = 5, np.random.default_rng(5)
    fast = FastBackend(model, config, vocab, 3, 2)
    reference = Network(model, vocab, np.float64)
    reference.theta[...] = (0.5 * rng.standard_normal(reference.theta.size)).astype(np.float32)
    state = (0.5 * rng.standard_normal(reference.zero_state(3).shape)).astype(np.float32)
    fast.restore(fast.arrays() | {"theta": reference.theta, "state": state})
    x, y = rng.integers(0, vocab, (2, chunk, 3))
    loss, _ = fast.step(x, y, 0.1)

    def exact_loss() -> float:
        return cross_entropy_gradient(reference.forward(x, state.astype(np.float64))[0], y)[0]

    limit = 1e-4 if precision == "float32" else 1e-7
    assert loss == pytest.approx(exact_loss() / chunk, rel=limit / 100)
    for name, gradient in fast.network().grads.items():
        numeric = numeric_gradient(exact_loss, reference.params[name])
        assert np.linalg.norm(numeric) > 1e-3, name
        assert relative_error(gradient.astype(np.float64), numeric) < limit, name


# ------------------------------------------------------------------------------------------------
# Divergence, threads, small sizes


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("cell", CELLS)
def test_it_tells_of_divergence_and_goes_back(cell: dict[str, Any], bad: float) -> None:
    """Nothing of it stays, not even in the cells that fill up vectors; and no thread warns."""
    _, fast = engines(**cell, layers=2, dropout=0.2, clip_norm=1.0, batch_size=4, threads=2)
    chunks = text(VOCAB, 5, 4, CHUNK)
    fast.step(*chunks[0], 0.01)
    good = {name: array.copy() for name, array in fast.arrays().items()}

    def two_steps() -> list[tuple[float, float]]:
        return [fast.step(*chunk, 0.01) for chunk in chunks[1:3]]

    expected, then = two_steps(), fast.network().theta.copy()
    fast.network().theta[:] = bad
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):  # as the session has it
        warnings.simplefilter("error")
        for chunk in chunks[3:]:
            loss, norm = fast.step(*chunk, 0.01)
            assert not np.isfinite(loss)
            assert not np.isfinite(norm)
    fast.restore(good)
    assert two_steps() == expected
    np.testing.assert_array_equal(fast.network().theta, then)


@pytest.mark.parametrize("name", ["head.bias", "lstm.weight_hh_l0", "lstm.weight_ih_l1", "embedding.weight"])
def test_one_number_gone_wrong_is_told(name: str) -> None:
    _, fast = engines(layers=2, embedding=8)
    fast.network().params[name].flat[1 if "bias" in name else 0] = np.nan
    x, y = np.zeros((2, CHUNK, BATCH), np.int64)
    with np.errstate(invalid="ignore"):
        loss, norm = fast.step(x, y, 0.01)
    assert np.isnan(loss)
    assert np.isnan(norm)


def test_results_depend_on_the_number_of_threads_but_not_on_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs in which every thread waits a random while give the same bits."""
    settings = {"cell": "gru", "dropout": 0.3, "layers": 2, "batch_size": 6, "optimizer": "adam"}
    chunks = text(VOCAB, 10, 6, CHUNK)

    def run(threads: int, delays: int | None = None) -> bytes:
        _, fast = engines(**settings, threads=threads)
        if delays is not None:
            rng = random.Random(delays)
            for shard in fast._shards:
                monkeypatch.setattr(shard, "step", delayed(shard.step, rng))
        losses = [fast.step(*chunk, 0.001) for chunk in chunks]
        return repr(losses).encode() + b"".join(array.tobytes() for array in fast.arrays().values())

    def delayed(step: Callable[[], float], rng: random.Random) -> Callable[[], float]:
        def late() -> float:
            time.sleep(rng.uniform(0, 0.003))
            return step()

        return late

    assert run(3) == run(3, delays=1) == run(3, delays=2)
    assert run(1) == run(1)
    assert run(3) != run(1)


@pytest.mark.parametrize("cell", CELLS)
def test_the_smallest_network_of_all(cell: dict[str, Any]) -> None:
    """One cell, two symbols, one stream, one step, fewer parameters than a vector holds."""
    both = engines(2, 3, **cell, hidden=1, batch_size=1, seq_length=1, optimizer="adam")
    assert_follows(*both, 2, 20, 0.001, 1e-5)


def test_more_threads_than_streams() -> None:
    settings = {"cell": "rnn", "batch_size": 2, "threads": 5}
    plain, fast = engines(**settings)
    assert len(fast._shards) == 2
    assert_follows(plain, fast, VOCAB, 20, 0.01, 1e-5)


def test_a_vocabulary_of_one_symbol() -> None:
    assert_follows(*engines(1, cell="rnn"), 1, 5, 0.01, 1e-5)
