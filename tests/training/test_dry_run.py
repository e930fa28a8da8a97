"""--dry-run: its numbers against ones worked out by hand, and that nothing is written."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.small_runs import Recorder
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.errors import DataError, UsageError
from charrnn.training import dry_run as module
from charrnn.training import loop, session
from charrnn.training.dry_run import dry_run

TEXT = "the quick brown fox jumps over the lazy dog. " * 200  # 9,000 characters, 28 different ones


@pytest.fixture(autouse=True)
def short_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.1)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fox.txt").write_text(TEXT)
    return tmp_path / "fox.txt"


def test_its_sizes_are_those_of_the_run(corpus: Path) -> None:
    run = dry_run(
        corpus,
        cell="lstm",
        layers=2,
        hidden=10,
        batch_size=4,
        seq_length=20,
        epochs=3,
        threads=1,
        backend="numpy",
    )
    assert (len(run.plan.corpus.ids), *map(len, run.plan.parts)) == (9000, 8100, 900, 0)
    assert len(run.plan.corpus.vocabulary) == len(set(TEXT)) == 28
    # 4H (V + H + 1) + 4H (H + H + 1) + V (H + 1)
    assert run.plan.parameters == 40 * (28 + 10 + 1) + 40 * (10 + 10 + 1) + 28 * 11
    chunks = run.plan.streams().chunks
    assert chunks == 8099 // 4 // 20
    assert run.steps == 3 * chunks
    assert run.seconds == pytest.approx(3 * run.seconds_per_epoch)
    assert run.seconds_per_epoch >= 0.99 * 8000 / run.chars_per_second


def test_the_clock_bounds_the_run(corpus: Path) -> None:
    run = dry_run(corpus, hidden=8, layers=1, max_minutes=0.5, threads=1)
    assert (run.steps, run.seconds) == (None, 30.0)


def test_its_pace_is_that_of_the_run(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that goes on by as much with each step."""
    step, now = loop.Trainer._step, 0.0

    def timed(self: loop.Trainer) -> Any:
        nonlocal now
        now += 0.01
        return step(self)

    monkeypatch.setattr(loop.Trainer, "_step", timed)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: now))
    settings = {"hidden": 64, "layers": 1, "threads": 1, "batch_size": 4, "seq_length": 20}
    run = dry_run(corpus, **settings)
    real = session.train(corpus, out=tmp_path / "run", max_steps=40, **settings)
    assert run.chars_per_second == pytest.approx(4 * 20 / 0.01)
    assert real.chars_per_second == pytest.approx(run.chars_per_second)


def test_memory_counts_weights_and_activations(corpus: Path) -> None:
    settings = {"threads": 1, "backend": "numpy"}
    small = dry_run(corpus, hidden=16, layers=1, batch_size=2, **settings)
    wide = dry_run(corpus, hidden=400, layers=1, batch_size=2, **settings)
    # weights, gradient, penalty mask, Adagrad's memory and its scratch, and the last good state of two of them
    assert wide.memory_bytes - small.memory_bytes > 7 * 4 * (wide.plan.parameters - small.plan.parameters)
    long = dry_run(corpus, hidden=16, layers=1, batch_size=100, seq_length=80, val_fraction=0, **settings)
    # of the LSTM alone, in float32: the gates and their derivatives, h, c, tanh c: 4 + 4 + 3 arrays (T, B, H)
    assert long.memory_bytes - small.memory_bytes > 11 * 4 * (100 * 80 - 2 * 25) * 16 * 0.5
    validated = dry_run(corpus, hidden=64, layers=1, val_fraction=0.5, **settings)
    unvalidated = dry_run(corpus, hidden=64, layers=1, val_fraction=0, **settings)
    assert validated.memory_bytes - unvalidated.memory_bytes > 250_000  # longer chunks are read at once
    assert long.memory_bytes < module.MEMORY_AT_START + 200e6


def test_a_large_model_on_a_small_text_is_warned_of_here_and_at_the_start(
    corpus: Path, tmp_path: Path
) -> None:
    run = dry_run(corpus, hidden=150, layers=1, threads=1, backend="numpy")
    assert any("times the 8,100 characters" in note for note in run.notes)
    assert not dry_run(corpus, hidden=50, layers=1, threads=1, backend="numpy").notes

    recorder = Recorder()
    session.train(
        corpus, out=tmp_path / "run", hidden=150, layers=1, max_steps=1, threads=1, observers=[recorder]
    )
    assert any("times the 8,100 characters" in note for note in recorder.notes)


def test_it_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    arguments = ["train", str(corpus), "--hidden", "16", "--threads", "1", "--dry-run"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "28" in shown.stdout
    assert "8,100 train" in shown.stdout
    as_json = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (as_json["characters"], as_json["vocabulary"], as_json["config"]["threads"]) == (9000, 28, 1)
    assert as_json["memory_bytes"] > 0
    assert list(as_json) == [
        *("corpus", "characters", "training_characters", "validation_characters", "vocabulary", "parameters"),
        *("model", "config", "batch_size", "threads", "chunks", "memory_bytes", "chars_per_second"),
        *("seconds_per_epoch", "steps", "seconds", "notes"),
    ]
    assert list(tmp_path.iterdir()) == [corpus]


def test_it_starts_from_a_model_as_a_run_would(corpus: Path, tmp_path: Path) -> None:
    session.train(corpus, out=tmp_path / "run", hidden=12, layers=1, max_steps=1, threads=1)
    (tmp_path / "new.txt").write_text(TEXT + "ÄÖÜ")
    run = dry_run(tmp_path / "new.txt", init_from=tmp_path / "run", threads=1)
    assert (run.plan.model.hidden, len(run.plan.corpus.vocabulary)) == (12, 31)
    with pytest.raises(UsageError, match="--hidden 13"):
        dry_run(tmp_path / "new.txt", init_from=tmp_path / "run", hidden=13)


def test_what_a_run_refuses_it_refuses(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        dry_run(tmp_path / "absent.txt")
    with pytest.raises(UsageError, match="no corpus"):
        dry_run(())
    refused = CliRunner().invoke(app, ["train", "--resume", "--dry-run"])
    assert isinstance(refused.exception, UsageError)
