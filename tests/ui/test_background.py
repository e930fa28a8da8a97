"""Light or dark: what is named, what COLORFGBG says, what the terminal answers; and colours that are seen on both."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.command_line import charrnn
from helpers.patience import PATIENCE
from helpers.victims import run_folder

from charrnn.ui.terminal import background, colours
from charrnn.ui.terminal.colours import GROUNDS, INKS, PALETTES, luminance
from charrnn.ui.terminal.console import Console

# Backgrounds of terminals: plain ones, Solarized, and others that many use.
TERMINALS = {
    "light": ("#ffffff", "#fdf6e3", "#fafafa", "#eeeeee"),
    "dark": ("#000000", "#1e1e1e", "#002b36", "#282a36", "#300a24"),
}
EVERYWHERE = [(theme, ground) for theme, grounds in TERMINALS.items() for ground in grounds]


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG 2 defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is named or known when a test begins, nor after it."""
    monkeypatch.setattr(background, "_asked", None)
    background.name_theme("auto")
    yield
    background.name_theme("auto")


def test_contrast_is_that_of_the_guideline() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize(("theme", "ground"), EVERYWHERE)
def test_every_ink_is_readable_on_the_background(theme: str, ground: str) -> None:
    for name, ink in INKS[theme].items():
        assert contrast(ink, ground) >= 4.5, name


@pytest.mark.parametrize("theme", GROUNDS)
def test_ink_is_readable_on_every_ground(theme: str) -> None:
    styles = [style for style in PALETTES[theme].values() if " on " in style]
    assert len(styles) == 4 + 4 + 3 + 2
    for style in styles:
        assert contrast(*style.split(" on ")) >= 4.5, style


@pytest.mark.parametrize(("theme", "ground"), EVERYWHERE)
def test_stronger_differs_more_from_the_background(theme: str, ground: str) -> None:
    for kind in ("cold", "warm", "surprise"):
        strengths = [contrast(step, ground) for step in GROUNDS[theme][kind]]
        assert all(weaker < stronger for weaker, stronger in pairwise(strengths)), kind
        assert strengths[-1] >= 4.0, kind
    assert min(contrast(step, ground) for step in GROUNDS[theme]["copied"]) >= 4.0


@pytest.mark.parametrize(("theme", "ground"), EVERYWHERE)
def test_the_rest_of_a_bar_is_fainter_than_what_is_done(theme: str, ground: str) -> None:
    done = "#f92672"  # of rich
    rest = PALETTES[theme]["bar.back"]
    assert 1.2 <= contrast(rest, ground) < contrast(done, ground) / 1.5


def test_both_themes_have_the_same_names_in_the_palette_of_256() -> None:
    assert PALETTES["light"].keys() == PALETTES["dark"].keys()
    cube = {"00", "5f", "87", "af", "d7", "ff"}
    greys = {f"{8 + 10 * k:02x}" for k in range(24)}
    for style in (*PALETTES["light"].values(), *PALETTES["dark"].values()):
        for colour in re.findall("#([0-9a-f]{6})", style):
            channels = {colour[:2], colour[2:4], colour[4:]}
            assert channels <= cube or (len(channels) == 1 and channels <= greys), colour


@pytest.mark.parametrize(
    ("value", "theme"),
    [("0;15", "light"), ("15;0", "dark"), ("0;default;7", "light"), ("12;8", "dark"), ("7;6", "dark")],
)
def test_the_variable_of_rxvt(value: str, theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", value)
    assert background.theme_of(io.StringIO()) == theme


@pytest.mark.parametrize("value", ["", "default;default", "0;16", "0;-1", "0;٣", "0;"])
def test_a_variable_that_says_nothing(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", value)
    assert background.theme_of(io.StringIO()) == "dark"


def test_what_is_named_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", "15;0")
    background.name_theme("light")
    assert background.theme_of(io.StringIO()) == "light"


@pytest.mark.parametrize(
    ("answer", "theme"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62;22c", "light"),
        (b"\x1b]11;rgb:1e1e/1e1e/1e1e\x07\x1b[?6c", "dark"),
        (b"\x1b]11;rgb:fd/f6/e3\x1b\\\x1b[?1;2c", "light"),
        (b"\x1b]11;rgba:0000/2b2b/3636/ffff\x1b\\\x1b[?1;2c", "dark"),
        (b"\x1b[?62;22c", None),
        (b"\x1b]11;rgb:xyz/1/2\x1b\\\x1b[?6c", None),
        (b"", None),
    ],
)
def test_what_a_terminal_answers(answer: bytes, theme: str | None) -> None:
    assert background.theme_in(answer) == theme


class Answering:
    """A terminal, and a process on it that asks for its background."""

    def __init__(self, seconds: float, prologue: str = "") -> None:
        self.ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)
        name = os.ttyname(self.theirs)
        code = f"from charrnn.ui.terminal import background as b; b.SECONDS = {seconds}; {prologue}print(b.ask())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=self.theirs,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(name, os.O_RDWR)),  # it becomes the session's terminal
        )

    def asked(self) -> bytes:
        """What the process writes to the terminal, up to the last question."""
        seen = b""
        while not seen.endswith(b"\x1b[c"):
            seen += os.read(self.ours, 1024)
        return seen

    def found(self) -> str:
        told, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0
        assert termios.tcgetattr(self.theirs) == self.before  # as it was: it echoes, line by line
        os.close(self.ours)
        os.close(self.theirs)
        return told.strip()


@pytest.mark.parametrize(
    ("pieces", "theme"),
    [
        ([b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\", b"\x1b[?62;22c"], "light"),
        ([b"\x1b]11;rgb:0000/0000/00", b"00\x07\x1b[?62", b";22c"], "dark"),
        ([b"\x1b[?62;22c"], "None"),
    ],
)
def test_a_terminal_that_answers(pieces: list[bytes], theme: str) -> None:
    terminal = Answering(seconds=PATIENCE)
    assert terminal.asked() == background.QUESTIONS
    for piece in pieces:
        os.write(terminal.ours, piece)
    assert terminal.found() == theme


def test_a_terminal_that_is_silent() -> None:
    terminal = Answering(seconds=0)
    assert terminal.found() == "None"


def test_what_was_typed_ahead_is_not_lost() -> None:
    """A process that finds a key pressed asks nothing, and the key is there for whoever reads next."""
    terminal = Answering(PATIENCE, "import sys; b.select.select = lambda *a: (a[0], [], []); ")
    assert terminal.found() == "None"


def test_without_a_terminal_nothing_is_asked() -> None:
    code = "from charrnn.ui.terminal import background as b; print(b.ask(), b.theme_of(__import__('sys').stdout))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert (done.stdout, done.stderr) == ("None dark\n", "")


def test_the_console_paints_in_the_palette_of_the_theme() -> None:
    def painted(theme: str) -> str:
        background.name_theme(theme)
        stream = io.StringIO()
        Console(file=stream, force_terminal=True, color_system="256").print("a", style="bold yellow", end="")
        return stream.getvalue()

    assert colours.INKS["light"]["yellow"] == "#875f00"
    assert painted("light") == "\x1b[1;38;5;94ma\x1b[0m"
    assert painted("dark") == "\x1b[1;38;5;221ma\x1b[0m"


def test_the_theme_is_an_option_of_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_folder(tmp_path / "run")

    def shown(*args: str) -> str:
        done = charrnn("eval", run.with_suffix(".txt"), "-m", run, "--highlight", *args, terminal=True)
        assert done.code == 0, done.err
        return done.out

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shown("--theme", "dark") == shown()
    assert shown("--theme", "light") != shown()
    monkeypatch.setenv("CHARRNN_THEME", "light")
    assert shown() == shown("--theme", "light")
    assert charrnn("info", run, "--theme", "purple").code == 2
