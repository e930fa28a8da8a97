"""The signals that end a process, each as whoever sends it means it: what was learnt is saved first."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import Terminal, start, waiting
from helpers.small_runs import SETTINGS, Recorder, outcome, run, write_text

from charrnn.engines.signals import ENDING, stop_on_signals
from charrnn.errors import Interrupted
from charrnn.training.session import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of POSIX")

SMALL = "--layers 1 --hidden 8 --batch-size 2 --seq-length 8 --dropout 0.2 --optimizer adam --eval-every 50"
SMALL += " --threads 1 --backend numpy --max-steps 200"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def whole(text: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves that nobody disturbs."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert start(arguments(text, out)).wait() == 0
    return outcome(out)


def arguments(text: Path, out: Path) -> list[str]:
    return ["train", str(text), "--out", str(out), *SMALL.split()]


def test_they_are_those_that_terminals_limits_and_batch_systems_send() -> None:
    assert {number.name for number in ENDING} == {
        "SIGINT",
        "SIGTERM",
        "SIGHUP",
        "SIGXCPU",
        "SIGUSR1",
        "SIGUSR2",
    }


@pytest.mark.parametrize("number", ENDING)
def test_each_saves_and_ends_with_128_and_its_number(text: Path, tmp_path: Path, number: int) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted, match="stopped at step 30; everything is saved") as stopped:
        train(text, out=out, max_steps=60, observers=[Recorder(30, number)], **SETTINGS)
    assert stopped.value.exit_code == 128 + number
    train(out=out, resume=True)
    run(text, tmp_path / "whole", max_steps=60)
    assert outcome(out) == outcome(tmp_path / "whole")


@pytest.mark.parametrize("number", ENDING)
def test_what_the_parent_ignores_stays_ignored(text: Path, tmp_path: Path, number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        recorder = Recorder(30, number)
        result = train(text, out=tmp_path / "out", max_steps=60, observers=[recorder], **SETTINGS)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert result.steps == 60
    assert any(report.step == 30 for report in recorder.reports)


def test_the_first_one_decides_the_exit_code_and_more_of_them_change_nothing() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with stop_on_signals() as stop:
        for number in (signal.SIGXCPU, signal.SIGXCPU, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.raise_signal(number)
        assert stop.signal_number == signal.SIGXCPU
        with pytest.raises(KeyboardInterrupt):  # but a second Ctrl-C is meant
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in ENDING] == before


def test_a_closed_terminal_saves_and_ends(text: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    """The live display is then written to a terminal that is gone, as is the message at the end."""
    out, terminal = tmp_path / "out", Terminal()
    with waiting(arguments(text, out), 100, **terminal.on_it) as process:
        terminal.close()
    assert process.wait() == 128 + signal.SIGHUP
    assert start(["train", "--resume", "--out", str(out)], stderr=subprocess.DEVNULL).wait() == 0
    assert outcome(out) == whole


def test_with_nohup_it_trains_on_when_the_terminal_is_closed(
    text: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    out, terminal = tmp_path / "out", Terminal()
    nohup = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with waiting(arguments(text, out), 100, nohup, **terminal.on_it) as process:
        terminal.close()
    assert process.wait() == 0
    assert outcome(out) == whole


# ------------------------------------------------------------------------------------------------
# Ctrl-C before anything has begun

INTERRUPTED_IMPORT = """
import sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize("module", ["typer", "charrnn.cli.train", "numpy", "charrnn.training.session"])
def test_ctrl_c_during_the_imports_shows_no_traceback(text: Path, tmp_path: Path, module: str) -> None:
    line = arguments(text, tmp_path / "out")
    process = start(line, INTERRUPTED_IMPORT.format(module=module), stderr=subprocess.PIPE)
    assert process.communicate() == (None, "")
    assert process.returncode == 130
    assert not (tmp_path / "out").exists()


def test_nothing_is_imported_before_ctrl_c_is_provided_for() -> None:
    code = "import sys; before = {*sys.modules}; import charrnn.__main__; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"charrnn", "charrnn.__main__"}
