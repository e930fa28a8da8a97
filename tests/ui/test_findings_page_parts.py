"""The findings of a run's snapshots, how cells do it, and the cells of two models, as pages in a browser."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import handmade
from helpers.html_browser import Browser, needs_browser

from charrnn.config import ModelConfig
from charrnn.interpret.findings import Inspection, inspect_cells
from charrnn.interpret.matching import Matching, Pair, Shared
from charrnn.interpret.mechanism import explain_findings
from charrnn.interpret.over_time import over_time
from charrnn.model.model import Model
from charrnn.ui.html.findings_page import write_findings
from charrnn.ui.html.matching_page import write_matching

H = 8
TEXT = handmade.dialogue(12_000, seed=3)
HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">\u202e'


def snapshot(step: int, gain: float) -> Model:
    """A bracket cell that is the better set by its marks the larger the gain is."""
    weights = handmade.random_weights("rnn", H, scale=0.5)
    handmade.clear(weights, "rnn", 5, H)
    handmade.gate(weights, "rnn", "weight_hh_l0", 0, 5, H)[0, 5] = 3 * gain
    handmade.gate(weights, "rnn", "bias_ih_l0", 0, 5, H)[:] = -0.5
    for ch, weight in (("(", 10), (")", -10)):
        handmade.gate(weights, "rnn", "weight_ih_l0", 0, 5, H)[0, handmade.VOCAB.index(ch)] = gain * weight
    card = {"step": step, "train_loss_nats": 3 - step / 1000, "val_loss_nats": 3.5 if step > 500 else None}
    return Model(ModelConfig("rnn", 1, H), handmade.VOCAB, weights, card)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("steps") / "steps.html"
    model = snapshot(900, 1.0)
    model.save(file.with_name("model.safetensors"))
    found = inspect_cells(model, TEXT, ["paren", "line_pos", "quote"], causal=False, untrained=False)
    write(file, model, found)
    return file


def write(file: Path, model: Model, found: Inspection) -> None:
    moments = over_time([snapshot(100, 0.1), snapshot(600, 0.4), model], found)
    write_findings(str(file), file.with_name("model.safetensors"), model, found, 0, moments)


def shown(browser: Browser, selector: str) -> list[str]:
    return browser.script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


@needs_browser
def test_scores_stand_above_the_losses_on_one_axis_of_steps(page: Path, one_browser: Browser) -> None:
    browser = one_browser
    browser.open(page)
    assert browser.logs("browser") == []
    assert browser.requests() == [page.as_uri()]
    assert shown(browser, "#lines button")[0].startswith("paren 0:5")
    assert browser.attributes("#lines button", "aria-pressed")[0] == "true"

    def places(selector: str) -> list[float]:
        return [float(one or 0) for one in browser.attributes(selector, "cx")]

    own, train = places("#scores circle.dot"), places('#losses circle.dot[fill="var(--series-2)"]')
    assert len(own) == len(train) == 3
    assert own == pytest.approx(train)  # one axis
    assert np.diff(own)[0] / np.diff(own)[1] == pytest.approx(500 / 300, abs=0.01)
    heights = [float(one or 0) for one in browser.attributes("#scores circle.dot", "cy")]
    assert heights[0] > heights[1] > heights[2]  # the score rises: y falls
    steps = shown(browser, "#moments tbody tr td:first-child")
    assert steps == ["100", "600", "900"]
    first = browser.find("#scores svg")
    browser.script("arguments[0].focus()", first)
    browser.actions().send_keys("\ue014").perform()  # arrow right: the first step
    assert shown(browser, "#tip dt")[:1] == ["step"]
    assert shown(browser, "#tip dd")[0] == "100"
    assert "paren 0:5" in shown(browser, "#tip dt")


@needs_browser
def test_a_picked_finding_stands_out(page: Path, one_browser: Browser) -> None:
    browser = one_browser
    browser.open(page)
    buttons = shown(browser, "#lines button")
    assert len(buttons) >= 2
    browser.script("document.querySelectorAll('#lines button')[1].click()")
    assert browser.attributes("#lines button", "aria-pressed")[:2] == ["false", "true"]
    assert browser.text("#line-says").startswith(buttons[1])
    assert browser.text("#says b").startswith(buttons[1].split()[0])
    assert browser.text("#scores svg text:last-of-type") != ""


@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_phones_and_screens(page: Path, one_browser: Browser, theme: str, width: int) -> None:
    browser = one_browser
    try:
        browser.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.open(page, theme)
        assert browser.script("return document.documentElement.scrollWidth") <= width
        assert (
            browser.script("return document.querySelector('#scores svg').getBoundingClientRect().right")
            <= width
        )
        assert (
            browser.script("return document.querySelector('#losses svg').getBoundingClientRect().width") > 200
        )
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@needs_browser
def test_without_snapshots_or_findings_it_says_so(page: Path, one_browser: Browser, tmp_path: Path) -> None:
    model = snapshot(900, 1.0)
    found = inspect_cells(model, TEXT, ["paren"], causal=False, untrained=False)
    (tmp_path / "model.safetensors").write_bytes(page.with_name("model.safetensors").read_bytes())
    write_findings(str(tmp_path / "plain.html"), tmp_path / "model.safetensors", model, found, 0)
    one_browser.open(tmp_path / "plain.html")
    assert one_browser.script("return document.querySelector('#steps').hidden") is True
    none = replace(found, findings=(replace(found.findings[0], verdict="none"),))
    write(tmp_path / "none.html", model, none)
    one_browser.open(tmp_path / "none.html")
    assert one_browser.text("#steps-say").startswith("No cell follows a concept at the end")
    assert one_browser.script("return document.querySelector('#scores').getClientRects().length") == 0
    assert one_browser.logs("browser") == []


@needs_browser
def test_how_a_cell_does_it_opens_below_its_finding(page: Path, one_browser: Browser, tmp_path: Path) -> None:
    model = snapshot(900, 1.0)
    found = inspect_cells(model, TEXT, ["paren", "line_pos"], causal=False, untrained=False)
    mechanisms, reasons = explain_findings(model, TEXT, found, cut=False)
    assert reasons == []
    assert [one is None for one in mechanisms] == [one.verdict == "none" for one in found.findings]
    (tmp_path / "model.safetensors").write_bytes(page.with_name("model.safetensors").read_bytes())
    file = tmp_path / "how.html"
    write_findings(str(file), tmp_path / "model.safetensors", model, found, 0, (), mechanisms)
    browser = one_browser
    browser.open(file)
    assert browser.logs("browser") == []
    assert browser.requests() == [file.as_uri()]
    place = [one.concept for one in found.findings].index("paren")
    row = f"document.querySelectorAll('#findings tbody tr')[{place}]"
    browser.script(f"{row}.querySelector('button').click()")
    assert browser.text("#how-title") == "How cell 0:5 does it"
    assert browser.script("return document.querySelector('#how-picture svg').checkVisibility()") is False
    browser.find("#how-title").click()
    assert browser.script("return document.querySelector('#how-picture svg').checkVisibility()") is True
    explained = mechanisms[place]
    assert explained is not None
    assert browser.text("#how-says").startswith("Cell 0:5 follows paren, rising with it (rho ")
    sides = explained.writers, explained.shown_by, explained.head, explained.readers
    names = [one.name for side in sides for one in side]
    assert shown(browser, "#how-edges tbody tr td:first-child") == [
        re.sub("^ | $", "␣", name) for name in names
    ]
    assert {"(->a", ")->a", "0:5->a"} <= set(names)
    assert "charrnn explain 0:5 cuts them" in browser.text("#how-note")


@needs_browser
def test_two_models(tmp_path: Path, one_browser: Browser) -> None:
    [finding] = inspect_cells(snapshot(900, 1.0), TEXT, ["paren"], causal=False, untrained=False).findings
    nan = float("nan")
    matching = Matching(
        (Pair((0, 5), (1, 2), -0.75), Pair((0, 1), (0, 0), 0.5)),
        0.625,
        nan,
        (
            Shared("paren", finding, replace(finding, layer=1, cell=2, verdict="tracker"), -0.75, True),
            Shared(HOSTILE, finding, None, nan, False),
        ),
    )
    write_matching(str(tmp_path / "both.html"), [Path(HOSTILE), Path("b")], matching)
    browser = one_browser
    browser.open(tmp_path / "both.html")
    assert browser.logs("browser") == []
    assert browser.script("return window.hacked") is None
    assert browser.text("#told") == "2 pairs of cells: the median |r| is 0.625, by chance –."
    confirm = f"{finding.confirm_score:.3f}"
    assert shown(browser, "#shared tbody tr:first-child td") == [
        *("paren", "0:5", finding.verdict, confirm, "1:2", "tracker", confirm, "−0.750", "yes"),
    ]
    assert shown(browser, "#shared tbody tr:last-child td")[4:] == ["–", "not judged", "–", "–", "no"]
    assert shown(browser, "#pairs tbody td:nth-child(3)") == ["−0.750", "+0.500"]
    widths = browser.script(
        "return [...document.querySelectorAll('#pairs .bar-r i')].map((e) => e.style.width)"
    )
    assert widths == ["75%", "50%"]
