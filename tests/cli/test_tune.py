"""charrnn tune, as a command: exit codes, messages, --json, --show-space."""

import json
import random
import sys
import tomllib
from pathlib import Path

import pytest
from helpers.command_line import charrnn_line

from charrnn.install.extras import how_to_install
from charrnn.tune.space import parse_space

SPACE = "layers = 1\nhidden = [4, 8]\nbatch_size = 2\nseq_length = 5\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("".join(random.Random(1).choices("abc\n", k=2000)))
    Path("space.toml").write_text(SPACE)


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("text.txt --space nowhere.toml", 2, "--space nowhere.toml cannot be read"),
        ("text.txt --jobs 0", 2, "--jobs is 0; it must be at least 1"),
        ("text.txt --trials 0", 2, "--trials is 0; it must be at least 1"),
        ("text.txt --trial-steps 8", 2, "--trial-steps is 8; it must be at least 9"),
        ("text.txt --trial-steps 9 --trial-minutes 1", 2, "cannot be combined"),
        ("text.txt --search everywhere", 2, "Invalid value for '--search'"),
        ("nowhere.txt", 3, "nowhere.txt: No such file or directory"),
        ("", 2, "no corpus given"),
        ("-", 2, "it cannot be stdin"),
        ("--resume", 4, "there is no search under tuning. Start one with `charrnn tune CORPUS`"),
        ("--resume --out text.txt", 4, "--out text.txt holds no search"),
    ],
)
def test_each_mistake(line: str, code: int, message: str) -> None:
    pytest.importorskip("optuna")
    found, out, err = charrnn_line(f"tune {line}")
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert not Path("tuning").exists()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, out, err = charrnn_line("tune text.txt")
    assert (code, out) == (2, "")
    assert how_to_install("tune") in err


def test_the_default_space_is_shown() -> None:
    code, out, _ = charrnn_line("tune --show-space")
    assert code == 0
    assert "lr" in parse_space(out, "shown").dimensions


@pytest.mark.slow
def test_json() -> None:
    pytest.importorskip("optuna")
    line = "text.txt --space space.toml --search grid --trial-steps 90 --keep 1 --quiet --json"
    code, out, err = charrnn_line(f"tune {line}")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert list(answer) == ["folder", "best_toml", "best", "trials", "seconds", "stopped_because"]
    assert answer["stopped_because"] == "exhausted"
    assert [t["settings"]["hidden"] for t in sorted(answer["trials"], key=lambda t: t["number"])] == [4, 8]
    assert answer["best"] == answer["trials"][0]
    best = tomllib.loads(Path(answer["best_toml"]).read_text())
    assert best["model"] == {"layers": 1, **answer["best"]["settings"]}
    assert best["train"] == {"batch_size": 2, "seq_length": 5}
