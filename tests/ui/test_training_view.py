"""How training looks: plain lines, and the live view on terminals of any width, colour and encoding."""

import io
import math
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyte
import pytest
from helpers.patience import PATIENCE
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live

import charrnn
from charrnn.cli.options import COMPILING
from charrnn.config import ModelConfig, TrainConfig
from charrnn.runs.folder import RunFolder
from charrnn.runs.records import Progress, Report, Sample
from charrnn.runs.verdict import Verdict
from charrnn.text.corpus import Corpus
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.plan import Plan
from charrnn.training.result import TrainResult
from charrnn.ui.terminal import training_view
from charrnn.ui.terminal.training_view import LiveView, PlainView, Silent, duration, losses

VOCABULARY = Vocabulary("char", tuple(sorted("\n\x1b" + "".join(map(chr, range(32, 95))))))
SAMPLE = "[bold]a[/bold] [/nothing] b\x1b[31mred\x07 über 海\n" + "long " * 60


def about(resumed_at: int | None = None, **changes: Any) -> tuple[Plan, str]:
    """What a view is told when a run begins: 1,234,567 characters on their way to a network of 239,297 numbers."""
    corpus = Corpus("[red]sea\x1b[2J", np.zeros(1_234_567, np.uint8), VOCABULARY, "", ("sea.txt",), ())
    folder = RunFolder("runs/[red]sea[/red]-1")
    plan = Plan(folder, corpus, ModelConfig(), TrainConfig(), batch_size=16, threads=1)
    if resumed_at is not None:
        plan = replace(plan, saved=({"progress": {"step": resumed_at}}, {}))
    return replace(plan, **changes), "numpy 9.8.7, float32"


def report(step: int, train: float, validation: float | None = None) -> Report:
    return Report(step, step / 2777, train, validation, 0.1, 1.5, 54_321.0, 3725.0)


RESULT = TrainResult(
    model="runs/[red]sea[/red]-1/model.safetensors",
    checkpoint="runs/[red]sea[/red]-1/checkpoint.safetensors",
    steps=5554,
    epochs=2.0,
    seconds=3725.0,
    chars_per_second=54_321.0,
    parameters=240_000,
    train_loss_nats=1.5,
    val_loss_nats=1.6,
    val_bits_per_char=2.31,
    best_step=5000,
    stopped_because="epochs",
    verdict=Verdict("still improving", "Still improving: [a] validation.", "Go on [/with] it."),
)


class Terminal:
    """A console that writes bytes of some encoding, and what it wrote."""

    def __init__(
        self, width: int = 80, encoding: str = "utf-8", colour: str | None = None, terminal: bool = True
    ) -> None:
        self._buffer = io.BytesIO()
        stream = io.TextIOWrapper(self._buffer, encoding=encoding, newline="", write_through=True)
        self.console = Console(
            file=stream,
            width=width,
            height=50,
            color_system=colour,  # type: ignore[arg-type]
            force_terminal=terminal,
            highlight=False,
            legacy_windows=False,
            _environ={},
        )
        self._encoding = encoding

    @property
    def text(self) -> str:
        return self._buffer.getvalue().decode(self._encoding)

    @property
    def plain(self) -> str:
        """Without the escape sequences that rich itself makes for styles."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.text)


def live_view(terminal: Terminal, sample: str = SAMPLE) -> LiveView:
    """The view after a few reports, as `render` draws it."""
    view = LiveView(terminal.console, Live(console=Console(file=io.StringIO()), auto_refresh=False))
    view.begin(*about())
    view.report(report(277, 2.5), False)
    view.report(report(2777, 1.9, 1.95), True)
    view.report(report(3054, 1.8), False)
    view.report(report(5554, 1.6, 1.7), True)
    view.sample(Sample(5554, 1.7, sample))
    progress = Progress(
        step=5554,
        seconds=125,
        smooth_loss_nats=1.65,
        val_loss_nats=1.7,
        best_val_loss_nats=1.7,
        best_step=5554,
    )
    view.tick(progress, 54_321.4, 0.25)
    terminal.console.print(view.render())
    return view


# ------------------------------------------------------------------------------------------------
# Plain lines


def test_plain_lines_are_these(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(width=40, terminal=False)
    view = PlainView(terminal.console)
    monkeypatch.setattr(training_view, "why_this_engine", lambda config: "the extra is [here]")
    view.begin(*about(threads=2, resumed_at=277))
    view.note("the text is short: [3] streams [/x]")
    view.report(report(554, 2.0), False)
    view.tick(Progress(), 1.0, 0.5)
    view.sample(Sample(554, None, "shown to nobody"))
    view.report(report(2777, 1.5, 1.6), True)
    view.report(report(5554, 1.4, 1.7), False)
    view.end(RESULT)
    assert terminal.text == (
        "[red]sea\\x1b[2J: 1,234,567 characters (1,111,110 train, 123,457 validate), vocabulary 65\n"
        "LSTM 2×128, 239,297 parameters; adagrad, lr 0.1, constant; 16 streams × 25 characters, "
        "resumed at step 277\n"
        "numpy 9.8.7, float32; 2 threads: the extra is [here]\n"
        "run folder runs/[red]sea[/red]-1\n"
        "the text is short: [3] streams [/x]\n"
        "step     554  epoch   0.20  1:02:05    54,321 chars/s  train 2.0000 nats  2.8854 bits/char\n"
        "step   2,777  epoch   1.00  1:02:05    54,321 chars/s  train 1.5000 nats  2.1640 bits/char  "
        "val 1.6000 nats  2.3083 bits/char *\n"
        "step   5,554  epoch   2.00  1:02:05    54,321 chars/s  train 1.4000 nats  2.0198 bits/char  "
        "val 1.7000 nats  2.4526 bits/char\n"
        "all epochs done after 5,554 steps, 1:02:05, 54,321 characters/s; best validation loss 1.6000 nats  "
        "2.3083 bits/char at step 5,000\n"
        "Still improving: [a] validation. Go on [/with] it.\n"
        "model runs/[red]sea[/red]-1/model.safetensors\n"
    )


def test_a_log_has_all_validations_and_ever_fewer_other_lines() -> None:
    """Forty reports a second for two hours, a validation each 10 minutes."""
    terminal = Terminal(width=200, terminal=False)
    view = PlainView(terminal.console)
    for k in range(1, 40 * 7200 + 1):
        seconds, validated = k / 40, k % (40 * 600) == 0
        if validated or k % 8 == 1:  # the rest would tell no more, and takes its time
            view.report(Report(k, 1.0, 2.0, 1.9 if validated else None, 0.1, 1.0, 5e4, seconds), False)
    lines = terminal.text.splitlines()
    assert len([line for line in lines if "val" in line]) == 12
    steps = [int(line[4:12].replace(",", "")) for line in lines]
    seconds = [step / 40 for step in steps if step % (40 * 600)]
    assert steps[0] == 1
    assert len([s for s in seconds if s < 50]) == pytest.approx(46, abs=6)  # each second or a little later
    assert all(after - before >= min(max(1, after / 50), 60) - 0.1 for before, after in pairwise(seconds))
    assert len(lines) < 50 + 50 * math.log(3000 / 50) + (7200 - 3000) / 60 + 2 * 12


@pytest.mark.parametrize("progress", [False, True])
def test_python_shows_progress_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], progress: bool
) -> None:
    settings = {"hidden": 4, "layers": 1, "max_steps": 3, "threads": 1, "backend": "numpy", "batch_size": 2}
    (tmp_path / "text.txt").write_text("to be or not to be. " * 20)
    result = charrnn.train(tmp_path / "text.txt", out=tmp_path / "run", progress=progress, **settings)
    out, err = capsys.readouterr()
    assert out == ""
    assert (err == "") == (not progress)
    if progress:
        assert err.startswith("text: 400 characters")
        assert "\nstep       3 " in err
        assert result.verdict.sentence in err


def test_the_warning_of_an_unlike_validation_text_is_said_once() -> None:
    unlike = Verdict("unlike validation", "A long sentence.", "And advice.")
    told = training_view.summary(replace(RESULT, verdict=unlike)).splitlines()
    assert told[1:] == [
        "The validation text is unlike the training text: see the note before the first step.",
        f"model {RESULT.model}",
    ]


def test_quiet_tells_notes_alone() -> None:
    terminal = Terminal(terminal=False)
    view = Silent(terminal.console)
    view.begin(*about())
    view.report(report(554, 2.0), True)
    view.note("the loss exploded")
    view.end(RESULT)
    assert terminal.text == "the loss exploded\n"


@pytest.mark.parametrize("reason", ["epochs", "max_steps", "max_minutes", "patience"])
def test_each_end_has_its_words(reason: str) -> None:
    result = TrainResult(**{**vars(RESULT), "stopped_because": reason, "val_loss_nats": None})
    first = training_view.summary(result).splitlines()[0]
    assert first.endswith(" after 5,554 steps, 1:02:05, 54,321 characters/s")
    assert len(first) > len(" after 5,554 steps, 1:02:05, 54,321 characters/s") + 5


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599.4, "59:59"), (36_000, "10:00:00")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_losses_in_both_units() -> None:
    assert losses(1.0) == "1.0000 nats  1.4427 bits/char"
    assert losses(None) == "–"


# ------------------------------------------------------------------------------------------------
# The live view


def first_epoch(width: int, config: TrainConfig, step: int, seconds: float) -> str:
    """The display before anything was validated."""
    terminal = Terminal(width)
    view = LiveView(terminal.console, Live(console=Console(file=io.StringIO()), auto_refresh=False))
    view.begin(*about(config=config))
    view.tick(Progress(), 0.0, 1e-6)
    view.tick(Progress(step=step, seconds=seconds, smooth_loss_nats=2.0), 25_000.0, 0.01)
    terminal.console.print(view.render())
    return terminal.plain


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_first_epoch_says_when_more_is_known(width: int) -> None:
    """1,111,110 characters are 16 streams of 2,777 chunks, in two parts of 1,389 steps."""
    shown = first_epoch(width, TrainConfig(), 389, 38.9)
    assert "first at step 1,389, in about 1:40" in " ".join(shown.split())
    assert "best" not in shown
    assert "A sample of what it writes comes with the first validation." in " ".join(shown.split())
    sooner = first_epoch(width, TrainConfig(eval_every=500), 389, 38.9)
    assert "first at step 500, in about 0:11" in " ".join(sooner.split())
    assert max(map(cell_len, shown.splitlines())) <= width


def test_a_run_without_validation_promises_none() -> None:
    assert "validate  no text is held out" in first_epoch(80, TrainConfig(val_fraction=0), 389, 38.9)


@pytest.mark.parametrize("colour", [None, "standard", "truecolor"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_is_lost_or_too_wide(width: int, encoding: str, colour: str | None) -> None:
    terminal = Terminal(width, encoding, colour)
    live_view(terminal)
    assert max(cell_len(line) for line in terminal.plain.splitlines()) <= width
    assert "\x1b" not in terminal.plain
    assert "\x07" not in terminal.plain
    assert (terminal.plain == terminal.text) == (colour is None)
    words = " ".join(re.sub(r"[│|]", " ", terminal.plain).split())
    for part in (
        "[red]sea\\x1b[2J: 1,234,567 characters",
        "runs/[red]sea[/red]-1",
        "25%",
        "elapsed 2:05",
        "step 5,554, epoch 2.00",
        "54,321 characters/s",
        "train 1.6500 nats" + " 2.3804 bits/char" * (width > 40),
        "best 1.7000 nats" + " 2.4526 bits/char" * (width > 40),
        "at step 5,554",
        "[bold]a[/bold] [/nothing]",
        "\\x1b[31mred",
    ):
        assert part in words


def test_the_live_view_at_80_columns() -> None:
    terminal = Terminal(80)
    live_view(terminal)
    lines = [line.rstrip() for line in terminal.text.splitlines()]
    assert lines == [
        "[red]sea\\x1b[2J: 1,234,567 characters (1,111,110 train, 123,457 validate),",
        "vocabulary 65",
        "LSTM 2×128, 239,297 parameters; adagrad, lr 0.1, constant;",
        "16 streams × 25 characters",
        "numpy 9.8.7, float32; 1 thread",
        "run folder runs/[red]sea[/red]-1",
        "",
        "━━━━━━━╸                         25%  elapsed 2:05, remaining –",
        "step      5,554, epoch 2.00",
        "speed     54,321 characters/s",
        "train     1.6500 nats  2.3804 bits/char  █▃▃▁",
        "validate  1.7000 nats  2.4526 bits/char  █▁",
        "best      1.7000 nats  2.4526 bits/char  at step 5,554",
        "╭─ sample ─────────────────────────────────────────────────────────────────────╮",
        "│ [bold]a[/bold] [/nothing] b\\x1b[31mred\\x07 über 海                           │",
        *["│ long long long long long long long long long long long long long long long   │"] * 4,
        "╰──────────────────────────────────────────────────────────────────────────────╯",
    ]


def test_an_ascii_terminal_gets_ascii_in_the_right_places() -> None:
    terminal = Terminal(80, "ascii")
    live_view(terminal)
    lines = terminal.text.splitlines()
    assert any(line.startswith("LSTM 2x128, 239,297 parameters") for line in lines)
    assert any(line.startswith("train") and line.rstrip().endswith("#--_") for line in lines)
    (sample,) = (line for line in lines if "[bold]" in line)
    assert sample == "| " + r"[bold]a[/bold] [/nothing] b\x1b[31mred\x07 \xfcber \u6d77".ljust(76) + " |"


def test_before_the_first_step_nothing_is_made_up() -> None:
    terminal = Terminal(80)
    view = LiveView(terminal.console, Live(console=Console(file=io.StringIO()), auto_refresh=False))
    view.begin(*about())
    terminal.console.print(view.render())
    assert terminal.text.count("–") == 3  # the time left, the speed, and the loss
    assert "─ sample" not in terminal.text


def test_a_command_to_go_on_with_is_not_broken() -> None:
    terminal = Terminal(40)
    command = "charrnn train --resume --out runs/a-folder-with-a-long-name --max-steps 100"
    view = LiveView(terminal.console, Live(console=Console(file=io.StringIO()), auto_refresh=False))
    view.begin(*about())
    verdict = Verdict("still improving", "Still improving.", f"Continue with:\n  {command}")
    view.end(replace(RESULT, verdict=verdict))
    assert f"  {command}\n" in terminal.plain


def test_reading_a_large_text_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(training_view.time, "perf_counter", lambda: now)
    terminal = Terminal(60)
    with Live(console=terminal.console, auto_refresh=False, transient=True) as live:
        view = LiveView(terminal.console, live)
        view.reading(50, 100)
        assert "reading" not in terminal.text  # a small text is read before there is anything to show
        for done, total in ((3 << 30, 0), (10_000_000, 40_000_000)):
            now += 1
            view.reading(done, total)
        view.reading(1, 1)
    assert "reading the text  3,221 MB" in terminal.text
    assert re.search("reading the text  ━+╸ +25%", terminal.text)


def test_the_time_left_is_that_of_this_run() -> None:
    """A run resumed at half its budget: a tenth of it took 20 seconds of training, and four tenths are left."""
    terminal = Terminal(80)
    view = LiveView(terminal.console, Live(console=Console(file=io.StringIO()), auto_refresh=False))
    view.begin(*about(resumed_at=50))
    view.tick(Progress(step=50, seconds=1000.0), 1.0, 0.5)
    view.tick(Progress(step=60, seconds=1020.0), 1.0, 0.6)
    terminal.console.print(view.render())
    assert "remaining 1:20" in terminal.text
    assert " 60% " in terminal.text


# ------------------------------------------------------------------------------------------------
# Which view, and a real terminal


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for quiet, kind in ((False, PlainView), (True, Silent)):
        with training_view.training_view(quiet=quiet) as view:
            assert type(view) is kind


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_a_run_on_a_terminal(tmp_path: Path, variables: dict[str, str]) -> None:
    """The screen at the end: one display, the sample harmless, the cursor back, colours only if wanted."""
    letters = random.Random(1)
    (tmp_path / "text.txt").write_text("".join(letters.choices("ab\x1b[/3\n", [5, 5, 3, 3, 3, 3, 1], k=900)))
    options = "--layers 1 --hidden 4 --batch-size 2 --seq-length 5 --threads 1 --max-steps 120 --out run"
    raw = on_terminal(["train", "text.txt", *options.split()], tmp_path, variables)
    screen = pyte.Screen(80, 40)
    hidden = []
    screen.set_mode = lambda *modes, **kw: hidden.append(False) if 25 in modes else None  # type: ignore[method-assign]
    screen.reset_mode = lambda *modes, **kw: hidden.append(True) if 25 in modes else None  # type: ignore[method-assign]
    pyte.ByteStream(screen).feed(raw.replace(b"\n", b"\r\n"))
    shown = [line.rstrip() for line in screen.display]
    shown = [line for line in shown if not line.startswith(COMPILING)]  # told where it takes noticeably long
    assert shown[0].startswith("text: 900 characters (810 train, 90 validate), vocabulary 7")
    assert sum(line.startswith("run folder run") for line in shown) == 1
    assert any("100%" in line for line in shown)
    assert any(line.startswith("all steps done after 120 steps") for line in shown)
    (top,) = (n for n, line in enumerate(shown) if "─ sample ─" in line)
    (bottom,) = (n for n, line in enumerate(shown) if line.startswith("╰─"))
    assert 2 <= bottom - top <= 7
    assert any("\\x1b" in line for line in shown[top:bottom])
    assert all(line[0] == line[-1] == "│" and len(line) == 80 for line in shown[top + 1 : bottom])
    assert hidden[-1] is False
    assert bool(re.search(rb"\x1b\[38;5;\d+m", raw)) == (not variables)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_the_bar_of_reading_vanishes(tmp_path: Path, more: list[str]) -> None:
    """Also when the text turns out to be none; then the one message is all that is left."""
    (tmp_path / "text.txt").write_bytes(b"text " * 200_000 + b"\0")
    eager = "from charrnn.ui.terminal import training_view\ntraining_view.TICK_SECONDS = 0"
    raw = on_terminal(["train", "text.txt", "--threads", "1", *more], tmp_path, {}, eager, 3)
    assert b"reading the text" in raw
    screen = pyte.Screen(80, 40)
    pyte.ByteStream(screen).feed(raw.replace(b"\n", b"\r\n"))
    shown = [line.rstrip() for line in screen.display if line.strip()]
    assert shown[len(more)].startswith("charrnn: text.txt looks like binary data")
    assert not any("reading" in line for line in shown)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_second_interrupt_leaves_the_cursor_visible(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be " * 20_000)
    code = (
        "import signal, threading\n"
        "from charrnn.training import loop\n"
        "def step(self): [signal.raise_signal(signal.SIGINT) for _ in range(2)]\n"
        "loop.Trainer._step = step\n"
    )
    raw = on_terminal(["train", "text.txt", "--threads", "1", "--out", "run"], tmp_path, {}, code, 130)
    assert raw.rindex(b"\x1b[?25h") > raw.rindex(b"\x1b[?25l")


def on_terminal(
    arguments: list[str], folder: Path, variables: dict[str, str], prologue: str = "", code: int = 0
) -> bytes:
    """What `charrnn` writes to a terminal of 80 × 40."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    wanted = {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}
    environment = {
        k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    }
    process = subprocess.Popen(
        [sys.executable, "-c", f"{prologue}\nfrom charrnn.cli.app import main\nmain()", *arguments],
        cwd=folder,
        env=environment | wanted | variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 65536):
            pieces.append(piece)
    except OSError:  # how Linux tells that the other side has closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=PATIENCE) == code
    return b"".join(pieces)
