"""The web page that writes: in a browser it writes what `charrnn sample` writes, and can be worked by keys alone."""

import functools
import http.server
import json
import os
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from helpers.command_line import charrnn
from helpers.html_browser import Browser, needs_browser
from helpers.patience import PATIENCE
from helpers.random_models import random_model
from helpers.web_models import BYTES, COMPUTE, SHAPES, Comparison

from charrnn.errors import DataError, UsageError
from charrnn.exchange.to_web import module
from charrnn.model.model import Model
from charrnn.sampling.writer import sample
from charrnn.text.vocabulary import ItemSymbols, Vocabulary
from charrnn.ui.html import play_page
from charrnn.ui.html.play_page import page_of, usable, write_play

EVIL = "</script><img src=x onerror=window.hacked=1>&lt;\u2028\u2029\u202e\x1b[31m\x00"
PLAIN = "\n abcdefgh.,"


def finding(concept: str, layer: int, cell: int, verdict: str = "tracker", **more: Any) -> dict[str, Any]:
    scores = {"confirm_score": 0.9, "threshold": 0.1, "sign": -1}
    return {"concept": concept, "layer": layer, "cell": cell, "verdict": verdict, **scores, **more}


FINDINGS = [finding("quote", 0, 3, "detector"), finding(EVIL, 1, 2), finding("line_pos", 1, 5, "none")]


# ---- Without a browser


def test_findings_are_claims() -> None:
    model = random_model(PLAIN)
    kept = usable({"findings": FINDINGS}, model, "f.json")
    assert [(one["concept"], one["layer"], one["cell"]) for one in kept] == [(EVIL, 1, 2), ("quote", 0, 3)]
    assert kept[0] | {"concept": ""} == {
        "concept": "",
        "verdict": "tracker",
        "layer": 1,
        "cell": 2,
        "sign": -1,
        "score": 0.9,
        "threshold": 0.1,
    }
    strange = usable(
        {"findings": [finding("x", 0, 0, confirm_score="1", threshold=True, sign=7)]}, model, "f"
    )
    assert (strange[0]["score"], strange[0]["threshold"], strange[0]["sign"]) == (None, None, 1)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "f.json holds no findings"),
        ({"findings": {}}, "f.json holds no findings"),
        ({"findings": ["x"]}, "f.json: this is no finding"),
        ({"findings": [finding("x", 0, 0, "proof")]}, "f.json: this is no finding"),
        ({"findings": [finding("x", 0, True)]}, "f.json: this is no finding"),
        ({"findings": [finding("x", -1, 0)]}, "f.json: this is no finding"),
        ({"findings": [finding("x", 2, 0)]}, "f.json names cell 2:0; this model has layers 0 to 1"),
        ({"findings": [finding("x", 0, 8)]}, "cells 0 to 7"),
    ],
)
def test_findings_that_cannot_be_used(found: Any, message: str) -> None:
    with pytest.raises(DataError, match=message.replace(".", r"\.")):
        usable(found, random_model(PLAIN), "f.json")


def test_a_model_too_large_for_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(PLAIN, dtype=np.float32)
    model.save(tmp_path / "m.safetensors")
    size = write_play(tmp_path / "p.html", tmp_path / "m.safetensors", model, "float16")
    assert size == (tmp_path / "p.html").stat().st_size < 130_000
    monkeypatch.setattr(play_page, "MOST_BYTES", 2_000)
    with pytest.raises(UsageError, match=r"the limit is 0 MB.*--precision int8.*--module"):
        page_of(tmp_path / "m.safetensors", model, "float16")


# ---- In a browser


def made(folder: Path, name: str, model: Model, findings: list[dict[str, Any]] | None = None) -> Path:
    """A page with float32 weights, whose texts are those of Python."""
    file = folder / f"{name}.safetensors"
    model.save(file)
    page = folder / f"{name}.html"
    write_play(page, file, model, "float32", usable({"findings": findings or []}, model, "findings"))
    return page


@pytest.fixture(scope="module")
def model() -> Model:
    model = random_model(PLAIN, dtype=np.float32, cell="lstm", scale=0.35)
    model.network.params["head.weight"] *= 3
    return model


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    return made(tmp_path_factory.mktemp("play"), "plain", model, FINDINGS)


class Play:
    """A page that writes, opened in the browser at rest."""

    def __init__(self, browser: Browser, page: Path, link: str = "written=0", theme: str = "light") -> None:
        self.browser = browser
        browser.driver.get("about:blank")
        browser.open(page, theme)
        browser.driver.get("about:blank")
        browser.logs("browser"), browser.logs("performance")
        browser.driver.get(f"{page.as_uri()}#{link}")
        browser.script("document.getElementById('pace').value = 'fast'")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is left to be done."""
        end = time.monotonic() + PATIENCE
        while self.browser.script(
            "return document.getElementById('sheets').getAttribute('aria-busy') !== 'false' "
            "|| document.getElementById('run').textContent === 'Pause'"
        ):
            assert time.monotonic() < end, "the page never came to rest"
            time.sleep(0.02)

    def text(self, which: str = "text") -> str:
        return self.browser.script(
            "return [...document.querySelectorAll(`#${arguments[0]} .block > span:not(.caret)`)]"
            ".map((e) => e.textContent).join('')",
            which,
        )

    def set(self, name: str, value: Any) -> None:
        self.browser.enter(f"#{name}", str(value))
        self.settle()

    def click(self, selector: str) -> None:
        self.browser.script("document.querySelector(arguments[0]).click()", selector)

    def write(self) -> None:
        self.click("#run")
        self.settle()

    def command(self) -> list[str]:
        return shlex.split(self.browser.text("#command"))

    def prime(self) -> str:
        return self.browser.script("return document.getElementById('prime').value")


@pytest.fixture
def play(one_browser: Browser, page: Path) -> Iterator[Play]:
    yield Play(one_browser, page)
    assert one_browser.logs("browser") == []
    assert [url.partition("#")[0] for url in one_browser.requests()] == [page.as_uri()]


@needs_browser
def test_it_writes_what_the_command_line_writes(play: Play, model: Model) -> None:
    play.browser.find("#prime").send_keys("a bed")
    play.set("length", 300)
    play.set("seed", 11)
    play.set("temperature", 0.95)
    play.set("top-p", 0.9)
    play.write()
    settings: dict[str, Any] = {"prime": "a bed", "seed": 11, "with_prime": True}
    assert play.text() == sample(model, length=300, temperature=0.95, top_p=0.9, **settings)
    play.set("top-k", 4)
    play.set("min-p", 0.4)
    wanted = sample(model, length=300, temperature=0.95, top_p=0.9, top_k=4, min_p=0.4, **settings)
    assert play.text() == wanted
    assert wanted != sample(model, length=300, temperature=0.95, top_p=0.9, top_k=4, **settings)
    assert wanted != sample(model, length=300, temperature=0.95, top_p=0.9, min_p=0.4, **settings)
    done = charrnn(*play.command()[1:])
    assert (done.code, done.out.removesuffix("\n")) == (0, wanted.removesuffix("\n"))
    play.set("temperature", 0)  # the same beginning, written anew
    assert play.text() == sample(model, prime="a bed", length=300, temperature=0, with_prime=True)


@needs_browser
def test_a_setting_that_cannot_be_is_told_and_changes_nothing(play: Play, model: Model) -> None:
    play.set("length", 40)
    play.write()
    for box, value, message in [
        ("top-k", "13", f"Top-k must be a whole number from 0, which is no limit, to {len(model.vocab)}."),
        ("top-k", "1.5", "Top-k must be a whole number"),
        ("min-p", "1.01", "Min-p must be from 0, which is no limit, to 1."),
        ("min-p", "", "Min-p must be"),
        ("seed", "-1", "Seed must be a whole number of at least 0."),
        ("length", "0", "Length must be a whole number from 1 to 20,000."),
    ]:
        play.set(box, value)
        assert play.browser.text("#settings-says").startswith(message)
        assert play.browser.attributes(f"#{box}", "aria-invalid") == ["true"]
        assert play.text() == sample(model, seed=1, length=40)
        play.set(box, {"seed": 1, "length": 40}.get(box, 0))
        assert play.browser.text("#settings-says") == ""
        assert play.browser.attributes(f"#{box}", "aria-invalid") == ["false"]


@needs_browser
def test_a_text_from_nothing_goes_on_step_by_step(play: Play, model: Model) -> None:
    wanted = sample(model, seed=1, length=30)
    for k in range(1, 4):
        play.click("#step")
        play.settle()
        assert play.text() == wanted[:k]
    play.set("length", 30)
    play.write()
    assert play.text() == wanted
    play.write()  # it goes on beyond the length, as many characters again
    assert play.text()[:30] == wanted
    assert len(play.text()) == 530
    play.click("#other")
    play.settle()
    assert play.text()[:30] == sample(model, seed=2, length=30)


@needs_browser
def test_holding_a_cell_beside_the_free_text(play: Play, model: Model) -> None:
    play.browser.find("#prime").send_keys("face")
    play.set("length", 200)
    play.write()
    settings: dict[str, Any] = {"prime": "face", "seed": 1, "length": 200, "with_prime": True}
    assert play.browser.script("return document.getElementById('held-sheet').hidden")
    play.set("cell", "1:2")
    play.click("#hold")
    play.set("value", "-0.8")
    assert play.text() == sample(model, **settings)
    assert play.text("held") == sample(model, clamps=["1:2=-0.8"], **settings) != play.text()
    play.set("cell", "0:7")
    play.click("#hold")
    play.settle()
    wanted = sample(model, clamps=["1:2=-0.8", "0:7=0.9"], **settings)
    assert play.text("held") == wanted
    done = charrnn(*play.command()[1:])
    assert done.out.removesuffix("\n") == wanted.removesuffix("\n")
    parted = play.browser.attributes("#held .block > span:not(.caret)", "class")
    first = next(k for k, (a, b) in enumerate(zip(wanted, play.text(), strict=True)) if a != b)
    assert [k for k, look in enumerate(parted) if "parted" in str(look)] == [first]
    play.click("#holds button")
    play.settle()
    assert play.text("held") == sample(model, clamps=["0:7=0.9"], **settings)
    play.click("#hold")
    play.settle()
    assert play.browser.script("return document.getElementById('held-sheet').hidden")


@needs_browser
def test_choosing_and_undoing(play: Play, model: Model) -> None:
    play.browser.find("#prime").send_keys("ab")
    play.set("length", 40)
    play.write()
    written = play.text()
    play.browser.script("document.querySelectorAll('#text .block > span:not(.caret)')[10].click()")
    play.settle()
    assert "character 10" in play.browser.text("#next-title")
    shown = play.browser.attributes("#bars button", "aria-current")
    assert shown.count("true") <= 1
    signs = play.browser.script("return [...document.querySelectorAll('#bars b')].map((e) => e.textContent)")
    other = next(k for k, now in enumerate(shown) if now == "false")
    play.click(f"#bars li:nth-child({other + 1}) button")
    play.settle()
    chosen = {"␣": " ", "↵": "\n"}.get(signs[other], signs[other])
    assert play.prime() == play.text() == written[:10] + chosen
    play.write()
    assert play.text() == sample(model, prime=written[:10] + chosen, seed=1, length=40, with_prime=True)
    for _ in range(2):  # the writing, the choice
        play.click("#undo")
        play.settle()
    assert (play.prime(), play.text()) == ("ab", written)
    for _ in range(20):
        play.click("#undo")
    play.settle()
    assert (play.prime(), play.text()) == ("", "")
    assert play.browser.script("return document.getElementById('undo').disabled")


@needs_browser
def test_bars_are_the_probabilities(play: Play, model: Model) -> None:
    play.browser.find("#prime").send_keys("abed")
    play.set("temperature", 1)
    logits, _ = model.logits(model.vocab.encode("abed")[:, None].astype(int))
    p = np.exp(logits[-1, 0] - logits[-1, 0].max())
    wanted = sorted((100 * p / p.sum()).tolist(), reverse=True)[:8]
    shown = play.browser.script(
        "return [...document.querySelectorAll('#bars .figure')].map((e) => e.textContent)"
    )
    assert shown == ["< 0.1 %" if one < 0.05 else f"{one:.1f} %" for one in wanted]


@needs_browser
def test_tab_takes_the_next_word_over(play: Play, model: Model) -> None:
    from selenium.webdriver.common.keys import Keys

    box = play.browser.find("#prime")
    box.send_keys("ab")
    play.settle()
    box.send_keys(Keys.TAB)
    play.settle()
    first = play.prime()
    assert first.startswith("ab")
    assert len(first) > 2
    whole = sample(model, prime="ab", seed=1, length=80, with_prime=True)
    assert whole.startswith(first)
    assert whole[len(first)].isspace() or len(first) == 62  # to the end of a word, if one came
    box.send_keys(Keys.CONTROL, "z", Keys.NULL)
    play.settle()
    assert play.prime() == "ab"
    box.send_keys(Keys.ESCAPE, Keys.TAB)
    assert play.browser.script("return document.activeElement.id") == "run"


@needs_browser
def test_keys_alone(play: Play) -> None:
    from selenium.webdriver.common.keys import Keys

    def active() -> str:
        return play.browser.script("return document.activeElement.id")

    play.set("length", 60)
    play.browser.script("document.activeElement.blur()")
    play.browser.press("s"), play.settle()
    assert len(play.text()) == 1
    play.browser.press("w"), play.settle()
    assert len(play.text()) == 60
    play.browser.press("3"), play.settle()
    assert len(play.prime()) == 61
    play.browser.press("u"), play.settle()
    assert (play.prime(), len(play.text())) == ("", 60)
    before = play.text()
    play.browser.press("n"), play.settle()
    assert play.text() != before
    play.browser.press("c"), play.settle()
    assert play.browser.script("return document.getElementById('colour').value") == "cell"
    play.browser.press("h"), play.settle()
    assert not play.browser.script("return document.getElementById('held-sheet').hidden")
    play.browser.script("document.getElementById('text').focus()")
    play.browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT), play.settle()
    assert play.browser.script("return document.querySelectorAll('#text .picked').length") == 1
    assert "character 58" in play.browser.text("#tip")
    play.browser.press(Keys.ESCAPE), play.settle()
    assert play.browser.script("return document.querySelectorAll('#text .picked').length") == 0
    play.browser.script("document.querySelector('#grids canvas').focus()")
    play.browser.press(Keys.ARROW_RIGHT), play.settle()
    assert play.browser.script("return document.getElementById('cell').value") in ("0:0", "0:4")
    play.browser.press("t")
    assert play.browser.script("return document.documentElement.dataset.theme") == "light"
    play.browser.script("localStorage.clear()")
    play.browser.press("?")
    assert play.browser.script("return document.getElementById('help').open")
    play.browser.press(Keys.ESCAPE)
    assert not play.browser.script("return document.getElementById('help').open")
    reached = []
    play.browser.script("document.body.focus(); document.getElementById('theme').focus()")
    for _ in range(4):
        play.browser.press(Keys.TAB)
        reached.append(active())
        if reached[-1] == "prime":
            play.browser.press(Keys.ESCAPE)
    assert reached[:3] == ["prime", "run", "step"]


@needs_browser
def test_a_link_holds_the_settings(one_browser: Browser, page: Path, model: Model) -> None:
    link = "written=50&prime=fa%20b&seed=99&temp=1.2&top-k=9&min-p=0.1&length=70&hold=1%3A5%3D0.5&cell=1%3A5"
    play = Play(one_browser, page, link)
    settings: dict[str, Any] = {"prime": "fa b", "seed": 99, "temperature": 1.2, "top_k": 9, "min_p": 0.1}
    settings["with_prime"] = True
    assert play.text() == sample(model, length=50, **settings)
    assert play.text("held") == sample(model, length=50, clamps=["1:5=0.5"], **settings)
    play.click("#copy-link")
    link = one_browser.script("return location.hash.slice(1)")
    again = Play(one_browser, page, link)
    assert (again.text(), again.text("held")) == (play.text(), play.text("held"))
    nonsense = "written=x&seed=-3&temp=1e9&top-p=NaN&top-k=-2&min-p=7&length=0&hold=9%3A9%3D1&hold=1%3A1%3D5"
    odd = Play(one_browser, page, nonsense + "&cell=a&label=x%3Dy&colour=z")
    assert odd.command()[-2:] == ["--length", "0"]
    assert "--clamp" not in odd.command()
    assert "--top-k" not in odd.command()
    assert odd.command()[odd.command().index("--min-p") + 1] == "1"
    assert odd.browser.script("return document.getElementById('temperature').value") == "2"
    assert one_browser.logs("browser") == []


@needs_browser
def test_lamps_colours_and_the_map(play: Play, model: Model) -> None:
    play.browser.find("#prime").send_keys("abcdef, head")
    play.settle()
    names = play.browser.script(
        "return [...document.querySelectorAll('#lamps .named')].map((e) => e.textContent)"
    )
    assert names[1] == "quote"
    assert names[0].startswith("</script><img src=x onerror=window.hacked=1>&lt;")
    signals = np.tanh(model.activations("abcdef, head")["c"])
    figures = play.browser.script(
        "return [...document.querySelectorAll('#lamps .figure')].map((e) => e.textContent)"
    )
    assert figures == [f"{signals[-1, layer, k]:.2f}".replace("-", "−") for layer, k in ((1, 2), (0, 3))]
    lit = ["lit" in str(look) for look in play.browser.attributes("#lamps .lamp", "class")]
    assert lit == [bool(signals[-1, layer, k] < 0.1) for layer, k in ((1, 2), (0, 3))]
    play.click("#lamps li:nth-child(2) button")
    play.settle()
    looks = play.browser.attributes("#text .block > span:not(.caret)", "class")
    for look, value in zip(looks, signals[:, 0, 3], strict=True):
        step = round(8 * float(value))
        wanted = f"{'n' if step < 0 else 'p'}{abs(step)}" if step else None
        assert (wanted in str(look).split()) if wanted else not {"n1", "p1"} & set(str(look).split())
    play.click("#gates summary")
    play.settle()
    rows = play.browser.script(
        "return [...document.querySelectorAll('#gate-list b')].map((e) => e.textContent)"
    )
    assert rows == ["i", "f", "g", "o", "c", "h"]
    last = play.browser.script("return document.querySelector('#gate-list .figure:last-child').textContent")
    assert last == f"{model.activations('abcdef, head')['h'][-1, 0, 3]:.3f}".replace("-", "−")


@needs_browser
def test_bytes_and_items(one_browser: Browser, tmp_path: Path) -> None:
    of_bytes = random_model(BYTES, dtype=np.float32, cell="gru", scale=0.3)
    play = Play(one_browser, made(tmp_path, "bytes", of_bytes))
    play.browser.find("#prime").send_keys("aé")
    play.set("length", 50)
    play.write()
    wanted = sample(of_bytes, prime="aé", seed=1, length=50, with_prime=True)
    assert charrnn(*play.command()[1:]).out.removesuffix("\n") == wanted.removesuffix("\n")
    assert play.browser.text("#tally").startswith("53 bytes")
    vocab = Vocabulary("char", tuple("abcde"), ItemSymbols(False, (("place", (EVIL, "sea")),)))
    items = random_model(vocab, dtype=np.float32, scale=0.3)
    items.network.params["head.bias"][vocab.unwritten] = -1e4
    play = Play(one_browser, made(tmp_path, "items", items))
    play.browser.find("#prime").send_keys("b")
    play.browser.script(
        "const e = document.querySelector('#labels select'); e.selectedIndex = 2; e.dispatchEvent(new Event('change'))"
    )
    play.set("length", 4)
    play.write()
    wanted_items = sample(items, prime="b", seed=1, count=4, label="sea")
    assert play.text().removesuffix("b").split("∎")[:4] == wanted_items
    done = charrnn(*play.command()[1:])
    assert done.out.splitlines() == wanted_items
    vocab = Vocabulary("char", tuple("abcde"), ItemSymbols(True, (("place", (EVIL, "sea")),)))
    pairs = random_model(vocab, dtype=np.float32)
    play = Play(one_browser, made(tmp_path, "pairs", pairs))
    signs = play.browser.script("return [...document.querySelectorAll('#bars b')].map((e) => e.textContent)")
    assert len(signs) == 8
    assert set(signs) <= set("abcde∎▸")  # end, boundary and labels have signs, but cannot be chosen
    shut = play.browser.script("return [...document.querySelectorAll('#bars button')].map((e) => e.disabled)")
    assert shut == [sign in "∎▸" for sign in signs]
    pairs.network.params["head.bias"][vocab.unwritten] = -1e4
    play = Play(one_browser, made(tmp_path, "pairs", pairs))
    play.browser.enter("#labels input", "cab")
    play.browser.enter("#labels select", "=sea")
    play.set("length", 4)
    play.write()
    wanted_pairs = sample(pairs, input="cab", seed=1, count=4, label="sea")
    assert play.text().split("∎")[:4] == wanted_pairs
    assert wanted_pairs != sample(pairs, input="a", seed=1, count=4, label="sea")
    assert charrnn(*play.command()[1:]).out.splitlines() == wanted_pairs
    assert one_browser.logs("browser") == []
    assert one_browser.script("return window.hacked") is None


@needs_browser
def test_hostile_texts_are_only_shown(one_browser: Browser, tmp_path: Path) -> None:
    evil = random_model(EVIL + "ab \n\u200b\u0301", dtype=np.float32, cell="rnn", hidden=6)
    findings = [finding(EVIL, 0, 1)]
    page = made(tmp_path, "evil", evil, findings)
    play = Play(one_browser, page, "written=0&prime=" + quote(EVIL))
    play.set("length", 200)
    play.set("temperature", 2)
    play.write()
    assert one_browser.script("return window.hacked") is None
    assert one_browser.script("return document.querySelectorAll('img, iframe, #text script').length") == 0
    shown = play.text()
    assert len(shown) >= 200
    assert not set(shown) & set("\u2028\u2029\u202e\x1b\x00")
    assert one_browser.logs("browser") == []
    assert [url.partition("#")[0] for url in one_browser.requests()] == [page.as_uri()]


@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_is_wide_enough(one_browser: Browser, page: Path, theme: str) -> None:
    metrics = {"width": 360, "height": 780, "deviceScaleFactor": 1, "mobile": False}
    one_browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        play = Play(one_browser, page, "written=200&hold=0%3A1%3D0.5", theme)
        assert one_browser.script("return document.documentElement.scrollWidth") <= 360
        paper = one_browser.script("return getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(250, 249, 247)", "dark": "rgb(21, 23, 26)"}[theme]
        assert len(play.text()) == 200
        narrow = one_browser.script(
            "return [...document.querySelectorAll('button, select, input, textarea, canvas')].filter((e) => {"
            "const box = e.getBoundingClientRect(); return box.width && (box.left < 0 || box.right > 360); }).length"
        )
        assert narrow == 0
        tops = one_browser.script(
            "return ['#text', '#bars', '#temperature', '#lamps', '#grids', '#card'].map("
            "(name) => document.querySelector(name).getBoundingClientRect().top)"
        )
        assert tops == sorted(tops)  # what one works with comes before what one only reads
    finally:
        one_browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@needs_browser
@pytest.mark.skipif("AXE_CORE" not in os.environ, reason="needs axe-core: AXE_CORE=…/axe.min.js")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_barrier_is_found(one_browser: Browser, page: Path, theme: str) -> None:
    play = Play(one_browser, page, "written=150&prime=ab&hold=0%3A1%3D0.5&cell=0%3A1&colour=cell", theme)
    play.click("#gates summary")
    play.settle()
    one_browser.script(Path(os.environ["AXE_CORE"]).read_text(encoding="utf-8"))
    found = one_browser.driver.execute_async_script(
        "axe.run().then((r) => arguments[0](r.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200))])))"
    )
    assert found == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@needs_browser
def test_the_module_computes_in_a_browser_what_python_does(one_browser: Browser, tmp_path: Path) -> None:
    comparison = Comparison(SHAPES)
    for name, content in comparison.files.items():
        (tmp_path / f"{name}.bin").write_bytes(content)
    (tmp_path / "model.js").write_text(module(), encoding="utf-8")
    script = f"const given = {json.dumps(comparison.ids)}, found = {{}};\n{COMPUTE}\nwindow.found = found;"
    (tmp_path / "index.html").write_text(
        '<!doctype html><meta charset="utf-8"><script type="module">import { load } from "./model.js";\n'
        f"try {{ {script} }} catch (error) {{ window.found = String(error); }}</script>",
        encoding="utf-8",
    )
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        one_browser.driver.get(f"http://127.0.0.1:{server.server_port}/index.html")
        end = time.monotonic() + PATIENCE
        while not (found := one_browser.script("return window.found")):
            assert time.monotonic() < end, "the module never came to an end"
            time.sleep(0.1)
    finally:
        one_browser.driver.get("about:blank")
        server.shutdown()
        thread.join()
        server.server_close()
    comparison.check(found)
