"""Machine code that somebody else could have written is never run."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from helpers.kernels import aligned
from helpers.small_runs import Recorder

from charrnn.fast import compiler
from charrnn.fast.compiler import Program
from charrnn.fast.ir import Kernel
from charrnn.training.session import train


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernels of a cache of this test's own."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


def program(factor: float, *key: object, name: str = "scaled") -> Program:
    """A kernel that multiplies by a factor which is not part of its name."""

    def body(k: Kernel) -> None:
        k["y"].store(k["x"].load() * factor)

    made = Program(*key)
    made.add(name, {"x": (16,), "y": (16,)}, body)
    made.compile()
    return made


def result(made: Program, name: str = "scaled") -> float:
    x, y = aligned(np.full(16, 10.0)), aligned(np.zeros(16))
    made.bind(name, x, y)()
    return float(y[0])


def test_planted_code_is_run_by_nobody_else(kernels: Path) -> None:
    """A file with a digest that is right is loaded in a private cache, and in no other."""
    assert result(program(3.0)) == 30.0
    assert result(program(2.0)) == 30.0  # what was there is believed
    for path in (kernels, kernels.parent):
        path.chmod(0o777)
        planted = program(2.0)
        assert result(planted) == 20.0
        assert f"{path} can be written by other users (mode 0777)" in planted.without_cache
        path.chmod(0o700)
    (file,) = kernels.iterdir()
    file.chmod(0o620)
    assert result(program(2.0)) == 20.0
    assert result(program(5.0)) == 20.0  # compiled again, and kept in place of the other
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_code_of_another_kernel_is_not_accepted_under_a_new_name(kernels: Path) -> None:
    program(3.0, "one")
    (one,) = kernels.iterdir()
    program(2.0, "other")
    (other,) = set(kernels.iterdir()) - {one}
    one.replace(other)
    assert result(program(2.0, "other")) == 20.0


def test_code_without_the_kernel_is_compiled_again(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of 0 would be called otherwise, and the process die."""
    monkeypatch.setattr(Program, "_name", lambda self: "the same name")
    program(3.0, name="misnamed")
    assert result(program(2.0)) == 20.0


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_file_neither_hangs_nor_is_used(kernels: Path, kind: str) -> None:
    program(3.0)
    (file,) = kernels.iterdir()
    moved = file.rename(kernels / "moved")
    if kind == "link":
        file.symlink_to(moved)
    else:
        {"fifo": os.mkfifo, "folder": os.mkdir}[kind](file)
    assert result(program(2.0)) == 20.0


def test_a_run_tells_once_why_its_kernels_are_compiled_anew(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "text.txt"
    corpus.write_text("the sea lay flat and grey. " * 40)
    kernels.parent.mkdir(mode=0o700)
    kernels.parent.chmod(0o777)
    notes_of = Recorder()
    settings: dict[str, Any] = {"layers": 1, "hidden": 4, "batch_size": 2, "seq_length": 5, "threads": 1}
    train(corpus, out=tmp_path / "out", observers=[notes_of], max_steps=3, backend="fast", **settings)
    notes = [note for note in notes_of.notes if "the cache is not used" in note]
    assert len(notes) == 1
    assert f"{kernels.parent} can be written by other users (mode 0777)" in notes[0]
    assert "set CHARRNN_CACHE to a folder of your own" in notes[0]
    assert not kernels.exists()
    assert compiler.KEPT > 0
