"""Fixed points on a terminal: a picture in the plane of the states, and a table."""

from collections.abc import Iterator

import numpy as np
from rich.text import Text

from charrnn.interpret.fixed_points import FixedPoints, Point
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.colours import LINE_COLOURS
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.findings_view import Look
from charrnn.ui.terminal.glyphs import glyphs_of
from charrnn.ui.terminal.letters import spelled
from charrnn.ui.terminal.plot import LABEL_WIDTH, Plot

MOST_POINTS = 40
ROWS, WIDEST = 16, 72
MOST_DOTS = 2000
SHOWN = 2  # likeliest characters
SETTLED = 1e-3  # |λ| of a push that is gone after one step


def view(found: FixedPoints, console: Console) -> Iterator[Text]:
    """The picture, a row per point and a count."""
    if found.points:
        look = Look.of(console)
        yield picture(found, console)
        rows = [["", "kind", "|λ|", "growing", "fades", "searches", "distance", "expects"]]
        for number, point in enumerate(found.points[:MOST_POINTS]):
            expects = "  ".join(f"{look.glyph(c)} {p:.2f}" for c, p in point.expects[:SHOWN])
            rows.append([str(number), *cells(point), expects])
        for line in tables.lines([[spelled(cell, console) for cell in row] for row in rows]):
            yield Text(line)
        if len(found.points) > MOST_POINTS:
            yield Text(f"… and {len(found.points) - MOST_POINTS} more; --json has them all", "dim")
        meaning = (
            "growing: directions in which a small push grows; fades: steps until the slowest has faded to 1/e;\n"
            "distance: to the nearest state of the text; expects: what is likeliest to come next"
        )
        yield Text(meaning, "dim")
    yield Text(summary(found))


def cells(point: Point) -> list[str]:
    """Kind, largest |λ|, directions in which a push grows, steps in which it fades to 1/e, searches, distance."""
    fades = "–" if point.radius >= 1 else f"{-1 / np.log(max(point.radius, SETTLED)):.1f}"
    return [
        point.kind,
        f"{point.radius:.4f}",
        f"{point.unstable}/{len(point.eigenvalues)}",
        fades,
        str(point.starts),
        f"{point.nearest:.2f}",
    ]


def summary(found: FixedPoints) -> str:
    kinds = [point.kind for point in found.points]
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    ended = f"{found.searches} searches, {found.lost} of which ended at no point"
    return f"{', '.join(counts) or 'no points'}; {ended}"


def picture(found: FixedPoints, console: Console) -> Text:
    """The visited states as dots and the points by number, in the plane of the states' principal components."""
    glyphs = glyphs_of(console)
    plot = Plot(min(console.width, WIDEST) - LABEL_WIDTH - 1, ROWS, glyphs)
    every = max(1, -(-len(found.visited) // MOST_DOTS))
    dots = found.places(found.visited[::every])
    marks = found.places(np.array([point.state for point in found.points]))
    both = np.concatenate([dots, marks])
    low, high = both.min(axis=0), both.max(axis=0)
    span = np.where(high > low, high - low, 1)
    for place in (dots - low) / span:
        plot.mark(place[0], 1 - place[1], glyphs.shades[1], "dim")
    for number, place in reversed(list(enumerate((marks - low) / span))):
        stable = found.points[number].kind == "stable"
        style = f"bold {LINE_COLOURS[0 if stable else 1]}"
        for offset, digit in enumerate(str(number)):
            column = place[0] + offset / max(1, plot.columns - 1)
            plot.mark(min(column, 1.0), 1 - place[1], digit, style)
    words = f"states of the text and points, by number; {found.variance:.0%} of the variance"
    title = Text(f"{' ' * (LABEL_WIDTH + 1)}{words}\n", "dim")
    below = Text(f"{' ' * LABEL_WIDTH}{glyphs.corner}{glyphs.horizontal * plot.columns}", "dim")
    return title.append_text(plot.text({}, {}, below))
