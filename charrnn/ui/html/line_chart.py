"""A line chart as SVG without a script, for notebooks: it looks like those of the pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.ui.html.letters import escaped
from charrnn.ui.terminal.plot import Linear, thinned

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 20, 34  # around the plot
TICKS = 5, 6  # down and across, about
PER_LETTER = 6.2
MOST_DOTS = 80
MARGIN = 0.06  # of the range, above and below

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line of a chart. look : the number of its colour and dashes; dots : one for each point"""

    name: str
    points: Sequence[Point]
    look: int
    dots: bool = False


def line_chart(
    lines: Sequence[Line], *, label: str, x: str, y: str, best: Point | None = None, ceiling: float = math.inf
) -> str:
    """Lines over a common axis.

    label : of the whole, for those who hear it; x, y : names of the axes
    best : a point to ring; ceiling : values above are drawn at the top edge
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return '<p class="note">nothing to draw</p>'
    left, right = min(p[0] for p in points), max(p[0] for p in points)
    low, high = min(p[1] for p in points), min(ceiling, max(p[1] for p in points))
    margin = MARGIN * (high - low) or 0.1
    across = Linear(left, right if right > left else left + 1)
    down = Linear(low - margin, high + margin)
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def px(value: float) -> float:
        return LEFT + (1 - across.share(value)) * wide

    def py(value: float) -> float:
        return TOP + max(0.0, down.share(value)) * tall

    rows, columns = (2 * number for number in TICKS)  # as a scale counts them
    digits = max(0, -math.floor(math.log10(down.spacing(rows))))
    parts = []
    for value in down.ticks(rows):
        parts.append(f'<path class="axis" d="M{LEFT},{py(value):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, py(value) + 4, f"{value:.{digits}f}", "end"))
    parts += [
        _text(px(value), HEIGHT - BOTTOM + 15, f"{value:,.10g}", "middle") for value in across.ticks(columns)
    ]
    for line in lines:
        drawn = thinned(line.points, wide)
        path = "L".join(f"{px(a):.1f},{py(b):.1f}" for a, b in drawn)
        parts.append(f'<path class="series series-{line.look}" d="M{path}"/>' if path else "")
        parts += [
            f'<circle cx="{px(a):.1f}" cy="{py(b):.1f}" r="2.6" fill="var(--series-{line.look})"/>'
            for a, b in (drawn if line.dots and len(drawn) <= MOST_DOTS else ())
        ]
    if best is not None:
        parts.append(f'<circle class="best" cx="{px(best[0]):.1f}" cy="{py(best[1]):.1f}" r="5"/>')
    parts += [_text(LEFT, 11, y, "start"), _text(LEFT + wide / 2, HEIGHT - 4, x, "middle")]
    end = float(WIDTH - RIGHT)
    for line in reversed(lines):
        room = PER_LETTER * len(line.name)
        parts.append(_text(end, 11, line.name, "end"))
        parts.append(f'<path class="series series-{line.look}" d="M{end - room - 24:.1f},7h20"/>')
        end -= room + 40
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{escaped(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(content)}</text>'
