"""Several falling or rising lines over a logarithmic scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from charrnn.ui.terminal.colours import LINE_COLOURS
from charrnn.ui.terminal.glyphs import UNICODE, Glyphs
from charrnn.ui.terminal.plot import LABEL_WIDTH, Logarithmic, Place, Plot, decades

MARKS = "abcdefgh"
DECADES = 16  # below the largest value: smaller ones leave the chart
BETWEEN_MARKS = 12  # columns


@dataclass(frozen=True)
class Curve:
    """A name and one value at each x = 0, 1, …; values that are not above 0 are left out."""

    name: str
    values: Sequence[float]


def log_chart(lines: Sequence[Curve], width: int, height: int, x_name: str, glyphs: Glyphs = UNICODE) -> Text:
    """Up to eight lines, each in a colour and with a letter on it, and their names where they end.

    width, height : columns and rows of the whole, axes included
    """
    lines = lines[: len(MARKS)]
    known = [v for line in lines for v in line.values if 0 < v < math.inf]
    if not known:
        return Text("nothing above zero to draw", "dim")
    high = math.ceil(decades(max(known)))
    low = max(math.floor(decades(min(known))), high - DECADES)
    scale = Logarithmic(low, high + (high == low))
    names = max(len(x_name), *(len(line.name) for line in lines)) + 3
    plot = Plot(width - LABEL_WIDTH - 1 - names, height - 2, glyphs)
    last = max(1, *(len(line.values) - 1 for line in lines))

    ends = lettered(
        plot,
        [
            (line.name, [(x / last, scale.share(v)) for x, v in enumerate(line.values) if 0 < v < math.inf])
            for line in lines
        ],
    )
    left = {plot.place(0, scale.share(10.0**power))[1]: _power(power) for power in scale.ticks(plot.rows)}
    return plot.text(left, ends, plot.step_axis(last, x_name))


def lettered(plot: Plot, lines: Sequence[tuple[str, Sequence[Place]]]) -> dict[int, tuple[str, str]]:
    """Draw lines (name, places), each in a colour and with a letter on it; returns their names by row."""
    ends: dict[int, tuple[str, str]] = {}
    for number, ((name, line), letter, style) in enumerate(zip(lines, MARKS, LINE_COLOURS, strict=False), 1):
        places = [(across, down) for across, down in line if 0 <= down <= 1]
        if not places:
            continue
        plot.line(places, style)
        # A letter every few columns, in different columns for each line, so that none hides another.
        offset = BETWEEN_MARKS * number // (len(lines) + 1)
        by_column = {plot.place(*place)[0]: place for place in places}
        for column in range(offset, plot.columns, BETWEEN_MARKS):
            if column in by_column:
                plot.mark(*by_column[column], letter, f"bold {style}")
        row = plot.place(*places[-1])[1]
        free = [r for r in range(plot.rows) if r not in ends]
        if free:
            ends[min(free, key=lambda r: (abs(r - row), -r))] = f" {letter} {name}", style
    return ends


def _power(exponent: int) -> str:
    """1, 0.1, 10 and the like in full, others as 1e-12."""
    return f"{10.0**exponent:g}" if -3 < exponent < 4 else f"1e{exponent}"
