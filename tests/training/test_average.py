"""Runs with averaged weights: what is validated and kept, what goes on, and that a resume is the same run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.small_runs import SETTINGS, Recorder, assert_same, outcome, run

from charrnn.config import TrainConfig, configs
from charrnn.engines.backend import NumpyBackend
from charrnn.errors import Interrupted, UsageError
from charrnn.model.model import load_model
from charrnn.nn.network import Network
from charrnn.runs import checkpoint
from charrnn.runs.folder import RunFolder, snapshot_files
from charrnn.score.scoring import mean_loss
from charrnn.text.batches import split
from charrnn.text.corpus import read_corpus
from charrnn.training.session import train

pytestmark = pytest.mark.usefixtures("short_samples")


def averaged_by_hand(trace: list[np.ndarray], decay: float) -> np.ndarray:
    average = trace[0]
    for t, theta in enumerate(trace[1:], start=1):
        average = average + max(1 - decay, 9 / (t + 8)) * (theta - average)
    return average


def test_the_engine_averages_the_weights_of_all_steps_and_trains_as_without() -> None:
    model, config = configs(
        hidden=5, layers=2, dropout=0.2, precision="float64", average=0.5, optimizer="adam"
    )
    _, without = configs(hidden=5, layers=2, dropout=0.2, precision="float64", optimizer="adam")
    backend, plain = NumpyBackend(model, config, 7, 3), NumpyBackend(model, without, 7, 3)
    rng, trace = np.random.default_rng(0), [plain.network().theta.copy()]
    np.testing.assert_array_equal(backend.network().theta, trace[0])
    for _ in range(30):
        chunk = rng.integers(7, size=(2, 6, 3))
        assert backend.step(*chunk, 0.05) == plain.step(*chunk, 0.05)
        trace.append(plain.network().theta.copy())
        np.testing.assert_array_equal(backend.last().theta, trace[-1])
    np.testing.assert_allclose(backend.network().theta, averaged_by_hand(trace, 0.5), rtol=1e-12)
    assert "average" not in plain.arrays()


def test_the_average_is_validated_and_kept_and_the_last_weights_are_in_the_checkpoint(
    corpus: Path, tmp_path: Path
) -> None:
    """The model in the file is the average, its loss the one that the file and the metrics have; one note compares."""
    recorder = Recorder()
    result = run(corpus, tmp_path / "run", max_steps=30, average=0.8, observers=[recorder])
    assert result.best_step == 30  # so that the checkpoint has the same average
    model = load_model(tmp_path / "run/model.safetensors")
    arrays = checkpoint.load(tmp_path / "run/checkpoint.safetensors")[1]
    np.testing.assert_array_equal(model.network.theta, arrays["average"])
    assert np.abs(arrays["theta"] - arrays["average"]).max() > 1e-3

    ids = split(read_corpus([corpus]).ids, 0.1, 0).validation
    of_average = mean_loss(model.network, ids)
    last = Network(model.config, len(model.vocab))
    last.theta[...] = arrays["theta"]
    assert result.val_loss_nats == model.training["val_loss_nats"] == pytest.approx(of_average, rel=1e-6)
    assert RunFolder(tmp_path / "run").read_metrics()[-1]["val_loss_nats"] == result.val_loss_nats
    assert (
        f"validation loss at step 30: {of_average:.4f} with averaged weights, {mean_loss(last, ids):.4f} with the "
        "weights of the last step (nats per character)" in recorder.notes
    )

    without = run(corpus, tmp_path / "without", max_steps=30, observers=[recorder := Recorder()])
    assert without.train_loss_nats == result.train_loss_nats
    plain = checkpoint.load(tmp_path / "without/checkpoint.safetensors")[1]
    np.testing.assert_array_equal(plain["theta"], arrays["theta"])
    assert "average" not in plain
    assert not [note for note in recorder.notes if "averaged" in note]


@pytest.mark.parametrize("step", [1, 14, 15, 40])
def test_a_resumed_run_is_the_undisturbed_one(corpus: Path, tmp_path: Path, step: int) -> None:
    settings: dict[str, Any] = {"max_steps": 44, "average": 0.95, "optimizer": "adam", "snapshots": 3}
    run(corpus, tmp_path / "whole", **settings)
    recorder = Recorder(interrupt_after=step)
    with pytest.raises(Interrupted):
        run(corpus, tmp_path / "stopped", observers=[recorder], **settings)
    train(out=tmp_path / "stopped", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "stopped")
    whole, stopped = (snapshot_files(tmp_path / name / "snapshots") for name in ("whole", "stopped"))
    assert [file.name for file in whole] == [file.name for file in stopped]
    for one, other in zip(whole, stopped, strict=True):
        np.testing.assert_array_equal(load_model(one).network.theta, load_model(other).network.theta)


def test_snapshots_are_averages(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "run", max_steps=36, average=0.9, snapshots=3)
    newest = snapshot_files(tmp_path / "run/snapshots")[-1]
    arrays = checkpoint.load(tmp_path / "run/checkpoint.safetensors")[1]
    assert load_model(newest).training["step"] == 36
    np.testing.assert_array_equal(load_model(newest).network.theta, arrays["average"])


def test_without_validation_text_the_newest_average_is_kept(corpus: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    run(corpus, tmp_path / "run", max_steps=10, average=0.9, val_fraction=0.0, observers=[recorder])
    arrays = checkpoint.load(tmp_path / "run/checkpoint.safetensors")[1]
    np.testing.assert_array_equal(
        load_model(tmp_path / "run/model.safetensors").network.theta, arrays["average"]
    )
    assert not [note for note in recorder.notes if "averaged" in note]  # nothing to compare


def test_a_recovery_goes_back_to_the_average_of_that_moment(corpus: Path, tmp_path: Path) -> None:
    """With a rate so high that numbers overflow: afterwards average and weights are finite, and the run goes on."""
    settings = {"optimizer": "sgd", "clip_value": 0.0, "cell": "rnn", "nonlinearity": "relu", "lr": 100.0}
    recorder = Recorder()
    settings |= {"warmup_steps": 30, "eval_every": 1, "max_steps": 40, "average": 0.9}
    run(corpus, tmp_path / "run", observers=[recorder], **settings)
    assert [note for note in recorder.notes if note.startswith("the loss exploded")]
    arrays = checkpoint.load(tmp_path / "run/checkpoint.safetensors")[1]
    assert np.isfinite(arrays["average"]).all()


def test_fine_tuning_begins_at_the_average_of_the_origin(corpus: Path, tmp_path: Path) -> None:
    """Frozen layers stay as they are, in the average too, to the bit."""
    run(corpus, tmp_path / "first", max_steps=20, average=0.9)
    run(
        corpus,
        tmp_path / "second",
        max_steps=20,
        average=0.9,
        init_from=tmp_path / "first",
        freeze_layers="0,1",
    )
    first, second = (load_model(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    arrays = checkpoint.load(tmp_path / "second/checkpoint.safetensors")[1]
    for name, tensor in first.network.params.items():
        kept = np.array_equal(tensor, second.network.params[name])
        assert kept == name.startswith("lstm"), name
    start, stop = second.network.spans()["lstm.weight_hh_l1"]
    np.testing.assert_array_equal(arrays["average"][start:stop], arrays["theta"][start:stop])


def test_a_resume_cannot_turn_it_on(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "run", max_steps=5)
    with pytest.raises(UsageError, match=r"--average 0\.0 -> 0\.99.*start a new run"):
        train(out=tmp_path / "run", resume=True, force=True, average=0.99)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5])
def test_what_is_no_decay_is_refused(decay: float) -> None:
    with pytest.raises(UsageError, match="average is"):
        TrainConfig(average=decay)


def test_an_old_checkpoint_has_no_setting_for_it(corpus: Path, tmp_path: Path) -> None:
    """Files of before: `train` lacks the name, and there is no such array."""
    run(corpus, tmp_path / "run", max_steps=10)
    metadata, arrays = checkpoint.load(tmp_path / "run/checkpoint.safetensors")
    del metadata["train"]["average"], metadata["training"]["settings"]["average"]
    del metadata["kind"], metadata["sha256"]
    checkpoint.save(tmp_path / "run/checkpoint.safetensors", arrays, metadata)
    assert train(out=tmp_path / "run", resume=True, max_steps=12).steps == 12
    assert "average" not in outcome(tmp_path / "run")["arrays"]


def test_on_items(tmp_path: Path) -> None:
    corpus = tmp_path / "list.txt"
    corpus.write_text(
        "".join(f"{a}{b}{c * n}\n" for a in "KTML" for b in "aeiou" for c in "xy" for n in range(4))
    )
    settings = {**SETTINGS, "max_steps": 30, "items": "line", "average": 0.9, "out": tmp_path / "run"}
    result = train(corpus, **settings)
    arrays = checkpoint.load(tmp_path / "run/checkpoint.safetensors")[1]
    assert result.best_step == 30
    np.testing.assert_array_equal(load_model(result.model).network.theta, arrays["average"])
