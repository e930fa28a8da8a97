"""What a command shows on a terminal, as an SVG picture.

The command runs on a terminal of its own, which pyte emulates, so the picture has what a reader would see: the colours
that charrnn chose for a light or a dark background, lines drawn anew in place, and the width's line breaks.
"""

import fcntl
import html
import os
import pty
import select
import struct
import subprocess
import termios
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyte

PAUSE = 0.05  # seconds without output in which a drawing is complete
OF_OUR_TERMINAL = "NO_COLOR", "COLORTERM", "COLORFGBG", "COLUMNS", "LINES", "TERM_PROGRAM"  # variables
CACHE = "CHARRNN_CACHE"  # the place where it may write; all other variables of charrnn are settings
KEPT_ROWS = 400  # of a command's output; a picture of more could not be read
DIM = 5  # pyte knows blinking but not dim characters; nothing here blinks
NORMAL, NOT_BLINKING = 22, 25
LONG_COLOUR = {2: 5, 5: 3}  # after 38 or 48: the kind of colour -> numbers that belong to it

# The colours that a terminal has names for, as pyte calls them: for what chooses no others.
NAMES = "black", "red", "green", "brown", "blue", "magenta", "cyan", "white"
_LIGHT = "#000000 #b3261e #116329 #7d4e00 #0550ae #8250df #1b7c83 #6e7781"
_DARK = "#484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #e6edf3"
NAMED = {
    theme: dict(zip(NAMES, colours.split(), strict=True))
    for theme, colours in (("light", _LIGHT), ("dark", _DARK))
}
GROUND = {"light": "#ffffff", "dark": "#15171a"}
INK = {"light": "#1f2123", "dark": "#e9e7e3"}
FRAME = {"light": "#d0d0d0", "dark": "#444444"}
DIM_SHARE = 0.66  # of the ink in a dim character

COLUMN, ROW = 8.4, 17  # size of a character's place, in pixels
FONT = 14
PAD = 14
STYLE = (
    f"text{{font:{FONT}px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}}"
    ".b{font-weight:bold}.i{font-style:italic}.u{text-decoration:underline}"
)


@dataclass(frozen=True)
class Piece:
    """Characters that look alike, on one row from one column on. ground : None where it is that of the terminal"""

    column: int
    columns: int
    text: str
    ink: str
    ground: str | None = None
    classes: str = ""


class _Screen(pyte.Screen):
    """pyte's, and it tells dim characters apart."""

    def select_graphic_rendition(self, *attributes: int) -> None:
        translated: list[int] = []
        rest = list(attributes)
        while rest:
            code = rest.pop(0)
            if code in (38, 48) and rest:
                size = LONG_COLOUR.get(rest[0], 1) - 1
                translated += [code, *rest[:size]]
                del rest[:size]
            elif code == 2:
                translated.append(DIM)
            elif code == NORMAL:
                translated += [NORMAL, NOT_BLINKING]
            else:
                translated.append(code)
        super().select_graphic_rendition(*translated)


class Terminal:
    """A terminal of so many columns and rows, and all that was written on it."""

    def __init__(self, columns: int = 80, rows: int = 24, theme: str = "dark") -> None:
        self.columns, self.rows, self.theme = columns, rows, theme
        self._screen = _Screen(columns, KEPT_ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, written: bytes) -> None:
        self._stream.feed(written)

    def lines(self) -> list[str]:
        """The rows as text, without the empty ones at the end."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def pieces(self) -> list[list[Piece]]:
        """The rows as they look."""
        return [list(self._row(y)) for y in range(len(self.lines()))]

    def _row(self, y: int) -> list[Piece]:
        cells = [self._screen.buffer[y][x] for x in range(self.columns)]
        pieces = []
        for _, alike in groupby(range(self.columns), lambda x: self._look(cells[x])):
            places = list(alike)
            first = cells[places[0]]
            text = "".join(cells[x].data for x in places)  # the second column of a wide character is empty
            ink, ground, classes = self._style(first)
            if text.strip() or ground:
                pieces.append(Piece(places[0], len(places), text, ink, ground, classes))
        return pieces

    @staticmethod
    def _look(cell: Any) -> tuple[Any, ...]:
        """What characters of one piece have in common. Those beyond ASCII, perhaps of another font, are apart."""
        return (*cell[1:], bool(cell.data) and cell.data.isascii())

    def _style(self, cell: Any) -> tuple[str, str | None, str]:
        ink = self._colour(cell.fg, INK[self.theme])
        ground = None if cell.bg == "default" else self._colour(cell.bg, GROUND[self.theme])
        if cell.reverse:
            ink, ground = ground or GROUND[self.theme], ink
        if cell.blink:  # that is, dim
            ink = _mixed(ink, ground or GROUND[self.theme])
        classes = (("b", cell.bold), ("i", cell.italics), ("u", cell.underscore))
        return ink, ground, " ".join(name for name, on in classes if on)

    def _colour(self, name: str, default: str) -> str:
        if name == "default":
            return default
        return NAMED[self.theme].get(name.removeprefix("bright"), f"#{name}")


def _mixed(ink: str, ground: str) -> str:
    """The ink of a dim character."""
    both = ([int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in (ink, ground))
    return "#" + "".join(
        f"{round(a * DIM_SHARE + b * (1 - DIM_SHARE)):02x}" for a, b in zip(*both, strict=True)
    )


def shown(
    command: list[str],
    columns: int = 80,
    rows: int = 24,
    theme: str = "dark",
    *,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    enough: Callable[[list[str]], bool] | None = None,
) -> Terminal:
    """The terminal when the command has ended, or as it was when its rows were `enough` for the first time.

    folder : where it runs
    Raises subprocess.CalledProcessError if the command fails.
    """
    terminal, complete = Terminal(columns, rows, theme), False
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    told = {"TERM": "xterm-256color", "PYTHONUTF8": "1", "CHARRNN_THEME": theme}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment() | told | (variables or {}),
    )
    os.close(theirs)
    while (written := _read(ours)) != b"":
        if complete:
            continue  # the rest is not shown
        if written is not None:
            terminal.feed(written)
        elif enough is not None:
            complete = enough(terminal.lines())
    os.close(ours)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command, "\n".join(terminal.lines()))
    return terminal


def environment() -> dict[str, str]:
    """Our variables without those that change what a command shows: of our terminal, and of our own charrnn."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in OF_OUR_TERMINAL and (not name.startswith("CHARRNN_") or name == CACHE)
    }


def _read(terminal: int) -> bytes | None:
    """What the command writes next; None while it pauses, so that nothing is half drawn; empty once it has ended."""
    try:
        return os.read(terminal, 65536) if select.select([terminal], [], [], PAUSE)[0] else None
    except OSError:  # as Linux tells that nobody can write any more
        return b""


def picture(terminal: Terminal, command: str) -> str:
    """The SVG picture of a terminal on which a command was typed."""
    theme = terminal.theme
    prompt = _prompt(command, terminal)
    rows = [*prompt, *terminal.pieces()]
    width = 2 * PAD + terminal.columns * COLUMN
    height = 2 * PAD + len(rows) * ROW
    shapes = [
        f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="6" '
        f'fill="{GROUND[theme]}" stroke="{FRAME[theme]}"/>'
    ]
    for y, row in enumerate(rows):
        shapes += [_ground(piece, y) for piece in row if piece.ground]
        shapes += [_text(piece, y) for piece in row if piece.text.strip()]
    words = html.escape(f"{command}, on a terminal")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">\n'
        f"<title>{words}</title>\n<style>{STYLE}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def _prompt(command: str, terminal: Terminal) -> list[list[Piece]]:
    """The command as it was typed, and an empty row."""
    lines = textwrap.wrap(f"$ {command}", terminal.columns, subsequent_indent="    ", break_on_hyphens=False)
    return [*([Piece(0, len(line), line, INK[terminal.theme], None, "b")] for line in lines), []]


def _ground(piece: Piece, y: int) -> str:
    """Its rows touch, so that bars of colour have no seams."""
    return (
        f'<rect x="{PAD + piece.column * COLUMN:g}" y="{PAD + y * ROW:g}" width="{piece.columns * COLUMN:g}" '
        f'height="{ROW}" fill="{piece.ground}" shape-rendering="crispEdges"/>'
    )


def _text(piece: Piece, y: int) -> str:
    """A row's text at its place, and as wide as its columns whatever the font."""
    bare = piece.text.rstrip()
    before = len(bare) - len(bare.lstrip())
    columns = piece.columns - (len(piece.text) - len(bare)) - before
    classes = f' class="{piece.classes}"' if piece.classes else ""
    return (
        f'<text x="{PAD + (piece.column + before) * COLUMN:g}" y="{PAD + y * ROW + FONT - 1:g}" '
        f'textLength="{columns * COLUMN:g}" lengthAdjust="spacingAndGlyphs" fill="{piece.ink}"{classes}>'
        f"{html.escape(bare.lstrip())}</text>"
    )
