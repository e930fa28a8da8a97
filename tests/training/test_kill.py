"""Training is stopped by force in every way the system has, and nothing is lost.

Each run here is a process of its own, `python -m charrnn train`, on a text small enough for some
hundred steps a second; it saves a checkpoint thirty times a second, so that kills often meet one.
"""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.small_runs import outcome, write_text

from charrnn.engines import signals
from charrnn.errors import ModelError
from charrnn.files import TEMPORARY
from charrnn.runs import checkpoint
from charrnn.runs.folder import RunFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are those of POSIX")

CHARRNN = (sys.executable, "-m", "charrnn")
SMALL = "--layers 1 --hidden 8 --batch-size 2 --seq-length 8 --dropout 0.2 --optimizer adam --eval-every 200"
SMALL += " --threads 1 --checkpoint-every 0.03 --backend numpy"
STEPS = 600


def training(corpus: Path, out: Path, *more: str) -> list[str]:
    return ["train", str(corpus), "--out", str(out), *SMALL.split(), *more]


def start(arguments: Sequence[str], prologue: str = "") -> subprocess.Popen[str]:
    """A charrnn process; with `prologue`, Python code that it runs first."""
    code = f"{prologue}\nfrom charrnn.cli.app import main\nmain()"
    command = [sys.executable, "-c", code, *arguments] if prologue else [*CHARRNN, *arguments]
    return subprocess.Popen(
        command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )


def finish(arguments: Sequence[str], prologue: str = "") -> tuple[int, str]:
    """Exit code and stderr of a charrnn process."""
    process = start(arguments, prologue)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def wait_until_training(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith("run folder"):
        assert line, "it ended before it began"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "text.txt", words=800)


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves that nobody stops."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    code, told = finish(training(corpus, out, f"--max-steps={STEPS}"))
    assert code == 0, told
    return outcome(out)


# ------------------------------------------------------------------------------------------------
# SIGKILL


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_killed_run_resumes_to_the_same_bits(
    corpus: Path, whole: dict[str, Any], tmp_path: Path, kills: int
) -> None:
    """Killed at random moments, also while it starts; a run that ends first is compared, and another begun."""
    rng = random.Random(kills)
    number, steps = 0, [0]
    while kills:
        out = tmp_path / str(number)
        resumable = (out / "config.toml").exists()
        process = start(["train", "--resume", "--out", str(out)] if resumable else new(corpus, out))
        if rng.random() < 0.8:
            wait_until_training(process)
            time.sleep(rng.uniform(0, 0.25))
        else:
            time.sleep(rng.uniform(0, 0.5))
        process.kill()
        _, told = process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills -= 1
            steps.append(step_of_checkpoint(out))
        else:
            assert process.returncode == 0, told
            assert_equal(out, whole)
            number += 1
    assert max(steps) > 0, "each kill came before the first checkpoint"
    out = tmp_path / str(number)
    resumable = (out / "config.toml").exists()
    code, told = finish(["train", "--resume", "--out", str(out)] if resumable else new(corpus, out))
    assert code == 0, told
    assert_equal(out, whole)
    assert not [entry.name for entry in out.iterdir() if TEMPORARY.fullmatch(entry.name)]


def new(corpus: Path, out: Path) -> list[str]:
    return training(corpus, out, f"--max-steps={STEPS}")


def step_of_checkpoint(out: Path) -> int:
    """Of the checkpoint, which must load; 0 when there is none yet."""
    try:
        metadata, _ = checkpoint.load(out / "checkpoint.safetensors")
    except ModelError:
        assert not (out / "checkpoint.safetensors").exists()
        return 0
    return metadata["progress"]["step"]


def assert_equal(out: Path, whole: dict[str, Any]) -> None:
    left = outcome(out)
    for part in whole:
        assert left[part] == whole[part], part


# ------------------------------------------------------------------------------------------------
# SIGINT and SIGTERM


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_tells_how_to_go_on(
    corpus: Path, whole: dict[str, Any], tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "a run"
    process = start(training(corpus, out, f"--max-steps={STEPS}"))
    wait_until_training(process)
    time.sleep(0.1)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    step = step_of_checkpoint(out)
    assert 0 < step < STEPS
    assert f"charrnn: stopped at step {step}; everything is saved. Go on with:\n" in told
    assert "Traceback" not in told
    command = shlex.split(told.splitlines()[-1])
    assert command == ["charrnn", "train", "--resume", "--out", str(out)]
    assert finish(command[1:])[0] == 0
    assert_equal(out, whole)


def test_a_second_interrupt_quits_at_once(corpus: Path, tmp_path: Path) -> None:
    """A step of this model takes seconds, and the first interrupt waits for its end."""
    large = [
        "--layers",
        "1",
        "--hidden",
        "256",
        "--batch-size",
        "64",
        "--seq-length",
        "1000",
        "--threads",
        "1",
        "--backend",
        "numpy",
    ]
    text = write_text(tmp_path / "text.txt", words=20_000)
    process = start(["train", str(text), "--out", str(tmp_path / "out"), *large])
    wait_until_training(process)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    told = ""
    for _ in range(100):  # two that come within one long product of matrices count as one
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            _, told = process.communicate(timeout=3)
            break
    assert process.returncode == 130
    assert "Traceback" not in told
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["config.toml", "lock"]


def test_signals_are_as_before_after_training() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with signals.stop_on_signals() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert stop.signal_number == signal.SIGTERM
        signal.raise_signal(signal.SIGINT)  # the first of its kind
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# ------------------------------------------------------------------------------------------------
# Disks and other processes


def test_a_second_writer_is_refused(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert finish(training(corpus, out, "--max-steps=10"))[0] == 0
    before = outcome(out)
    with RunFolder(out).lock():
        for more in (["--resume"], ["--force"]):
            arguments = ["train", str(corpus), "--out", str(out), "--max-steps=20", *more]
            code, told = finish(arguments)
            assert code == 2
            assert f"charrnn: {out} is being written by process {os.getpid()} since" in told
            assert "Wait until it ends, stop it, or train into another folder with --out" in told
    assert outcome(out) == before


def limited(size: int) -> str:
    """No file may grow beyond `size` bytes: what a full disk looks like from within."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"


def test_a_full_disk_keeps_the_old_checkpoint(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert finish(training(corpus, out, "--max-steps=10"))[0] == 0
    file = out / "checkpoint.safetensors"
    content = file.read_bytes()
    code, told = finish(
        ["train", "--resume", "--out", str(out), "--max-steps=20"], limited(len(content) // 2)
    )
    assert code == 1
    assert (
        f"charrnn: cannot write {file} (the previous file is intact): File too large. Free some disk space"
        in told
    )
    assert told.endswith(
        "The checkpoint of step 10 is intact. Go on from there with:\n"
        f"  charrnn train --resume --out {shlex.quote(str(out))}\n"
    )
    assert "Traceback" not in told
    assert file.read_bytes() == content
    assert not [entry.name for entry in out.iterdir() if TEMPORARY.fullmatch(entry.name)]
    assert finish(["train", "--resume", "--out", str(out), "--max-steps=20"])[0] == 0
    assert finish(training(corpus, tmp_path / "whole", "--max-steps=20"))[0] == 0
    assert_equal(out, outcome(tmp_path / "whole"))


def test_a_disk_that_is_full_from_the_start(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told = finish(training(corpus, out, "--max-steps=10"), limited(0))
    assert code == 1
    assert f"charrnn: cannot write {out}" in told
    assert "Traceback" not in told


# Root without its capabilities is held to the permissions of files, as other users are: capset(2) with
# version 3 of its header, for this process, and no bit set.
GIVE_UP_CAPABILITIES = """
import ctypes
header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capset(header, none) == 0
"""


@pytest.mark.skipif(sys.platform != "linux" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_became_read_only(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert finish(training(corpus, out, "--max-steps=10"))[0] == 0
    content = (out / "checkpoint.safetensors").read_bytes()
    out.chmod(0o500)
    try:
        code, told = finish(
            ["train", "--resume", "--out", str(out), "--max-steps=20"],
            GIVE_UP_CAPABILITIES if os.geteuid() == 0 else "",
        )
    finally:
        out.chmod(0o700)
    assert code == 1
    assert f"cannot write {out}" in told
    assert "Choose a folder that can be written to" in told
    assert (out / "checkpoint.safetensors").read_bytes() == content
