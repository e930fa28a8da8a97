"""A text that someone truncates or rewrites while a model is trained on it: the run goes on with what it has read."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import start, waiting
from helpers.small_runs import outcome, write_text

SMALL = "--hidden 8 --layers 1 --batch-size 2 --seq-length 8 --eval-every 20 --threads 1 --backend numpy"
EVERYTHING_IS_LARGE = "from charrnn.text import corpus\ncorpus.IN_MEMORY = 0"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody change a file in use")


def training(text: Path, out: Path, level: str) -> list[str]:
    return ["train", str(text), "--level", level, "--out", str(out), *SMALL.split(), "--max-steps=60"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What runs leave whose text stays as it is, by level."""
    folder = tmp_path_factory.mktemp("whole")
    text = write_text(folder / "text.txt")
    for level in ("char", "byte"):
        assert start(training(text, folder / level, level)).wait() == 0
    return {level: outcome(folder / level) for level in ("char", "byte")}


@pytest.mark.parametrize("level", ["byte", pytest.param("char", marks=pytest.mark.slow)])
@pytest.mark.parametrize("change", ["truncated", "rewritten"])
def test_a_text_that_changes_under_training(
    whole: dict[str, dict[str, Any]], tmp_path: Path, level: str, change: str
) -> None:
    text, out = write_text(tmp_path / "text.txt"), tmp_path / "out"
    with waiting(training(text, out, level), 30, EVERYTHING_IS_LARGE) as process:
        if change == "truncated":
            os.truncate(text, 0)
        else:
            text.write_bytes(bytes(reversed(text.read_bytes())))
    assert process.wait() == 0
    assert outcome(out) == whole[level]
