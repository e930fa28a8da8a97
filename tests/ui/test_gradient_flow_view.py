"""Gradient flow and gradient checks on a terminal."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from charrnn.config import ModelConfig
from charrnn.interpret.flow import Flow
from charrnn.interpret.network_flow import Clipping, NetworkFlow, of_fresh
from charrnn.interpret.tensor_checks import TensorCheck
from charrnn.ui.terminal import gradcheck_view
from charrnn.ui.terminal.glyphs import ASCII, UNICODE
from charrnn.ui.terminal.gradient_flow_view import clipping_in_words, title_of, view
from charrnn.ui.terminal.letters import STAND_INS, spelled
from charrnn.ui.terminal.log_chart import Curve, log_chart


def console_of(width=80, encoding="utf-8"):
    return Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline=""),
        width=width,
        height=24,
        highlight=False,
    )


def printed(what, console):
    console.print(what)
    console.file.seek(0)
    return console.file.read()


# ------------------------------------------------------------------------------------------------
# The logarithmic chart


def rows_of(lines, width=60, height=13, glyphs=ASCII):
    return log_chart(lines, width, height, "k", glyphs).plain.split("\n")


def test_a_power_is_a_straight_line_from_corner_to_corner():
    rows = rows_of([Curve("p", [0.1**k for k in range(11)])], glyphs=ASCII)
    plot = [row[7:] for row in rows[:-2]]
    seen = [(x, y) for y, row in enumerate(plot) for x, ch in enumerate(row[:49]) if ch in ".a"]
    for x, y in seen:
        assert abs(y - 10 * x / 48) <= 1.01  # 11 rows, 49 columns
    assert {y for _, y in seen} == set(range(11))
    assert max(x for x, _ in seen) == 48


def test_labels_stand_at_their_powers_and_names_where_lines_end():
    rows = rows_of([Curve("flat", [1.0] * 11), Curve("fall", [0.1**k for k in range(11)])])
    assert rows[0].startswith("     1|")
    assert rows[0].rstrip().endswith("a flat")
    assert next(row for row in rows if row.startswith(" 1e-10|")).rstrip().endswith("b fall")
    assert rows[-1].split()[0] == "0"
    assert rows[-1].split()[-2:] == ["10", "k"]


def test_names_that_would_meet_stand_apart():
    rows = rows_of([Curve(name, [1.0, 0.1, 0.01]) for name in ("one", "two", "three")])
    ends = [row.rstrip().split()[-1] for row in rows if row.rstrip().endswith(("one", "two", "three"))]
    assert sorted(ends) == ["one", "three", "two"]


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_chart_fits(width, glyphs):
    lines = [Curve(f"LSTM {n}", [10.0 ** (-n * k / 9) for k in range(200)]) for n in range(10)]
    chart = log_chart(lines, width, 14, "steps back", glyphs)
    assert len(chart.plain.split("\n")) == 14
    assert max(map(len, chart.plain.split("\n"))) <= width
    assert chart.plain.isascii() == (glyphs is ASCII)


@pytest.mark.parametrize(
    "values", [[0.0, 0.0], [], [float("nan")], [1.0, float("inf")], [1.0], [1.0, 0.0], [1e-300, 1e300]]
)
def test_odd_values_do_no_harm(values):
    assert log_chart([Curve("odd", values)], 60, 12, "k").plain


# ------------------------------------------------------------------------------------------------
# Gradient flow


@pytest.fixture(scope="module")
def fresh():
    return of_fresh(hidden=12, distance=30)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_view_fits_and_uses_only_what_the_encoding_has(fresh, width, encoding):
    console = console_of(width, encoding)
    text = printed(view(fresh, title_of(fresh, "noise"), console), console)
    assert max(map(len, text.splitlines())) <= width
    if encoding == "ascii":
        assert "\\u" not in text
    assert "fresh RNN, GRU, LSTM" in text


def test_the_table_holds_the_norms(fresh):
    console = console_of(100)
    text = printed(view(fresh, title_of(fresh, "noise"), console), console)
    table = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    rnn, gru, lstm = (flow.flow for flow in fresh)
    for k in (0, 1, 2, 5, 10, 20, 30):
        assert table[str(k)] == [f"{a[0, k]:.2e}" for a in (rnn.h, gru.h, lstm.h, lstm.c)]
    assert text.count("RNN h") == 2  # in the plot and over the table
    assert f"spectral radius of W_hh: {fresh[0].spectral_radii[0]['h']:.3f}" in text
    assert "clipping" not in text
    factors = re.findall(r"×(\d\.\d{3})", text)
    assert factors[0] == f"{(rnn.h[0, 30] / rnn.h[0, 1]) ** (1 / 29):.3f}"


def test_many_layers_are_told_apart():
    flow = Flow(np.geomspace(1, 1e-3, 5 * 21).reshape(5, 21), None, 7)
    network = NetworkFlow("model", ModelConfig("gru", 5, 4), flow, [{"r": 1.0}] * 5, True)
    console = console_of(100)
    text = printed(view([network], title_of([network], "x.txt"), console), console)
    assert "GRU 5×4, on x.txt" in text
    assert all(f"h{layer}" in text for layer in range(5))
    assert re.search("layer 4 +spectral radius of W_hh: 1.000", text)
    assert "not recorded" in text


@pytest.mark.parametrize(
    ("clipping", "words"),
    [
        (None, "not recorded"),
        (Clipping(9, 0, 0, 0, 0), "off in this run"),
        (Clipping(8, 4, 0, 2, 0), "--clip-norm 4 acted in 25% of 8 recorded steps"),
        (Clipping(8, 0, 5, 0, 0), "--clip-value 5 acted in none of 8 recorded steps"),
        (Clipping(8, 0, 5, 0, 4), "--clip-value 5 acted in at most 50% of 8 recorded steps"),
    ],
)
def test_clipping_in_words(clipping, words):
    assert words in clipping_in_words(clipping)


# ------------------------------------------------------------------------------------------------
# Gradient checks and letters


def test_what_failed_is_named_and_what_rounding_did_is_told():
    checks = [
        TensorCheck("good", (2, 3), 6, 1.0, 1e-9, 0.0),
        TensorCheck("tiny", (400,), 100, 1e-12, 3e-6, 1e-5),
        TensorCheck("bad", (4,), 4, 1.0, 2e-6, 1e-9),
    ]
    assert [check.passed for check in checks] == [True, True, False]
    console = console_of(100)
    text = printed(gradcheck_view.view("[b]title[/b]", checks, console), console)
    assert "[b]title[/b]" in text
    assert "FAILED: bad." in text
    lines = {line.split()[0]: line.rstrip() for line in text.splitlines() if line.strip()}
    assert lines["good"].endswith("✓ pass")
    assert lines["tiny"].endswith("✓ pass, to rounding")
    assert "100 of 400" in lines["tiny"]
    assert lines["bad"].endswith("✗ FAIL")
    assert gradcheck_view.as_json(ModelConfig(), 9, checks)["passed"] is False


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_narrow_table_has_every_verdict_whole(encoding):
    console = console_of(40, encoding)
    checks = [TensorCheck("gru.weight_ih_l0", (18, 12), 100, 1.0, 3.2e-9, 0.0)]
    text = printed(gradcheck_view.view("title", checks, console), console)
    mark = "✓ pass" if encoding == "utf-8" else "pass"
    assert f"gru.weight_ih_l0  3.2e-09  {mark}" in text


def test_letters_have_stand_ins_where_they_are_lacking():
    assert spelled("∂loss/∂h ≈ σ(a) ∘ ρ²", console_of(encoding="ascii")) == "dloss/dh ~ sigma(a) * rho^2"
    assert spelled("∂σ\x1b[2J", console_of()) == "∂σ\\x1b[2J"
    assert all(stand_in.isascii() for stand_in in STAND_INS.values())
