"""One process writes to a run folder, whatever is done to the folder, and what it has worked out is not lost."""

import errno
import os
import shlex
import shutil
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from helpers.small_runs import SETTINGS, outcome

from charrnn.engines.signals import StopRequest
from charrnn.errors import CharRNNError, UsageError
from charrnn.runs import checkpoint, folder
from charrnn.runs.folder import RunFolder
from charrnn.training.observers import Observer
from charrnn.training.session import train
from charrnn.tune import trial

EVERY = 15  # steps between validations


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", "corpus")


class Once(Observer):
    """An observer that does something after a report."""

    def __init__(self, what: Any, at: int = EVERY) -> None:
        self.what, self.at = what, at

    def report(self, report: Any, is_best: bool) -> None:
        if report.step == self.at:
            self.what()


# ------------------------------------------------------------------------------------------------
# The lock


@pytest.mark.parametrize("way", ["removed", "replaced"])
def test_without_its_file_the_lock_still_holds(run: RunFolder, way: str) -> None:
    run.write_config({"a": 1})
    with run.lock():
        (run.path / "lock").unlink()
        if way == "replaced":
            (run.path / "lock").write_bytes(b"")
        with pytest.raises(UsageError, match=f"{run.path} is being written by"), RunFolder(run.path).lock():
            pass
        with pytest.raises(UsageError, match="is being written by"):
            RunFolder.create(run.path, "corpus", force=True)
        assert run.config.exists()


@pytest.mark.parametrize("number", sorted(folder._NO_FOLDER_LOCKS))
def test_where_folders_have_no_locks_the_file_does(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = folder._take_lock

    def of_files_only(fd: int) -> None:
        if os.path.isdir(f"/dev/fd/{fd}"):
            raise OSError(number, os.strerror(number))
        real(fd)

    monkeypatch.setattr(folder, "_take_lock", of_files_only)
    with run.lock():
        with pytest.raises(UsageError, match=f"process {os.getpid()} "), RunFolder(run.path).lock():
            pass
        run.check_alone()
        (run.path / "lock").unlink()
        with pytest.raises(CharRNNError, match="lock was removed while this run was writing"):
            run.check_alone()


def test_a_disk_whose_folders_fail_in_another_way_is_told(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(folder, "_take_lock", fail)
    with pytest.raises(CharRNNError, match=f"cannot lock {run.path}: Input/output error"), run.lock():
        pass


# ------------------------------------------------------------------------------------------------
# Trials of a search


@pytest.fixture
def pipe() -> Iterator[tuple[Any, Any]]:
    ours, theirs = Pipe()
    with ours, theirs:
        yield ours, theirs


def test_a_trial_waits_until_its_folder_is_free(run: RunFolder, pipe: tuple[Any, Any]) -> None:
    waiting, entered = threading.Event(), threading.Event()

    class Talk:
        def poll(self, seconds: float) -> bool:
            waiting.set()
            return False

    def enter() -> None:
        with trial._alone(RunFolder(run.path), Talk(), StopRequest()):  # type: ignore[arg-type]
            entered.set()

    thread = threading.Thread(target=enter)
    with run.lock():
        thread.start()
        assert waiting.wait(60)
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set()


def test_a_trial_that_is_told_to_leave_while_it_waits_writes_nothing(
    corpus: Path, run: RunFolder, pipe: tuple[Any, Any]
) -> None:
    ours, theirs = pipe
    ours.send("leave")
    job = trial.Job([str(corpus)], {**SETTINGS, "max_steps": 20}, run.path)
    with run.lock(), pytest.raises(EOFError):
        trial._train(theirs, job, StopRequest())
    assert sorted(entry.name for entry in run.path.iterdir()) == ["lock"]


# ------------------------------------------------------------------------------------------------
# A folder that is moved or deleted, and files that cannot be written


def test_a_folder_that_is_moved_while_training_gets_what_is_written(corpus: Path, tmp_path: Path) -> None:
    train(corpus, out=tmp_path / "whole", max_steps=2 * EVERY, **SETTINGS)
    out, moved = tmp_path / "out", tmp_path / "moved"
    other = tmp_path / "other"

    def move() -> None:
        out.rename(moved)
        other.mkdir()
        other.rename(out)

    result = train(corpus, out=out, observers=[Once(move)], max_steps=2 * EVERY, **SETTINGS)
    assert list(out.iterdir()) == []
    assert result.checkpoint == str(moved / "checkpoint.safetensors")
    assert outcome(moved) == outcome(tmp_path / "whole")


def test_a_folder_that_is_deleted_while_training_is_made_anew_for_the_checkpoint(
    corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(CharRNNError) as caught:
        train(corpus, out=out, observers=[Once(lambda: shutil.rmtree(out))], max_steps=99, **SETTINGS)
    assert "intact" not in str(caught.value)
    assert "The folder was gone and was made anew; the newest checkpoint is in it" in str(caught.value)
    metadata, _ = checkpoint.load(out / "checkpoint.safetensors")
    assert metadata["progress"]["step"] == EVERY
    assert train(out=out, resume=True, max_steps=2 * EVERY).steps == 2 * EVERY


def test_a_checkpoint_whose_name_is_taken_goes_under_another(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken = out / "checkpoint.safetensors"
    with pytest.raises(CharRNNError) as caught:
        train(corpus, out=out, observers=[Once(taken.mkdir)], max_steps=2 * EVERY, **SETTINGS)
    rescue = out / "checkpoint-rescue.safetensors"
    assert "intact" not in str(caught.value)
    assert f"The newest checkpoint is in {rescue} instead. Go on from there with:\n" in str(caught.value)
    command = shlex.split(str(caught.value).splitlines()[-1])
    assert command[:4] == ["mv", str(rescue), str(taken), "&&"]
    taken.rmdir()
    rescue.rename(taken)
    metadata, _ = checkpoint.load(taken)
    assert metadata["progress"]["step"] == 2 * EVERY


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl", "model.safetensors"])
def test_what_cannot_be_written_does_not_cost_the_checkpoint(corpus: Path, tmp_path: Path, name: str) -> None:
    """The run ends where it could not write, and the steps until then are in its checkpoint."""
    out = tmp_path / "out"

    def spoil() -> None:
        (out / name).unlink(missing_ok=True)
        (out / name).mkdir()

    with pytest.raises(CharRNNError) as caught:
        train(corpus, out=out, observers=[Once(spoil)], max_steps=99, **SETTINGS)
    step = checkpoint.load(out / "checkpoint.safetensors")[0]["progress"]["step"]
    assert EVERY <= step <= 2 * EVERY
    assert f"cannot write {out / name}" in str(caught.value)
    assert f"The checkpoint of step {step} is intact. Go on from there with:\n" in str(caught.value)
    (out / name).rmdir()
    assert train(out=out, resume=True, max_steps=40).steps == 40
