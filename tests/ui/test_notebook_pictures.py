"""What a notebook shows of models and results: values, colours, and nothing that a text could do."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.html_browser import Browser, needs_browser
from helpers.random_models import random_model

import charrnn
from charrnn.model.scores import TextSurprise
from charrnn.runs.history import History
from charrnn.runs.verdict import Verdict
from charrnn.sampling.writer import Model, Sample
from charrnn.ui.html.letters import letters, step
from charrnn.ui.html.line_chart import Line, line_chart
from charrnn.ui.html.notebook import MOST_LETTERS, html_of, style

HOSTILE = "<script>alert(1)</script>&\"'\x1b[2J\u202e</div>"
VERDICT = Verdict(
    "still improving", "Still improving.", "Continue with:\n  charrnn train --resume --out a --max-steps 60"
)


def reports(*losses: tuple[float, float | None]) -> list[dict[str, Any]]:
    return [
        {"step": 10 * (k + 1), "train_loss_nats": train, "val_loss_nats": held}
        for k, (train, held) in enumerate(losses)
    ]


class Parts(HTMLParser):
    """The elements of some HTML, each of which must be closed, and its text without the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def shown(result: object) -> Parts:
    html = html_of(result)
    assert html is not None
    return Parts(html)


def test_what_has_no_picture() -> None:
    assert html_of("a text") is None
    assert html_of(3) is None


def test_a_model_shows_its_card() -> None:
    made = random_model(
        "abc\n", {"corpus": {"name": "tales", "symbols": 1234}, "val_loss_nats": 0.5}, cell="gru"
    )
    parts = shown(Model(made.config, made.vocab, made.weights, made.training))
    assert f"modelGRU 2×8, {made.network.theta.size:,} parameters, float64" in parts.text
    assert "texttales, 1,234 characters" in parts.text
    assert f"validation0.5000 nats  {0.5 / math.log(2):.4f} bits/char" in parts.text
    of_users = charrnn.Model(made.config, made.vocab, made.weights, made.training)
    assert of_users._repr_html_() == html_of(
        made
    )  # the use of any name of charrnn tells results how they are drawn


def test_a_curve_shows_every_loss_and_the_verdict() -> None:
    history = History(reports((3.0, None), (2.0, 2.2), (1.5, 2.0), (1.2, 2.1)), VERDICT)
    parts = shown(history)
    assert "Still improving.Continue with:\n  charrnn.train(resume=True, out='a', max_steps=60)" in parts.text
    paths = [attrs for tag, attrs in parts.elements if tag == "path" and "series" in str(attrs["class"])]
    train, held, *_ = [str(attrs["d"]) for attrs in paths]
    assert train.count(",") == 4
    assert held.count(",") == 3
    dots = [attrs for tag, attrs in parts.elements if tag == "circle"]
    assert len(dots) == 4  # three validations, and the ring
    (best,) = [attrs for attrs in dots if attrs.get("class") == "best"]
    assert (best["cx"], best["cy"]) == (dots[1]["cx"], dots[1]["cy"])


def test_a_curve_by_hand() -> None:
    chart = line_chart([Line("a", [(0, 1.0), (10, 3.0)], 1)], label="l", x="step", y="loss")
    path = re.search(r'class="series series-1" d="M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)"', chart)
    assert path is not None
    left, low, right, high = map(float, path.groups())
    assert (left, right) == (46, 628)
    tall = 260 - 20 - 34
    # The range 1 to 3 with a margin of 6 % of it above and below.
    assert low == pytest.approx(20 + tall * (1 - 0.12 / 2.24), abs=0.06)
    assert high == pytest.approx(20 + tall * 0.12 / 2.24, abs=0.06)
    named = dict(re.findall(r'<text x="40.0" y="([\d.]+)" text-anchor="end">([\d.]+)<', chart))
    middle = next(float(y) - 4 for y, name in named.items() if float(name) == 2)
    assert middle == pytest.approx((low + high) / 2, abs=0.11)


def test_no_reports_no_curve() -> None:
    assert "No reports yet." in shown(History([])).text


def test_an_evaluation_is_a_table_best_first() -> None:
    model = random_model("ab\n", scale=0.01)
    found = charrnn.evaluate(model, "ab\n" * 20, training="ab\n" * 50)
    parts = shown(found)
    losses = {"model": found.loss_nats, **found.baselines}
    order = sorted(losses, key=lambda name: losses[name])
    rows = [f"{name}{losses[name] / math.log(2):.3f}{losses[name]:.4f}" for name in order]
    places = [parts.text.index(row) for row in rows]
    assert len(places) == 4 + ("xz" in losses)
    assert places == sorted(places)
    widths = [
        float(re.findall(r"width:([\d.]+)%", str(attrs["style"]))[0])
        for tag, attrs in parts.elements
        if tag == "i" and "style" in attrs
    ]
    most = max(losses.values())
    assert widths == pytest.approx([100 * losses[name] / most for name in order], abs=0.06)


def test_surprise_has_the_colours_of_the_pages() -> None:
    parts = shown(TextSurprise("abc\n", np.array([0.2, 3.0, 9.0, 1.0])))
    within = [attrs for tag, attrs in parts.elements if tag == "span" and "title" in attrs]
    assert [(one["class"], one["title"]) for one in within] == [
        ("p3", "3.0 bits"),
        ("p8", "9.0 bits"),
        ("nl p1", "1.0 bits"),
    ]
    assert "3.300 bits per character" in parts.text
    assert parts.text.endswith("abc\n")


def test_steps() -> None:
    assert [step(v) for v in (-2, -1, -0.05, 0.07, 0.5, 1, math.nan)] == [
        "n8",
        "n8",
        "",
        "p1",
        "p4",
        "p8",
        "",
    ]


def test_letters_of_one_look_stand_together() -> None:
    assert letters("aab\tc", ["p1", "p1", "", "", "n2"]) == (
        '<div class="letters"><span class="p1">aa</span>b<span class="tab">\t</span><span class="n2">c</span></div>'
    )


def test_a_long_text_is_cut() -> None:
    text = "a" * (MOST_LETTERS + 1234)
    html = str(html_of(TextSurprise(text, np.zeros(len(text)))))
    assert f'<div class="letters">{"a" * MOST_LETTERS}</div>' in html
    assert "… 1,234 more characters" in html


def test_findings_and_a_passage() -> None:
    text = ('"ab" ba\n' * 400)[:3000]
    made = random_model('"ab \n', hidden=8, layers=1, seed=3)
    found = charrnn.inspect_cells(made, text, ["quote"], causal=False, untrained=False)
    parts = shown(found)
    (finding, *_) = found.findings
    assert f"quote{finding.layer}:{finding.cell}{finding.verdict}" in parts.text
    assert f"{finding.confirm_score:.3f}" in parts.text
    if finding.verdict != "none":
        assert "quote, cell" in parts.text
        assert [
            attrs
            for tag, attrs in parts.elements
            if tag == "span" and "on" in str(attrs.get("class")).split()
        ]


@pytest.mark.parametrize(
    "result",
    [
        TextSurprise(HOSTILE, np.full(len(HOSTILE), 2.0)),
        Sample(HOSTILE),
        History(reports((2.0, 1.0)), Verdict("x", HOSTILE, HOSTILE)),
        Model(
            (made := random_model("".join(sorted(set(HOSTILE))))).config,
            made.vocab,
            made.weights,
            {"corpus": {"name": HOSTILE}, "command_line": HOSTILE},
        ),
    ],
    ids=["surprise", "sample", "curve", "card"],
)
def test_a_hostile_text_does_nothing(result: object) -> None:
    parts = shown(result)
    assert not {tag for tag, _ in parts.elements} & {"script", "img", "iframe", "a", "b onload"}
    assert "<script>alert(1)</script>" in parts.text.replace("\n", "")
    assert "\x1b" not in parts.text
    assert "\u202e" not in parts.text
    assert not [name for _, attrs in parts.elements for name in attrs if name.startswith("on")]


def test_the_style_is_of_its_own_element_alone() -> None:
    sheet = style()
    assert sheet.startswith(".charrnn {")
    assert ":root" not in sheet
    depth = 0
    for character in sheet[:-1]:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
        assert depth > 0 or character in ".charn "  # nothing stands outside
    assert sheet.count("{") == sheet.count("}")


@needs_browser
@pytest.mark.parametrize(("theme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 31, 35)")])
def test_it_looks_like_the_pages_in_both_themes(
    one_browser: Browser, tmp_path: Path, theme: str, ground: str
) -> None:
    page = tmp_path / "output.html"
    surprise = html_of(TextSurprise("ab", np.array([0.0, 8.0])))
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><p class="panel" id="other">other</p>{surprise}'
        f'<div data-jp-theme-light="false">{surprise}</div><div data-jp-theme-light="true">{surprise}</div>'
    )
    one_browser.open(page, theme)
    script = (
        "return [...document.querySelectorAll('.panel')].map((one) => getComputedStyle(one).backgroundColor)"
    )
    other, *grounds = one_browser.driver.execute_script(script)
    assert other == "rgba(0, 0, 0, 0)"  # the rest of the page keeps its look
    assert grounds == [ground, "rgb(28, 31, 35)", "rgb(255, 255, 255)"]
    colour = "return getComputedStyle(document.querySelector('.letters .p8')).backgroundColor"
    assert (
        one_browser.driver.execute_script(colour)
        == {
            "light": "rgb(247, 170, 90)",
            "dark": "rgb(143, 76, 12)",
        }[theme]
    )
