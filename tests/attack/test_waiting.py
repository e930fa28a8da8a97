"""No name on the command line makes a command wait without a word, or read without an end."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import safetensors.numpy
from helpers.command_line import charrnn
from helpers.victims import run_folder, small_model

from charrnn.cli import arguments
from charrnn.files import reading

HANG = 20.0  # seconds after which a test is stopped; none comes near it


@pytest.fixture(autouse=True)
def stopped_when_it_hangs() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the command waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    small_model("abc").save("m.safetensors")
    safetensors.numpy.save_file({"a": np.ones(3, np.float32)}, "net.safetensors")
    return tmp_path


COMMANDS = {
    "prime": ["sample", "--model", "m.safetensors", "--prime", "@{}"],
    "stop": ["sample", "--model", "m.safetensors", "--stop", "@{}"],
    "config": ["sample", "--config", "{}"],
    "vocab": ["import", "net.safetensors", "--out", "o.safetensors", "--vocab", "@{}"],
    "vocab json": ["import", "net.safetensors", "--out", "o.safetensors", "--vocab", "@{}.json"],
    "labels": ["probe", "{}", "--model", "m.safetensors"],
    "to predict": ["probe", "--predict", "{}", "--probe", "p.safetensors", "--model", "m.safetensors"],
    "probe": ["probe", "--predict", "t.csv", "--probe", "{}", "--model", "m.safetensors"],
    "model": ["info", "--model", "{}"],
    "several models": ["eval", "t.txt", "--model", "{}"],
    "import": ["import", "{}", "--out", "o.safetensors", "--vocab", "abc"],
    "init-from": ["train", "t.txt", "--init-from", "{}"],
    "space": ["tune", "t.txt", "--space", "{}"],
    "concept": ["inspect-cells", "--model", "m.safetensors", "--concept", "x=file:{}"],
    "novelty": ["sample", "--model", "m.safetensors", "--novelty", "--novelty-corpus", "{}"],
}


@pytest.mark.parametrize("what", COMMANDS)
@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/dev/null", "."])
def test_what_is_no_file_is_refused_at_once(folder: Path, what: str, name: str) -> None:
    if what == "vocab json":
        os.mkfifo("pipe.json")
    told = charrnn(*(part.format(name) for part in COMMANDS[what]))
    assert told.code in (2, 3, 4), told.err
    assert told.err.count("charrnn: ") == 1
    assert "[Errno" not in told.err


def test_a_pipe_that_the_shell_has_opened_is_read(folder: Path) -> None:
    """As in --prime @<(echo abc), --config <(…)."""
    for content, args in (
        (b"abc", ["sample", "--model", "m.safetensors", "--length", 3, "--prime", "@{}"]),
        (b"length = 3\n", ["sample", "--model", "m.safetensors", "--config", "{}"]),
    ):
        end, begin = os.pipe()
        os.write(begin, content)
        os.close(begin)
        told = charrnn(*(str(part).format(f"/dev/fd/{end}") for part in args))
        os.close(end)
        assert told.code == 0, told.err
        assert len(told.out) == 3


def test_what_is_read_whole_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("long").write_text("a" * 101)
    monkeypatch.setattr(arguments, "LONGEST_PRIME", 100)
    told = charrnn("sample", "--model", "m.safetensors", "--prime", "@long")
    assert told.code == 3
    assert "it is larger than the limit of 100 bytes" in told.err
    with pytest.raises(OSError, match="larger than the limit of 100 bytes"):
        reading.read_file("long", 100)
    assert reading.read_file("long", 101) == b"a" * 101


def test_stdin_that_is_closed(folder: Path) -> None:
    for args in (
        ["sample", "--model", "m.safetensors", "--prime", "-"],
        ["probe", "-", "--model", "m.safetensors"],
        ["eval", "-", "--model", "m.safetensors"],
    ):
        told = charrnn(*args, stdin=None)
        assert told.code == 3
        assert "stdin" in told.err
        assert told.err.count("charrnn: ") == 1


@pytest.mark.parametrize("forged", [(10**12,), (2**62, 4), (-4,), (3, 0)])
def test_labels_whose_header_does_not_fit(folder: Path, forged: tuple[int, ...]) -> None:
    with open("labels.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": forged})
        file.write(b"\0" * 64)
    told = charrnn("inspect-cells", "--model", "m.safetensors", "--concept", "x=file:labels.npy")
    assert told.code == 3
    assert "cannot read labels.npy as a .npy array" in told.err


def test_labels_are_read_as_before(folder: Path) -> None:
    from charrnn.interpret.user_concepts import parse_concept

    np.save("labels.npy", np.array([0, 1, 1], bool))
    values, known = parse_concept("x=file:labels.npy").mark("abc")
    assert values.tolist() == [0, 1, 1]
    assert known.all()


def test_run_folders_whose_files_are_pipes(tmp_path: Path) -> None:
    for name in (
        "metrics.jsonl",
        "samples.jsonl",
        "config.toml",
        "checkpoint.safetensors",
        "model.safetensors",
    ):
        run = run_folder(tmp_path / name)
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
        for args in (
            ["info", "--model", run],
            ["report", run, "--html", tmp_path / "page.html"],
            ["train", "--resume", "--out", run],
        ):
            told = charrnn(*args)
            assert told.code in (0, 3, 4), (name, args, told.err)
