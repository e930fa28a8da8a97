"""Fixed points as a picture: the states that a text visits, in their plane, and the points among them."""

import numpy as np

from charrnn.interpret.fixed_points import FixedPoints
from charrnn.ui.svg.document import document, text

WIDTH, HEIGHT, MARGIN = 640.0, 520.0, 40.0
FOOT = 40.0  # for the legend
MOST_DOTS = 1500
LEGEND = "grey: states of the text · filled: stable · ring: saddle or unstable · square: slow"


def points_picture(found: FixedPoints, title: str) -> str:
    """The picture as SVG; the points have their numbers in the table."""
    every = max(1, -(-len(found.visited) // MOST_DOTS))
    dots = found.places(found.visited[::every])
    marks = found.places(np.array([p.state for p in found.points]).reshape(-1, len(found.mean)))
    low, high = (f(np.concatenate([dots, marks]), axis=0) for f in (np.min, np.max))
    span = np.where(high > low, high - low, 1)

    def at(place: np.ndarray) -> tuple[float, float]:
        x, y = (place - low) / span
        return MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - FOOT - MARGIN - y * (HEIGHT - FOOT - 2 * MARGIN)

    shapes = []
    for dot in dots:
        x, y = at(dot)
        shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" class="dot"/>')
    for number, (point, mark) in enumerate(zip(found.points, marks, strict=True)):
        x, y = at(mark)
        if point.kind == "slow":
            shapes.append(f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" class="unstable"/>')
        else:
            look = "stable" if point.kind == "stable" else "unstable"
            shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="{look}"/>')
        shapes.append(text(x, y - 10, str(number), "ink halo"))
    plane = f"plane of the first two principal components: {found.variance:.0%} of the states' variance"
    shapes += [text(WIDTH / 2, HEIGHT - 24, LEGEND, "muted"), text(WIDTH / 2, HEIGHT - 8, plane, "muted")]
    return document(WIDTH, HEIGHT, title, shapes)
