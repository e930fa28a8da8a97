"""Items side by side: chunks of any length, and places that have no target, are the same in every engine.

A gradient is taken from outside: one step of plain gradient descent at rate 1 moves the weights by it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from charrnn.config import CELLS, configs
from charrnn.engines.backend import Backend, NumpyBackend
from charrnn.engines.fast_backend import FastBackend
from charrnn.engines.ranks import Ranks
from charrnn.fast.compiler import Program
from charrnn.nn.gradcheck import numeric_gradient, relative_error
from charrnn.nn.loss import NEVER, cross_entropy_gradient
from charrnn.nn.network import Network

VOCAB, LONGEST = 11, 7
LENGTHS = [7, 1, 4, 6, 2]  # places read of each item
CONDITIONS = [2, 1, 1, 3, 2]  # symbols at its beginning that are read and not scored
BATCH = len(LENGTHS)
ENGINES = ["numpy", "fast", "fast-2-threads", "torch"]
MASKED = {"embedding": 4, "dropout": 0.3, "dropout_kind": "locked", "weight_drop": 0.4}
MASKED |= {"input_dropout": 0.2, "embedding_dropout": 0.3}
PENALISED = {"ar": 2.0, "tar": 1.0, "label_smoothing": 0.1}
SETTINGS = {"hidden": 10, "optimizer": "sgd", "clip_value": 0.0, "precision": "float64", "seed": 3}


def engine(
    kind: str, batch: int = BATCH, seq_length: int = LONGEST, ranks: Any = None, **settings: Any
) -> Any:
    model, config = configs(**(SETTINGS | settings), batch_size=batch, seq_length=seq_length)
    if kind == "numpy":
        return NumpyBackend(model, config, VOCAB, batch)
    if kind == "torch":
        pytest.importorskip("torch")
        from charrnn.engines.torch_backend import TorchBackend

        config = replace(config, backend="torch")
        return TorchBackend(model, config, VOCAB, batch, **({"ranks": ranks} if ranks else {}))
    return FastBackend(model, config, VOCAB, batch, threads=2 if kind == "fast-2-threads" else 1)


def items(lengths: list[int] = LENGTHS) -> list[tuple[np.ndarray, np.ndarray]]:
    """x and y (t, 1) of each item: its condition has no targets but the last of it."""
    rng, made = np.random.default_rng(4), []
    for length, condition in zip(lengths, CONDITIONS, strict=True):
        x, y = rng.integers(0, VOCAB, (2, length, 1))
        y[: condition - 1] = -1
        made.append((x, y))
    return made


def side_by_side(each: list[tuple[np.ndarray, np.ndarray]], steps: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.full((steps, len(each)), VOCAB - 1), np.full((steps, len(each)), -1)
    for b, (own_x, own_y) in enumerate(each):
        x[: len(own_x), b], y[: len(own_y), b] = own_x[:, 0], own_y[:, 0]
    return x, y


def with_random_weights(backend: Any) -> np.ndarray:
    """Put random numbers into all weights, biases too; returns them."""
    theta = 0.5 * np.random.default_rng(5).standard_normal(backend.arrays()["theta"].size)
    backend.restore({name: array.copy() for name, array in backend.arrays().items()} | {"theta": theta})
    return theta


def gradient(backend: Any, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of a chunk from the zero state, and its gradient at the weights of `with_random_weights`."""
    before = with_random_weights(backend)
    backend.reset_state()
    loss, norm = backend.step(x, y, 1.0)
    found = before - backend.arrays()["theta"]
    assert norm == pytest.approx(float(np.linalg.norm(found)), rel=1e-10)
    return loss, found


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_of_items_side_by_side_is_the_sum_of_each_alone(
    cell: str, layers: int, kind: str
) -> None:
    """In chunks as long as they may be, and in shorter ones."""
    settings = {"cell": cell, "layers": layers}
    together, alone = engine(kind, **settings), engine("numpy", batch=1, **settings)
    for lengths in (LENGTHS, [3, 1, 2, 3, 2]):
        each = items(lengths)
        loss, found = gradient(together, *side_by_side(each, max(lengths)))
        answers = [gradient(alone, *item) for item in each]
        counts = np.array([np.count_nonzero(y >= 0) for _, y in each])
        expected = np.sum([one for _, one in answers], axis=0) / BATCH
        assert np.linalg.norm(expected) > 0.1
        assert relative_error(found, expected) < 1e-10
        assert loss == pytest.approx(np.dot([one for one, _ in answers], counts) / counts.sum(), rel=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_that_gradient_is_the_derivative_of_the_loss(cell: str) -> None:
    settings = {"cell": cell, "layers": 2, "hidden": 4}
    backend = engine("numpy", **settings)
    x, y = side_by_side(items(), LONGEST)
    _, found = gradient(backend, x, y)
    network = Network(configs(**settings)[0], VOCAB, np.float64)
    network.theta[...] = with_random_weights(backend)

    def loss() -> float:
        return cross_entropy_gradient(network.forward(x, network.zero_state(BATCH))[0], y)[0]

    assert relative_error(found, numeric_gradient(loss, network.theta)) < 1e-7


# ------------------------------------------------------------------------------------------------
# Training


def mixed_chunks(steps: int) -> Iterator[tuple[bool, np.ndarray, np.ndarray]]:
    """Chunks of 1 to LONGEST steps, some with missing targets, and before each whether new items begin."""
    rng = np.random.default_rng(6)
    for _ in range(steps):
        t = int(rng.integers(1, LONGEST + 1))
        x = rng.integers(0, VOCAB, (t, BATCH))
        y = np.where(rng.random(x.shape) < 0.3, -1, (3 * x + 1) % VOCAB)
        yield rng.random() < 0.4, x, y


def trained(backend: Backend, steps: int = 50, lr: float = 0.05) -> tuple[list[Any], dict[str, np.ndarray]]:
    told = []
    for begins, x, y in mixed_chunks(steps):
        if begins:
            backend.reset_state()
        told.append(backend.step(x, y, lr))
    return told, {name: array.copy() for name, array in backend.arrays().items()}


@pytest.mark.parametrize(
    "settings",
    [
        *({"cell": cell, "layers": 2} for cell in CELLS),
        {"cell": "gru", "layers": 1, "optimizer": "adam", "embedding": 4},
        {"cell": "lstm", "layers": 3, "optimizer": "adagrad", "l2": 0.01, "clip_value": 0.1},
        *({"cell": cell, "layers": 2} | MASKED | PENALISED for cell in CELLS),
        {"cell": "gru", "layers": 1} | PENALISED,
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_chunks_of_all_lengths_train_all_engines_alike(settings: dict[str, Any]) -> None:
    expected, arrays = trained(engine("numpy", **settings))
    assert np.mean([loss for loss, _ in expected[-10:]]) < np.mean([loss for loss, _ in expected[:10]])
    for kind in ENGINES[1:]:
        told, found = trained(engine(kind, **settings))
        np.testing.assert_allclose(told, expected, rtol=1e-10, err_msg=kind)
        assert np.array_equal(found["rng"], arrays["rng"])
        for name in set(arrays) - {"rng"}:
            np.testing.assert_allclose(
                found[name], arrays[name], rtol=0, atol=1e-10, err_msg=f"{kind} {name}"
            )


@pytest.mark.parametrize("kind", ENGINES)
def test_the_loss_that_is_told_is_the_cross_entropy_alone(kind: str) -> None:
    """Penalties and smoothing change what is learnt, and not what is told of the chunk at hand."""
    x, y = side_by_side(items(), LONGEST)
    (loss, norm), (told, other_norm) = (
        engine(kind, cell="lstm", **settings).step(x, y, 0.1) for settings in ({}, PENALISED)
    )
    assert told == loss
    assert other_norm != norm


@pytest.mark.parametrize("kind", ["fast", "fast-2-threads"])
def test_dropout_draws_the_masks_of_a_short_chunk_as_numpy_does(kind: str) -> None:
    settings = {"cell": "gru", "layers": 2, "dropout": 0.3}
    (expected, arrays), (told, found) = (trained(engine(name, **settings)) for name in ("numpy", kind))
    np.testing.assert_allclose(told, expected, rtol=1e-10)
    assert np.array_equal(found["rng"], arrays["rng"])
    assert relative_error(found["theta"], arrays["theta"]) < 1e-10


@pytest.mark.parametrize("kind", ["numpy", "fast", "torch"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_long_item_in_chunks_reads_as_in_one(cell: str, kind: str) -> None:
    """At rate 0: the same loss and the same state at the end, whatever the lengths of the chunks."""
    x, y = np.random.default_rng(8).integers(0, VOCAB, (2, 17, BATCH))
    y[15:, 1], y[:3, 2] = -1, -1
    answers = []
    for lengths in ([17], [6, 6, 5], [1, 7, 2, 7], [3, 7, 7]):
        backend, total, start = engine(kind, seq_length=17 if len(lengths) == 1 else 7, cell=cell), 0.0, 0
        with_random_weights(backend)
        for length in lengths:
            chunk = x[start : start + length], y[start : start + length]
            total += backend.step(*chunk, 0.0)[0] * np.count_nonzero(chunk[1] >= 0)
            start += length
        answers.append((total, backend.arrays()["state"].copy()))
    (total, state), *others = answers
    assert np.linalg.norm(state) > 0.5
    for other_total, other_state in others:
        assert other_total == pytest.approx(total, rel=1e-12)
        np.testing.assert_allclose(other_state, state, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_chunk_without_any_target_teaches_nothing(kind: str) -> None:
    """But the state goes on. Nothing is penalised either."""
    backend = engine(kind, cell="lstm", layers=2, **PENALISED)
    theta, state = (backend.arrays()[name].copy() for name in ("theta", "state"))
    assert backend.step(np.ones((3, BATCH), int), np.full((3, BATCH), -1), 1.0) == (0.0, 0.0)
    assert np.array_equal(backend.arrays()["theta"], theta)
    assert not np.array_equal(backend.arrays()["state"], state)


@pytest.mark.parametrize("smoothed", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam"])
@pytest.mark.parametrize("kind", ENGINES)
def test_a_symbol_that_is_never_to_come_is_learnt_nothing_of(
    kind: str, optimizer: str, smoothed: float
) -> None:
    """With a bias of NEVER its probability is exactly 0, and so is the gradient of all that leads to it, while
    it is read like any other."""
    backend = engine(kind, precision="float32", optimizer=optimizer, cell="gru", label_smoothing=smoothed)
    network = backend.network()
    network.params["head.bias"][-1] = NEVER
    backend.restore({**backend.arrays(), "theta": network.theta.copy()})
    before = {name: value.copy() for name, value in network.params.items()}
    for _, x, y in mixed_chunks(20):
        loss, _ = backend.step(x, np.minimum(y, VOCAB - 2), 0.1)
        assert 0 < loss < 10
    after = backend.network().params
    assert after["head.bias"][-1] == np.float32(NEVER)
    assert np.array_equal(after["head.weight"][-1], before["head.weight"][-1])
    assert not np.array_equal(after["head.weight"][0], before["head.weight"][0])
    assert not np.array_equal(after["gru.weight_ih_l0"][:, -1], before["gru.weight_ih_l0"][:, -1])


def test_one_compiled_program_serves_all_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = engine("fast", cell="lstm")
    monkeypatch.setattr(Program, "compile", lambda program: pytest.fail("it compiles again"))
    for t in range(1, LONGEST + 1):
        loss, _ = backend.step(np.zeros((t, BATCH), int), np.ones((t, BATCH), int), 0.01)
        assert np.isfinite(loss)


@pytest.mark.parametrize("cell", CELLS)
def test_a_short_chunk_leaves_the_later_rows_alone(cell: str) -> None:
    """So that its time is that of its own steps."""
    backend, t = engine("fast", cell=cell, layers=2), 3
    arrays = [layer.arrays for layer in backend._shards[0].layers]
    later = [of_layer[name][first:LONGEST] for of_layer in arrays for name, first in (("h", t + 1), ("a", t))]
    for rows in later:
        rows[...] = 7
    backend.step(np.zeros((t, BATCH), int), np.ones((t, BATCH), int), 0.1)
    for rows in later:
        np.testing.assert_array_equal(rows, 7)
    for of_layer in arrays:
        assert np.all(of_layer["h"][1 : t + 1] != 7)


class Together(Ranks):
    """One of two ranks, whose sums get those of the other added."""

    def __init__(self, rank: int, others: list[Any]) -> None:
        super().__init__(rank, 2)
        self.own: list[Any] = []
        self._others = iter(others)

    def sum(self, numbers: Any) -> None:
        self.own.append(numbers.clone())
        numbers += next(self._others, 0.0)


@pytest.mark.parametrize("regularisers", [{}, MASKED | PENALISED], ids=["plain", "regularised"])
def test_the_loss_of_several_ranks_is_the_mean_over_the_targets_of_all(regularisers: dict[str, Any]) -> None:
    """Not the mean of their means: one has many targets, the other few. Weights are masked alike in all ranks, and
    each stream's signals as in one process."""
    x, y = np.random.default_rng(9).integers(0, VOCAB, (2, LONGEST, 4))
    y[2:, 1], y[1:, 3] = -1, -1
    settings: dict[str, Any] = {"cell": "gru", "layers": 2} | regularisers
    whole = engine("torch", batch=4, **settings)
    second = Together(1, [])
    engine("torch", batch=2, ranks=second, **settings).step(x[:, 1::2], y[:, 1::2], 0.1)
    first = engine("torch", batch=2, ranks=Together(0, second.own), **settings)
    told, expected = first.step(x[:, ::2], y[:, ::2], 0.1), whole.step(x, y, 0.1)
    assert told == pytest.approx(expected, rel=1e-12)
    assert relative_error(first.network().theta, whole.network().theta) < 1e-13
