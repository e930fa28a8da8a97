"""Every command works on any terminal, in any encoding, and for a user without a name or a home."""

import os
import pwd
from pathlib import Path

import pytest
from helpers.command_line import charrnn
from helpers.victims import commands, run_folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 2, 5, 10])
def test_narrow_terminals(run: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for args in commands(run):
        assert charrnn(*args, terminal=True).code == 0, args


@pytest.mark.parametrize("columns", [1, 10])
def test_charts_on_narrow_terminals(run: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for args in (["info"], ["gradient-flow", "--distance", 5]):
        for terminal in (False, True):
            told = charrnn(*args, "--model", run, terminal=terminal)
            assert told.code == 0
            assert told.out


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("stdin", [b"", None])
def test_encodings_that_lack_our_characters(run: Path, encoding: str, stdin: bytes | None) -> None:
    for args in commands(run):
        told = charrnn(*args, encoding=encoding, stdin=stdin)
        assert told.code == 0, (args, told.err)
        assert told.out or told.err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_lists_in_encodings_that_lack_our_characters(encoding: str) -> None:
    told = charrnn("inspect-cells", "--list", encoding=encoding)
    assert told.code == 0
    assert "quote" in told.out


def test_a_user_without_a_name_or_a_home(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in docker run --user 12345."""

    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "CHARRNN_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(RuntimeError):
        Path.home()
    for args in (["info"], ["eval", run.with_suffix(".txt")], ["sample", "--length", 5]):
        told = charrnn(*args, "--model", run)
        assert told.code == 0, told.err
    settings = ["--hidden", 4, "--layers", 1, "--max-steps", 3]
    told = charrnn(
        "train", run.with_suffix(".txt"), "--out", run.parent / "new", "--backend", "numpy", *settings
    )
    assert told.code == 0, told.err


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM", "LANG"])
def test_plain_terminals(run: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, {"NO_COLOR": "1", "TERM": "dumb", "LANG": "C"}[variable])
    assert os.environ[variable]
    told = charrnn("info", "--model", run, terminal=True)
    assert told.code == 0
    assert "levelled off" in told.out.lower() or "improving" in told.out.lower()
