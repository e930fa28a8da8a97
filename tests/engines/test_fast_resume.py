"""On the fast path too, a run that was stopped and resumed is the run that was not, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.small_runs import Recorder, assert_same, run

from charrnn.config import OPTIMIZERS
from charrnn.errors import Interrupted
from charrnn.runs import checkpoint
from charrnn.training.session import train

pytest.importorskip("llvmlite")

pytestmark = pytest.mark.usefixtures("short_samples")


CELLS: dict[str, dict[str, Any]] = {
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "rnn-relu": {"cell": "rnn", "nonlinearity": "relu"},
}
RUNS = [
    pytest.param(
        cell,
        optimizer,
        threads,
        marks=() if (optimizer, threads) == ("adam", 1 + (cell == "lstm")) else pytest.mark.slow,
    )
    for cell in CELLS
    for optimizer in OPTIMIZERS
    for threads in (1, 2)
]


@pytest.mark.parametrize(("cell", "optimizer", "threads"), RUNS)
def test_two_halves_are_the_whole(
    corpus: Path, tmp_path: Path, cell: str, optimizer: str, threads: int
) -> None:
    """22 + 22 steps with dropout, stopped in mid-epoch (of 36), with validations at 15 and 30."""
    settings = CELLS[cell] | {"optimizer": optimizer, "threads": threads, "backend": "fast"}
    if optimizer == "adagrad":  # as for numpy: by default the first half ends with the best model
        settings["lr"] = 0.02
    whole = run(corpus, tmp_path / "whole", max_steps=44, **settings)
    half = run(corpus, tmp_path / "halves", max_steps=22, **settings)
    assert half.epochs < 1 < whole.epochs
    assert np.any(checkpoint.load(tmp_path / "halves" / "checkpoint.safetensors")[1]["state"])
    train(out=tmp_path / "halves", resume=True, max_steps=44)
    assert_same(tmp_path / "whole", tmp_path / "halves")


def test_a_run_may_be_stopped_by_a_signal(corpus: Path, tmp_path: Path) -> None:
    settings = {"max_steps": 40, "schedule": "cosine", "optimizer": "adam", "l1": 1e-4, "l2": 1e-4}
    settings |= {"embedding": 4, "backend": "fast", "threads": 3}
    run(corpus, tmp_path / "whole", **settings)
    with pytest.raises(Interrupted):
        run(corpus, tmp_path / "stopped", observers=[Recorder(interrupt_after=16)], **settings)
    recorder = Recorder()
    train(out=tmp_path / "stopped", resume=True, observers=[recorder])
    assert recorder.plan is not None
    assert (recorder.plan.threads, recorder.plan.config.backend) == (3, "fast")
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_that_diverges_goes_back(corpus: Path, tmp_path: Path) -> None:
    """By so high a rate that numbers overflow; afterwards it goes on as a run does."""
    settings = {"optimizer": "sgd", "clip_value": 0.0, "cell": "rnn", "nonlinearity": "relu", "lr": 100.0}
    recorder = Recorder()
    settings |= {"warmup_steps": 30, "eval_every": 1, "max_steps": 40, "backend": "fast", "threads": 2}
    result = run(corpus, tmp_path / "run", observers=[recorder], **settings)
    assert [note for note in recorder.notes if note.startswith("the loss exploded")]
    assert result.steps == 40
    assert np.isfinite(checkpoint.load(tmp_path / "run" / "checkpoint.safetensors")[1]["theta"]).all()


@pytest.mark.parametrize(
    ("first", "then"), [("fast", "numpy"), pytest.param("numpy", "fast", marks=pytest.mark.slow)]
)
def test_a_run_may_go_on_with_the_other_engine(corpus: Path, tmp_path: Path, first: str, then: str) -> None:
    """Within rounding, which is not bit for bit: so the model card tells of it."""
    settings = {"precision": "float64", "optimizer": "adam", "dropout": 0.3, "lr": 0.002}
    run(corpus, tmp_path / "whole", max_steps=44, backend=first, **settings)
    run(corpus, tmp_path / "changed", max_steps=22, backend=first, **settings)
    recorder = Recorder()
    train(out=tmp_path / "changed", resume=True, max_steps=44, backend=then, observers=[recorder])
    assert f"changed at this resume: --backend {first} -> {then}" in recorder.notes
    assert recorder.plan is not None
    assert recorder.engine.startswith(then)
    whole, changed = (
        checkpoint.load(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "changed")
    )
    assert changed[0]["training"]["changes"] == [f"at step 22: --backend {first} -> {then}"]
    np.testing.assert_allclose(changed[1]["theta"], whole[1]["theta"], rtol=0, atol=1e-9)
    assert not np.array_equal(changed[1]["theta"], whole[1]["theta"])
