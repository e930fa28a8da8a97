"""Numbers that are kept in the cache: made once, believed only whole, and made each time where they cannot be kept."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charrnn.text.cache import kept

NUMBERS = np.arange(1000, 1020, dtype=np.uint32)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("charrnn.text.cache._BYTES_AT_ONCE", 32)  # several blocks, the last one shorter
    return tmp_path / "cache"


class Maker:
    """Makes the numbers in two arrays of different types, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> list[np.ndarray]:
        self.times += 1
        return [NUMBERS[:6].view(np.uint64), NUMBERS[6:]]


def assert_kept(make: Maker, times: int) -> np.ndarray:
    found = kept("a.numbers", np.dtype(np.uint32), make, len(NUMBERS))
    np.testing.assert_array_equal(found, NUMBERS)
    assert make.times == times
    return found


def test_they_are_made_once_and_mapped_from_the_beginning(root: Path) -> None:
    make = Maker()
    for _ in range(3):
        found = assert_kept(make, 1)
        assert isinstance(found, np.memmap)
        assert not found.flags.writeable
    assert [file.name for file in root.iterdir()] == ["a.numbers"]
    assert len(kept("none.numbers", np.dtype(np.uint32), lambda: ())) == 0


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "first bit": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "last number": lambda content: content[:79] + b"x" + content[80:],
    "digest": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "cut": lambda content: content[:-4],
    "longer": lambda content: content + b"four",
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_made_anew(root: Path, damage: Callable[[bytes], bytes]) -> None:
    make = Maker()
    assert_kept(make, 1)
    whole = (root / "a.numbers").read_bytes()
    (root / "a.numbers").write_bytes(damage(whole))
    assert_kept(make, 2)
    assert (root / "a.numbers").read_bytes() == whole


def test_a_full_disk_costs_only_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    make = Maker()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for times in (1, 2):
            assert_kept(make, times)
    assert list(root.iterdir()) == []
    assert_kept(make, 3)
    assert_kept(make, 3)


def test_what_is_in_the_way_costs_only_time(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker()
    (root / "a.numbers").mkdir(parents=True, mode=0o700)
    root.chmod(0o700)
    assert_kept(make, 1)
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "file" / "cache"))
    assert_kept(make, 2)


def test_an_error_while_they_are_made_is_told(root: Path) -> None:
    def fails() -> list[np.ndarray]:
        raise RuntimeError("no numbers")

    with pytest.raises(RuntimeError, match="no numbers"):
        kept("a.numbers", np.dtype(np.uint32), fails)
    assert list(root.iterdir()) == []
