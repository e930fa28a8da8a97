"""The regression of beliefs: on networks that have them, on others, and its parts against brute force."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.machines import machine_model

import charrnn
from charrnn.errors import DataError
from charrnn.probe import beliefs
from charrnn.probe.beliefs import LONGEST, BeliefResult, contexts, fit_beliefs, truth_of
from charrnn.text.known_processes import process
from charrnn.text.process_files import STATES, Written, make

LENGTH = 3000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    make(Written(process("tomita-5"), LENGTH, seed=2), folder / "parity.txt", force=False)
    return folder


@pytest.fixture
def parity(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path / "parity.txt"


def result_of(path: Path, noise: float = 0.0, **options: float) -> BeliefResult:
    return fit_beliefs(machine_model(process("tomita-5"), noise=noise), *truth_of(path), **options)  # type: ignore[arg-type]


def test_a_network_that_is_the_machine_has_its_beliefs(parity: Path) -> None:
    found = result_of(parity)
    assert found.states == process("tomita-5").states
    assert found.r2 == pytest.approx(1, abs=1e-6)
    assert found.r2_by_state == pytest.approx([1] * 4, abs=1e-6)
    assert (found.fitted_symbols, found.held_out_symbols) == (2400 - beliefs.WARM_UP, 600)
    # Parities cannot be read off a network that has not learnt to keep them, nor random beliefs of contexts off any.
    assert max(found.untrained_r2) < 0.5
    assert len(found.untrained_r2) == beliefs.UNTRAINED
    assert found.control_r2 < 0.5
    assert found.contexts > found.numbers
    assert found.selectivity == pytest.approx(found.r2 - found.control_r2)
    assert found.to_json()["selectivity"] == found.selectivity
    for k, beyond in enumerate(found.beyond, 1):
        assert (beyond.symbols, beyond.r2) == (k, pytest.approx(1, abs=1e-4))
        assert beyond.untrained_r2 is not None
        assert max(beyond.untrained_r2) < 0.5
    # Four states that come about equally often, and are known: the spread of one-hot vectors.
    shares = np.bincount(truth_of(parity)[1].states[2400:], minlength=4) / 600
    assert found.variance == pytest.approx((shares * (1 - shares)).sum())


def test_states_that_are_no_function_of_the_belief_explain_less(parity: Path) -> None:
    text, truth = truth_of(parity)
    shuffled = np.random.default_rng(0).permutation(truth.beliefs)
    model = machine_model(process("tomita-5"))
    found = fit_beliefs(
        model, text, type(truth)(truth.states, truth.names, shuffled, truth.losses, truth.sha256)
    )
    assert abs(found.r2) < 0.05


def test_ridge_is_the_least_of_its_loss() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 5)) * [1, 2, 3, 4, 0] + 1, rng.normal(size=(40, 3))
    for penalty in (1e-8, 0.1, 10.0):
        (fitted,) = beliefs._Ridge._of(x, y, [penalty])
        # The same as least squares with further rows, which ask for zero weights of the scaled inputs.
        scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
        z = (x - x.mean(axis=0)) / scale
        rows = np.vstack([z, np.sqrt(40 * penalty) * np.eye(5)])
        weight = np.linalg.lstsq(rows, np.vstack([y - y.mean(axis=0), np.zeros((5, 3))]), rcond=None)[0]
        np.testing.assert_allclose(x @ fitted.weight + fitted.bias, z @ weight + y.mean(axis=0), atol=1e-9)


def test_the_penalty_is_the_one_that_predicts_best() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 40))
    noisy = x[:, :1] + 3 * rng.normal(size=(60, 1))
    assert beliefs._Ridge.fit(x, noisy).penalty >= 0.1  # as many numbers as places: without it all is noise
    many = rng.normal(size=(5000, 40))
    assert beliefs._Ridge.fit(many, many[:, :1]).penalty <= 1e-4


def test_contexts_are_the_last_symbols() -> None:
    ids = np.random.default_rng(1).integers(3, size=400)
    for more_than in (1, 3, 10, 26, 80):
        K, codes = contexts(ids, more_than)
        texts = [tuple(ids[t - K + 1 : t + 1]) for t in range(K, 400)]
        both = set(zip(texts, codes[K:].tolist(), strict=True))
        assert len(both) == len(set(texts)) == len(set(codes[K:].tolist()))
        assert codes.max() + 1 > more_than
        shorter = len({tuple(ids[t - K + 2 : t + 1]) for t in range(K, 400)})
        assert K == 1 or shorter <= more_than
    assert contexts(np.zeros(20, int), 5)[0] == LONGEST


def test_beyond_the_last_symbols_is_regression_beside_each_window() -> None:
    """The same as least squares on the states and an indicator of each window."""
    rng = np.random.default_rng(5)
    ids = rng.integers(3, size=4000)
    codes = ids + 3 * np.roll(ids, 1)
    states = rng.normal(size=(4000, 4)) + rng.normal(size=(9, 4))[codes]
    told = rng.normal(size=(9, 2))[codes] + states @ rng.normal(size=(4, 2)) + rng.normal(size=(4000, 2))
    parts = slice(50, 3000), slice(3000, 4000)
    (*_, found) = (
        beliefs._beyond(k, last, [states, 0 * states], told, parts)
        for k, last in zip((1, 2), beliefs._last_symbols(ids), strict=False)
    )
    inputs = np.hstack([np.eye(9)[codes], states])
    weight = np.linalg.lstsq(inputs[parts[0]], told[parts[0]], rcond=None)[0]
    means = np.stack([told[parts[0]][codes[parts[0]] == c].mean(axis=0) for c in range(9)])
    rest = (told - means[codes])[parts[1]]
    errors = ((told - inputs @ weight)[parts[1]] ** 2).sum()
    assert found.symbols == 2
    assert found.r2 == pytest.approx(1 - errors / ((rest - rest.mean(axis=0)) ** 2).sum(), abs=1e-5)
    assert found.left == pytest.approx((rest**2).sum() / (told[parts[1]].var(axis=0).sum() * 1000))
    assert found.untrained_r2 == pytest.approx((0,), abs=0.01)


def test_what_a_window_tells_leaves_nothing(parity: Path) -> None:
    text, truth = truth_of(parity)
    ids = np.array([ord(ch) for ch in text])
    seen = (ids == ids[0]).astype(float)
    window = np.stack([seen * np.roll(seen, 1), 1 - seen * np.roll(seen, 1)], axis=1)
    known = type(truth)(truth.states, ("both", "not"), window, truth.losses, truth.sha256)
    one, two, three = fit_beliefs(machine_model(process("tomita-5")), text, known).beyond
    assert one.left > 0.1
    assert one.r2 is not None
    assert [(each.r2, each.untrained_r2) for each in (two, three)] == [(None, None)] * 2
    assert two.left < 1e-12


@pytest.mark.slow
def test_beyond_three_symbols_an_untrained_network_fails_on_mess3(tmp_path: Path) -> None:
    """Of all of the belief both know nearly everything, as it is nearly a fading average of the symbols."""
    texts = [
        make(Written(process("mess3"), length, seed), tmp_path / f"{seed}.txt", force=False)[0]
        for seed, length in ((1, 200_000), (2, 20_000))
    ]
    settings: dict[str, Any] = {"optimizer": "adam", "lr": 0.005, "schedule": "cosine", "final_lr": 0.01}
    settings |= {"batch_size": 32, "seq_length": 50, "clip_value": 0, "clip_norm": 40, "val_fraction": 0.02}
    trained = charrnn.train(
        texts[0],
        out=tmp_path / "run",
        cell="rnn",
        layers=1,
        hidden=32,
        max_steps=2000,
        seed=1,
        threads=1,
        **settings,
    )
    found = fit_beliefs(charrnn.load_model(trained.model), *truth_of(texts[1]))
    assert found.r2 > 0.99
    assert min(found.untrained_r2) > 0.95
    beyond = found.beyond[-1]
    assert beyond.left == pytest.approx(0.014, abs=0.003)
    assert beyond.r2 is not None
    assert beyond.r2 > 0.85
    assert beyond.untrained_r2 is not None
    assert max(beyond.untrained_r2) < 0.65


def test_files_that_do_not_belong_together(parity: Path) -> None:
    text = parity.read_text()
    parity.write_text(text[::-1])
    with pytest.raises(DataError, match=f"is not the text that parity{STATES} belongs to"):
        truth_of(parity)
    with pytest.raises(DataError, match="is not the states of a process"):
        truth_of(parity.with_name("other.txt"))
    parity.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        truth_of(parity)


def test_texts_that_cannot_be_used(parity: Path) -> None:
    text, truth = truth_of(parity)
    model = machine_model(process("tomita-5"))
    with pytest.raises(DataError, match="the text has 900 symbols; at least 1,000"):
        fit_beliefs(model, text[:900], truth)
    for share in (0.0, 1.0):
        with pytest.raises(DataError, match="leaves too few to fit or to measure on"):
            fit_beliefs(model, text, truth, held_out=share)
    certain = type(truth)(truth.states, truth.names, truth.beliefs * 0 + 1, truth.losses, truth.sha256)
    with pytest.raises(DataError, match="the belief is the same after each symbol"):
        fit_beliefs(model, text, certain)
    with pytest.raises(DataError, match="this model reads items"):
        fit_beliefs(item_model("01"), text, truth)
