"""An explanation on a terminal, letter by letter, and as a page."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.html_browser import needs_browser

from charrnn.errors import UsageError
from charrnn.interpret.why import CellPart, Why
from charrnn.ui.html.why_page import write_why
from charrnn.ui.terminal.background import name_theme
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.findings_view import Look
from charrnn.ui.terminal.glyphs import ASCII, DIGITS
from charrnn.ui.terminal.why_view import view

FOUND = Why(
    text="ab\n \x1b",
    names=("a", "b", "\n", " ", "\x1b"),
    place=15,
    target="e",
    target_probability=0.625,
    against="end",
    against_probability=0.125,
    log_odds=1.61,
    baseline_log_odds=-0.39,
    replaced=np.array([2.0, -1.0, 0.0, 0.25, 0.1]),
    removed=np.array([1.0, -2.0, 0.5, 0.0, 0.0]),
    integrated=np.array([2.5, -1.0, 0.25, 0.25, 0.0]),
    layer=1,
    cells=(
        CellPart(3, 1.5, 2.0, np.array([1.5, 0.4, 0.11, -0.01, 0.0])),
        CellPart(0, -0.5, 0.5),
        *(CellPart(4 + k, 0.1, -0.1) for k in range(5)),
    ),
    bias=0.11,
    completeness_error=2.5e-7,
    gradients=1024,
)


HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">\u202e\x1b[31m'


def render(found, width=80, colour=None, look=None):
    look = look or Look(colour is not None)
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=colour, force_terminal=colour is not None)
    console.print(view(found, width, look))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_without_colour():
    assert (
        render(FOUND)
        == """\
Why 'e' (62.5%) rather than end (12.5%) at place 15: log-odds +1.61 nats
nats  -2.50 ▁▂▃▄▅▆▇█ +2.50
      above 0: for 'e', below: for end

replaced by what the model expected there
text  ab↵
nats  ▇▃▅
text   ␛
nats  ▅▅

removed
text  ab↵
nats  ▆▂▅
text   ␛
nats  ▅▅

integrated gradients: +2.00 in all, from -0.39 after average characters
text  ab↵
nats  █▃▅
text   ␛
nats  ▅▅

place  character  replaced  removed  integrated
   10  'a'           +2.00    +1.00       +2.50
   11  'b'           -1.00    -2.00       -1.00
   12  '↵'           +0.00    +0.50       +0.25
   13  '␣'           +0.25    +0.00       +0.25
   14  '␛'           +0.10    +0.00       +0.00

cell       part  change  by
1:3       +1.50   +2.00  'a' +1.50 at 10, 'b' +0.40 at 11, '↵' +0.11 at 12
1:0       -0.50   +0.50
1:4       +0.10   -0.10
1:5       +0.10   -0.10
1:6       +0.10   -0.10
2 others  +0.20   -0.20
bias      +0.11   +0.00
sum       +1.61   +2.00

completeness error 2.5e-07 nats, with 1,024 gradients"""
    )


@pytest.fixture
def light():
    name_theme("light")
    yield
    name_theme("auto")


def test_with_colour_the_background_is_the_part(light):
    shown = render(FOUND, colour="256")
    assert "nats  ▇" not in shown
    for step_3_2_4 in ("208", "215", "130"):  # oranges: 2.0, 1.0 and 2.5 of 2.5
        assert f"48;5;{step_3_2_4}ma" in shown


def test_a_space_is_seen_in_quotation_marks():
    assert render(replace(FOUND, against=" ")).startswith("Why 'e' (62.5%) rather than '␣' (12.5%)")


def test_in_ascii():
    shown = render(FOUND, look=Look(False, ASCII, DIGITS))
    assert shown.isascii()
    assert "text  ab$\nnats  834\ntext   ?\n" in shown


def test_a_large_error_is_told():
    told = render(replace(FOUND, completeness_error=0.03)).splitlines()[-2:]
    assert " ".join(told) == (
        "completeness error 3.0e-02 nats, with 1,024 gradients: too large, so integrated gradients are rough here. "
        "A shorter --context may help"
    )


def test_the_cells_of_a_small_network_have_no_others():
    shown = render(replace(FOUND, cells=FOUND.cells[:2]))
    assert "others" not in shown


def page_of(found, target):
    size = write_why(str(target), Path("runs/tale"), found)
    assert size == target.stat().st_size < 200_000
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', target.read_text())
    return json.loads(data)


def test_the_page_holds_what_json_does(tmp_path):
    data = page_of(FOUND, tmp_path / "why.html")
    assert data["text"] == FOUND.text
    assert data["model"] == str(Path("runs/tale"))
    assert data["characters"][1] == {
        "place": 11,
        "character": "b",
        "replaced_nats": -1.0,
        "removed_nats": -2.0,
        "integrated_nats": -1.0,
    }
    assert data["cells"][0]["characters_nats"] == [1.5, 0.4, 0.11, -0.01, 0.0]
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not a web page"):
        write_why(str(tmp_path / "notes.txt"), Path("runs/tale"), FOUND)


@needs_browser
def test_the_page_in_a_browser(tmp_path, one_browser):
    n = len(HOSTILE)
    parts = np.linspace(-1, 1, n)
    hostile = replace(
        FOUND,
        text=HOSTILE,
        names=tuple(HOSTILE),
        target=HOSTILE,
        replaced=parts,
        removed=np.zeros(n),
        integrated=2 * parts,
        cells=(CellPart(3, 1.5, 2.0, parts),),
        completeness_error=0.03,
    )
    page_of(hostile, tmp_path / "why.html")
    browser = one_browser
    browser.open(tmp_path / "why.html")
    assert browser.logs("browser") == []
    assert browser.requests() == [(tmp_path / "why.html").as_uri()]
    assert browser.script("return window.hacked") is None
    looks = browser.attributes("#texts .letters span", "class")
    assert len(looks) == 4 * n
    kinds = [["", *(one or "" for one in looks[k * n : (k + 1) * n])] for k in range(4)]
    ends = [(kind[1].split()[-1:], kind[-1].split()[-1:]) for kind in kinds]
    assert ends == [
        (["n4"], ["p4"]),
        ([], []),
        (["n8"], ["p8"]),
        (["n8"], ["p8"]),
    ]  # of 2, and of the cell's own 1
    assert browser.text("#asked").startswith("</script><script>")
    assert "rough here" in browser.text("#error")
    rows = browser.script("return document.querySelectorAll('#characters tbody tr').length")
    assert rows == n
    assert "‘␣’" in browser.text("#characters tbody")
    bias = browser.script("return document.querySelector('#cells tbody tr:last-child').textContent")
    assert bias == "bias+0.1100.000"
    browser.driver.set_window_size(500, 900)
    brand, title = browser.script(
        "return ['.brand', 'h1'].map((s) => document.querySelector(s).getBoundingClientRect().toJSON())"
    )
    browser.driver.set_window_size(1400, 1000)
    assert title["top"] >= brand["bottom"]
    assert title["left"] == brand["left"]
