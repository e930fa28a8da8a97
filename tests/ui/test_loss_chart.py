"""The loss chart: where marks fall, at every width and in ASCII."""

import math

import pytest
from rich.console import Console

from charrnn.ui.terminal.glyphs import ASCII, UNICODE
from charrnn.ui.terminal.loss_chart import loss_chart
from charrnn.ui.terminal.plot import connected, nice, thinned, within


def draw(train, validation, width, height, glyphs=ASCII) -> list[str]:
    return loss_chart(train, validation, width, height, glyphs).plain.split("\n")


def test_a_straight_fall_is_drawn_from_corner_to_corner() -> None:
    # 40 columns: 7 for the axis, 33 dots; 11 rows: 9 of the plot. Losses 3 to 1 over steps 0 to 100, margins 3 %
    rows = draw([(step, 3 - step / 50) for step in range(0, 101, 5)], [], 40, 11)
    assert len(rows) == 11
    dots = {y: [x for x, c in enumerate(row[7:]) if c == "."] for y, row in enumerate(rows[:9])}
    for y, xs in dots.items():
        for x in xs:
            loss = 3 - 2 * x / 32
            high, low = 2.8 + 0.03 * 1.8, 1 - 0.03 * 1.8  # the first tenth of the steps does not count
            assert abs(y - (high - loss) / (high - low) * 8) <= 1.01
    assert min(dots[8]) > max(dots[1])
    assert {x for xs in dots.values() for x in xs} >= set(range(4, 33))  # no gaps


def test_labels_stand_beside_their_losses() -> None:
    rows = draw([(step, 3.0 if step < 50 else 1.0) for step in range(101)], [], 80, 23)
    labelled = {row[:6].strip(): y for y, row in enumerate(rows[:21]) if row[:6].strip()}
    assert labelled["3.0"] < labelled["2.0"] < labelled["1.0"]
    assert abs(labelled["3.0"] - 20 * 0.06 / 2.12) <= 0.5
    assert abs(labelled["1.0"] - 20 * 2.06 / 2.12) <= 0.5
    assert rows[labelled["2.0"]].endswith(f"|{2 / math.log(2):.2f}")  # bits on the right
    assert rows[-1].split() == ["0", "20", "40", "60", "80", "100"]


def test_validation_and_its_best_are_marked_over_the_train_line() -> None:
    train = [(step, 2.0) for step in range(0, 101, 10)]
    rows = draw(train, [(20, 2.5), (40, 2.2), (60, 1.8), (80, 2.2), (100, 2.5)], 60, 12)
    text = "\n".join(rows)
    assert (text.count("o"), text.count("*")) == (4, 1)
    best = next(row for row in rows if "*" in row)
    assert best.index("*") - 7 == round(0.6 * (60 - 14 - 1))
    assert rows.index(best) == max(y for y, row in enumerate(rows) if "o" in row or "*" in row)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", range(40, 201, 16))
def test_it_fits_at_any_width(width: int, glyphs) -> None:
    train = [(step, 1 + 3 * math.exp(-step / 40_000)) for step in range(100, 1_000_001, 997)]
    chart = loss_chart(train, train[::50], width, 14, glyphs)
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file, console.capture() as shown:
        console.print(chart)
    lines = shown.get().splitlines()
    assert len(lines) == 14  # none was wrapped
    assert all(len(line) <= width for line in chart.plain.split("\n"))
    assert chart.plain.isascii() == (glyphs is ASCII)


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ([(0, 1.0)], []),
        ([(5, 2.0)], [(5, 2.0)]),
        ([(k, 0.0) for k in range(9)], []),
        ([(1, 1e9), (2, 1e-9)], []),
    ],
)
def test_few_level_or_extreme_losses_are_drawn(train, validation) -> None:
    rows = draw(train, validation, 60, 10, UNICODE)
    assert len(rows) == 10
    assert any(0x2800 < ord(c) < 0x2900 or c in "●◆" for row in rows for c in row)


def test_braille_dots_are_where_unicode_puts_them() -> None:
    assert UNICODE.cell({(0, 0)}) == "⠁"
    assert UNICODE.cell({(1, 3)}) == "⢀"
    assert UNICODE.cell({(0, 3), (1, 0)}) == "⡈"
    assert UNICODE.cell({(x, y) for x in (0, 1) for y in range(4)}) == "⣿"


@pytest.mark.parametrize(("spacing", "expected"), [(0.03, 0.05), (0.2, 0.2), (1.1, 2), (6, 10), (99, 100)])
def test_nice_spacings(spacing: float, expected: float) -> None:
    assert nice(spacing) == pytest.approx(expected)


def test_thinned_points_are_means_and_connected_dots_have_no_gap() -> None:
    assert thinned([(0, 0.0), (1, 2.0), (2, 4.0), (3, 8.0)], 2) == [(0.5, 1.0), (2.5, 6.0)]
    assert connected([(0, 0), (1, 3)]) == [(0, 0), (0, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize("spike", [9.0, 1e6, 1e15, 1e300])
def test_a_spike_at_the_start_leaves_the_chart_however_high_it_is(spike: float) -> None:
    rows = draw([(1, spike), *((k, 2.0 - k / 100) for k in range(2, 101))], [], 60, 12)  # 46 columns, 10 rows
    dots = {y: [x for x, c in enumerate(row[7:53]) if c == "."] for y, row in enumerate(rows[:10])}
    assert dots[0][0] == round(7 / 100 * 45)  # what comes before lies above the chart
    assert max(dots[9]) == 45
    assert sum(map(len, dots.values())) <= 60


def test_lines_are_cut_where_they_leave_and_come_back() -> None:
    assert list(within([(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])) == [[(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)]]
    assert list(within([(0.0, 0.0), (0.5, 2.0), (1.0, 0.0)])) == [
        [(0.0, 0.0), (0.25, 1.0)],
        [(0.75, 1.0), (1.0, 0.0)],
    ]
    assert list(within([(0.0, -1.0), (1.0, 3.0)])) == [[(0.25, 0.0), (0.5, 1.0)]]
    assert list(within([(0.0, -1.0), (0.5, -2.0), (1.0, -1.0)])) == []
    assert list(within([(0.0, 2.0), (0.0, 0.5)])) == [[(0.0, 1.0), (0.0, 0.5)]]
    assert list(within([(0.5, 0.5)])) == [[(0.5, 0.5)]]
    assert list(within([(0.5, 1.5)])) == list(within([])) == []


def test_the_last_step_fits_below_the_last_column() -> None:
    rows = draw([(step, 3 - step / 200) for step in range(0, 301, 5)], [], 40, 11)
    assert rows[-1].endswith(" 300")
    assert len(rows[-1]) == 40
