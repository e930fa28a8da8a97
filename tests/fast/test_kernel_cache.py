"""Machine code is compiled once, kept, and never trusted blindly."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.kernels import aligned

from charrnn import nn
from charrnn.fast import compiler
from charrnn.fast.compiler import Program
from charrnn.fast.ir import Kernel
from charrnn.fast.registers import Registers


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def twice(k: Kernel) -> None:
    k["y"].store(k["x"].load() * 2.0)


def compiled(*key: object, size: int = 16) -> np.ndarray:
    """Compile a program that doubles numbers, and what it makes of 0, 1, 2, …"""
    program = Program(*key)
    program.add("twice", {"x": (size,), "y": (size,)}, twice)
    program.compile()
    x, y = aligned(np.arange(size)), aligned(np.zeros(size))
    program.bind("twice", x, y)()
    return y[: program.target.lanes]


RIGHT = 2.0 * np.arange(compiler.registers().width // 4)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_again(self: Program, kept: bool) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr(Program, "_machine_code", compile_again)


def test_the_second_time_it_is_loaded(cache: Path, request: pytest.FixtureRequest) -> None:
    assert np.array_equal(compiled(), RIGHT)
    (file,) = cache.iterdir()
    assert file.suffix == ".o"
    request.getfixturevalue("no_compiler")
    assert np.array_equal(compiled(), RIGHT)
    for key, size in (("other",), 16), ((), 32):
        with pytest.raises(AssertionError, match="compiled again"):
            compiled(*key, size=size)


def test_the_name_tells_all_that_the_code_depends_on(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled()
    changes = {
        "llvmlite.__version__": "0.0",
        "llvm.get_host_cpu_name": lambda: "another",
        "_source_digest": lambda rooms: "changed",
        "registers": lambda: Registers("another", 16, 16, (6, 2)),
    }
    names = {Program("key")._name()}
    for name, value in changes.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"charrnn.fast.compiler.{name}", value)
            names.add(Program("key")._name())
    names |= {Program("another key")._name(), Program("key", dtype=np.float64)._name()}
    assert len(names) == len(changes) + 3


def test_the_code_is_that_of_the_rooms_in_which_kernels_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the update rules, which are not in charrnn/fast, is a change, and so is one of a constant in nn."""
    seen = []
    monkeypatch.setattr(compiler, "_source_digest", lambda rooms: seen.append(rooms))
    compiled()
    assert seen[-1] == {Path(compiler.__file__).parent, Path(nn.__file__).parent, Path(__file__).parent}


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_file_is_compiled_again(cache: Path, damage: str) -> None:
    compiled()
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    file.write_bytes({"cut": whole[:-1], "changed": bytes(changed), "empty": b""}[damage])
    assert np.array_equal(compiled(), RIGHT)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "file"))
    assert np.array_equal(compiled(), RIGHT)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "full"))

    def full(fd: int, data: bytes) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert np.array_equal(compiled(), RIGHT)
    assert not list((tmp_path / "full" / "kernels").iterdir())


def test_processes_that_compile_at_once(cache: Path) -> None:
    code = "import test_kernel_cache as t; assert (t.compiled() == t.RIGHT).all()"
    folders = os.pathsep.join(str(Path(__file__).parents[up]) for up in range(3))
    environment = os.environ | {"PYTHONPATH": folders}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert [file.suffix for file in cache.iterdir()] == [".o"]


def test_what_was_not_used_for_longest_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left goes too; another program's file is left alone."""
    monkeypatch.setattr(compiler, "KEPT", 3)
    compiled("old")
    (first,) = cache.iterdir()
    (cache / ".charrnn-999999999-00000000.tmp").write_bytes(b"left")
    (cache / "other").write_bytes(b"")
    files = [first]
    for name in "ab":
        compiled(name)
        files += [file for file in cache.glob("*.o") if file not in files]
    for age, file in enumerate(files):
        os.utime(file, (1000 + age, 1000 + age))
    compiled("old")  # used again: the oldest is now that of "a"
    compiled("c")
    left = set(cache.iterdir())
    assert files[1] not in left
    assert {files[0], files[2], cache / "other"} < left
    assert len(left) == 4
