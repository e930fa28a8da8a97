"""Small drawings made of characters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*%#"

Points = Sequence[tuple[float, float]]  # (step, loss), in order of the steps

TRAIN_STYLE, VALIDATION_STYLE, BEST_STYLE = "yellow", "cyan", "bold magenta"
NARROWEST = 8  # columns of a chart itself: a narrower terminal cuts it off
LABEL = 6  # columns of a number at an axis
BOTH_AXES = 60  # columns from which there is room for a second axis
SETTLED = 0.1  # the fall in this first part of a run may leave the chart, or the rest would be flat


def sparkline(values: Sequence[float], width: int, bars: str = BARS) -> str:
    """The values as a line of at most `width` bars, lowest to highest; neighbours are averaged to fit."""
    if not values:
        return ""
    if len(values) > width:
        edges = [round(k * len(values) / width) for k in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    scale = (len(bars) - 1) / (high - low) if high > low else 0
    return "".join(bars[round((value - low) * scale)] for value in values)


@dataclass(frozen=True)
class Glyphs:
    """What a chart is drawn with. A character is `columns` by `rows` dots, drawn as `dots`, or as Braille."""

    validation: str
    best: str
    corner: str
    axis: str  # vertical, and with a tick to the left and right
    left: str
    right: str
    line: str
    tick: str
    columns: int
    rows: int
    dots: str | None

    def cell(self, dots: set[tuple[int, int]]) -> str:
        """The character with these dots set, (column, row) from its upper left."""
        if self.dots is not None:
            return self.dots
        return chr(0x2800 + sum(1 << BRAILLE[row][column] for column, row in dots))


BRAILLE = ((0, 3), (1, 4), (2, 5), (6, 7))  # bit of the dot at [row][column], as Unicode numbers them
UNICODE = Glyphs("●", "◆", "└", "│", "┤", "├", "─", "┬", 2, 4, None)
ASCII = Glyphs("o", "*", "+", "|", "|", "|", "-", "+", 1, 1, ".")


def loss_chart(train: Points, validation: Points, width: int, height: int, glyphs: Glyphs = UNICODE) -> Text:
    """Losses against the step: train a line, validation and its best marks. nats left, bits right.

    width, height : columns and rows of the whole, axes included; `train` must not be empty
    """
    bits = width >= BOTH_AXES
    w, h = max(NARROWEST, width - LABEL - 1 - bits * (LABEL + 1)), height - 2
    last = max(step for step, _ in [*train, *validation])
    settled = [loss for step, loss in [*train, *validation] if step >= SETTLED * last]
    last = max(last, 1)
    margin = 0.03 * max(max(settled) - min(settled), 0.01)
    low, high = min(settled) - margin, max(settled) + margin
    spacing = nice((high - low) / (h / 2))

    def place(step: float, loss: float, columns: int, rows: int) -> tuple[int, int]:
        return round(step / last * (columns - 1)), round((high - loss) / (high - low) * (rows - 1))

    grid: list[list[tuple[str, str]]] = [[(" ", "")] * w for _ in range(h)]
    cells: dict[tuple[int, int], set[tuple[int, int]]] = {}
    fine = w * glyphs.columns, h * glyphs.rows
    for x, y in connected([place(*point, *fine) for point in thinned(train, fine[0])]):
        if 0 <= y < fine[1]:
            cells.setdefault((x // glyphs.columns, y // glyphs.rows), set()).add(
                (x % glyphs.columns, y % glyphs.rows)
            )
    for (x, y), dots in cells.items():
        grid[y][x] = glyphs.cell(dots), TRAIN_STYLE
    marks = [(point, glyphs.validation, VALIDATION_STYLE) for point in thinned(validation, w // 2)]
    marks += [(min(validation, key=lambda point: point[1]), glyphs.best, BEST_STYLE)] if validation else []
    for point, mark, style in marks:
        x, y = place(*point, w, h)
        if 0 <= y < h:
            grid[y][x] = mark, style

    ticks = [k * spacing for k in range(math.ceil(low / spacing), math.floor(high / spacing) + 1)]
    labels = {place(0, tick, w, h)[1]: tick for tick in ticks}
    decimals = max(0, -math.floor(math.log10(spacing)))
    chart = Text(no_wrap=True)
    for y, row in enumerate(grid):
        nats = f"{labels[y]:.{decimals}f}" if y in labels else ""
        chart.append(f"{nats:>{LABEL}}{glyphs.left if nats else glyphs.axis}", "dim")
        for character, style in row:
            chart.append(character, style)
        if bits:
            chart.append(
                f"{glyphs.right if nats else glyphs.axis}"
                + (f"{labels[y] / math.log(2):.{max(2, decimals)}f}" if nats else ""),
                "dim",
            )
        chart.append("\n")
    return chart.append_text(_step_axis(last, w, glyphs))


def _step_axis(last: float, width: int, glyphs: Glyphs) -> Text:
    """The horizontal axis and the numbers below it."""
    line, numbers = [glyphs.line] * width, [" "] * (width + LABEL)
    spacing = max(1, nice(last / (width / 12)))
    taken = -1
    for k in range(math.floor(last / spacing) + 1):
        x, number = round(k * spacing / last * (width - 1)), f"{k * spacing:,.0f}"
        line[x] = glyphs.tick
        begin = max(0, x - len(number) // 2)
        if begin > taken and begin + len(number) <= len(numbers):
            numbers[begin : begin + len(number)] = number
            taken = begin + len(number)
    text = f"{' ' * LABEL}{glyphs.corner}{''.join(line)}\n{' ' * (LABEL + 1)}{''.join(numbers).rstrip()}"
    return Text(text, "dim")


def nice(spacing: float) -> float:
    """1, 2 or 5 times a power of ten, the next one from `spacing` up."""
    power = 10.0 ** math.floor(math.log10(spacing))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= spacing * (1 - 1e-9))


def thinned(points: Points, most: int) -> Points:
    """At most `most` points: neighbours are averaged."""
    if len(points) <= most:
        return points
    edges = [round(k * len(points) / most) for k in range(most + 1)]
    parts = [points[a:b] for a, b in pairwise(edges)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts if part
    ]


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
