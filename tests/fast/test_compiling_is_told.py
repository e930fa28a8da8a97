"""A compilation that takes noticeably long is told: on a terminal, by any command that is not --quiet."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from helpers.command_line import charrnn
from helpers.patience import PATIENCE
from helpers.random_models import random_model

from charrnn.cli import options
from charrnn.fast import waiting

compiler = pytest.importorskip("charrnn.fast.compiler", exc_type=ModuleNotFoundError)
program_of = pytest.importorskip("charrnn.fast.streams", exc_type=ModuleNotFoundError).program_of


@pytest.fixture
def heard() -> Iterator[threading.Event]:
    event = threading.Event()
    before = waiting.tell.set(lambda kept: event.set())
    yield event
    waiting.tell.reset(before)


def test_it_is_told_while_it_lasts(heard: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "NOTICEABLE", 0.0)
    with waiting.told(kept=True):
        assert heard.wait(PATIENCE)


def test_it_is_not_told_where_it_ends_before(heard: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "NOTICEABLE", 2 * PATIENCE)
    before = {*threading.enumerate()}
    with waiting.told(kept=True):
        [timer] = {*threading.enumerate()} - before
    timer.join(PATIENCE)
    assert not timer.is_alive()
    assert not heard.is_set()


def test_nobody_listens_in_a_program() -> None:
    before = {*threading.enumerate()}
    with waiting.told(kept=True):
        assert {*threading.enumerate()} == before


def test_it_is_said_once_in_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(options, "say", said.append)
    monkeypatch.setattr(options.sys.stderr, "isatty", lambda: True)
    with options._telling_of_compilers(quiet=False):
        teller = waiting.tell.get()
        assert teller is not None
        teller(True)
        teller(True)
    assert said == [options.COMPILING + options.KEPT]


@pytest.mark.parametrize(
    ("line", "terminal", "is_told"),
    [
        ("score abba --model model.safetensors", True, True),
        ("score abba --model model.safetensors", False, False),
        ("train text.txt --backend fast --hidden 73 --max-steps 1 --quiet --out run", True, False),
    ],
)
def test_commands_say_it_on_a_terminal(
    line: str, terminal: bool, is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(waiting, "NOTICEABLE", 0.0)
    random_model("ab").save("model.safetensors")
    Path("text.txt").write_text("abba " * 400)
    program_of.cache_clear()
    said, compiled, compile_now = threading.Event(), [], compiler.Program._compiled

    def say(message: str) -> None:
        assert message == options.COMPILING + options.KEPT
        said.set()

    def slowly(program: object) -> bytes:
        compiled.append(said.wait(PATIENCE) if is_told else waiting.tell.get() is not None)
        return bytes(compile_now(program))

    monkeypatch.setattr(options, "say", say)
    monkeypatch.setattr(compiler.Program, "_compiled", slowly)
    assert charrnn(*line.split(), terminal=terminal).code == 0
    assert compiled
    assert set(compiled) == {is_told}
    assert said.is_set() == is_told


@pytest.mark.parametrize("why", ["it can be", "it is a file", "it cannot be written"])
def test_what_is_told_of_later_commands_is_true(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They find it compiled where it was kept. (A folder that cannot be written can be by root.)"""
    told, place = [], tmp_path / "cache"
    monkeypatch.setenv("CHARRNN_CACHE", str(place))
    monkeypatch.setattr(compiler, "told", lambda kept: nullcontext(told.append(kept)))
    if why == "it is a file":
        place.touch()
    elif why == "it cannot be written":
        (place / "kernels").mkdir(parents=True)
        (place / "kernels").chmod(0o500)
    program = compiler.Program("told")
    program.add("zero", {"x": (16,)}, lambda k: k["x"].store(k["x"].load() * 0.0))
    program.compile()
    assert told == [any(place.glob("kernels/*.o"))]
    assert told == [True] or why != "it can be"
