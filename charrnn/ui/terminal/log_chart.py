"""Several falling or rising lines over a logarithmic scale, drawn with the characters of `charts`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from charrnn.ui.terminal.charts import LABEL, NARROWEST, UNICODE, Glyphs, connected, nice

STYLES = ("yellow", "cyan", "magenta", "green", "red", "blue", "bright_black", "white")
MARKS = "abcdefgh"
DECADES = 16  # below the largest value: smaller ones leave the chart
BETWEEN_MARKS = 12  # columns


@dataclass(frozen=True)
class Line:
    """A name and one value at each x = 0, 1, …; values that are not above 0 are left out."""

    name: str
    values: Sequence[float]


def log_chart(lines: Sequence[Line], width: int, height: int, x_name: str, glyphs: Glyphs = UNICODE) -> Text:
    """Up to eight lines, each in a colour and with a letter on it, and their names where they end.

    width, height : columns and rows of the whole, axes included
    """
    lines = lines[: len(MARKS)]
    known = [v for line in lines for v in line.values if 0 < v < math.inf]
    if not known:
        return Text("nothing above zero to draw", "dim")
    high = math.ceil(_decades(max(known)))
    low = max(math.floor(_decades(min(known))), high - DECADES)
    high += high == low
    names = max(len(x_name), *(len(line.name) for line in lines)) + 3
    w, h = max(NARROWEST, width - LABEL - 1 - names), height - 2
    last = max(1, *(len(line.values) - 1 for line in lines))

    def place(x: int, value: float, columns: int, rows: int) -> tuple[int, int]:
        share = (high - _decades(value)) / (high - low)
        return round(x / last * (columns - 1)), round(share * (rows - 1))

    grid: list[list[tuple[str, str]]] = [[(" ", "")] * w for _ in range(h)]
    ends: dict[int, tuple[int, Line]] = {}
    for number, line in enumerate(lines):
        points = [
            (x, v) for x, v in enumerate(line.values) if 0 < v < math.inf and low <= _decades(v) <= high
        ]
        if not points:
            continue
        _draw(
            grid,
            [place(*point, w * glyphs.columns, h * glyphs.rows) for point in points],
            STYLES[number],
            glyphs,
        )
        # A letter every few columns, each line's at columns of its own, so that none hides another.
        offset = BETWEEN_MARKS * (number + 1) // (len(lines) + 1)
        placed = dict(place(*point, w, h) for point in points)
        for column in range(offset, w, BETWEEN_MARKS):
            if column in placed:
                grid[placed[column]][column] = MARKS[number], f"bold {STYLES[number]}"
        row = place(*points[-1], w, h)[1]
        free = [r for r in range(h) if r not in ends]
        if free:
            ends[min(free, key=lambda r: (abs(r - row), -r))] = number, line

    every = max(1, math.ceil((high - low) / max(1, h - 1)))
    labels = {place(0, 10.0**power, w, h)[1]: power for power in range(high, low - 1, -every)}
    chart = Text(no_wrap=True)
    for y, cells in enumerate(grid):
        label = _power(labels[y]) if y in labels else ""
        chart.append(f"{label:>{LABEL}}{glyphs.left if label else glyphs.axis}", "dim")
        for character, style in cells:
            chart.append(character, style)
        if y in ends:
            number, line = ends[y]
            chart.append(f" {MARKS[number]} {line.name}", STYLES[number])
        chart.append("\n")
    return chart.append_text(_axis(last, w, x_name, glyphs))


def _decades(value: float) -> float:
    """log10, so rounded that 0.1³ is -3 and no less."""
    return round(math.log10(value), 9)


def _draw(
    grid: list[list[tuple[str, str]]], dots: Sequence[tuple[int, int]], style: str, glyphs: Glyphs
) -> None:
    cells: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for x, y in connected(dots):
        cell = x // glyphs.columns, y // glyphs.rows
        cells.setdefault(cell, set()).add((x % glyphs.columns, y % glyphs.rows))
    for (x, y), inside in cells.items():
        grid[y][x] = glyphs.cell(inside), style


def _power(exponent: int) -> str:
    """1, 0.1, 10 and the like in full, others as 1e-12."""
    return f"{10.0**exponent:g}" if -3 < exponent < 4 else f"1e{exponent}"


def _axis(last: int, width: int, name: str, glyphs: Glyphs) -> Text:
    """The horizontal axis with round numbers, and its name at the end of them."""
    line, numbers = [glyphs.line] * width, [" "] * (width + LABEL)
    spacing = max(1, round(nice(last / (width / 10))))
    for k in range(0, last + 1, spacing):
        x, number = round(k / last * (width - 1)), str(k)
        line[x] = glyphs.tick
        begin = max(0, x - len(number) // 2)
        numbers[begin : begin + len(number)] = number
    row = "".join(numbers).rstrip()
    return Text(f"{' ' * LABEL}{glyphs.corner}{''.join(line)}\n{' ' * (LABEL + 1)}{row}  {name}", "dim")
