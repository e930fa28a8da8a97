"""Whole steps of a single stream, compiled: they follow the numpy engine and the shards, and several in one call are
those of as many calls."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.following import RATES, assert_follows, text
from helpers.small_runs import Recorder, assert_same, run

pytest.importorskip("llvmlite")

from charrnn.config import OPTIMIZERS, configs
from charrnn.engines import fast_backend, fast_chunks
from charrnn.engines.backend import NumpyBackend
from charrnn.engines.fast_backend import FastBackend
from charrnn.errors import Interrupted
from charrnn.nn.gradcheck import numeric_gradient, relative_error
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network
from charrnn.runs import checkpoint
from charrnn.training.session import train

SLOW = pytest.mark.slow
VOCAB, CHUNK = 27, 6
SMALL = {"layers": 1, "hidden": 20, "batch_size": 1, "seq_length": CHUNK, "optimizer": "sgd", "seed": 3}
CELLS = [{"cell": "lstm"}, {"cell": "gru"}, {"cell": "rnn"}, {"cell": "rnn", "nonlinearity": "relu"}]
CLIPPING = [
    {"clip_value": 0.02},
    {"clip_norm": 0.5, "clip_value": 0.0},
    {"clip_norm": 0.5, "clip_value": 0.02},
]
QUICK = [
    ({"cell": "lstm"}, "adam", CLIPPING[1], "float32"),
    ({"cell": "gru"}, "adagrad", CLIPPING[0], "float64"),
    ({"cell": "rnn"}, "momentum", CLIPPING[2], "float64"),
]
# Each cell with each optimiser, under the kinds of clipping and the precisions in turn.
EACH = [
    (cell, optimizer, CLIPPING[(row + column) % 3], ("float32", "float64")[column % 2])
    for row, cell in enumerate(CELLS)
    for column, optimizer in enumerate(OPTIMIZERS)
]


def engine(vocab: int = VOCAB, **settings: Any) -> FastBackend:
    made = FastBackend(*configs(**(SMALL | settings)), vocab, 1)
    assert made._chunks is not None
    return made


def plain(vocab: int = VOCAB, **settings: Any) -> NumpyBackend:
    return NumpyBackend(*configs(**(SMALL | settings)), vocab, 1)


def bits(engine: NumpyBackend) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in engine.arrays().items()}


@pytest.mark.parametrize(
    ("cell", "optimizer", "clipping", "precision"),
    [*QUICK, *(pytest.param(*case, marks=SLOW) for case in EACH if case not in QUICK)],
)
def test_200_steps_are_those_of_numpy_and_of_the_shards(
    cell: dict[str, Any],
    optimizer: str,
    clipping: dict[str, Any],
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """float32 against the shards, which round alike but in sums; float64 against numpy too."""
    settings = {"optimizer": optimizer, "precision": precision, "layers": 2, **cell, **clipping}
    lr, limit = RATES[optimizer], 1e-6 if precision == "float32" else 1e-12
    if precision == "float64":
        assert_follows(plain(**settings), engine(**settings), VOCAB, 200, lr, limit)
    ours = engine(**settings)
    monkeypatch.setattr(fast_backend, "suits", lambda *_: False)
    shards = FastBackend(*configs(**(SMALL | settings)), VOCAB, 1)
    assert shards._chunks is None
    for x, y in text(VOCAB, 200, 1, CHUNK):
        loss, norm = shards.step(x, y, lr)
        assert ours.step(x, y, lr) == (
            pytest.approx(loss, rel=10 * limit),
            pytest.approx(norm, rel=10 * limit),
        )
    for name, array in shards.arrays().items():
        if array.dtype.kind == "f":
            assert relative_error(ours.arrays()[name], array) < limit, name


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "lstm", "hidden": 13, "vocab": 32, "layers": 2},  # whole vectors of symbols alone
        {"cell": "rnn", "hidden": 1, "vocab": 2, "seq_length": 1},
        {"cell": "lstm", "hidden": 9, "weight_decay": 0.1, "average": 0.9, "optimizer": "adam"},
        pytest.param({"cell": "lstm", "hidden": 16, "vocab": 32}, marks=SLOW),  # of cells too
        pytest.param({"cell": "gru", "hidden": 16, "layers": 3}, marks=SLOW),  # of cells alone
        pytest.param({"cell": "gru", "hidden": 5, "vocab": 1}, marks=SLOW),
        pytest.param({"cell": "gru", "hidden": 130, "vocab": 300}, marks=SLOW),  # several wide panels
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_any_shape(settings: dict[str, Any]) -> None:
    """Gradients too, at each step."""
    settings = {"precision": "float64", "clip_value": 0.0} | settings
    vocab, chunk = settings.get("vocab", VOCAB), settings.get("seq_length", CHUNK)
    model, config = configs(**(SMALL | {k: v for k, v in settings.items() if k != "vocab"}))
    ours = FastBackend(model, config, vocab, 1)
    assert ours._chunks is not None
    assert chunk == config.seq_length
    assert_follows(NumpyBackend(model, config, vocab, 1), ours, vocab, 20, 0.01, 1e-12)


@pytest.mark.parametrize(
    ("layers", "chunk"), [(1, 6), *(pytest.param(*c, marks=SLOW) for c in ((1, 1), (3, 6)))]
)
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_the_derivative_of_the_loss(cell: dict[str, Any], layers: int, chunk: int) -> None:
    """Central differences of the plain network, from a state that is not zero and with biases that are not."""
    settings = cell | {"layers": layers, "hidden": 4, "seq_length": chunk, "precision": "float64"}
    vocab, rng = 5, np.random.default_rng(5)
    ours = engine(vocab, clip_value=0.0, **settings)
    reference = Network(configs(**(SMALL | settings))[0], vocab, np.float64)
    reference.theta[...] = 0.5 * rng.standard_normal(reference.theta.size)
    state = 0.5 * rng.standard_normal(reference.zero_state(1).shape)
    ours.restore(ours.arrays() | {"theta": reference.theta, "state": state})
    x, y = rng.integers(0, vocab, (2, chunk, 1))
    loss, norm = ours.step(x, y, 0.1)

    def exact_loss() -> float:
        return cross_entropy_gradient(reference.forward(x, state)[0], y)[0]

    assert loss == pytest.approx(exact_loss() / chunk, rel=1e-12)
    numeric = {name: numeric_gradient(exact_loss, array) for name, array in reference.params.items()}
    for name, gradient in ours.network().grads.items():
        assert np.linalg.norm(numeric[name]) > 1e-3, name
        assert relative_error(gradient, numeric[name]) < 1e-7, name
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in numeric.values())), rel=1e-7)


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=SLOW), "float64"])
def test_chunks_of_one_call_are_those_of_as_many_calls(precision: str) -> None:
    """Bit for bit, with rates that change; chunks may have any length, and places without a target."""
    settings = {"cell": "gru", "layers": 2, "optimizer": "adam", "clip_norm": 0.5, "precision": precision}
    one, several = engine(**settings), engine(**settings)
    rng = np.random.default_rng(1)
    chunks = [(x[: n % CHUNK + 1], y[: n % CHUNK + 1]) for n, (x, y) in enumerate(text(VOCAB, 12, 1, CHUNK))]
    for _, y in chunks[::3]:
        y[rng.random(y.shape) < 0.3] = -1
    rates = [0.01 / (n + 1) for n in range(12)]
    expected = [one.step(*chunk, lr) for chunk, lr in zip(chunks, rates, strict=True)]
    found = several.steps(chunks[:5], rates[:5]) + several.steps(chunks[5:], rates[5:])
    assert found == expected
    assert bits(several) == bits(one)
    reference = plain(**settings)
    for (x, y), lr, (loss, norm) in zip(chunks, rates, expected, strict=True):
        limit = 1e-4 if precision == "float32" else 1e-11
        assert reference.step(x, y, lr) == (pytest.approx(loss, rel=limit), pytest.approx(norm, rel=limit))


def test_a_call_is_short_enough_to_answer_a_signal_after_it() -> None:
    """Its chunks multiply at most so often, unless one alone does more."""
    assert engine(65, cell="rnn").at_once == fast_chunks.MOST
    assert fast_chunks.CALL <= 1e9  # well below a second on any machine
    for size, chunk in ((500, 5), (73_000, 25), (230_000, 25), (230_000, 200), (10**6, 1000)):
        at_once = fast_chunks.chunks_per_call(size, chunk)
        assert 1 <= at_once <= fast_chunks.MOST
        assert at_once == 1 or at_once * 3 * size * chunk <= fast_chunks.CALL


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 2},
        {"hidden": 257},
        {"embedding": 8},
        {"dropout": 0.2},
        {"weight_drop": 0.2},
        {"embedding": 8, "embedding_dropout": 0.2},
        {"embedding": 8, "input_dropout": 0.2},
        {"l1": 0.1},
        {"l2": 0.1},
        {"ar": 1.0},
        {"tar": 1.0},
        {"label_smoothing": 0.1},
        {"freeze_layers": "0"},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_what_it_leaves_out_is_left_to_the_shards(settings: dict[str, Any]) -> None:
    model, config = configs(**(SMALL | settings))
    assert not fast_chunks.suits(model, config, config.batch_size)
    model, config = configs(**SMALL)
    assert fast_chunks.suits(model, config, config.batch_size)


@pytest.mark.parametrize("bad", [np.nan, pytest.param(np.inf, marks=SLOW)])
def test_it_tells_of_divergence_and_goes_back(bad: float) -> None:
    ours, chunks = engine(cell="gru", layers=2, clip_norm=1.0), text(VOCAB, 5, 1, CHUNK)
    ours.step(*chunks[0], 0.01)
    good = {name: array.copy() for name, array in ours.arrays().items()}
    expected, then = ours.steps(chunks[1:3], [0.01] * 2), bits(ours)
    ours.last().theta[:] = bad
    for found in ours.steps(chunks[3:], [0.01] * 2):
        assert not np.isfinite(found).any()
    ours.restore(good)
    assert ours.steps(chunks[1:3], [0.01] * 2) == expected
    assert bits(ours) == then


# ------------------------------------------------------------------------------------------------
# In a run

RUN = {
    "backend": "fast",
    "batch_size": 1,
    "dropout": 0.0,
    "optimizer": "adam",
    "schedule": "step",
    "cell": "gru",
}


@pytest.mark.usefixtures("short_samples")
def test_a_run_that_a_signal_stops_within_a_call_goes_on_to_the_same_end(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops after that call, saves, and ends as the run that was not stopped, and as that of single steps."""
    settings = RUN | {"eval_every": 50, "max_steps": 120}
    run(corpus, tmp_path / "whole", **settings)
    calls: list[int] = []
    steps = FastBackend.steps

    def with_signal(self: FastBackend, chunks: Any, rates: Any) -> Any:
        calls.append(len(chunks))
        found = steps(self, chunks, rates)
        if len(calls) == 4:
            signal.raise_signal(signal.SIGINT)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FastBackend, "steps", with_signal)
        with pytest.raises(Interrupted):
            run(corpus, tmp_path / "stopped", **settings)
    assert calls == [5] * 4  # as many as between two reports
    assert checkpoint.load(tmp_path / "stopped" / "checkpoint.safetensors")[0]["progress"]["step"] == 20
    recorder = Recorder()
    train(out=tmp_path / "stopped", resume=True, observers=[recorder])
    assert_same(tmp_path / "whole", tmp_path / "stopped")
    monkeypatch.setattr(fast_chunks, "MOST", 1)
    run(corpus, tmp_path / "single", **settings)
    assert_same(tmp_path / "whole", tmp_path / "single")


@pytest.mark.usefixtures("short_samples")
def test_two_halves_are_the_whole(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "whole", max_steps=90, **RUN)
    run(corpus, tmp_path / "halves", max_steps=37, **RUN)
    train(out=tmp_path / "halves", resume=True, max_steps=90)
    assert_same(tmp_path / "whole", tmp_path / "halves")
