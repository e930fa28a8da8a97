"""Cells of two models, and cells over the steps of a run, on a terminal."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.cells import cell_len

from charrnn.interpret.findings import Finding
from charrnn.interpret.matching import Matching, Pair, Shared
from charrnn.interpret.over_time import AtStep, Moment
from charrnn.ui.terminal import matching_view, over_time_view
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import ASCII, UNICODE


def render(view: Any, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(view)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def finding(
    concept: str, cell: int, verdict: str = "tracker", score: float = 0.9, kind: str = "bool"
) -> Finding:
    made = SimpleNamespace(
        concept=concept, kind=kind, layer=0, cell=cell, verdict=verdict, confirm_score=score, sign=1
    )
    return cast(Finding, made)


def test_two_models() -> None:
    found = Matching(
        (Pair((0, 3), (1, 4), -0.987), Pair((0, 2), (0, 1), 0.5)),
        0.7435,
        0.12,
        (
            Shared("quote", finding("quote", 3), finding("quote", 14, "correlate", 0.875), -0.987, True),
            Shared("line_pos", finding("line_pos", 2, "none", 0.25), None, float("nan"), False),
        ),
    )
    assert render(matching_view.view(found)) == [
        "2 pairs of cells: median |r| .744, by chance .120",
        "",
        "concept   first  verdict  confirm  second  verdict     confirm      r  pair",
        "quote       0:3  tracker     .900    0:14  correlate      .875  -0.99   yes",
        "line_pos    0:2  none        .250       -  not judged        -      -    no",
        "",
        "first  second       r",
        "  0:3     1:4  -0.987",
        "  0:2     0:1  +0.500",
    ]


FINDINGS = [finding("quote", 3), finding("line", 2, kind="count"), finding("other", 1, "none")]
MOMENTS = [
    Moment(100, 2.5, 2.75, (AtStep(0.5, (0, 7), 0.625), AtStep(0.0, (0, 2), 0.0), AtStep(0.5, (0, 0), 0.5))),
    Moment(200, 2.0, 2.25, (AtStep(0.75, (0, 3), 0.75), AtStep(0.5, (1, 5), 0.75), AtStep(0.5, (0, 0), 0.5))),
    Moment(1000, None, 1.75, (AtStep(1.0, (0, 3), 1.0), AtStep(1.0, (0, 2), 1.0), AtStep(0.5, (0, 0), 0.5))),
]


def test_the_table_over_time() -> None:
    rows = render(over_time_view.view(FINDINGS, MOMENTS, 100, UNICODE), 100)
    assert rows[:5] == [
        " step  train  validation  quote 0:3       best  line 0:2       best",
        "  100  2.500       2.750       .500   0:7 .625      .000   0:2 .000",
        "  200  2.000       2.250       .750   0:3 .750      .500   1:5 .750",
        "1,000      -       1.750      1.000  0:3 1.000     1.000  0:2 1.000",
        "",
    ]
    assert "● validation loss, 2.750 nats at the top, 1.750 at the bottom" in rows


def test_the_chart_over_time_has_scores_above_chance_and_the_loss() -> None:
    rows = render(over_time_view.view(FINDINGS[:1], MOMENTS, 80, ASCII))
    chart = rows[5:19]
    assert all(row.isascii() for row in rows)
    columns = 80 - 7 - (len("quote") + 3)
    plot = [row[7:].ljust(columns) for row in chart]
    assert chart[0].startswith("   1.0|")
    assert chart[13].startswith("   0.0|")
    assert plot[0].rstrip().endswith(" a quote")
    # chance at step 100, half the way (AUC .75) at 200, all of it at 1,000
    assert plot[13][round(0.1 * (columns - 1))] in ".a"
    assert plot[7][round(0.2 * (columns - 1))] in ".a" or plot[6][round(0.2 * (columns - 1))] in ".a"
    assert plot[0][columns - 1] in ".a"
    # the loss falls from the top to the bottom
    assert plot[0][round(0.1 * (columns - 1))] == "o"
    assert plot[13][columns - 1] == "o"


def test_the_train_loss_is_drawn_where_there_was_hardly_a_validation() -> None:
    moments = [replace(one, val_loss_nats=None) for one in MOMENTS[:2]] + [
        replace(MOMENTS[2], train_loss_nats=1.5)
    ]
    rows = render(over_time_view.view(FINDINGS[:1], moments, 80, ASCII))
    assert "o train loss, 2.500 nats at the top, 1.500 at the bottom" in rows


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_it_fits_at_any_width(width: int) -> None:
    many = [finding(f"concept{k}", k) for k in range(6)]
    moments = [Moment(step, 2.0, 2.0, (AtStep(0.5, (0, 7), 0.625),) * 6) for step in (1, 20_000)]
    rows = render(over_time_view.view(many, moments, width, UNICODE), 400)
    note = next(k for k, row in enumerate(rows) if row.startswith("● validation"))
    assert max(map(cell_len, rows[:note])) <= width


def test_nothing_found() -> None:
    assert render(over_time_view.view(FINDINGS[2:], MOMENTS, 80, UNICODE)) == [
        "no cell follows a concept at the end, so there is none to go back to"
    ]
