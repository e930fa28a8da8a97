"""A run that was stopped and resumed is the run that was not: same bits, same decisions."""

import errno
import math
import os
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.small_runs import Recorder, assert_same, outcome, run, without_times, write_text

from charrnn.config import CELLS, OPTIMIZERS
from charrnn.errors import CharRNNError, DataError, Interrupted, ModelError, UsageError
from charrnn.model.model import load_model
from charrnn.runs import checkpoint
from charrnn.runs.card import read_info
from charrnn.runs.folder import RunFolder
from charrnn.text.corpus import read_corpus
from charrnn.training import loop, session
from charrnn.training.result import TrainResult
from charrnn.training.session import train

pytestmark = pytest.mark.usefixtures("short_samples")


def resume(out: Path, **settings: Any) -> TrainResult:
    return train(out=out, resume=True, **settings)


def interrupt(corpus: Path, out: Path, step: int, **settings: Any) -> None:
    """Train until `step`, with all else as for the whole run."""
    with pytest.raises(Interrupted) as stopped:
        run(corpus, out, observers=[Recorder(interrupt_after=step)], **settings)
    assert stopped.value.exit_code == 130
    assert checkpoint.load(out / "checkpoint.safetensors")[0]["progress"]["step"] == step


# ------------------------------------------------------------------------------------------------
# N + N = 2N


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", CELLS)
def test_two_halves_are_the_whole(corpus: Path, tmp_path: Path, cell: str, optimizer: str) -> None:
    """22 + 22 steps: stopped in mid-epoch, over an epoch's end (36), with validations at 15 and 30."""
    settings = {"cell": cell, "optimizer": optimizer}
    if (
        optimizer == "adagrad"
    ):  # by default it overfits here, and the model of the closing validation would be kept
        settings["lr"] = 0.02
    whole = run(corpus, tmp_path / "whole", max_steps=44, **settings)
    half = run(corpus, tmp_path / "halves", max_steps=22, **settings)
    assert half.epochs < 1 < whole.epochs
    assert half.epochs % 1 > 0
    trained = checkpoint.load(tmp_path / "halves" / "checkpoint.safetensors")[1]
    assert np.any(trained["state"])
    halves = resume(tmp_path / "halves", max_steps=44)
    assert_same(tmp_path / "whole", tmp_path / "halves")
    results = [
        vars(result)
        | {"model": "", "checkpoint": "", "verdict": str(result.verdict).replace(f"/{name} ", "/ ")}
        for name, result in (("whole", whole), ("halves", halves))
    ]
    assert without_times(results[0]) == without_times(results[1])


@pytest.mark.parametrize("step", [1, 14, 15, 16, 36, 40])
def test_a_run_may_be_stopped_at_any_step(corpus: Path, tmp_path: Path, step: int) -> None:
    """By SIGINT, under a schedule of the whole run, before, at and after a validation and an epoch's end."""
    settings = {"max_steps": 40, "schedule": "cosine", "optimizer": "adam", "l1": 1e-4, "l2": 1e-4}
    settings |= {"embedding": 4, "precision": "float64"}
    run(corpus, tmp_path / "whole", **settings)
    interrupt(corpus, tmp_path / "stopped", step, **settings)
    resume(tmp_path / "stopped")
    assert_same(tmp_path / "whole", tmp_path / "stopped")


REGULARISERS = {"dropout": 0.3, "dropout_kind": "locked", "weight_drop": 0.3, "embedding_dropout": 0.2}
REGULARISERS |= {"input_dropout": 0.2, "ar": 1.0, "tar": 0.5, "label_smoothing": 0.1}
REGULARISERS |= {"weight_decay": 0.05, "average": 0.9, "jitter": True}


@pytest.mark.parametrize("backend", ["numpy", "fast", "torch"])
def test_a_run_with_every_regulariser_may_be_stopped(corpus: Path, tmp_path: Path, backend: str) -> None:
    """Stopped in mid-epoch; the masks and the average go on where they were."""
    pytest.importorskip({"numpy": "numpy", "fast": "llvmlite", "torch": "torch"}[backend])
    settings = {"max_steps": 24, "embedding": 4, "cell": "gru", "optimizer": "adam", "backend": backend}
    settings |= REGULARISERS
    run(corpus, tmp_path / "whole", **settings)
    interrupt(corpus, tmp_path / "stopped", 13, **settings)
    resume(tmp_path / "stopped")
    assert_same(tmp_path / "whole", tmp_path / "stopped")
    kept = load_model(tmp_path / "whole" / "model.safetensors").training["settings"]
    assert {name: kept[name] for name in REGULARISERS} == REGULARISERS


def test_regularisers_may_change_at_a_resume_and_must_suit_the_model(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "run", max_steps=5, cell="gru")
    assert resume(tmp_path / "run", max_steps=10, weight_drop=0.2, ar=1.0, label_smoothing=0.1).steps == 10
    with pytest.raises(
        UsageError, match=r"--input-dropout 0\.1 needs an embedding; set its size with --embedding"
    ):
        resume(tmp_path / "run", max_steps=15, input_dropout=0.1)


def test_a_run_may_be_stopped_again_and_again(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "whole", max_steps=49)
    run(corpus, tmp_path / "pieces", max_steps=7)
    for steps in range(14, 50, 7):
        assert resume(tmp_path / "pieces", max_steps=steps).steps == steps
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def test_the_mean_of_a_report_is_over_both_halves(corpus: Path, tmp_path: Path) -> None:
    """A report each 3 steps; the run stops between two of them."""
    settings = {"eval_every": 30}
    run(corpus, tmp_path / "whole", max_steps=40, **settings)
    half = run(corpus, tmp_path / "halves", max_steps=20, **settings)
    assert half.steps % 3
    resume(tmp_path / "halves", max_steps=40)
    whole, halves = outcome(tmp_path / "whole"), outcome(tmp_path / "halves")
    for part in (
        "arrays",
        "progress",
        "metrics",
    ):  # the best model may be that of the first closing validation
        assert halves[part] == whole[part]


def test_patience_goes_on_counting(corpus: Path, tmp_path: Path) -> None:
    """A learning rate far too large: nothing after the first validation is better."""
    settings = {"eval_every": 5, "patience": 4, "max_steps": 200, "lr": 3.0}
    whole = run(corpus, tmp_path / "whole", **settings)
    assert whole.stopped_because == "patience"
    assert 20 <= whole.steps < 200
    interrupt(corpus, tmp_path / "stopped", whole.steps - 7, **settings)
    assert resume(tmp_path / "stopped").stopped_because == "patience"
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_a_finished_run_is_left_as_it_is(corpus: Path, tmp_path: Path) -> None:
    """20 steps of 15 a validation, so that it ended with a closing one, which the checkpoint does not know."""
    first = run(corpus, tmp_path / "out", max_steps=20)
    file = tmp_path / "out" / "checkpoint.safetensors"
    before, content = outcome(tmp_path / "out"), file.read_bytes()
    assert [record["val_loss_nats"] is not None for record in before["metrics"]][-2:] == [False, True]
    recorder = Recorder()
    again = resume(tmp_path / "out", observers=[recorder])
    assert without_times(vars(again)) == without_times(vars(first))
    assert file.read_bytes() == content
    assert outcome(tmp_path / "out") == before


def test_a_closing_validation_that_was_killed_is_made_by_the_resume(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: loop.Trainer) -> bool:
        raise SystemExit

    run(corpus, tmp_path / "whole", max_steps=14)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "validate", killed)
        with pytest.raises(SystemExit):
            run(corpus, tmp_path / "killed", max_steps=14)
    assert resume(tmp_path / "killed").best_step == 14
    assert_same(tmp_path / "whole", tmp_path / "killed")


# ------------------------------------------------------------------------------------------------
# What may change


def test_another_text_is_refused_without_force(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(corpus, out, max_steps=5)
    before = outcome(out)
    old = RunFolder(out).read_config()["corpus"]
    corpus.write_text(corpus.read_text()[:-1] + "\n\n")
    with pytest.raises(DataError) as refused:
        resume(out, max_steps=10)
    new = read_corpus(corpus)
    for part in (new.sha256[:12], old["sha256"][:12], f"{len(new.ids):,}", f"{old['symbols']:,}", "--force"):
        assert part in str(refused.value)
    assert outcome(out) == before
    recorder = Recorder()
    assert resume(out, max_steps=10, force=True, observers=[recorder]).steps == 10
    assert any(f"the corpus has changed since {out} was trained on it" in note for note in recorder.notes)
    assert resume(out, max_steps=12).steps == 12  # the new text is now the run's own


def test_another_text_may_be_named_if_it_is_the_same(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "out", max_steps=5)
    corpus.rename(tmp_path / "moved.txt")
    with pytest.raises(DataError, match=r"text\.txt"):
        resume(tmp_path / "out", max_steps=6)
    assert train(tmp_path / "moved.txt", out=tmp_path / "out", resume=True, max_steps=6).steps == 6


def test_symbols_the_model_does_not_know_are_refused_even_with_force(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "out", max_steps=5)
    corpus.write_text(corpus.read_text() + "ω")
    with pytest.raises(DataError, match="ω"):
        resume(tmp_path / "out", max_steps=6, force=True)


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"seq_length": 7}, "--seq-length 5 -> 7"),
        ({"eval_every": 20, "val_fraction": 0.2}, "--eval-every 15 -> 20; --val-fraction 0.1 -> 0.2"),
    ],
)
def test_other_settings_are_refused_without_force(
    corpus: Path, tmp_path: Path, settings: dict[str, Any], difference: str
) -> None:
    run(corpus, tmp_path / "out", max_steps=5)
    before = outcome(tmp_path / "out")
    with pytest.raises(UsageError, match=f"{tmp_path / 'out'} was trained with other settings: {difference}"):
        resume(tmp_path / "out", max_steps=10, **settings)
    assert outcome(tmp_path / "out") == before
    resume(tmp_path / "out", max_steps=10, force=True, **settings)
    assert load_model(tmp_path / "out" / "model.safetensors").training["changes"] == [
        f"at step 5: {line}" for line in difference.split("; ")
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", 7),
        ("cell", "gru"),
        ("batch_size", 4),
        ("optimizer", "adam"),
        ("precision", "float64"),
        ("seed", 2),
        ("level", "byte"),
        ("init", "min-char-rnn"),
        ("freeze_layers", "0"),
    ],
)
def test_what_the_arrays_depend_on_never_changes(
    corpus: Path, tmp_path: Path, name: str, value: object
) -> None:
    run(corpus, tmp_path / "out", max_steps=5)
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} .* -> {value}.*start a new run"):
        resume(tmp_path / "out", max_steps=10, force=True, **{name: value})


def test_naming_the_settings_as_they_are_is_no_change(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "out", max_steps=5)
    recorder = Recorder()
    resume(tmp_path / "out", max_steps=6, hidden=6, lr=0.1, seq_length=5, observers=[recorder])
    assert not [note for note in recorder.notes if "changed" in note]


def test_budgets_may_change(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(corpus, out, epochs=0.5).stopped_because == "epochs"
    recorder = Recorder()
    result = resume(out, epochs=1, patience=50, max_minutes=5, checkpoint_every=1, observers=[recorder])
    assert (result.stopped_because, result.epochs) == ("epochs", 1)
    assert load_model(out / "model.safetensors").training["changes"] == []
    assert not [note for note in recorder.notes if "changed" in note]
    assert RunFolder(out).read_config()["train"]["epochs"] == 1


def test_learning_may_be_tuned_and_the_card_tells(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(corpus, out, max_steps=5)
    recorder = Recorder()
    resume(out, max_steps=10, lr=0.05, dropout=0.1, observers=[recorder])
    assert "changed at this resume: --lr 0.1 -> 0.05; --dropout 0.3 -> 0.1" in recorder.notes
    assert {report.lr for report in recorder.reports} == {0.05}
    resume(out, max_steps=15, clip_value=1.0, schedule="step", l2=0.001)
    assert load_model(out / "model.safetensors").training["changes"] == [
        "at step 5: --lr 0.1 -> 0.05",
        "at step 5: --dropout 0.3 -> 0.1",
        "at step 10: --clip-value 5.0 -> 1.0",
        "at step 10: --schedule constant -> step",
        "at step 10: --l2 0.0 -> 0.001",
    ]
    resume(out, max_steps=20)
    settings = load_model(out / "model.safetensors").training["settings"]
    assert (settings["lr"], settings["dropout"], settings["l2"]) == (0.05, 0.1, 0.001)


def test_each_tuned_setting_acts(corpus: Path, tmp_path: Path) -> None:
    """The steps after a change are not those without it."""
    plain = None
    for number, tuned in enumerate(({}, {"dropout": 0.0}, {"clip_norm": 0.01}, {"l1": 0.1}, {"lr": 0.01})):
        out = tmp_path / str(number)
        run(corpus, out, max_steps=5)
        resume(out, max_steps=6, **tuned)
        theta = checkpoint.load(out / "checkpoint.safetensors")[1]["theta"]
        plain = theta if plain is None else plain
        assert np.array_equal(theta, plain) == (not tuned), tuned


def test_the_number_of_threads_is_kept(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run(corpus, out, max_steps=5, threads=None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for steps, named, used in ((6, None, 2), (7, 3, 3), (8, None, 3)):
        recorder = Recorder()
        resume(out, max_steps=steps, threads=named, observers=[recorder])
        assert recorder.plan is not None
        assert recorder.plan.threads == used


# ------------------------------------------------------------------------------------------------
# Time


class Clock:
    """Time goes on by as much at every look."""

    def __init__(self, seconds: float) -> None:
        self._looks = count()
        self._seconds = seconds

    def perf_counter(self) -> float:
        return next(self._looks) * self._seconds


def test_a_schedule_over_a_time_budget_follows_the_clock(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"max_minutes": 1.0, "schedule": "cosine", "final_lr": 0.1, "warmup_steps": 0}
    monkeypatch.setattr(loop, "time", Clock(1))
    stopped, resumed = Recorder(interrupt_after=20), Recorder()
    with pytest.raises(Interrupted):
        run(corpus, tmp_path / "out", observers=[stopped], **settings)
    monkeypatch.setattr(loop, "time", Clock(1))  # as in another process, whose clock begins elsewhere
    result = resume(tmp_path / "out", observers=[resumed])
    assert result.stopped_because == "max_minutes"
    assert 60 <= result.seconds < 70
    reports = stopped.reports + resumed.reports
    assert 20 < stopped.reports[-1].seconds <= resumed.reports[0].seconds < 40
    assert all(one.seconds <= next.seconds for one, next in pairwise(reports))
    steps = [report for report in reports if report.val_loss_nats is None]
    for report in steps:  # its rate was that of the time at the step's start, which it tells
        share = report.seconds / 60
        assert report.lr == pytest.approx(0.1 * (0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2))
    assert len(steps) > 30
    assert steps[-1].lr < 0.011 < steps[len(stopped.reports)].lr


# ------------------------------------------------------------------------------------------------
# Disks that fill up


@pytest.mark.parametrize(
    ("room", "what", "file"),
    [
        (checkpoint, "save", "checkpoint.safetensors"),
        (RunFolder, "append_metrics", "metrics.jsonl"),
        (RunFolder, "append_sample", "samples.jsonl"),
        (session.Model, "save", "model.safetensors"),
    ],
)
@pytest.mark.parametrize("good", [0, 2])
def test_a_disk_that_fills_up_while_training(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: Any, what: str, file: str, good: int
) -> None:
    """One message, and how to go on from the checkpoint if there is one; then the run ends as if unharmed,
    but for a line of records that could not be written.

    A checkpoint comes after each step, a report every second, a validation every fourth.
    """
    real, done = getattr(room, what), 0

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def limited(*args: Any, **named: Any) -> None:
        nonlocal done
        done += 1
        with pytest.MonkeyPatch.context() as patch:
            if done > good:
                patch.setattr(os, "write", full)
            real(*args, **named)

    settings = {"max_steps": 20, "eval_every": 4, "lr": 0.01, "checkpoint_every": 1e-9}
    run(corpus, tmp_path / "whole", **settings)
    out = tmp_path / "a run"
    monkeypatch.setattr(room, what, limited)
    with pytest.raises(CharRNNError) as caught:
        run(corpus, out, **settings)
    monkeypatch.setattr(room, what, real)
    assert caught.value.exit_code == 1
    first, *rest = str(caught.value).splitlines()
    assert first.startswith(f"cannot write {out / file} (")
    assert first.endswith("No space left on device. Free some disk space, or write to another disk")
    saved = out / "checkpoint.safetensors"
    if saved.exists():
        step = checkpoint.load(saved)[0]["progress"]["step"]
        assert rest == [
            f"The checkpoint of step {step} is intact. Go on from there with:",
            f"  charrnn train --resume --out '{out}'",
        ]
    else:
        assert (rest, good) == ([], 0)
    resume(out)
    whole, left = outcome(tmp_path / "whole"), outcome(out)
    for name, records in (("reports", "metrics"), ("samples", "samples")):
        if file == f"{records}.jsonl":  # the line that could not be written is the only thing lost
            assert left["progress"].pop(name) == whole["progress"].pop(name) - 1
            lost = [record for record in whole[records] if record not in left[records]]
            assert len(lost) == 1
            left[records].insert(whole[records].index(lost[0]), lost[0])
    assert left == whole


# ------------------------------------------------------------------------------------------------
# Runs that have no checkpoint, or none that is good


def test_a_run_killed_before_its_first_checkpoint_starts_anew(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object, **named: object) -> None:
        raise SystemExit

    run(corpus, tmp_path / "whole", max_steps=20)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed)
        with pytest.raises(SystemExit):
            run(corpus, tmp_path / "killed", max_steps=20)
    assert not (tmp_path / "killed" / "checkpoint.safetensors").exists()
    assert len(RunFolder(tmp_path / "killed").read_metrics()) == 20
    recorder = Recorder()
    assert resume(tmp_path / "killed", observers=[recorder]).steps == 20
    assert f"{tmp_path / 'killed'} was stopped before its first checkpoint: it starts again" in recorder.notes
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_a_run_killed_before_its_first_step_starts_anew(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Recorder):
        def begin(self, about: object, vocabulary: object) -> None:
            raise SystemExit

    with pytest.raises(SystemExit):
        run(corpus, tmp_path / "killed", max_steps=20, observers=[Killed()])
    with pytest.raises(UsageError, match="--preset cannot be given with --resume"):
        resume(tmp_path / "killed", preset="quick")
    corpus.rename(tmp_path / "moved.txt")
    result = train(tmp_path / "moved.txt", out=tmp_path / "killed", resume=True, max_steps=4)
    assert result.steps == 4


@pytest.mark.parametrize("config", ["x = 1\n", "[model]\ncell = 'lstm'\n[train]\n[corpus]\n", "model = 1\n"])
def test_a_run_without_checkpoint_and_settings_is_told(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.toml").write_text(config)
    with pytest.raises(ModelError, match=r"config\.toml"):
        resume(tmp_path)


def test_a_damaged_checkpoint_is_told_and_kept(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(corpus, out, max_steps=5)
    file = out / "checkpoint.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors.*checksum"):
        resume(out, max_steps=10)
    assert file.read_bytes() == content


def test_the_newest_run_is_resumed(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="there is no run under runs"):
        train(resume=True)
    for steps in (5, 6):
        train(corpus, max_steps=steps, hidden=4, layers=1, threads=1)
    result = train(resume=True, max_steps=7)
    assert (Path(result.model).parent.parent, result.steps) == (Path("runs"), 7)
    folders = sorted(Path("runs").iterdir())
    assert Path(result.model).parent == folders[-1]
    assert len(folders) == 2


def test_every_error_here_has_its_exit_code() -> None:
    codes = {error.__name__: error.exit_code for error in (UsageError, DataError, ModelError, CharRNNError)}
    assert codes == {"UsageError": 2, "DataError": 3, "ModelError": 4, "CharRNNError": 1}


def test_a_better_model_of_the_closing_validation_is_kept(corpus: Path, tmp_path: Path) -> None:
    """A run stopped at its best and resumed beyond it keeps that model, and reports it."""
    settings = {"max_steps": 22, "hidden": 24, "lr": 0.3, "eval_every": 1000}
    first = run(corpus, tmp_path / "run", **settings)
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    # From here on a rate that can only harm.
    second = resume(tmp_path / "run", max_steps=30, lr=50.0)
    assert second.val_loss_nats == first.val_loss_nats
    assert second.best_step == 22
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_a_resume_knows_the_closing_validation_before_it(corpus: Path, tmp_path: Path) -> None:
    """What is best, which lines have a star, the curve and the card agree, though later validations are worse."""
    out = tmp_path / "run"
    settings = {"max_steps": 38, "hidden": 24, "dropout": 0.0, "lr": 0.05}
    first = run(corpus, out, **settings)
    assert first.best_step == 38  # the closing one, which no longer run makes

    class Eyes(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.best: list[tuple[float | None, int]] = []
            self.starred: list[int] = []

        def tick(self, progress: loop.Progress, chars_per_second: float, used: float) -> None:
            self.best.append((progress.best_val_loss_nats, progress.best_step))

        def report(self, report: loop.Report, is_best: bool) -> None:
            self.reports.append(report)
            if is_best and report.val_loss_nats is not None:
                self.starred.append(report.step)

    eyes = Eyes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "TICK_SECONDS", 0.0)
        second = resume(out, max_steps=70, lr=3.0, observers=[eyes])
    validated = [report.step for report in eyes.reports if report.val_loss_nats is not None]
    assert validated == [45, 60, 70]
    assert set(eyes.best) == {(first.val_loss_nats, 38)}
    assert not eyes.starred
    assert (second.val_loss_nats, second.best_step) == (first.val_loss_nats, 38)
    info = read_info(out / "model.safetensors")
    measured = [record for record in info.metrics if record["val_loss_nats"] is not None]
    assert [record["step"] for record in measured] == [15, 30, 38, 45, 60, 70]
    best = min(measured, key=lambda record: record["val_loss_nats"])
    assert (best["step"], best["val_loss_nats"]) == (38, info.training["val_loss_nats"])
    assert info.verdict is not None
    assert info.verdict.sentence == second.verdict.sentence


def test_a_better_validation_after_a_resume_has_its_star(corpus: Path, tmp_path: Path) -> None:
    first = run(corpus, tmp_path / "run", max_steps=22, hidden=24, eval_every=10)
    second = resume(tmp_path / "run", max_steps=80)
    assert second.best_step > 22
    assert (first.val_loss_nats or 0) > (second.val_loss_nats or 9)
    card = load_model(second.model).training
    assert (card["step"], card["val_loss_nats"]) == (second.best_step, second.val_loss_nats)


@pytest.mark.parametrize(("lr", "kind"), [(1e-5, "learnt nothing"), (0.03, "still improving")])
def test_a_rate_far_too_small_is_told(tmp_path: Path, lr: float, kind: str) -> None:
    corpus = write_text(tmp_path / "text.txt", words=2000)
    result = run(corpus, tmp_path / "run", max_steps=100, lr=lr, eval_every=20, hidden=24, dropout=0.0)
    assert result.verdict.kind == kind
    assert ("Raise --lr" in result.verdict.advice) == (kind == "learnt nothing")
    assert read_info(tmp_path / "run/model.safetensors").verdict == result.verdict


def test_a_sorted_list_is_told_before_the_first_step_and_at_the_end(tmp_path: Path) -> None:
    words = sorted(write_text(tmp_path / "text.txt", words=4000).read_text().split())
    corpus = tmp_path / "sorted.txt"
    corpus.write_text("\n".join(words))
    recorder = Recorder()
    result = run(corpus, tmp_path / "run", max_steps=6, observers=[recorder])
    assert result.verdict.kind == "unlike validation"
    assert [note for note in recorder.notes if "unlike the rest" in note and "shuf text.txt" in note]
    assert read_info(tmp_path / "run/model.safetensors").verdict == result.verdict


def test_the_validation_file_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named again or not, it is the same setting; another file is another run, unless forced."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("text.txt", "held.txt", "other.txt")):
        write_text(tmp_path / name, 130, seed)
    run(Path("text.txt"), tmp_path / "whole", val="held.txt", max_steps=40)
    run(Path("text.txt"), tmp_path / "halves", val="held.txt", max_steps=20)
    resume(tmp_path / "halves", val="held.txt", max_steps=30)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    resume(tmp_path / "halves", max_steps=40)
    arrays = [outcome(tmp_path / name)["arrays"] for name in ("whole", "halves")]
    assert arrays[0] == arrays[1]
    with pytest.raises(UsageError, match=r"trained with other settings: --val .*held.txt -> .*other.txt"):
        resume(tmp_path / "halves", val="../other.txt", max_steps=41)
    resume(tmp_path / "halves", val="../other.txt", max_steps=41, force=True)
    metadata, _ = checkpoint.load(tmp_path / "halves" / "checkpoint.safetensors")
    assert metadata["train"]["val"] == str(tmp_path / "other.txt")


def test_a_validation_file_that_a_checkpoint_names_is_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("text.txt", "held.txt")):
        write_text(tmp_path / name, 130, seed)
    run(tmp_path / "text.txt", tmp_path / "run", val=str(tmp_path / "held.txt"), max_steps=2)
    (tmp_path / "held.txt").unlink()
    os.mkfifo(tmp_path / "held.txt")  # reading it would wait for ever
    with pytest.raises(DataError, match=r"held\.txt: "):
        resume(tmp_path / "run", max_steps=3)
    (tmp_path / "run" / "checkpoint.safetensors").unlink()  # then it starts again, by what config.toml says
    with pytest.raises(DataError, match=r"held\.txt: "):
        resume(tmp_path / "run", max_steps=3)
    with pytest.raises(UsageError, match=r"--val .* is a folder; name one file"):
        run(tmp_path / "text.txt", tmp_path / "other", val=str(tmp_path))
