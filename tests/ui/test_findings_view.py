"""What the terminal shows, letter by letter, at fixed widths, with and without colour."""

import io
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from charrnn.interpret.cause import CausalTest
from charrnn.interpret.direction import DirectionTest
from charrnn.interpret.findings import Finding, Inspection, Refusal
from charrnn.interpret.passages import Passage
from charrnn.interpret.reading import END, LABEL
from charrnn.interpret.together import TogetherTest
from charrnn.ui.terminal import findings_view as view
from charrnn.ui.terminal.background import name_theme
from charrnn.ui.terminal.colours import GROUNDS, step_of, step_style
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.findings_view import (
    Look,
    legend,
    passage_view,
    rows,
    table,
)
from charrnn.ui.terminal.glyphs import ASCII, DIGITS


def render(renderable, width=40, colour=None):
    out = io.StringIO()
    Console(file=out, width=width, color_system=colour, force_terminal=colour is not None).print(renderable)
    return out.getvalue()


@pytest.fixture
def light():
    name_theme("light")
    yield
    name_theme("auto")


def passage(text, signal=None, values=None, mask=None, scale=1.0, highest=1.0, guesses=()):
    n = len(text)
    signal = np.zeros(n) if signal is None else np.array(signal, float)
    mask = np.ones(n, bool) if mask is None and values is not None else mask
    return Passage(text, 0, signal, scale, values, mask, highest, guesses)


BARS = Look(colour=False)
COLOUR = Look(colour=True)


def test_bars_carry_the_signal_and_a_strip_the_label():
    text = 'a "b" [/c]\nd\te'
    on = np.array([ch in '"b' for ch in text]) & (np.arange(len(text)) < 4)
    mask = np.arange(len(text)) != 6
    signal = np.linspace(-1, 1, len(text))
    assert render(passage_view(passage(text, signal, on, mask), 40, BARS)) == (
        'label   ━━  ╌\ntext  a "b" [/c]↵\ncell  ▁▂▂▃▃▄▄▅▅▆▆\ntext  d→e\ncell  ▇▇█\n'
    )


def test_wrapping_counts_columns_not_words():
    assert render(passage_view(passage("abc défgh", np.zeros(9)), 10, BARS)) == (
        "text  abc \ncell  ▅▅▅▅\ntext  défg\ncell  ▅▅▅▅\ntext  h\ncell  ▅\n"
    )


def test_wide_characters_keep_their_columns():
    text = "a漢字b"
    shown = render(passage_view(passage(text, [-1, 1, 0, 1], np.array([0, 1, 1, 0], bool)), 40, BARS))
    assert shown == "label  ━━━━\ntext  a漢字b\ncell  ▁██▅▅█\n"
    assert list(rows(passage(text), 2, BARS)) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_control_characters_become_glyphs():
    text = "\0\x1b[31m\x7f\r\u202e\u200b\ud800e\u0301\u2028\xa0"
    shown = render(passage_view(passage(text), 40, BARS)).split("\n")[0]
    assert shown == "text  ␀␛[31m␡␍\ufffd\ufffd\ufffde◌\u0301\ufffd␠"


def test_counts_are_drawn_by_height():
    values = np.array([0, 1, 4, 8])
    assert (
        render(passage_view(passage("abcd", values=values, highest=8), 40, BARS)).split("\n")[0]
        == "label  ▂▅█"
    )


def test_colours_are_backgrounds_in_nine_steps(light):
    shown = render(passage_view(passage("abc[d]", [-1, -0.2, 0.1, 0, 0.5, 1]), 40, COLOUR), colour="256")
    assert shown == (
        "\x1b[2mtext  \x1b[0m"
        "\x1b[38;5;231;48;5;25ma\x1b[0m"
        "\x1b[38;5;16;48;5;153mb\x1b[0m"
        "c["
        "\x1b[38;5;16;48;5;215md\x1b[0m"
        "\x1b[38;5;231;48;5;130m]\x1b[0m\n"
    )


def test_the_steps_of_a_dark_terminal_grow_brighter():
    shown = render(passage_view(passage("ab", [0.25, 1]), 40, COLOUR), colour="256")
    assert shown.endswith("\x1b[38;5;231;48;5;52ma\x1b[0m\x1b[38;5;16;48;5;222mb\x1b[0m\n")


def test_steps():
    assert [step_of(v, 2.0) for v in (-9, -2, -1, -0.2, 0, 0.2, 0.3, 2)] == [-4, -4, -2, 0, 0, 0, 1, 4]
    assert step_of(float("nan"), 1) == step_of(1.0, 0.0) == 0
    assert step_style(0) == ""


def test_guesses_stand_below_their_character():
    shown = render(passage_view(passage("a漢", guesses=("漢bcde", "x\ny字w")), 40, BARS))
    assert shown == ("text  a漢\ncell  ▅▅▅\nnext  .x\n      b↵\n      cy\n      d字\n      ew\n")


def test_a_space_among_the_guesses_is_seen():
    shown = render(passage_view(passage("ab", guesses=(" xyzw", "b c")), 40, BARS)).splitlines()
    assert shown[2:5] == ["next  ␣b", "      x␣", "      yc"]
    shown = render(passage_view(passage("a", guesses=(" ",)), 40, Look(False, ASCII, DIGITS)))
    assert shown.splitlines()[2] == "next  _"


def test_a_terminal_without_unicode_gets_ascii():
    class Latin(io.StringIO):
        encoding = "latin-1"

    look = Look.of(Console(file=Latin(), width=40))
    text = 'é"\n\t\x07'
    shown = render(passage_view(passage(text, [1, 0, -1, 0, 0], np.array([0, 1, 1, 0, 0], bool)), 40, look))
    assert shown == 'label  ==\ntext  ?"$\ncell  940\ntext  >?\ncell  44\n'
    assert shown.isascii()
    assert render(legend(passage(text, values=np.zeros(5, bool)), look), 80).isascii()


@pytest.mark.parametrize(
    ("style", "colour", "bars"), [("auto", True, "▁"), ("bars", False, "▁"), ("digits", False, "0")]
)
def test_looks(style, colour, bars):
    look = Look.of(Console(file=io.StringIO(), color_system="256", force_terminal=True), style)
    assert (look.colour, look.bars[0]) == (colour, bars)
    assert not Look.of(Console(file=io.StringIO())).colour


def test_without_colour_bars_carry_the_signal():
    """NO_COLOR, a pipe, a terminal of 16 colours: never neither colour nor bars."""
    for options in ({"no_color": True}, {"color_system": None}, {"color_system": "standard"}):
        given = {"color_system": "256", "force_terminal": True} | options
        look = Look.of(Console(file=io.StringIO(), **given), "colour")
        assert not look.colour
        assert "cell  █" in render(passage_view(passage("a", [1]), 40, look))


@given(text=st.text(max_size=60), width=st.integers(8, 30))
def test_any_text_fits_and_keeps_its_columns(text, width):
    shown = rows(passage(text), width - 6, BARS)
    assert "".join(text[a:b] for a, b in shown) == text
    view_lines = passage_view(passage(text), width, BARS).plain.split("\n")
    for line, bars in zip(view_lines[::2], view_lines[1::2], strict=False):
        assert cell_len(line) <= width
        assert cell_len(line) == cell_len(bars)
        assert line.isprintable()


# --- colours


# Viénot, Brettel and Mollon 1999 (protanopia, deuteranopia), and tritanopia in their manner (Machado et al. 2009)
BLINDNESS = {
    "none": np.eye(3),
    "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def lab(colour, matrix):
    """CIE L*a*b* of #rrggbb as someone sees it."""
    srgb = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", GROUNDS)
@pytest.mark.parametrize("matrix", BLINDNESS.values(), ids=BLINDNESS)
def test_steps_stay_apart_for_every_kind_of_colour_vision(matrix, theme):
    seen = [lab(colour, matrix) for colour in (*GROUNDS[theme]["cold"], *GROUNDS[theme]["warm"])]
    apart = [np.linalg.norm(a - b) for k, a in enumerate(seen) for b in seen[:k]]
    assert min(apart) > 10
    # the two signs are told apart at every strength
    assert min(np.linalg.norm(a - b) for a, b in zip(seen[:4], seen[4:], strict=True)) > 20
    # stronger is darker on a light background and brighter on a dark one, on both sides
    for side in (seen[:4], seen[4:]):
        assert all((a[0] > b[0]) == (theme == "light") for a, b in pairwise(side))


# --- the table


def causal(target="x", effect=1.5, **changes):
    values = {
        "target": target,
        "direction": 1,
        "effect": effect,
        "p_value": 1 / 51,
        "controls": (0.2, 0.31),
        "others": {},
        "doses": (0.0, 1.5),
        "loss_low": 0.2,
        "loss_high": 0.1,
        "loss_right": 0.01,
        "loss_controls": (0.05,),
        "loss_p": 0.04,
        "p_of_two": 2 / 51,
        "loss_p_of_two": 0.06,
        "ignorant": 50,
    }
    return CausalTest(**values | changes)


def finding(**changes):
    test = causal()
    values = {
        "concept": "quote",
        "kind": "bool",
        "layer": 1,
        "cell": 137,
        "sign": -1,
        "select_score": 0.93,
        "confirm_score": 0.912,
        "memory_score": 0.9,
        "matched_accuracy": 0.8,
        "steady_score": float("nan"),
        "table_score": 0.6,
        "chance_level": 0.61,
        "p_value": 0.0002,
        "p_alone": 0.0001,
        "untrained_score": float("nan"),
        "untrained_memory": float("nan"),
        "weakest_stratum": "",
        "weakest_stratum_score": float("nan"),
        "visible": 0.5,
        "masked": 0.0,
        "probe_score": 0.95,
        "probe_memory": 0.9,
        "locality": 0.87,
        "eta_squared": 0.5,
        "threshold": None,
        "profile": (0.0, 1.0, 2.0),
        "predictive": False,
        "causal": test,
        "together": None,
        "direction": None,
        "verdict": "tracker",
    }
    return Finding(**{**values, **changes})


def test_the_table_at_full_width():
    nan = float("nan")
    other = finding(
        concept="squote", verdict="none", causal=None, memory_score=nan, p_value=1.0, predictive=True, sign=1
    )

    def shown(width):
        return [line.rstrip() for line in render(table([finding(), other], width, BARS), width).split("\n")]

    assert shown(120)[:3] == [
        "concept   cell  ±  verdict  confirm  select  memory      p  cause  controls  local  profile",
        "quote    1:137  -  tracker     .912    .930    .900  <.001  +1.50      0.31    .87  ▁▅█",
        "squote*  1:137  +  none        .912    .930       -  1.000      -         -    .87  ▁▅█",
    ]
    assert shown(80)[:3] == [
        "concept   cell  ±  verdict  confirm  select  memory      p  cause  controls",
        "quote    1:137  -  tracker     .912    .930    .900  <.001  +1.50      0.31",
        "squote*  1:137  +  none        .912    .930       -  1.000      -         -",
    ]


def test_a_column_of_what_was_not_measured_is_left_out():
    quick = finding(causal=None)
    shown = render(view.report(inspection([quick]), {}, 120, BARS), 120)
    assert shown.splitlines()[0].split() == [
        *("concept", "cell", "±", "verdict", "confirm", "select", "memory", "p", "local", "profile")
    ]
    assert "corrected for the number of concepts." in shown
    assert "holding" not in shown
    both = render(view.report(inspection([quick, finding()]), {}, 120, BARS), 120)
    assert {"cause", "controls"} < set(both.splitlines()[0].split())
    assert "holding the cell" in both


@pytest.mark.parametrize(("width", "last"), [(88, "local"), (68, "controls"), (55, "p"), (32, "confirm")])
def test_narrow_terminals_lose_columns_and_wrap_nothing(width, last):
    lines = render(table([finding()], width, BARS), width).rstrip("\n").split("\n")
    assert len(lines) == 2
    assert lines[0].rstrip().endswith(last)
    assert all("…" not in line for line in lines)


def test_all_findings_are_explained():
    none = finding(verdict="none", causal=None, p_value=0.4)
    count = finding(kind="count", sign=1, verdict="detector", causal=None, memory_score=0.2)
    flash = finding(verdict="detector", causal=None, memory_score=float("nan"), sign=1)
    assert view.explain(finding()) == (
        "AUC .912 on text it was not chosen on, low where it is on (the best of all cells reaches .610 by "
        "chance); memory .900 (the last three characters alone: .600); holding it at its value for on, "
        "not off, moves 'x' by +1.50 nats, where more is expected (p .020); holding it wrong costs +0.150 nats per "
        "character (p .040)."
    )
    assert view.explain(none).endswith("by chance): no better than chance.")
    assert view.explain(count) == (
        "rho .912 on text it was not chosen on, rising with it (the best of all cells reaches .610 by chance); "
        "memory .200 (the last three characters alone: .600)."
    )
    assert view.explain(flash).endswith(
        "no memory score, since the concept does not last ten characters often enough."
    )
    targets = ("x", "ABCDE", ":ABCDE")
    said = [view.explain(finding(causal=causal(t))) for t in targets]
    for name, sentence in zip(("'x'", "capitals", "':' and 5 others"), said, strict=True):
        assert f"not off, moves {name} by" in sentence


def test_what_the_second_look_found_is_said():
    fewer = view.explain(finding(causal=causal(direction=-1)))
    assert "moves 'x' by -1.50 nats, where less is expected" in fewer
    untrained = finding(verdict="none", causal=None, untrained_score=0.93)
    assert view.explain(untrained).endswith(
        "reaches .610 by chance, untrained networks .930): no better than untrained networks."
    )
    hidden = view.explain(finding(verdict="hidden", causal=None, visible=0.001, masked=0.12))
    assert hidden.endswith(
        "12 % of the text is not counted; what the network sees of it moves by 0.001 only."
    )
    other = view.explain(finding(weakest_stratum="paren on", weakest_stratum_score=0.1))
    assert "; .100 where paren is on; " in other
    several = TogetherTest("x", ((0, 1), (0, 2), (1, 3)), 1.25, 0.02, (0.1,), {1: 0.1, 3: 1.25})
    together = view.explain(finding(verdict="distributed", together=several))
    assert together.endswith("the best 3 cells together move 'x' by +1.25 nats as expected (p .020).")
    along = DirectionTest("x", 2.5, 0.02, (0.1,), 0.034, 0.039, (0.01,), 0.02, 12.0)
    said = view.explain(finding(verdict="distributed", direction=along))
    assert said.endswith(
        "holding all cells along the probe's direction moves 'x' by +2.50 nats as expected (p .020), and at its mean "
        "costs +0.034 nats per character (p .039)."
    )


def inspection(findings=(), refusals=(), notes=()):
    return Inspection(tuple(findings), tuple(refusals), (), {}, None, tuple(notes))


def test_the_report_and_what_was_left_out():
    best = passage("ab\n", [1, 0, -1], np.array([1, 0, 0], bool))
    shown = render(view.report(inspection([finding()]), {0: (best, best)}, 80, BARS), 80).split("\n")
    assert shown[0].startswith("concept  ")
    assert "quote: cell 1:137, tracker" in shown
    assert shown[-11:] == [
        "where it agrees best, starting at character 0",
        "label ━",
        "text  ab↵",
        "cell  █▅▁",
        "",
        "where it agrees worst, starting at character 0",
        "label ━",
        "text  ab↵",
        "cell  █▅▁",
        "",
        "",
    ]
    refused = [Refusal("url", "too short"), Refusal("tag", "too short"), Refusal("x", "[all] constant")]
    assert render(view.remarks(inspection(refusals=refused, notes=["read [a] part"])), 80) == (
        "read [a] part\nnot judged, too short: url, tag\nnot judged, [all] constant: x\n"
    )
    assert render(view.remarks(inspection(refusals=refused), refusals=False), 80).strip() == ""


@pytest.mark.parametrize(("read", "advised"), [(99_999, True), (100_000, False)])
def test_a_longer_text_is_advised_where_more_would_be_read(read, advised):
    few = replace(inspection(refusals=[Refusal("url", "few", 3)]), recording=SimpleNamespace(text="a" * read))
    assert ("A longer text (--text FILE)" in render(view.remarks(few), 80)) == advised
    assert "A longer text" not in render(view.remarks(few, refusals=False), 80)


def test_an_empty_report_says_why():
    few = [Refusal("aside", "few", 22), Refusal("shout", "few", 3)]
    shown = render(view.report(inspection(refusals=few), {}, 200, BARS), 200).strip()
    assert shown == (
        "nothing found: too few stretches on or off, where 30 of each are needed: aside (22), shout (3). "
        "Give a longer text (--text), or a rule that matches more often"
    )
    chance = inspection([finding(verdict="none")], [Refusal("x", "[all] constant")])
    shown = render(view.report(chance, {}, 200, BARS), 200)
    assert (
        "nothing found: no cell follows quote better than chance (p of at most 0.05) and than untrained networks "
        "do; x: [all] constant" in shown
    )
    assert "nothing found" not in render(view.report(inspection([finding()], few), {}, 200, BARS), 200)


def test_legends():
    assert legend(passage("a", values=np.array([True])), BARS).plain == (
        "cell  -1.00 ▁▂▃▄▅▆▇█ +1.00   label ━ on, ╌ not counted"
    )
    assert legend(passage("a", values=np.array([3]), highest=8, scale=0.5), BARS).plain == (
        "cell  -0.50 ▁▂▃▄▅▆▇█ +0.50   label 0 ▁▂▃▄▅▆▇█ 8, ╌ not counted"
    )
    assert legend(passage("a"), COLOUR).plain.split() == ["cell", "-1.00", "+1.00"]
    told = legend(passage(f"{LABEL}ab{END}"), BARS).plain.splitlines()
    assert told == ["cell  -1.00 ▁▂▃▄▅▆▇█ +1.00", "      ∎ end of an item, ▸ what is read before it"]


def test_no_rich_markup_is_read_from_text():
    text = "[bold]x[/bold] [/] :smile: [link=a]"
    assert text in render(passage_view(passage(text), 80, BARS), 80)
