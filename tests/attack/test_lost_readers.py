"""Whoever reads what a command says goes away, or never was there. stderr is talk: without it the work goes on.
stdout is data: without a reader the command is done, and what it cannot write otherwise it tells."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import start, waiting
from helpers.small_runs import outcome, write_text

from charrnn.cli.pipes import _Talk

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes are those of POSIX")

SMALL = "--layers 1 --hidden 8 --batch-size 2 --seq-length 8 --eval-every 50 --threads 1 --backend numpy"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def whole(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody disturbs."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert start(training(text, out)).wait() == 0
    return out


def training(text: Path, out: Path, *more: str) -> list[str]:
    return ["train", str(text), "--out", str(out), *SMALL.split(), "--max-steps=200", *more]


@contextmanager
def nobody() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    reads, writes = os.pipe()
    os.close(reads)
    yield writes
    os.close(writes)


def test_training_goes_on_when_the_reader_of_its_log_goes_away(
    text: Path, whole: Path, tmp_path: Path
) -> None:
    """charrnn train … 2>&1 | head"""
    reads, writes = os.pipe()
    out = tmp_path / "out"
    with waiting(training(text, out), 60, stdout=writes, stderr=writes) as process:
        os.close(writes)
        assert b"step      50" in os.read(reads, 65536)
        os.close(reads)
    assert process.wait() == 0
    assert outcome(out) == outcome(whole)


def test_a_result_that_nobody_reads_is_kept_in_the_run_folder(
    text: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with nobody() as pipe:
        process = start(training(text, out, "--json", "--quiet"), stdout=pipe, stderr=subprocess.PIPE)
        assert process.communicate() == (None, "")
    assert process.returncode == 0
    assert outcome(out) == outcome(whole)


@pytest.mark.parametrize(
    ("close", "reason"),
    [
        ("os.close(1)", "Bad file descriptor"),
        ("os.dup2(os.open('/dev/full', os.O_WRONLY), 1)", "No space left"),
    ],
)
def test_a_result_that_cannot_be_written_is_told(whole: Path, close: str, reason: str) -> None:
    if "/dev/full" in close and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    sample = ["sample", "--model", str(whole), "--length=9", "--seed=1"]
    process = again(sample, close, stderr=subprocess.PIPE)
    _, told = process.communicate()
    assert told.startswith(f"charrnn: cannot write the result: {reason}")
    assert told.count("\n") == 1
    assert process.returncode == 1


def test_without_stderr_no_file_takes_its_place_and_no_talk_comes_to_stdout(
    text: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = again(training(text, out), "os.close(2)", stdout=subprocess.PIPE)
    assert process.communicate() == ("", None)
    assert process.returncode == 0
    assert outcome(out) == outcome(whole)


def again(arguments: list[str], close: str, **more: Any) -> subprocess.Popen[str]:
    """A charrnn process whose interpreter finds its descriptors as `close`, Python code, leaves them."""
    command = [sys.executable, "-m", "charrnn", *arguments]
    code = f"import os\n{close}\nos.execv({sys.executable!r}, {command!r})"
    return subprocess.Popen([sys.executable, "-c", code], text=True, **more)


COMMANDS = [
    "sample --length 50 --seed 1 --model RUN",
    "eval TEXT --model RUN",
    "info --model RUN",
    "report RUN --html PAGE",
    "inspect-cells --cell 0:1 --text TEXT --model RUN",
    "gradient-flow --model RUN",
    "why @TEXT --context 20 --model RUN",
    "export --to torch --model RUN",
    "gradcheck",
    "learn --no-input --chapter 1",
    "tune TEXT --trials 1 --trial-steps 9 --jobs 1",
]


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize("lost", ["stdout", "stderr"])
def test_every_command_does_its_work_without_readers(
    line: str, lost: str, text: Path, whole: Path, tmp_path: Path
) -> None:
    places = {"TEXT": str(text), "@TEXT": f"@{text}", "RUN": str(whole), "PAGE": str(tmp_path / "page.html")}
    arguments = [places.get(word, word) for word in line.split()]
    other = "stderr" if lost == "stdout" else "stdout"
    with nobody() as pipe:
        process = start(arguments, cwd=tmp_path, **{lost: pipe, other: subprocess.PIPE})
        said = "".join(filter(None, process.communicate()))
    assert process.returncode == 0, said
    assert "Traceback" not in said
    if lost == "stderr":
        wanted = start(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert said == wanted.communicate()[0]


def test_a_pipe_that_another_process_made_one_that_does_not_block_is_written_whole() -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    read = bytearray()

    def drain() -> None:
        while piece := os.read(reads, 4096):
            read.extend(piece)

    reader = threading.Thread(target=drain)
    reader.start()
    data = os.urandom(1 << 20)
    with _Talk(writes, "w") as talk:
        assert talk.write(data) == len(data)
    reader.join()
    os.close(reads)
    assert read == data
