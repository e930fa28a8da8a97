"""Pictures as SVG: well-formed whatever the characters, and every arrow and state in its place."""

from xml.etree import ElementTree

import numpy as np
import pytest

from charrnn.errors import UsageError
from charrnn.interpret.machine import Machine
from charrnn.ui.svg.document import check_target
from charrnn.ui.svg.machine_picture import machine_picture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(machine: Machine, title: str = "a machine") -> ElementTree.Element:
    return ElementTree.fromstring(machine_picture(machine, title))


def words(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_characters_of_markup_and_of_control_are_shown() -> None:
    symbols = "\x1b\n &<>\"']\u202e\udc80"
    root = drawn(Machine(symbols, np.arange(len(symbols))[None] * 0, 0), "</title><script>\x1b")
    assert words(root) == ["0", "\ufffd ↵ ␣ & < > \" ' …"]
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "</title><script>\ufffd"


@pytest.mark.parametrize("size", [1, 2, 5, 30])
def test_states_do_not_cover_each_other_and_loops_stay_inside(size: int) -> None:
    rng = np.random.default_rng(size)
    machine = Machine("\nab", rng.integers(-1, size, (size, 3)), 0)
    root = drawn(machine)
    left, top, width, height = map(float, root.get("viewBox", "").split())
    assert (left, top) == (0, 0)
    nodes = [n for n in root.iter(f"{SVG}circle") if n.get("r") == "20"]
    places = np.array([[float(n.get("cx", "")), float(n.get("cy", ""))] for n in nodes])
    assert len(places) == size
    apart = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(size)
    assert apart.min() > 60
    every = np.array([[float(t.get(axis, "")) for axis in "xy"] for t in root.iter(f"{SVG}text")])
    assert (every > 10).all()
    assert (every < [width - 10, height - 10]).all()
    arrows = [p for p in root.iter(f"{SVG}path") if p.get("class") == "line"]
    assert len(arrows) == len(machine.edges()) + 1  # and the one that shows the start
    doubled = [n for n in root.iter(f"{SVG}circle") if n.get("r") == "16"]
    assert len(doubled) == (machine.following[:, 0] >= 0).sum()


def test_where_a_picture_may_be_written() -> None:
    check_target("here.svg")
    for name in ("picture", "picture.png", "-"):
        with pytest.raises(UsageError, match=r"Name a file that ends in \.svg"):
            check_target(name)
