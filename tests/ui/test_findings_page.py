"""The web page of inspect-cells: safe against any text, true to the numbers, usable in a real browser."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers import handmade, html_browser
from helpers.html_browser import Browser, needs_browser
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.interpret.excerpt import choose_pieces, read_excerpt
from charrnn.interpret.findings import Finding, Inspection, inspect_cells
from charrnn.interpret.recording import record
from charrnn.model.model import Model
from charrnn.text.vocabulary import Vocabulary
from charrnn.ui.html import findings_page as report
from charrnn.ui.html.page import (
    INT8_STEPS,
    MISSING,
    MOST_BYTES,
    build_page,
    check_target,
    embedded,
    packed,
    quantised,
    write_page,
)

HOSTILE = (
    '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">&amp;&lt;<!--<![CDATA['
    "\u2028\u2029\u202eab\u05d0\u05d1\u0627\u0644\u0000\u0007\x1b[31m\x7f\x85\t|\r\n'\\\"${window.hacked=1}`"
    "\U0001f600\U0001f468\u200d\U0001f469e\u0301\u0308\u00a0\u3000漢\ufeff\u00ad"
)
CONCEPTS = ["quote", "line_pos", "paren"]


def unpacked(one: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(one["bytes"]), np.dtype(one["kind"]).newbyteorder("<"))


class Elements(HTMLParser):
    """All elements of a page with their attributes, and what stands in scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in self.raw:
            self.raw[self.found[-1][0]][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("/" + tag, {}))


# ---- The page builder


@given(st.text() | st.text(alphabet="<>&/!-\u2028\u2029scriptSCRIPT\udc80\udcff\x00"))
def test_embedded_text_is_no_markup_and_comes_back(text: str) -> None:
    inside = embedded({text: [text]})
    assert inside.isascii()
    assert not set("<>&") & set(inside)
    assert json.loads(inside) == {text: [text]}


def test_json_has_no_infinities() -> None:
    with pytest.raises(ValueError):
        embedded({"loss": float("nan")})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([-128, 0, 127], "int8"),
        ([128], "int16"),
        ([-32768, 32767], "int16"),
        ([65_536], "int32"),
        ([], "int8"),
    ],
)
def test_integers_are_packed_in_the_least_bytes(values: list[int], kind: str) -> None:
    one = packed(np.array(values, int))
    assert one["kind"] == kind
    assert unpacked(one).tolist() == values


def test_rounding_is_bounded_and_keeps_what_is_missing_apart() -> None:
    rng = np.random.default_rng(0)
    scales = np.array([1.0, 3.5, 1e-9, 0.0, np.inf])
    values = rng.uniform(-1, 1, (5, 400)) * np.array([1.0, 3.5, 1e-9, 0.5, 0.5])[:, None]
    values[0, :3] = np.nan, np.inf, -np.inf
    values[1, :2] = 3.5, -3.5
    steps = quantised(values, scales)
    assert steps.dtype == np.int8
    assert steps[0, :3].tolist() == [MISSING] * 3
    assert steps[1, :2].tolist() == [INT8_STEPS, -INT8_STEPS]
    size = np.where(np.isfinite(scales) & (scales > 0), scales, 1)[:, None]
    seen = np.isfinite(values)
    errors = np.where(seen, np.abs(steps * size / INT8_STEPS - np.where(seen, values, 0)), 0)
    assert (errors <= size / (2 * INT8_STEPS) * 1.0001).all()
    assert (steps[seen] != MISSING).all()


def test_only_this_script_and_this_style_may_act() -> None:
    page = build_page("</title><script>alert(1)</script>\u202e\udc80\n&", "findings", {"text": HOSTILE})
    elements = Elements(page)
    names = [tag for tag, _ in elements.found]
    assert (names.count("script"), names.count("style"), names.count("title")) == (2, 1, 1)
    assert names.count("img") == names.count("iframe") == names.count("form") - 1 == 0
    [policy] = [a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for rule, source in (("script-src", elements.raw["script"][1]), ("style-src", elements.raw["style"][0])):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert json.loads(elements.raw["script"][0]) == {"text": HOSTILE}
    for _, attributes in elements.found:
        assert not any(name.startswith("on") or name in ("src", "style", "action") for name in attributes)
        assert attributes.get("href") in (None, "data:,")
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page
    assert "url(" not in page
    assert elements.raw["title"] == ["</title><script>alert(1)</script>\ufffd\ufffd\ufffd&"]


def luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def mixed(colour: str, ground: str, share: float) -> str:
    pairs = ((int(colour[k : k + 2], 16), int(ground[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("dark", [0, 1])
def test_ink_reads_on_every_colour(dark: int) -> None:
    css = (Path(report.__file__).parent / "look.css").read_text()
    named = {n: both[dark] for n, *both in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)}
    shares = [
        float(s) / 100
        for s in re.findall(r"\.p\d \{ background: color-mix\(in srgb, var\(--high\) ([\d.]+)%", css)
    ]
    assert shares == [k / 8 for k in range(1, 8)]
    for end in ("low", "high"):
        for share in [*shares, 1.0]:
            assert contrast(named["ink"], mixed(named[end], named["surface"], share)) >= 4.5
    for ink in ("ink", "muted", "accent", "bad"):
        for ground in ("paper", "surface", "raised"):
            assert contrast(named[ink], named[ground]) >= 4.5
    # blue and orange stay apart for those who see no red or no green: they differ in blue
    assert int(named["low"][5:], 16) - int(named["high"][5:], 16) > 100


# ---- Writing


def test_a_page_takes_only_the_place_of_a_page(tmp_path: Path) -> None:
    write_page(tmp_path / "a.html", "<!DOCTYPE html>old")
    assert write_page(tmp_path / "a.html", "<!doctype html>é") == 17
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "<!doctype html>é"
    (tmp_path / "empty.html").touch()
    check_target(tmp_path / "empty.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "empty.html"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("-", "name a file"),
        ("", "name a file"),
        ("{}/folder", "a folder"),
        ("{}/pipe", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("{}/model.safetensors", "not a web page"),
        ("{}/gone/a.html", "Make that folder first"),
        ("{}/dangling", "not a regular file"),
    ],
)
def test_what_is_no_page_is_kept(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "model.safetensors").write_bytes(b"\x80weights")
    (tmp_path / "dangling").symlink_to("/nowhere/else")
    with pytest.raises(UsageError, match=message):
        write_page(name.format(tmp_path), "<!doctype html>")
    assert (tmp_path / "model.safetensors").read_bytes() == b"\x80weights"


# ---- What is shown


def test_pieces_by_hand() -> None:
    part = slice(100, 200)
    assert choose_pieces(part, [], 100) == ((100, 200),)
    assert choose_pieces(part, [], 30) == ((100, 130),)
    assert choose_pieces(part, [(150, 160), (155, 170), (90, 105)], 40) == ((100, 120), (150, 170))
    assert choose_pieces(part, [(150, 190), (120, 125)], 30) == ((100, 130),)  # the first is too long
    assert choose_pieces(slice(5, 5), [], 30) == ()


@given(
    st.integers(0, 50),
    st.integers(0, 80),
    st.lists(st.tuples(st.integers(0, 130), st.integers(0, 40)), max_size=5),
    st.integers(0, 100),
)
def test_pieces_fill_the_room(start: int, n: int, spans: list[tuple[int, int]], most: int) -> None:
    wanted = [(a, a + length) for a, length in spans]
    pieces = choose_pieces(slice(start, start + n), wanted, most)
    shown = [t for a, b in pieces for t in range(a, b)]
    assert len(shown) == min(n, most)
    assert set(shown) <= set(range(start, start + n))
    assert all(a < b for a, b in pieces)
    assert all(b < c for (_, b), (c, _) in pairwise(pieces))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_an_excerpt_agrees_with_the_recording(cell: str) -> None:
    """On text of several segments what is read again belongs to what was recorded."""
    model = handmade.model_of(cell, handmade.random_weights(cell))
    text = handmade.dialogue(9000)
    recording = record(model, text)
    pieces = ((10, 40), (1500, 1600), (8700, 8990))
    excerpt = read_excerpt(model, recording, pieces, [3, 30])
    assert excerpt.places.tolist() == [t for a, b in pieces for t in range(a, b)]
    signals = recording.signals[:, excerpt.places]
    ids = model.vocab.encode(text)[:, None]
    if cell == "lstm":
        assert excerpt.details.keys() == {"i", "f", "g", "o", "h"}
        product = excerpt.details["o"] * signals[[3, 30]]
        np.testing.assert_allclose(excerpt.details["h"], product, atol=1e-6)
        _, _, trace = model.network.forward(ids[:40], model.network.zero_state(1))
        for name in "ifgo":
            expected = trace.layers[0][name][10:40, 0, [3, 30]].T
            np.testing.assert_allclose(excerpt.details[name][:, :30], expected, atol=1e-6)
    else:
        assert excerpt.details.keys() == ({"r", "z", "n"} if cell == "gru" else set())
    logits = signals.T @ model.weights["head.weight"].T
    if cell != "lstm":  # their signal is h
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        best = np.sort(p, axis=1)[:, ::-1][:, :5]
        np.testing.assert_allclose(excerpt.probabilities, best, atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(p, excerpt.guesses, axis=1), best, atol=1e-5)


def test_an_excerpt_of_bytes_is_taken_where_characters_end() -> None:
    vocab = Vocabulary.all_bytes()
    weights = handmade.random_weights("lstm", vocab=vocab)
    model = Model(ModelConfig(cell="lstm", layers=1, hidden=handmade.H), vocab, weights)
    text = "naïve — “yes”\udcff 漢\n" * 300
    recording = record(model, text)
    excerpt = read_excerpt(model, recording, [(3, 40), (4000, 4100)], [7])
    product = excerpt.details["o"] * recording.signals[[7]][:, excerpt.places]
    np.testing.assert_allclose(excerpt.details["h"], product, atol=1e-6)
    logits, _ = model.logits(vocab.encode(text[:40])[:, None])
    ends = [len(text[: t + 1].encode("utf-8", "surrogateescape")) - 1 for t in range(3, 40)]
    assert excerpt.guesses[:37, 0].tolist() == logits[ends, 0].argmax(axis=1).tolist()


def data_of(path: Path) -> dict:
    return json.loads(Elements(path.read_text(encoding="utf-8")).raw["script"][0])


@dataclass(frozen=True)
class Report:
    """A page about a model with a planted quote cell, and what it was made of."""

    path: Path
    model: Model
    found: Inspection
    places: np.ndarray

    @property
    def text(self) -> str:
        return "".join(self.found.recording.text[t] for t in self.places)

    def signal(self, cell: int) -> np.ndarray:
        return self.found.recording.signals[cell, self.places]

    def steps(self, cell: int) -> np.ndarray:
        return np.rint(self.signal(cell) / np.abs(self.found.recording.signals[cell]).max() * INT8_STEPS)

    def label(self, concept: str) -> np.ndarray:
        """−1 where it does not count."""
        label = self.found.labels[concept]
        return np.where(label.mask, label.values.astype(int), -1)[self.places]

    def finding(self, concept: str) -> Finding:
        return next(f for f in self.found.findings if f.concept == concept)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    model = handmade.model_of("lstm", {name: w.astype(np.float32) for name, w in weights.items()})
    folder = tmp_path_factory.mktemp("html")
    model.save(folder / "model.safetensors")
    found = inspect_cells(model, handmade.dialogue(9_000), CONCEPTS)
    path = folder / "report <b> & ü.html"
    report.write_findings(str(path), folder / "model.safetensors", model, found, 3)
    [piece] = data_of(path)["pieces"]
    return Report(path, model, found, np.arange(*piece))


def test_data_are_those_of_the_inspection(made: Report) -> None:
    data = data_of(made.path)
    assert made.path.stat().st_size < MOST_BYTES
    assert data["text"] == made.text
    assert (data["pieces"][0][0], data["pieces"][0][1]) == (
        made.found.recording.confirm.start,
        made.found.recording.confirm.stop,
    )
    scales = np.array(data["cells"]["scales"])[:, None]
    values = unpacked(data["cells"]["values"]).reshape(32, -1) * scales / INT8_STEPS
    assert (
        np.abs(values - made.found.recording.signals[:, made.places]).max()
        <= scales.max() / (2 * INT8_STEPS) * 1.001
    )
    for one, concept in zip(data["concepts"], CONCEPTS, strict=True):
        assert unpacked(one["values"]).tolist() == made.label(concept).tolist()
    assert [f["concept"] for f in data["findings"]] == [f.concept for f in made.found.findings]
    assert data["findings"][0]["causal_controls"] == list(made.finding("quote").causal.controls)
    best = unpacked(data["guesses"]["best"]).reshape(-1, 5)
    percent = unpacked(data["guesses"]["percent"]).reshape(-1, 5)
    logits, _ = made.model.logits(made.model.vocab.encode(made.found.recording.text)[:, None])
    assert (np.diff(percent, axis=1) <= 0).all()
    assert (
        data["guesses"]["symbols"][int(best[-1, 0])] == made.model.vocab.symbols[int(logits[-1, 0].argmax())]
    )


def test_long_texts_are_cut_to_what_fits(
    made: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_BYTES", 420_000)
    file = made.path.with_name("model.safetensors")
    size = report.write_findings(str(tmp_path / "a.html"), file, made.model, made.found, 3)
    data = data_of(tmp_path / "a.html")
    assert 150_000 < size < 420_000
    assert 500 < len(data["text"]) < data["whole"] == len(made.places)
    covered = {t for a, b in data["pieces"] for t in range(a, b)}
    worst = report.of_findings(made.model, made.found, 3)[0][1]
    assert set(range(worst.start, worst.start + len(worst.text))) <= covered
    monkeypatch.setattr(report, "MOST_BYTES", 302_000)
    with pytest.raises(UsageError, match="--html: with"):
        report.write_findings(str(tmp_path / "b.html"), file, made.model, made.found, 3)
    assert not (tmp_path / "b.html").exists()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_network_that_overflows_has_values_that_are_missing(tmp_path: Path) -> None:
    weights = {name: (9 * w).astype(np.float32) for name, w in handmade.random_weights("rnn").items()}
    config = ModelConfig(cell="rnn", layers=1, hidden=handmade.H, nonlinearity="relu")
    model = Model(config, handmade.VOCAB, weights)
    model.save(tmp_path / "model.safetensors")
    report.write_cell(
        str(tmp_path / "a.html"), tmp_path / "model.safetensors", model, handmade.dialogue(900), (0, 1)
    )
    data = data_of(tmp_path / "a.html")
    steps = unpacked(data["cells"]["values"]).reshape(32, -1)
    assert (steps[:, -1] == MISSING).all()
    assert (steps[:, 0] != MISSING).all()
    assert np.isfinite(data["cells"]["scales"]).all()


@pytest.mark.slow
def test_a_wide_model_fits_in_five_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vocab, H = handmade.VOCAB, 512
    weights = {"head.weight": rng.normal(size=(len(vocab), H)), "head.bias": np.zeros(len(vocab))}
    for layer, inputs in enumerate((len(vocab), H)):
        shapes = {
            "weight_ih": (4 * H, inputs),
            "weight_hh": (4 * H, H),
            "bias_ih": (4 * H,),
            "bias_hh": (4 * H,),
        }
        for name, shape in shapes.items():
            weights[f"lstm.{name}_l{layer}"] = rng.normal(size=shape) / 20
        weights[f"lstm.bias_hh_l{layer}"][:] = 0
    weights = {name: w.astype(np.float32) for name, w in weights.items()}
    model = Model(ModelConfig(cell="lstm", layers=2, hidden=H), vocab, weights)
    model.save(tmp_path / "model.safetensors")
    text = handmade.dialogue(3000)
    size = report.write_cell(str(tmp_path / "a.html"), tmp_path / "model.safetensors", model, text, (1, 500))
    assert size == (tmp_path / "a.html").stat().st_size
    assert 4_000_000 < size < 5_000_000
    data = data_of(tmp_path / "a.html")
    assert len(data["text"]) > 2400
    assert len(data["gates"]) == 6


# ---- The command


@pytest.fixture
def story(made: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text(made.found.recording.text, encoding="utf-8")
    model = str(made.path.with_name("model.safetensors"))
    return ["inspect-cells", "--model", model, "--text", "story.txt", "--no-causal", "--concept", "quote"]


@pytest.mark.parametrize("form", ["--json", "--csv", "--guesses"])
def test_the_page_comes_beside_what_is_printed(story: list[str], form: str) -> None:
    result = CliRunner().invoke(app, [*story, form, "--html", "a.html"])
    assert result.exit_code == 0
    assert result.stdout.startswith(
        {"--json": '{"model": ', "--csv": "concept,kind,", "--guesses": "concept "}[form]
    )
    if form == "--json":
        assert json.loads(result.stdout)["findings"][0]["cell"] == 5
    assert data_of(Path("a.html"))["findings"][0]["cell"] == 5
    assert "page a.html, 0." in result.stderr


def test_one_cell_on_any_text_as_a_page(story: list[str]) -> None:
    Path("short.txt").write_text('"Yes," he said.', encoding="utf-8")
    arguments = [one for one in story if one != "--no-causal"]
    arguments += ["--text", "short.txt", "--cell", "0:7", "--html", "a.html"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert result.stdout.startswith("cell 0:7\n")
    data = data_of(Path("a.html"))
    assert (data["text"], data["start"], data["findings"], data["gates"]) == (
        '"Yes," he said.',
        {"cell": 7},
        [],
        [],
    )
    assert [one["name"] for one in data["concepts"]] == ["quote"]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (["--html", "a.html", "--gates"], UsageError),
        (["--html", "a.html", "--list"], UsageError),
        (["--html", "."], UsageError),
        (["--html", "story.txt"], UsageError),
        (["--html", "gone/a.html"], UsageError),
        (["--html", "a.html", "--text", "empty.txt"], DataError),
    ],
)
def test_mistakes_are_told_before_the_work(
    story: list[str], monkeypatch: pytest.MonkeyPatch, more: list[str], error: type[CharRNNError]
) -> None:
    Path("empty.txt").touch()
    monkeypatch.setattr(
        "charrnn.interpret.findings.inspect_cells", lambda *args, **options: pytest.fail("worked")
    )
    result = CliRunner().invoke(app, [*story, *more])
    assert isinstance(result.exception, error)
    assert result.stdout == ""
    assert not Path("a.html").exists()
    assert Path("story.txt").stat().st_size > 9000


# ---- In a browser


@pytest.fixture
def browser(one_browser: Browser, made: Report) -> Iterator[Browser]:
    """A browser with the page open; at the end it must have complained of nothing."""
    one_browser.open(made.path)
    yield one_browser
    assert one_browser.logs("browser") == []


def class_of(share: float) -> set[str]:
    """Half-way cases go up, as Math.round has it."""
    k = max(-8, min(8, int(np.floor(8 * share + 0.5))))
    return set() if k == 0 else {f"{'n' if k < 0 else 'p'}{abs(k)}"}


COLOURS = {f"{side}{k}" for side in "np" for k in range(1, 9)}


def assert_coloured_by(browser: Browser, made: Report, cell: int) -> None:
    expected = [class_of(step / INT8_STEPS) for step in made.steps(cell)]
    assert [one & COLOURS for one in browser.classes()] == expected


@needs_browser
def test_it_asks_for_nothing_and_shows_the_text(browser: Browser, made: Report) -> None:
    assert browser.requests() == [made.path.as_uri()]
    assert browser.script("return performance.getEntriesByType('resource').length") == 0
    assert browser.script(
        f"return [...document.querySelectorAll('{html_browser.LETTERS}')].map(e => e.textContent)"
    ) == list(made.text)
    assert browser.text("#says").startswith("quote: cell 0:5, trackerAUC")
    card = browser.text("#card")
    assert "model.safetensors" in card
    assert "LSTM 1×32" in card
    assert_coloured_by(browser, made, 5)


@needs_browser
def test_pointing_at_a_character_tells_of_it(browser: Browser, made: Report) -> None:
    k = 1000
    browser.actions().move_to_element(browser.letter(k)).perform()
    tip = browser.text("#tip")
    assert browser.find("#tip").is_displayed()
    assert f"U+{ord(made.text[k]):04X}, character {made.places[k]:,}" in tip
    shown = float(re.search(r"cell 0:5(−?[\d.]+)gate", tip)[1].replace("−", "-"))
    assert shown == pytest.approx(made.signal(5)[k], abs=0.005)
    excerpt = read_excerpt(
        made.model, made.found.recording, [(int(made.places[k]), int(made.places[k]) + 1)], [5]
    )
    for name, value in excerpt.details.items():
        label = "h" if name == "h" else f"gate {name}"
        number = float(re.search(label + r"(−?[\d.]{4})", tip)[1].replace("−", "-"))
        assert number == pytest.approx(value[0, 0], abs=0.0101)
    assert ("quoteon" if made.label("quote")[k] else "quoteoff") in tip
    symbol = made.model.vocab.symbols[excerpt.guesses[0, 0]]
    assert f"next{'␣' if symbol == ' ' else symbol} {100 * excerpt.probabilities[0, 0]:.0f} %" in tip


@needs_browser
def test_a_cell_is_picked_in_four_ways(browser: Browser, made: Report) -> None:
    browser.enter("#cell", "0:17")
    assert_coloured_by(browser, made, 17)
    browser.find("[aria-label='cell 0:9']").click()
    assert_coloured_by(browser, made, 9)
    assert browser.find("#cell").get_attribute("value") == "0:9"
    rows = browser.driver.find_elements("css selector", "#findings tbody tr")
    place = next(k for k, f in enumerate(made.found.findings) if f.concept == "line_pos")
    rows[place].click()
    assert_coloured_by(browser, made, made.finding("line_pos").cell)
    browser.find("#after").click()
    assert browser.find("#cell").get_attribute("value") == f"0:{(made.finding('line_pos').cell + 1) % 32}"
    before = browser.classes()
    browser.enter("#cell", "1:0")
    assert "layers are 0 to 0, units 0 to 31" in browser.text("#cell-says")
    assert browser.find("#cell").get_attribute("aria-invalid") == "true"
    assert browser.classes() == before


@needs_browser
def test_a_concept_is_underlined(browser: Browser, made: Report) -> None:
    browser.choose("#concept", "quote")
    looks = browser.classes()
    assert ["on" in look for look in looks] == (made.label("quote") == 1).tolist()
    assert ["masked" in look for look in looks] == (made.label("quote") < 0).tolist()
    browser.choose("#concept", "paren")
    depth = made.label("paren")
    highest = made.found.labels["paren"].values.max()
    for look, value in zip(browser.classes(), depth, strict=True):
        assert "on" not in look
        assert look & {"l1", "l2", "l3", "l4"} == (
            {f"l{int(np.ceil(4 * value / highest))}"} if value > 0 else set()
        )
    browser.choose("#concept", "none")
    assert not set.union(*browser.classes()) & {"on", "masked", "l1", "l4", "pred"}
    assert not browser.find("#cut").is_displayed()


def auc(steps: np.ndarray, inside: np.ndarray) -> float:
    """By its definition: all pairs, ties half."""
    a, b = steps[inside][:, None], steps[~inside][None]
    return float(((a > b) + 0.5 * (a == b)).mean())


@needs_browser
@pytest.mark.parametrize("rest", ["all other text", "the text around it"])
def test_a_brushed_quotation_leads_to_its_cell(browser: Browser, made: Report, rest: str) -> None:
    values = made.label("quote")
    starts = np.flatnonzero(np.diff((values == 1).astype(int)) == 1) + 1
    first = next(int(s) for s in starts if s > 400 and (values[s : s + 60] == 1).all())
    last = first + int(np.argmin(values[first:] == 1)) - 1
    browser.enter("#cell", "0:20")
    browser.drag(first, last)
    inside = np.zeros(len(values), bool)
    inside[first : last + 1] = True
    assert ["brushed" in look for look in browser.classes()] == inside.tolist()
    browser.choose("#rest", rest)
    reach = len(values) if rest == "all other text" else max(300, 3 * int(inside.sum()))
    near = slice(max(0, first - reach), last + reach + 1)
    n, brushed = len(inside[near]), int(inside.sum())
    assert browser.text("#brush-says") == f"{brushed} characters brushed, compared with {n - brushed:,}."
    scores = np.array([auc(made.steps(cell)[near], inside[near]) for cell in range(32)])
    ranked = [int(c) for c in browser.attributes("#ranked button", "data-cell")]
    assert len(ranked) == 10
    assert ranked[0] == 5
    strength = np.abs(scores - 0.5)
    assert strength[ranked].tolist() == sorted(strength, reverse=True)[:10]
    shown = browser.script(
        "return [...document.querySelectorAll('#ranked button')].map(b => b.lastChild.textContent)"
    )
    assert [float(one) for one in shown] == pytest.approx(strength[ranked] + 0.5, abs=6e-4)
    browser.find("#ranked button").click()
    assert_coloured_by(browser, made, 5)
    browser.find("#clear").click()
    assert not any("brushed" in look for look in browser.classes())
    assert browser.attributes("#ranked button", "data-cell") == []


@needs_browser
def test_stretches_similar_to_a_brushed_quotation(browser: Browser, made: Report) -> None:
    values = made.label("quote")
    starts = np.flatnonzero(np.diff((values == 1).astype(int)) == 1) + 1
    first = next(int(s) for s in starts if s > 400 and (values[s : s + 12] == 1).all())
    browser.drag(first, first + 11)
    ranked = [int(c) for c in browser.attributes("#ranked button", "data-cell")]
    steps = np.array([made.steps(cell) for cell in ranked], float)
    means = np.lib.stride_tricks.sliding_window_view(steps, 12, axis=1).mean(axis=2)
    off = np.abs(means - means[:, [first]]) / steps.std(axis=1, keepdims=True)
    distance, taken, expected = off.mean(axis=0), {first}, []
    for start in np.argsort(distance, kind="stable").tolist():
        if all(abs(start - other) >= 12 for other in taken) and len(expected) < 5:
            taken.add(start)
            expected.append(start)
    found = [int(k) for k in browser.attributes("#alike button", "data-start")]
    assert found == expected
    shown = browser.script(
        "return [...document.querySelectorAll('#alike button')].map(b => b.lastChild.textContent)"
    )
    assert [float(one) for one in shown] == pytest.approx(distance[expected], abs=6e-3)
    assert np.mean([values[k : k + 12] == 1 for k in found]) > 0.9  # quotations are like a quotation
    for start in (found[0], found[1]):
        browser.press("s")
        looks = browser.classes()
        assert [k for k, look in enumerate(looks) if "alike" in look] == list(range(start, start + 12))
    browser.find("#clear").click()
    assert not browser.find("#similar").is_displayed()
    assert not any("alike" in look for look in browser.classes())


def assert_figures(browser: Browser, said: np.ndarray, label: np.ndarray, middle: float) -> None:
    counted = label >= 0
    said, truth = said[counted], (label > middle)[counted]
    expected = {
        "accuracy": np.mean(said == truth),
        "balanced": (np.mean(said[truth]) + np.mean(~said[~truth])) / 2,
        "precision": np.mean(truth[said]),
        "recall": np.mean(said[truth]),
    }
    for name, value in expected.items():
        assert browser.text(f"#{name}") == f"{100 * value:.1f} %", name
    marks = ["pred" in look for look in browser.classes()]
    assert np.array(marks)[counted].tolist() == said.tolist()


@needs_browser
def test_the_threshold_counts_as_numpy_does(browser: Browser, made: Report) -> None:
    found = made.finding("quote")
    # as it was fitted on the first half: the full signal and the rounded one are divided alike
    exact = found.sign * made.signal(5) > found.sign * found.threshold.cut
    assert_figures(browser, exact, made.label("quote"), 0)
    for cut in (-100, -3, 40, 127):
        browser.enter("#threshold", str(cut))
        if cut < 127:
            assert_figures(browser, made.steps(5) > cut + 0.5, made.label("quote"), 0)
    assert browser.text("#precision") == "–"  # never on
    browser.enter("#cell", "0:11")  # no finding: fitted here, on the side it leans to
    values, steps = made.label("quote"), made.steps(11)
    counted = values >= 0
    sign = 1 if auc(steps[counted], values[counted] == 1) >= 0.5 else -1
    cut = int(browser.find("#threshold").get_attribute("value")) + 0.5
    assert_figures(browser, sign * steps > sign * cut, values, 0)

    def balanced(at: float) -> float:
        said = (sign * steps > sign * at)[counted]
        truth = values[counted] == 1
        return (np.mean(said[truth]) + np.mean(~said[~truth])) / 2

    assert balanced(cut) == pytest.approx(max(balanced(q + 0.5) for q in range(-128, 127)))
    browser.choose("#concept", "line_pos")
    middle = np.median(made.found.labels["line_pos"].values[made.found.labels["line_pos"].mask])
    browser.enter("#threshold", "10")
    sign = -1 if browser.text("#cut-value").startswith("below") else 1
    assert_figures(browser, sign * steps > sign * 10.5, made.label("line_pos"), middle)


@needs_browser
def test_everything_can_be_done_with_keys(browser: Browser, made: Report) -> None:
    from selenium.webdriver.common.keys import Keys

    def cell() -> str:
        return browser.find("#cell").get_attribute("value")

    assert cell() == "0:5"
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert cell() == "0:6"
    browser.press("j")
    assert cell() == "0:5"
    order = [f"0:{f.cell}" for f in made.found.findings]
    browser.press("j")
    assert cell() == order[1]
    browser.press("k", "k")
    assert cell() == order[-1]
    browser.press("?")
    assert browser.find("#help").is_displayed()
    assert "layer:unit" in browser.text("#help")
    browser.press(Keys.ESCAPE)
    assert not browser.find("#help").is_displayed()
    browser.press("/")
    browser.press("0:3", Keys.ENTER)
    assert cell() == "0:3"
    assert browser.script("return document.activeElement.id") == "cell"
    browser.script("document.querySelector('#text').focus({focusVisible: true})")
    assert browser.script("return getComputedStyle(document.querySelector('#text')).outlineStyle") == "solid"
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert cell() == "0:3"  # in the text the arrows move in the text
    browser.actions().key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT * 12).key_up(Keys.SHIFT).perform()
    assert [k for k, look in enumerate(browser.classes()) if "brushed" in look] == list(range(1, 14))
    assert f"character {made.places[13]}" in browser.text("#live")
    browser.press(Keys.ARROW_DOWN)
    column = 13 - (made.text.rfind("\n", 0, 13) + 1)
    below = made.text.index("\n", 13) + 1
    end = made.text.index("\n", below)
    assert ["cursor" in look for look in browser.classes()].index(True) == min(below + column, end)
    browser.press(Keys.ESCAPE)
    assert not any("brushed" in look for look in browser.classes())
    browser.find("[aria-label='cell 0:3']").send_keys(Keys.ARROW_RIGHT)
    assert cell() == "0:4"
    assert browser.script("return document.activeElement.getAttribute('aria-label')") == "cell 0:4"
    unnamed = browser.script(
        "return [...document.querySelectorAll('button, input, select, [role=grid], [tabindex=\"0\"]')].filter(e =>"
        "!e.textContent.trim() && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby')"
        "&& !e.labels?.length).map(e => e.outerHTML)"
    )
    assert unnamed == []


@needs_browser
def test_the_table_sorts(browser: Browser, made: Report) -> None:
    def order() -> list[str]:
        return browser.script(
            "return [...document.querySelectorAll('#findings tbody tr')].map(r => r.cells[0].textContent)"
        )

    assert order() == [f.concept for f in made.found.findings]
    heads = {h.text: h for h in browser.driver.find_elements("css selector", "#findings th button")}
    heads["Concept"].click()
    assert order() == sorted(CONCEPTS)
    heads["Confirm"].click()
    assert order() == [f.concept for f in sorted(made.found.findings, key=lambda f: -f.confirm_score)]
    heads["Confirm"].click()
    assert order() == [f.concept for f in sorted(made.found.findings, key=lambda f: f.confirm_score)]
    assert browser.attributes("#findings th", "aria-sort").count("ascending") == 1


@needs_browser
def test_gates_are_drawn_where_they_are(browser: Browser, made: Report) -> None:
    gates = data_of(made.path)["gates"]
    places = browser.script(
        "return [...document.querySelectorAll('#gates figure')].map(f => [...f.querySelectorAll('circle')]"
        ".map(c => [+c.getAttribute('cx'), +c.getAttribute('cy'), c.textContent]))"
    )
    assert len(places) == len(gates) == 3
    for drawn, gate in zip(places, gates, strict=True):
        by_unit = {int(re.match(r"0:(\d+)", what)[1]): (x, y) for x, y, what in drawn}
        expected = np.array([gate["left"], gate["right"]]).T * [180, -180] + [28, 188]
        np.testing.assert_allclose([by_unit[k] for k in range(32)], expected, atol=1e-6)
    assert browser.script("return document.querySelectorAll('#gates circle.picked').length") == 3


@needs_browser
def test_light_and_dark(browser: Browser, made: Report) -> None:
    def ground() -> int:
        return sum(
            map(
                int,
                re.findall(r"\d+", browser.script("return getComputedStyle(document.body).backgroundColor")),
            )
        )

    light = ground()
    browser.press("t", "t")
    assert browser.text("#theme") == "Theme: dark"
    dark = ground()
    assert (light > 700, dark < 100) == (True, True)
    browser.press("t")
    browser.open(made.path, "dark")
    assert ground() == dark
    browser.press("t")
    assert ground() == light
    browser.press("t", "t")
    for width in (1400, 800):
        browser.driver.set_window_size(width, 900)
        assert browser.script("return document.documentElement.scrollWidth <= innerWidth")


@needs_browser
def test_the_policy_stops_what_is_smuggled_in(one_browser: Browser, made: Report, tmp_path: Path) -> None:
    smuggled = (
        '<main><script>window.hacked=1</script><p id="styled" style="margin-left:77px" onclick="window.hacked=1">'
        '<img src="http://127.0.0.1:9/a.png" onerror="window.hacked=1"><iframe src="http://127.0.0.1:9/b"></iframe>'
    )
    path = tmp_path / "smuggled.html"
    path.write_text(made.path.read_text(encoding="utf-8").replace("<main>", smuggled), encoding="utf-8")
    one_browser.open(path)
    one_browser.script("document.getElementById('styled').click()")
    assert one_browser.script("return typeof window.hacked") == "undefined"
    assert (
        one_browser.script("return getComputedStyle(document.getElementById('styled')).marginLeft") == "0px"
    )
    refused = [entry["message"] for entry in one_browser.logs("browser")]
    assert sum("Content Security Policy" in message for message in refused) >= 5
    assert one_browser.requests() == [path.as_uri()]
    assert one_browser.text("#says").startswith("quote")  # the page itself works


@needs_browser
def test_a_hostile_text_is_text(one_browser: Browser, tmp_path: Path) -> None:
    text = HOSTILE * 3
    vocab = "".join(sorted(set(HOSTILE)))
    model = handmade.model_of("gru", handmade.random_weights("gru", vocab=vocab), vocab=vocab)
    model.training = {"corpus": {"name": "<img src=x onerror=window.hacked=1>&\u202e", "symbols": 7}}
    file = tmp_path / "<img src=x onerror='window.hacked=1'>&.safetensors"
    model.save(file)
    path = tmp_path / "<script>window.hacked=1<&>\u202e.html".replace("/", "")
    report.write_cell(str(path), file, model, text, (0, 3))
    one_browser.open(path)
    assert one_browser.logs("browser") == []
    assert one_browser.requests() == [path.as_uri()]
    assert one_browser.script(
        "return [typeof window.hacked, document.images.length, document.scripts.length]"
    ) == [
        "undefined",
        0,
        2,
    ]
    shown = one_browser.script(
        f"return [...document.querySelectorAll('{html_browser.LETTERS}')].map(e => [e.textContent, e.title])"
    )
    assert len(shown) == len(text)
    for ch, (glyph, title) in zip(text, shown, strict=True):
        if ch.isprintable() or ch in "\n\t\u3000":
            assert glyph in (ch, "◌" + ch)
        else:
            assert glyph in (chr(0x2400 + ord(ch)) if ord(ch) < 32 else "", "␡", "␠", "\ufffd")
            assert title.endswith(f"U+{ord(ch):04X}")
    signal = record(model, text).signals[3]
    steps = np.rint(signal / np.abs(signal).max() * INT8_STEPS)
    assert [look & COLOURS for look in one_browser.classes()] == [class_of(s / INT8_STEPS) for s in steps]
    lefts = one_browser.script(  # in reading order from left to right, in each line
        f"return [...document.querySelectorAll('{html_browser.LETTERS}')].map(e => {{"
        "const r = e.getBoundingClientRect(); return [Math.round(r.top), r.left, r.width]})"
    )
    for (top, left, _), (next_top, next_left, _), ch in zip(lefts, lefts[1:], text, strict=False):
        assert next_left > left or next_top > top or ch == "\n"
    assert all(width > 0 for (_, _, width), ch in zip(lefts, text, strict=True) if ch != "\n")
    assert file.name.replace("'", "'") in one_browser.text("#card")
    assert "<img src=x onerror=window.hacked=1>&" in one_browser.text("#card")
    one_browser.script(
        "for (const e of [...document.querySelectorAll(arguments[0])].slice(0, arguments[1]))"
        "  e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))",
        html_browser.LETTERS,
        len(HOSTILE),
    )
    assert one_browser.logs("browser") == []
    assert one_browser.script("return typeof window.hacked") == "undefined"
