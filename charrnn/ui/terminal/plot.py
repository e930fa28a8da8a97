"""The plotter: lines of dots and marks between a vertical axis and a horizontal one, as text.

Places are shares: (0, 0) is the upper left corner of the plot, (1, 1) the lower right one. Places above or
below the plot are left out. A scale turns values into shares of the height, and knows its ticks.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

from charrnn.ui.terminal.glyphs import Glyphs

LABEL_WIDTH = 6  # columns of a number at the vertical axis
NARROWEST = 8  # columns of the plot itself: a narrower terminal cuts it off
PER_NUMBER = 10  # columns below the horizontal axis

Place = tuple[float, float]  # across and down, as shares


@dataclass(frozen=True)
class Linear:
    """A scale with ticks at round numbers."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """How far below the top: 0 for `high`, 1 for `low`."""
        return (self.high - value) / (self.high - self.low)

    def spacing(self, rows: int) -> float:
        return nice((self.high - self.low) / (rows / 2))

    def ticks(self, rows: int) -> Iterator[float]:
        spacing = self.spacing(rows)
        for k in range(math.ceil(self.low / spacing), math.floor(self.high / spacing) + 1):
            yield k * spacing


@dataclass(frozen=True)
class Logarithmic:
    """A scale from 10^low to 10^high with ticks at powers of ten; values are above zero."""

    low: int
    high: int

    def share(self, value: float) -> float:
        """How far below the top: 0 for 10^high, 1 for 10^low."""
        return (self.high - decades(value)) / (self.high - self.low)

    def ticks(self, rows: int) -> Iterator[int]:
        """Exponents."""
        every = max(1, math.ceil((self.high - self.low) / max(1, rows - 1)))
        yield from range(self.high, self.low - 1, -every)


def decades(value: float) -> float:
    """log10, rounded so that 0.1³ gives exactly -3."""
    return round(math.log10(value), 9)


class Plot:
    """An empty plot of `columns` by `rows` characters, axes not included."""

    def __init__(self, columns: int, rows: int, glyphs: Glyphs) -> None:
        self.columns, self.rows, self.glyphs = max(NARROWEST, columns), rows, glyphs
        self._cells: list[list[tuple[str, str]]] = [[(" ", "")] * self.columns for _ in range(rows)]

    def place(self, across: float, down: float) -> tuple[int, int]:
        """Column and row of the character at a place."""
        return round(across * (self.columns - 1)), round(down * (self.rows - 1))

    def line(self, places: Iterable[Place], style: str) -> None:
        """A line of dots through the places, over what is there."""
        wide, high = self.columns * self.glyphs.columns, self.rows * self.glyphs.rows
        cells: dict[tuple[int, int], set[tuple[int, int]]] = {}
        for piece in within(list(places)):
            for x, y in connected([(round(a * (wide - 1)), round(d * (high - 1))) for a, d in piece]):
                column, row = x // self.glyphs.columns, y // self.glyphs.rows
                cells.setdefault((column, row), set()).add((x % self.glyphs.columns, y % self.glyphs.rows))
        for (column, row), dots in cells.items():
            self._cells[row][column] = self.glyphs.cell(dots), style

    def mark(self, across: float, down: float, glyph: str, style: str) -> None:
        """One character at a place, over what is there."""
        column, row = self.place(across, down)
        if 0 <= row < self.rows:
            self._cells[row][column] = glyph, style

    def text(self, left: Mapping[int, str], right: Mapping[int, tuple[str, str]], below: Text) -> Text:
        """The plot with its axes.

        left : row -> number at its tick; right : row -> text and style behind it; below : of `step_axis`
        """
        picture = Text(no_wrap=True)
        for y, row in enumerate(self._cells):
            number = left.get(y, "")
            axis = self.glyphs.left_tick if number else self.glyphs.vertical
            picture.append(f"{number:>{LABEL_WIDTH}}{axis}", "dim")
            for character, style in row:
                picture.append(character, style)
            picture.append(*right.get(y, ("", ""))).append("\n")
        return picture.append_text(below)

    def step_axis(self, last: float, name: str = "", beyond: int = LABEL_WIDTH) -> Text:
        """The horizontal axis from 0 to `last`, whole numbers below it, and its name behind them.

        beyond : columns to the right of the plot that a number may reach into
        """
        line, numbers = [self.glyphs.horizontal] * self.columns, [" "] * (self.columns + beyond)
        spacing = max(1, nice(last / (self.columns / PER_NUMBER)))
        taken = -1
        for k in range(math.floor(last / spacing) + 1):
            x, number = round(k * spacing / last * (self.columns - 1)), f"{k * spacing:,.0f}"
            line[x] = self.glyphs.down_tick
            begin = max(0, min(x - len(number) // 2, len(numbers) - len(number)))
            if begin > taken and begin + len(number) <= len(numbers):
                numbers[begin : begin + len(number)] = number
                taken = begin + len(number)
        below = "".join(numbers).rstrip() + (f"  {name}" if name else "")
        return Text(
            f"{' ' * LABEL_WIDTH}{self.glyphs.corner}{''.join(line)}\n{' ' * (LABEL_WIDTH + 1)}{below}", "dim"
        )


def nice(spacing: float) -> float:
    """1, 2 or 5 times a power of ten, the next one from `spacing` up."""
    power = 10.0 ** math.floor(math.log10(spacing))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= spacing * (1 - 1e-9))


def thinned(points: Sequence[Place], most: int) -> Sequence[Place]:
    """At most `most` points: neighbours are averaged."""
    if len(points) <= most:
        return points
    edges = [round(k * len(points) / most) for k in range(most + 1)]
    parts = [points[a:b] for a, b in pairwise(edges)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts if part
    ]


def within(places: Sequence[Place]) -> Iterator[list[Place]]:
    """The pieces of a line that lie between 0 and 1 in height, cut where they leave."""
    piece = [place for place in places[:1] if 0 <= place[1] <= 1]
    for a, b in pairwise(places):
        begin, end = cut(a, b), cut(b, a)
        if begin is None or end is None:
            continue
        piece = piece or [begin]
        piece.append(end)
        if end != b:
            yield piece
            piece = []
    if piece:
        yield piece


def cut(a: Place, b: Place) -> Place | None:
    """`a`, or where the line from `a` to `b` comes in from above or below; None if it never does."""
    if 0 <= a[1] <= 1:
        return a
    edge = 0.0 if a[1] < 0 else 1.0
    if (a[1] - edge) * (b[1] - edge) > 0:
        return None
    share = (edge - a[1]) / (b[1] - a[1])
    return a[0] + share * (b[0] - a[0]), edge


def connected(dots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The dots of a line through `dots`: no gap between neighbouring columns or rows."""
    line = list(dots[:1])
    for (x0, y0), (x1, y1) in pairwise(dots):
        length = max(abs(x1 - x0), abs(y1 - y0))
        line += [
            (x0 + round(k * (x1 - x0) / length), y0 + round(k * (y1 - y0) / length))
            for k in range(1, length + 1)
        ]
    return line
