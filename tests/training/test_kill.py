"""Training is stopped by force in every way the system has, and nothing is lost.

Each run here is a process of its own, on a text small enough for some hundred steps a second; it saves a checkpoint
thirty times a second.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import start, waiting
from helpers.small_runs import outcome, write_text

from charrnn.files.writing import TEMPORARY
from charrnn.runs import checkpoint
from charrnn.runs.folder import RunFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are those of POSIX")

SMALL = "--layers 1 --hidden 8 --batch-size 2 --seq-length 8 --dropout 0.2 --optimizer adam --eval-every 200"
SMALL += " --threads 1 --checkpoint-every 0.03 --backend numpy"
STEPS = 600


def training(corpus: Path, out: Path, *more: str) -> list[str]:
    return ["train", str(corpus), "--out", str(out), *SMALL.split(), *more]


def finish(arguments: Sequence[str], prologue: str = "") -> tuple[int, str]:
    """Exit code and stderr of a charrnn process."""
    process = start(arguments, prologue, stderr=subprocess.PIPE)
    _, told = process.communicate()
    return process.returncode, told


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


def test_a_killed_run_resumes_to_the_same_bits(corpus: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    """Before its first step, and twice later on. (Kills at any moment: the test below.)"""
    out = tmp_path / "out"
    arguments = new(corpus, out)
    for step in (0, 150, 450):
        with waiting(arguments, step) as process:
            process.kill()
            assert process.wait() == -signal.SIGKILL
        arguments = ["train", "--resume", "--out", str(out)]
    assert 0 < step_of_checkpoint(out) <= 450
    code, told = finish(arguments)
    assert code == 0, told
    assert_equal(out, whole)
    assert not [entry.name for entry in out.iterdir() if TEMPORARY.fullmatch(entry.name)]


@pytest.mark.slow
@pytest.mark.parametrize("items", ["line", "pairs"])
def test_a_killed_run_on_items_resumes_to_the_same_bits(tmp_path: Path, items: str) -> None:
    corpus = tmp_path / "list.txt"
    corpus.write_text("".join(f"{n}{chr(9) * (items == 'pairs')}{n * n:b}\n" for n in range(400)))
    arguments = new(corpus, tmp_path / "whole")
    code, told = finish([*arguments, "--items", items])
    assert code == 0, told
    out = tmp_path / "out"
    arguments = [*new(corpus, out), "--items", items]
    for step in (0, 150, 451):
        with waiting(arguments, step) as process:
            process.kill()
            assert process.wait() == -signal.SIGKILL
        arguments = ["train", "--resume", "--out", str(out)]
    code, told = finish(arguments)
    assert code == 0, told
    assert_equal(out, outcome(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "kills"), [("numpy,fast,snapshots,cache", 90), ("tune", 5)])
def test_kills_at_any_moment_lose_nothing(kinds: str, kills: int) -> None:
    command = [sys.executable, "benchmarks/kills.py", "--kills", str(kills), "--only", kinds]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, told["lost"]) == (0, 0), done.stderr
    assert told["kills"] >= kills - 2  # they are shared out in whole numbers
    assert all(told[kind]["runs_compared"] for kind in kinds.split(","))


def new(corpus: Path, out: Path) -> list[str]:
    return training(corpus, out, f"--max-steps={STEPS}")


def step_of_checkpoint(out: Path) -> int:
    metadata, _ = checkpoint.load(out / "checkpoint.safetensors")
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
    with waiting(new(corpus, out), 300, stderr=subprocess.PIPE) as process:
        process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == code
    assert step_of_checkpoint(out) == 301  # what it was at is finished
    assert "charrnn: stopped at step 301; everything is saved. Go on with:\n" in told
    assert "Traceback" not in told
    command = shlex.split(told.splitlines()[-1])
    assert command == ["charrnn", "train", "--resume", "--out", str(out)]
    assert finish(command[1:])[0] == 0
    assert_equal(out, whole)


TWICE = """
from charrnn.training import loop
def step(self):
    signal.raise_signal(signal.SIGINT)
    print("noted", flush=True)
    signal.raise_signal(signal.SIGINT)
    print("never said")
loop.Trainer._step = step
"""


def test_a_second_interrupt_quits_at_once(corpus: Path, tmp_path: Path) -> None:
    """Within the step that the first one waits for."""
    process = start(new(corpus, tmp_path / "out"), TWICE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, told = process.communicate()
    assert (process.returncode, said) == (130, "noted\n")
    assert "Traceback" not in told
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["config.toml", "lock"]


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
