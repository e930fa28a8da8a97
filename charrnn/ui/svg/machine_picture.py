"""A machine as a picture: its states on a circle, arrows with the characters that lead from one to the next."""

from math import cos, hypot, pi, sin

from charrnn.interpret.machine import Machine
from charrnn.ui.svg.document import document, text
from charrnn.ui.terminal.glyphs import UNICODE

NODE = 20.0  # radius of a state
APART = 110.0  # between neighbours on the circle
MARGIN = 90.0
BEND = 0.16  # of an arrow, so that one there and one back do not cover each other
LOOP = 34.0  # how far a loop reaches out
ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" class="fill"/></marker></defs>'
)
MOST_CHARACTERS = 8  # of an arrow's label

Point = tuple[float, float]


def machine_picture(machine: Machine, title: str) -> str:
    """The picture as SVG. A state that allows a newline, where a string may end, has a double border."""
    size = len(machine)
    radius = max(APART * size / (2 * pi), APART / 2) if size > 1 else 0.0
    middle = radius + MARGIN
    places = [
        (middle - radius * cos(2 * pi * k / size), middle - radius * sin(2 * pi * k / size))
        for k in range(size)
    ]
    newline = machine.symbols.find("\n")
    shapes = [ARROW]
    labels: list[str] = []
    for begin, end, characters in machine.edges():
        path, label = (
            _loop(places[begin], (middle, middle)) if begin == end else _arrow(places[begin], places[end])
        )
        shapes.append(f'<path d="{path}" class="line" marker-end="url(#arrow)"/>')
        labels.append(text(*label, _named(characters), "ink mono halo"))
    entry = places[machine.start][0] - NODE - 32, places[machine.start][1] - NODE - 14
    shapes.append(_straight(entry, places[machine.start]))
    for k, (x, y) in enumerate(places):
        shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{NODE:g}" class="node"/>')
        if newline >= 0 and machine.following[k, newline] >= 0:
            shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{NODE - 4:g}" class="node"/>')
        shapes.append(text(x, y + 5, str(k)))
    return document(2 * middle, 2 * middle, title, shapes + labels)


def _named(characters: str) -> str:
    marks = {"\n": UNICODE.newline, "\t": UNICODE.tab, " ": UNICODE.space}
    shown = [marks.get(c, c) for c in characters]
    return " ".join(shown[:MOST_CHARACTERS]) + (" …" if len(shown) > MOST_CHARACTERS else "")


def _arrow(a: Point, b: Point) -> tuple[str, Point]:
    """A bent arrow between two states, and the place of its label."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    control = (a[0] + b[0]) / 2 - BEND * dy, (a[1] + b[1]) / 2 + BEND * dx
    begin, end = _edge(a, control), _edge(b, control)
    at = (begin[0] + 2 * control[0] + end[0]) / 4, (begin[1] + 2 * control[1] + end[1]) / 4 + 4
    return f"M{_xy(begin)} Q{_xy(control)} {_xy(end)}", at


def _loop(a: Point, middle: Point) -> tuple[str, Point]:
    """An arrow from a state to itself, away from the middle of the picture."""
    away = (a[0] - middle[0], a[1] - middle[1])
    length = hypot(*away)
    ux, uy = (away[0] / length, away[1] / length) if length else (0.0, -1.0)
    out = NODE + LOOP
    controls = [
        (a[0] + ux * out + side * uy * LOOP * 0.8, a[1] + uy * out - side * ux * LOOP * 0.8)
        for side in (1, -1)
    ]
    begin, end = (_edge(a, control) for control in controls)
    label = a[0] + ux * (NODE + LOOP + 8), a[1] + uy * (NODE + LOOP + 8) + 4
    return f"M{_xy(begin)} C{_xy(controls[0])} {_xy(controls[1])} {_xy(end)}", label


def _straight(a: Point, b: Point) -> str:
    return f'<path d="M{_xy(a)} L{_xy(_edge(b, a))}" class="line" marker-end="url(#arrow)"/>'


def _edge(centre: Point, towards: Point) -> Point:
    """Where a line from a state's centre leaves its circle."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    share = (NODE + 1) / max(hypot(dx, dy), 1e-9)
    return centre[0] + share * dx, centre[1] + share * dy


def _xy(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
