"""Whether the terminal is light or dark: as named, as COLORFGBG has it, or as the terminal itself answers.

The question is OSC 11, "what is your background?", of xterm, and after it one that every terminal answers (DA1, "what
are you?"). So a terminal that does not know the first is known by its answer to the second, without waiting.
"""

import os
import re
import select
import time
from contextlib import suppress
from typing import IO

from charrnn.ui.terminal.colours import luminance

QUESTIONS = b"\x1b]11;?\x1b\\\x1b[c"
COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{2,4})/([0-9a-fA-F]{2,4})/([0-9a-fA-F]{2,4})")
LAST_ANSWER = re.compile(rb"\x1b\[\?[\d;]*c")
SECONDS = (
    0.3  # to wait for an answer: to the other side of the world and back; a terminal nearby needs thousandths
)
MIDDLE = 0.18  # luminance at which black and white are as far away

_named = "auto"
_asked: str | None = None


def name_theme(theme: str) -> None:
    """Colours for a "light" or a "dark" background from now on; "auto" finds out."""
    global _named
    _named = theme


def theme_of(stream: IO[str]) -> str:
    """ "light" or "dark". A terminal is asked once; without an answer it is taken to be dark, as most are."""
    global _asked
    if _named != "auto":
        return _named
    if (known := _of_variable(os.environ.get("COLORFGBG", ""))) is not None:
        return known
    if _asked is None and _is_terminal(stream):
        _asked = ask() or "dark"
    return _asked or "dark"


def _of_variable(value: str) -> str | None:
    """COLORFGBG is "ink;ground" or "ink;other;ground" in numbers of the 16 colours, as rxvt began it."""
    ground = value.rpartition(";")[2]
    if not ground.isascii() or not ground.isdigit() or int(ground) > 15:
        return None
    return "dark" if int(ground) in (0, 1, 2, 3, 4, 5, 6, 8) else "light"


def _is_terminal(stream: IO[str]) -> bool:
    with suppress(OSError, ValueError):  # a stream in memory has no number, a closed one neither
        return os.isatty(stream.fileno()) and os.environ.get("TERM", "dumb") != "dumb"
    return False


def ask() -> str | None:
    """What the terminal of this process answers; None where there is none, or it says nothing.

    Not asked where the process is in the background, which would stop it, or where something has been typed already,
    which would be lost.
    """
    try:
        import termios
    except ImportError:  # on Windows
        return None
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp() or select.select([terminal], [], [], 0)[0]:
            return None
        before = termios.tcgetattr(terminal)
        silent = [*before[:3], before[3] & ~(termios.ECHO | termios.ICANON), *before[4:]]
        try:
            termios.tcsetattr(terminal, termios.TCSANOW, silent)
            os.write(terminal, QUESTIONS)
            return theme_in(_answer(terminal))
        finally:
            termios.tcsetattr(terminal, termios.TCSANOW, before)
    except (OSError, termios.error):
        return None
    finally:
        os.close(terminal)


def _answer(terminal: int) -> bytes:
    """What comes back until the last answer is there or the time is up."""
    answer, end = b"", time.monotonic() + SECONDS
    while not LAST_ANSWER.search(answer) and (left := end - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0] or not (piece := os.read(terminal, 256)):
            break
        answer += piece
    return answer


def theme_in(answer: bytes) -> str | None:
    """The theme for the colour in an answer, whose channels have two to four hexadecimal digits."""
    if (found := COLOUR.search(answer)) is None:
        return None
    colour = "#" + "".join(f"{int(c, 16) * 255 // (16 ** len(c) - 1):02x}" for c in found.groups())
    return "light" if luminance(colour) > MIDDLE else "dark"
