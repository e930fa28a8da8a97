"""A cell's mechanism in words, as a picture and as a page."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from helpers.html_browser import Browser, needs_browser

from charrnn.errors import UsageError
from charrnn.interpret.cutting import Cut
from charrnn.interpret.edges import Edge
from charrnn.interpret.mechanism import Explanation, Influence, Written
from charrnn.ui.html.mechanism_page import write_mechanism
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.mechanism_view import after_cutting, summary, view

CUT = Cut('"', 0.99, 0.5, 0.048, 0.01, 3.0, 0.1, 0.048, 0.02, 20, 0.98, 0.98, 1.0, (0.01, 0.02), 0.043)
IDLE = replace(CUT, score_after=0.99, lost=0.0, log_odds_after=3.0, share=0.0, p=1.0)


def into(name: str, weight: float, strength: float, cut: Cut | None = CUT) -> Influence:
    source, _, gate = name.rpartition("->")
    kind: Any = "before" if ":" in source else "symbol"
    number = int(source.partition(":")[2]) if kind == "before" else 1
    return Influence(Edge(kind, 0, gate, number, 63), name, weight, abs(weight), strength, cut)


def out(name: str, weight: float, strength: float, cut: Cut | None = CUT) -> Influence:
    kind: Any = "head" if "head:" in name else "before"
    return Influence(Edge(kind, 0, "", 63, 2), name, weight, abs(weight), strength, cut)


def says(character: str, rise: float, fall: float) -> Written:
    return Written(character, 40, 0.1, -0.2, 0.5, rise, fall)


FOUND = Explanation(
    layer=0,
    cell=63,
    cell_kind="lstm",
    characters_read=20_000,
    error=2e-7,
    concept="quote",
    kind="bool",
    sign=1,
    score=0.99,
    chance_level=0.61,
    target='"',
    direction=1,
    log_odds=3.0,
    kept=0.993,
    constant=-0.004,
    characters=(says('"', 0.9, 0.2), says("\\n", 0.0, 0.7), says(" ", 0.02, 0.05)),
    writers=(into('"->i', 4.0, 0.5), into(" ->f", -2.0, 0.2, IDLE), into("0:9->g", 1.0, 0.05, IDLE)),
    shown_by=(into("0:63->o", 2.0, 0.3, IDLE),),
    readers=(out("->0:17:i", -1.0, 0.1, IDLE),),
    head=(out('->head:"', 1.5, 1.2), out("->head: ", -0.9, 0.8), out("->head:e", 0.1, 0.1, IDLE)),
    together=(0.55, 0.2),
    notes=(),
)


def printed(found: Explanation, width: int = 80, encoding: str = "utf-8") -> str:
    class Stream(StringIO):
        @property
        def encoding(self) -> str:  # type: ignore[override]
            return encoding

    stream = Stream()
    console = Console(file=stream, width=width, highlight=False, markup=False)
    console.print(view(found, console))
    return stream.getvalue()


def test_the_mechanism_in_words() -> None:
    assert summary(FOUND) == (
        "Cell 0:63 follows quote, high where it is on (AUC .990; the best of all cells reaches .610 by chance). "
        "It rises at '\"' through i and falls at '\"' through i and '\\n', kept by f ≈ 0.99. "
        "It is read by the head for '\"' and against ' '. Of the cells, 0:17 (i) read it most. "
        "Cutting \"->i takes the score from .990 to .500 and the log-odds of '\"' from 3.00 to 0.10 nats "
        "(p .043, corrected for all edges). "
        "Cutting ->head:\" takes the log-odds of '\"' from 3.00 to 0.10 nats (p .043, corrected for all edges)."
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"score": 0.6},
            "follows quote no better than chance (AUC .600; the best of all cells reaches .610 by",
        ),
        (
            {"concept": None, "score": None},
            "Cell 0:63 was compared with no concept: none occurs often enough",
        ),
        ({"sign": -1}, "low where it is on (AUC .990"),
        ({"sign": -1}, "It falls at '\"' through i and rises at"),
        ({"sign": -1}, "It is read by the head for ' ' and against '\"'."),
        ({"kind": "count", "concept": "line_pos"}, "follows line_pos, rising with it (rho .990"),
        (
            {"characters": (says("\\n", 0, 1), says("e", 0.1, 0))},
            "It rises a little at many characters (-0.004 on average) and falls at '\\n', through 0:9 (g)",
        ),
        (
            {"characters": (says("e", 0.1, 0.1),)},
            "It rises and falls a little at many characters, kept by f ≈ 0.99.",
        ),
        (
            {"characters": (says('"', 1, 1),)},
            "It is switched to and fro by '\"' through i, kept by f ≈ 0.99.",
        ),
        ({"kept": None, "writers": (into("0:63->a", 3.0, 1.0, IDLE),)}, "kept by its own weight of +3.00."),
        (
            {"writers": (into('"->i', 4.0, 0.5, IDLE),)},
            "No single edge into it is shown to do more, when cut, than edges of like weight; all of these writers cut "
            "at once take the score from .990 to .550.",
        ),
        ({"cell_kind": "gru"}, "kept by z ≈ 0.99"),
        (
            {"writers": (into('"->i', 4.0, 0.5, replace(CUT, target="ABCDEFGHIJ")),)},
            "the log-odds of 'ABCDEFGH…' from",
        ),
    ],
)
def test_what_the_words_depend_on(changes: dict[str, Any], told: str) -> None:
    assert told in summary(replace(FOUND, **changes))


def test_after_cutting() -> None:
    assert after_cutting(FOUND) == "quote: score .990 to .550, log-odds of '\"' 3.00 to 0.20 nats"
    assert after_cutting(replace(FOUND, target=None, log_odds=None)) == "quote: score .990 to .550"
    assert after_cutting(replace(FOUND, score=None)).startswith("no concept occurs often enough")


def test_the_picture_has_strokes_by_strength() -> None:
    lines = printed(FOUND).splitlines()
    first = next(n for n, line in enumerate(lines) if "▶" in line)
    assert [line.rstrip() for line in lines[first : first + 4]] == [
        '   " i+━━━━━━━━━━━━━━▶ │       │ +━━━━━━━━━━━━━━━▶ head:"',
        "   ␣ f-──────────────▶ │ 0:63  │ -━━━━━━━━━━━━━━━▶ head:␣",
        " 0:9 g+╌╌╌╌╌╌╌╌╌╌╌╌╌╌▶ │ quote │ +╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▶ head:e",
        "0:63 o+━━━━━━━━━━━━━━▶ │       │ -━━━━━━━━━━━━━━━▶ 0:17:i",
    ]
    assert '*  "->i' in "\n".join(lines)
    assert not any(line.startswith("*") and "␣->f" in line for line in lines)


def test_edges_come_in_one_order_everywhere(tmp_path: Path) -> None:
    """Writers, what shows the cell, predictions, cells that read it; of each kind the strongest first."""
    named = [one.name for side in (FOUND.writers, FOUND.shown_by, FOUND.head, FOUND.readers) for one in side]
    told = re.findall(r"^[* ]*(\S*->\S+) ", printed(FOUND, 120), re.MULTILINE)
    assert told == [name.replace(" ", "␣") for name in named]
    assert (
        next(line for line in printed(FOUND, 120).splitlines() if line.startswith("*")).split()[-1] == ".043"
    )
    page = page_of(FOUND, tmp_path / "cell.html")
    kinds = "writers", "shown_by", "head", "readers"
    assert [one["edge"] for kind in kinds for one in page[kind]] == named
    order = re.search(r"const KINDS = \[(.*)\];", (tmp_path / "cell.html").read_text())
    assert order is not None
    assert tuple(re.findall(r'\["(\w+)"', order[1])) == kinds


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_every_terminal(width: int, encoding: str) -> None:
    text = printed(FOUND, width, encoding)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    text.encode(encoding)


HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">\u202e\x1b[31m'


def page_of(found: Explanation, target: Path) -> dict[str, Any]:
    size = write_mechanism(str(target), Path("runs/tale"), found)
    assert size == target.stat().st_size < 200_000
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', target.read_text())
    return json.loads(data)


def test_the_page_holds_what_json_does(tmp_path: Path) -> None:
    data = page_of(replace(FOUND, score=float("nan")), tmp_path / "cell.html")
    assert data["summary"] == summary(replace(FOUND, score=float("nan")))
    assert data["score"] is None
    assert data["writers"][0]["cut"]["holds"] is True
    assert data["model"] == str(Path("runs/tale"))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not a web page"):
        write_mechanism(str(tmp_path / "notes.txt"), Path("runs/tale"), FOUND)


def test_columns_of_what_was_not_measured_are_left_out() -> None:
    def headers(found: Explanation) -> list[list[str]]:
        return [
            line.split()
            for line in printed(found, 120).splitlines()
            if " strength" in line and "edge" in line
        ]

    uncut = replace(FOUND, writers=tuple(replace(one, cut=None) for one in FOUND.writers), together=None)
    measured = {"score", "log-odds", "p"}
    assert all(measured <= set(line) for line in headers(FOUND)[:1])
    assert not measured & set(headers(uncut)[0])
    assert {"edge", "weight", "strength"} <= set(headers(uncut)[0])


@needs_browser
def test_the_page_in_a_browser(tmp_path: Path, one_browser: Browser) -> None:
    hostile = replace(FOUND, concept=HOSTILE, notes=(HOSTILE,), target=HOSTILE)
    page_of(hostile, tmp_path / "cell.html")
    browser = one_browser
    browser.open(tmp_path / "cell.html")
    assert browser.logs("browser") == []
    assert browser.requests() == [(tmp_path / "cell.html").as_uri()]
    assert browser.script("return window.hacked") is None
    widths = [float(one or 0) for one in browser.attributes("#picture .edge", "stroke-width")]
    assert widths == pytest.approx(
        [8, 1 + 7 * 0.4, 1 + 7 * 0.1, 8, 8, 1 + 7 * 0.8 / 1.2, 1 + 7 * 0.1 / 1.2, 8], abs=0.01
    )
    classes = browser.attributes("#picture .edge", "class")
    assert classes == [
        *("edge", "edge lowers untold", "edge untold", "edge untold"),
        *("edge", "edge lowers", "edge untold", "edge lowers untold"),
    ]
    cells = browser.script(
        "return [...document.querySelectorAll('#edges tbody tr')].map((tr) => tr.children[0].textContent)"
    )
    assert cells == ['"->i', "␣->f", "0:9->g", "0:63->o", '->head:"', "->head:␣", "->head:e", "->0:17:i"]
    assert browser.text("#summary").startswith("Cell 0:63 follows </script><script>")
