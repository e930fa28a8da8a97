"""The web page of a run: true to the run's records and to its model, safe against any text, usable in a browser."""

import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import handmade
from helpers.html_browser import Browser, needs_browser
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.files.json_value import json_value
from charrnn.interpret.network_flow import of_model
from charrnn.interpret.run_report import LEAD, PASSAGE_LENGTH, RunReport, gather, surprises_of
from charrnn.interpret.texts import held_out_text
from charrnn.model.model import Model, load_model
from charrnn.runs.folder import RunFolder
from charrnn.training.session import train
from charrnn.ui.html import run_page as page_of_run
from charrnn.ui.html.page import MOST_BYTES

HOSTILE = (
    '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">&amp;<!--'
    "\u2028\u202eab\u05d0\u0000\x1b[31m\x7f\t|\r\n'\\\"\U0001f600e\u0301\u00a0"
)
SETTINGS: dict[str, Any] = {"layers": 2, "hidden": 12, "batch_size": 4, "threads": 1, "lr": 0.05}


def written(run: Path, target: Path, **options: Any) -> tuple[RunReport, dict[str, Any]]:
    """The report of a run and what its page holds."""
    folder = RunFolder.find(run)
    report = gather(folder, load_model(folder.model), **options)
    size = page_of_run.write_run(str(target), report)
    assert size == target.stat().st_size < MOST_BYTES
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', target.read_text())
    return report, json.loads(data)


@dataclass(frozen=True)
class Made:
    run: Path
    page: Path
    report: RunReport
    data: dict[str, Any]
    records: list[dict[str, Any]]
    samples: list[dict[str, Any]]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An LSTM of two layers on dialogue, stopped once and gone on with at another learning rate."""
    folder = tmp_path_factory.mktemp("run")
    text = folder / "dialogue.txt"
    text.write_text(handmade.dialogue(30_000), encoding="utf-8")
    command = ["charrnn", "train", "dialogue.txt"]
    train(
        text,
        out=folder / "tale",
        max_steps=60,
        eval_every=20,
        val_fraction=0.2,
        command_line=command,
        **SETTINGS,
    )
    train(out=folder / "tale", resume=True, max_steps=150, lr=0.02, command_line=command)
    report, data = written(folder / "tale", folder / "page.html")
    run = folder / "tale"
    return Made(
        run, folder / "page.html", report, data, lines(run / "metrics.jsonl"), lines(run / "samples.jsonl")
    )


# ---- Numbers


def test_curves_are_the_records(made: Made) -> None:
    reports, validations = made.data["reports"], made.data["validations"]
    assert len(reports["step"]) == len(made.records) > 20
    for name, values in reports.items():
        assert values == [record[name] for record in made.records]
    measured = [record for record in made.records if record["val_loss_nats"] is not None]
    for name in ("step", "epoch", "seconds", "val_loss_nats"):
        assert validations[name] == [record[name] for record in measured]
    losses = [record["val_loss_nats"] for record in measured]
    assert validations["best"] == int(np.argmin(losses))
    assert made.data["changes"] == [{"step": 60, "what": "--lr 0.05 -> 0.02"}]


def test_figures_and_card_are_those_of_the_run(made: Made) -> None:
    best = min((r for r in made.records if r["val_loss_nats"] is not None), key=lambda r: r["val_loss_nats"])
    figures = {name: (value, on) for name, value, on in made.data["figures"]}
    nats = best["val_loss_nats"]
    assert figures["best validation"] == (
        f"{nats / math.log(2):.3f} bits",
        f"{nats:.4f} nats, at step {best['step']}",
    )
    kept = made.report.model.training
    assert figures["training"] == (
        f"{kept['train_loss_nats'] / math.log(2):.3f} bits",
        f"{kept['train_loss_nats']:.4f} nats, before step {kept['step']}",
    )
    assert figures["steps"][0] == "150"
    card = dict(made.data["card"])
    assert card["run"] == str(made.run)
    assert card["command"] == "charrnn train dialogue.txt"
    assert card["changes"] == "at step 60: --lr 0.05 -> 0.02"
    for name, key in (("train", "train_loss_nats"), ("validation", "val_loss_nats")):
        assert card[name] == f"{kept[key] / math.log(2):.4f} bits per character, {kept[key]:.4f} nats"
    assert "nats" not in made.data["verdict"]["sentence"]
    assert made.data["verdict"]["sentence"] == made.report.info.verdict.sentence  # type: ignore[union-attr]


def test_the_samples_are_those_of_the_folder(made: Made) -> None:
    shown = made.data["samples"]["shown"]
    assert shown == [
        {"step": one["step"], "nats": one["val_loss_nats"], "text": one["text"]} for one in made.samples
    ]
    steps = [r["step"] for r in made.records if r["val_loss_nats"] is not None]
    assert [one["step"] for one in shown] == steps
    assert all(len(one["text"]) == 240 for one in shown)
    assert len({one["text"] for one in shown}) == len(shown)


def test_the_loss_is_that_of_the_validation_and_of_eval(made: Made) -> None:
    nats = made.data["evaluation"]["nats"]
    best = min(r["val_loss_nats"] for r in made.records if r["val_loss_nats"] is not None)
    assert nats["model"] == pytest.approx(best, rel=1e-6)
    told = CliRunner().invoke(app, ["eval", "--split", "validation", "--model", str(made.run), "--json"])
    evaluated = json.loads(told.stdout)
    assert nats["model"] == evaluated["loss_nats"]
    assert {name: nats[name] for name in evaluated["baselines"]} == {
        name: one["loss_nats"] for name, one in evaluated["baselines"].items()
    }
    assert set(nats) >= {"model", "uniform", "unigram", "xz"}


def in_one_go(model: Model, ids: np.ndarray) -> np.ndarray:
    """p of every symbol at each place after the first, (N - 1, V)."""
    logits = model.logits(ids[:-1, None])[0][:, 0].astype(np.float64)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def test_surprise_is_the_log_of_the_probability_after_all_that_came_before(made: Made) -> None:
    model, text = made.report.model, held_out_text(made.report.model)
    part = surprises_of(model, text)
    assert text[part.start : part.start + PASSAGE_LENGTH] == part.text
    assert LEAD <= part.start < LEAD + 200
    assert text[part.start - 1] == "\n"
    ids = model.vocab.encode(text[: part.start + PASSAGE_LENGTH])
    p = in_one_go(model, ids)[part.start - 1 :]
    right = ids[part.start :]
    mine = p[np.arange(len(right)), right]
    np.testing.assert_allclose(part.bits, -np.log2(mine), rtol=1e-4)
    best = np.sort(p, axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose(part.probabilities, best, rtol=1e-3)
    np.testing.assert_allclose(np.take_along_axis(p, part.guesses, axis=1), best, rtol=1e-3)
    hits = part.ranks == 1
    assert (right[hits] == part.guesses[hits, 0]).all()
    assert (part.bits[~hits] > 1).all()  # what is not the best guess has at most half the probability
    data = made.data["surprises"]
    assert data["text"] == part.text
    np.testing.assert_allclose(data["bits"], part.bits, atol=5e-4)


def test_a_short_text_is_read_from_its_first_character() -> None:
    model = handmade.model_of("gru", handmade.random_weights("gru"))
    part = surprises_of(model, "So it was.")
    assert (part.text, part.start) == ("So it was.", 0)
    assert np.isnan(part.bits[0])
    assert part.ranks[0] == 0
    p = in_one_go(model, model.vocab.encode("So it was."))
    np.testing.assert_allclose(
        part.bits[1:],
        [-np.log2(row[k]) for row, k in zip(p, model.vocab.encode("o it was."), strict=True)],
        rtol=1e-4,
    )
    with pytest.raises(DataError, match="at least 2 are needed"):
        surprises_of(model, "S")


def test_a_character_of_several_bytes_costs_what_its_bytes_do(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("ab é 漢 c\n" * 400, encoding="utf-8")
    train(text, out=tmp_path / "run", level="byte", max_steps=20, **SETTINGS | {"hidden": 8})
    model = load_model(tmp_path / "run/model.safetensors")
    part = surprises_of(model, "ab é 漢 c\n")
    ids = model.vocab.encode("ab é 漢 c\n")
    p = in_one_go(model, ids)
    bytewise = [math.nan, *(-np.log2(row[k]) for row, k in zip(p, ids[1:], strict=True))]
    lengths = [len(ch.encode()) for ch in "ab é 漢 c\n"]
    ends = np.cumsum(lengths)
    expected = [sum(bytewise[end - size : end]) for end, size in zip(ends, lengths, strict=True)]
    np.testing.assert_allclose(part.bits, expected, rtol=1e-4)
    np.testing.assert_allclose(part.probabilities[5, 0], p[ends[4] - 1].max(), rtol=1e-3)  # of its first byte


def test_gradients_gates_and_cells_are_those_of_the_other_commands(made: Made) -> None:
    model = made.report.model
    ids = model.vocab.encode(held_out_text(model))
    flow = json_value(of_model(model, ids, file=made.run / "model.safetensors"))
    assert made.data["flow"]["h"] == flow["h"]
    assert made.data["flow"]["c"] == flow["c"]
    told = CliRunner().invoke(app, ["inspect-cells", "--gates", "--json", "--model", str(made.run)])
    for gate, other in zip(made.data["gates"], json.loads(told.stdout)["gates"], strict=True):
        assert (gate["layer"], gate["gate"]) == (other["layer"], other["gate"])
        np.testing.assert_allclose(gate["left"], other["left"], atol=5e-5)
        np.testing.assert_allclose(gate["right"], other["right"], atol=5e-5)
        assert gate["mean"]["right"] == pytest.approx(np.mean(other["right"]), abs=1e-6)
    told = CliRunner().invoke(app, ["inspect-cells", "--no-causal", "--json", "--model", str(made.run)])
    findings = json.loads(told.stdout)["findings"]
    assert findings
    for finding, other in zip(made.data["cells"]["findings"], findings, strict=True):
        assert {name: finding[name] for name in other} == other


def test_long_records_are_thinned_and_keep_the_best(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page_of_run, "MOST_POINTS", 3)
    monkeypatch.setattr(page_of_run, "MOST_SAMPLES", 2)
    monkeypatch.setattr(page_of_run, "MOST_UNITS", 8)
    copy = tmp_path / "tale"
    shutil.copytree(made.run, copy)
    losses = [5.0, 1.0, 4.0, 3.0, 3.0, 3.0, 3.0]
    first = (
        load_model(copy / "model.safetensors").training["step"] - 1
    )  # so that the second is the kept model
    records = [made.records[0] | {"step": first + k, "val_loss_nats": x} for k, x in enumerate(losses)]
    (copy / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    _, data = written(copy, tmp_path / "page.html")
    assert data["reports"]["step"] == [first, first + 3, first + 6]
    assert data["validations"]["step"] == [first, first + 1, first + 3, first + 6]
    assert data["validations"]["best"] == 1
    assert [one["step"] for one in data["samples"]["shown"]] == [made.samples[k]["step"] for k in (0, -1)]
    assert data["samples"]["count"] == len(made.samples)
    assert [gate["units"] for gate in data["gates"]] == [[0, 3, 6, 9]] * 6


# ---- Runs that lack something


def test_an_rnn_without_validation_says_what_is_not_there(tmp_path: Path) -> None:
    text = tmp_path / "dialogue.txt"
    text.write_text(handmade.dialogue(12_000), encoding="utf-8")
    train(text, out=tmp_path / "run", cell="rnn", max_steps=12, val_fraction=0.0, **SETTINGS)
    _, data = written(tmp_path / "run", tmp_path / "page.html")
    assert data["validations"]["best"] is None
    assert data["samples"]["shown"][-1]["nats"] is None
    assert data["missing"]["gates"] == "a vanilla RNN has no gates"
    assert "was trained on all of" in data["missing"]["surprises"]
    assert [data[part] for part in ("evaluation", "surprises", "gates", "flow", "cells")] == [None] * 5
    # with a text all of it can be told but the gates
    other = tmp_path / "other.txt"
    other.write_text(handmade.dialogue(4000, seed=1), encoding="utf-8")
    _, data = written(tmp_path / "run", tmp_path / "page.html", text=str(other))
    assert list(data["missing"]) == ["gates"]
    assert data["flow"]["h"]
    assert "c" not in data["flow"]
    assert data["text"]["name"] == "other.txt"


def test_a_text_that_is_gone_leaves_the_curves(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "tale"
    shutil.copytree(made.run, copy)
    text = made.run.parent / "dialogue.txt"
    text.rename(text.with_suffix(".away"))
    try:
        _, data = written(copy, tmp_path / "page.html")
    finally:
        text.with_suffix(".away").rename(text)
    assert re.search(r"cannot be read: .*dialogue\.txt.*--text FILE", data["missing"]["cells"])
    assert len(data["reports"]["step"]) == len(made.records)
    assert len(data["samples"]["shown"]) == len(made.samples)


def test_a_short_text_says_which_parts_it_is_too_short_for(made: Made, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("So it was (and all) said", encoding="utf-8")
    _, data = written(made.run, tmp_path / "page.html", text=str(tmp_path / "short.txt"))
    assert set(data["missing"]) == {"gates", "cells"}
    assert len(data["flow"]["h"][0]) == 24 - 2 + 1


def test_a_model_alone_has_no_curves(made: Made, tmp_path: Path) -> None:
    shutil.copy(made.run / "model.safetensors", tmp_path)
    _, data = written(tmp_path, tmp_path / "page.html")
    assert data["verdict"] is None
    assert data["reports"]["step"] == data["samples"]["shown"] == []
    assert data["surprises"]


def test_a_network_that_overflows_has_a_page_all_the_same(tmp_path: Path) -> None:
    weights = handmade.random_weights("rnn")
    weights["head.weight"] = np.where(weights["head.weight"] > 0, 1.7e308, -1.7e308)
    handmade.model_of("rnn", weights).save(tmp_path / "model.safetensors")
    (tmp_path / "text.txt").write_text(handmade.dialogue(4000), encoding="utf-8")
    _, data = written(tmp_path, tmp_path / "page.html", text=str(tmp_path / "text.txt"))
    assert None in data["surprises"]["bits"]
    assert "finite" in data["missing"]["evaluation"]


# ---- The command


def test_the_command_writes_the_page_and_tells_what_it_does(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copytree(made.run, tmp_path / "runs/tale")
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["report", "--html", "page.html"])
    assert told.exit_code == 0, told.output
    assert told.stdout == ""
    assert told.stderr.startswith(f"run {Path('runs/tale')}\n")
    assert re.search(r"page page\.html, 0\.\d MB\n$", told.stderr)
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_what_the_page_tells_is_there_for_programs(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["report", str(made.run), "--json", "--html", "page.html"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    info = json.loads(CliRunner().invoke(app, ["info", str(made.run), "--json"]).stdout)
    assert found["page"] == "page.html"
    assert found["page_bytes"] == Path("page.html").stat().st_size
    assert found["run"] == str(made.run)
    best = min((r for r in made.records if r["val_loss_nats"] is not None), key=lambda r: r["val_loss_nats"])
    assert found["train_loss_nats"] == info["training"]["train_loss_nats"]
    assert (found["val_loss_nats"], found["best_step"]) == (best["val_loss_nats"], best["step"])
    for name in ("train", "val"):
        assert found[f"{name}_bits_per_char"] == pytest.approx(found[f"{name}_loss_nats"] / math.log(2))
    last = made.records[-1]
    assert [found[name] for name in ("steps", "epochs", "seconds")] == [
        last[name] for name in ("step", "epoch", "seconds")
    ]
    assert found["parameters"] == info["parameters"]
    assert found["verdict"]["kind"] == info["verdict"]["kind"]
    assert found["verdict"]["sentence"] == made.data["verdict"]["sentence"]
    assert found["evaluation"]["loss_nats"] == made.data["evaluation"]["nats"]["model"]
    assert [one["mean"] for one in made.data["gates"]] == [
        {side: pytest.approx(np.mean(one[side]), abs=1e-4) for side in ("left", "right")}
        for one in found["gates"]
    ]
    assert found["flow"]["places"] == made.data["flow"]["places"]
    assert [one["concept"] for one in found["cells"]["findings"]] == [
        one["concept"] for one in made.data["cells"]["findings"]
    ]
    assert found["missing"] == made.data["missing"] == {}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["nowhere"], ModelError, "nowhere does not exist. Name a run folder"),
        (["empty"], ModelError, "empty holds no run"),
        (["begun"], ModelError, "begun has no model.safetensors yet: the first validation writes it"),
        (["tale", "--html", "notes.txt"], UsageError, "notes.txt: this file exists and is not a web page"),
        (["tale", "--html", "no/page.html"], UsageError, "no is not a folder"),
        (["tale", "--html", "-"], UsageError, "name a file for the page"),
        (["tale", "--text", "gone.txt"], DataError, "gone.txt"),
    ],
)
def test_what_cannot_be_done_is_told(
    made: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: type[CharRNNError],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink(made.run, "tale")
    for name in ("empty", "begun"):
        (tmp_path / name).mkdir()
    (tmp_path / "begun/config.toml").touch()
    (tmp_path / "notes.txt").write_text("mine")
    told = CliRunner().invoke(app, ["report", *arguments])
    assert isinstance(told.exception, error)
    assert message in str(told.exception)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "report.html").exists()


# ---- In a browser


def texts(browser: Browser, selector: str) -> list[str]:
    return browser.script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


def four_digits(value: float) -> str:
    return f"{float(f'{value:.4g}'):g}"


@pytest.fixture
def browser(one_browser: Browser, made: Made) -> Iterator[Browser]:
    one_browser.driver.set_window_size(1400, 1000)
    one_browser.open(made.page)
    yield one_browser
    assert one_browser.logs("browser") == []
    assert one_browser.requests() == [made.page.as_uri()]


@needs_browser
def test_the_page_shows_the_numbers(browser: Browser, made: Made) -> None:
    assert browser.text("#sentence") == made.data["verdict"]["sentence"]
    shown = browser.script(
        "return [...document.querySelectorAll('#numbers div')].map(d => [...d.children].map(c => c.textContent))"
    )
    assert shown == made.data["figures"]
    heads = browser.script("return [...document.querySelectorAll('#drawn li p b')].map(b => b.textContent)")
    chosen = [made.samples[round(k * (len(made.samples) - 1) / 5)]["step"] for k in range(6)]
    assert heads == [f"step {step}" for step in chosen]
    names, values = texts(browser, ".bar-row span:first-child"), texts(browser, ".bar-row span:last-child")
    rows = dict(zip(names, values, strict=True))
    assert rows["this model"] == f"{made.data['evaluation']['nats']['model'] / math.log(2):.3f}"
    assert browser.script("return document.querySelectorAll('#gates circle').length") == 2 * 3 * 12
    assert browser.script("return document.querySelectorAll('#flows path.series:not(.key)').length") == 4
    cells = browser.script(
        "return [...document.querySelectorAll('#found tbody tr')].map(r => r.cells[1].textContent)"
    )
    assert cells == [f"{f['layer']}:{f['cell']}" for f in made.data["cells"]["findings"]]
    assert "Changed at step 60: --lr 0.05 -> 0.02" in browser.text("#changes").replace("\u2212", "-")


@needs_browser
@pytest.mark.parametrize("width", [400, 1400])
def test_words_of_a_chart_do_not_lie_on_each_other(browser: Browser, made: Made, width: int) -> None:
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", size
    )  # a window is 500 wide at least
    browser.open(made.page)
    boxes = browser.script(
        "const found = [...document.querySelectorAll('#losses text, #losses .key')];"
        "return found.map((e) => e.getBoundingClientRect().toJSON())"
    )
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert len(boxes) > 8
    for k, one in enumerate(boxes):
        for other in boxes[:k]:
            apart = one["left"] >= other["right"] or other["left"] >= one["right"]
            assert apart or one["top"] >= other["bottom"] or other["top"] >= one["bottom"]


@needs_browser
def test_one_report_is_no_curve(made: Made, one_browser: Browser, tmp_path: Path) -> None:
    copy = tmp_path / "tale"
    shutil.copytree(made.run, copy)
    best = made.report.model.training["step"]
    kept = next(r for r in made.records if r["step"] == best and r["val_loss_nats"] is not None)
    (copy / "metrics.jsonl").write_text(json.dumps(kept) + "\n")
    written(copy, tmp_path / "page.html")
    one_browser.open(tmp_path / "page.html")
    assert one_browser.logs("browser") == []
    assert one_browser.text("#curves-say").startswith("Not shown: this run has a single report")
    assert one_browser.script("return document.querySelector('#curves .panel').hidden")


@needs_browser
def test_a_curve_is_drawn_and_read_where_its_values_are(browser: Browser, made: Made) -> None:
    from selenium.webdriver.common.keys import Keys

    validations = made.data["validations"]
    places = [browser.attributes("#losses circle.dot", name) for name in ("cx", "cy")]
    across, up = np.array(places, float)
    steps, losses = np.array(validations["step"]), np.array(validations["val_loss_nats"])
    np.testing.assert_allclose(
        np.diff(across) / np.diff(steps), (across[-1] - across[0]) / (steps[-1] - steps[0]), rtol=1e-6
    )
    np.testing.assert_allclose(
        (up - up[0]) / (up[-1] - up[0]), (losses - losses[0]) / (losses[-1] - losses[0]), atol=1e-6
    )
    ring = [float(browser.attributes("#losses .best", name)[0] or 0) for name in ("cx", "cy")]
    assert ring == [across[validations["best"]], up[validations["best"]]]
    browser.script("document.querySelector('#losses svg').focus()")
    browser.press(Keys.END)
    last = made.records[-1]
    losses_in_bits = [last[name] / math.log(2) for name in ("train_loss_nats", "val_loss_nats")]
    train_loss, val_loss = map(four_digits, losses_in_bits)
    assert browser.text("#losses .sr") == f"step 150, training {train_loss}, validation {val_loss}"
    browser.choose("#unit", "nats per character")
    browser.choose("#along", "epochs")
    browser.script("document.querySelector('#losses svg').focus()")
    browser.press(Keys.END)
    told = browser.text("#losses .sr")
    assert told.startswith(f"epoch {four_digits(last['epoch'])}, ")
    assert told.endswith(f"validation {four_digits(last['val_loss_nats'])}")


@pytest.fixture
def phone(browser: Browser) -> Iterator[Browser]:
    """The browser with a screen of 400 pixels."""
    screen = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    yield browser
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


NOTE_OF_THE_TABLE = "document.querySelector('#found').previousElementSibling"


@needs_browser
def test_a_phone_is_told_that_a_table_scrolls_and_reads_its_charts(phone: Browser, made: Made) -> None:
    phone.open(made.page)
    assert phone.script("return innerWidth") == 400
    assert phone.script("return document.documentElement.scrollWidth") <= 400
    assert phone.script("const t = document.querySelector('#found'); return t.scrollWidth > t.clientWidth")
    assert phone.script(f"return {NOTE_OF_THE_TABLE}.textContent") == (
        "The table goes on to the right: scroll it sideways."
    )
    assert phone.script(f"return {NOTE_OF_THE_TABLE}.checkVisibility()")
    along = "[...document.querySelectorAll(arguments[0] + ' svg text[text-anchor=middle]')].map((e) => e.textContent)"
    up = "document.querySelectorAll(arguments[0] + ' svg line.axis').length"
    for chart in ("#losses", "#rate", "#norm", "#speed"):
        *numbers, name = phone.script(f"return {along}", chart)
        assert name == "step"
        assert len(numbers) >= 3, chart
        assert phone.script(f"return {up}", chart) - len(made.data["changes"]) >= 3, chart


@needs_browser
def test_a_table_that_fits_says_nothing_of_scrolling(browser: Browser, made: Made) -> None:
    assert browser.script("const t = document.querySelector('#found'); return t.scrollWidth <= t.clientWidth")
    assert not browser.script(f"return {NOTE_OF_THE_TABLE}.checkVisibility()")


@needs_browser
def test_surprise_is_coloured_a_step_a_bit_and_told_by_keys(browser: Browser, made: Made) -> None:
    from selenium.webdriver.common.keys import Keys

    bits = made.data["surprises"]["bits"]
    looks = browser.attributes("#text span", "class")
    found = [int((re.search(r"\bp(\d)", look or "") or [0, 0])[1]) for look in looks]
    assert len(found) == PASSAGE_LENGTH
    assert found == [min(8, math.floor(value + 0.5)) for value in bits]
    browser.script("document.querySelector('#text').focus()")
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert f"{bits[2]:.2f} bits" in browser.text("#live")
    part = surprises_of(made.report.model, held_out_text(made.report.model))
    shares = browser.script("return [...document.querySelectorAll('#tip .share')].map(e => e.textContent)")
    assert shares == [f"{100 * p:.1f} %" for p in np.round(part.probabilities[2], 6)]
    browser.press(Keys.ARROW_DOWN)
    below = part.text.index("\n", 2) + 1
    looks = browser.attributes("#text span", "class")
    cursor = next(k for k, look in enumerate(looks) if "cursor" in (look or ""))
    assert cursor == min(below + 2, part.text.index("\n", below))
    browser.script("document.querySelector('#worst button').click()")
    assert f"{max(bits):.2f} bits" in browser.text("#live")


@needs_browser
def test_it_fits_and_everything_has_a_name(browser: Browser) -> None:
    for theme in ("light", "dark"):
        browser.script("document.documentElement.dataset.theme = arguments[0]", theme)
        for width in (1400, 800):
            browser.driver.set_window_size(width, 900)
            assert browser.script("return document.documentElement.scrollWidth <= innerWidth")
    unnamed = browser.script(
        "return [...document.querySelectorAll('button, input, select, svg[role=img], [tabindex=\"0\"]')].filter(e =>"
        "!e.textContent.trim() && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby')"
        "&& !e.labels?.length).map(e => e.outerHTML)"
    )
    assert unnamed == []
    assert browser.script(
        "return [...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))"
    )


@needs_browser
def test_a_run_that_lacks_everything_says_so(one_browser: Browser, tmp_path: Path) -> None:
    model = handmade.model_of("rnn", handmade.random_weights("rnn"))
    model.save(tmp_path / "model.safetensors")
    written(tmp_path, tmp_path / "page.html")
    one_browser.open(tmp_path / "page.html")
    assert one_browser.logs("browser") == []
    for part in ("curves", "samples", "surprise", "gates", "flow", "cells"):
        assert one_browser.text(f"#{part} .lead").startswith("Not shown: ")
    assert one_browser.script(
        "return [...document.querySelectorAll('section svg, section .letters')].every(e => !e.offsetParent)"
    )


@needs_browser
def test_a_hostile_run_is_text(one_browser: Browser, tmp_path: Path) -> None:
    run = tmp_path / "<img src=x onerror=window.hacked=1>&"
    run.mkdir()
    vocab = "".join(sorted(set(HOSTILE)))
    model = handmade.model_of("gru", handmade.random_weights("gru", vocab=vocab), vocab=vocab)
    model.training = {
        "corpus": {"name": HOSTILE, "symbols": 7},
        "command_line": HOSTILE,
        "changes": [f"at step 3: {HOSTILE}", HOSTILE, 7],
        "versions": {HOSTILE: HOSTILE},
    }
    model.save(run / "model.safetensors")
    record = {"step": 3, "epoch": 0.1, "seconds": 1.0, "train_loss_nats": 2.0, "val_loss_nats": 2.5}
    records = [record | {"lr": HOSTILE, "grad_norm": [1], "chars_per_second": True}, record | {"step": 6}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    samples = [{"step": 3, "text": HOSTILE, "val_loss_nats": HOSTILE}, {"step": 6, "text": [HOSTILE]}]
    (run / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples))
    text = tmp_path / "text.txt"
    readable = HOSTILE.replace("\0", "") * 30  # a text with NUL is refused
    text.write_bytes(readable.encode())
    page = tmp_path / "page.html"
    _, data = written(run, page, text=str(text))
    assert data["surprises"]["text"] == readable[data["surprises"]["start"] :][:PASSAGE_LENGTH]
    one_browser.open(page)
    assert one_browser.logs("browser") == []
    assert one_browser.requests() == [page.as_uri()]
    assert one_browser.script(
        "return [typeof window.hacked, document.images.length, document.scripts.length]"
    ) == [
        "undefined",
        0,
        2,
    ]
    assert one_browser.text("h1") == "Run <img src=x onerror=window.hacked=1>&"
    letters = one_browser.script(
        "return [...document.querySelectorAll('#drawn .letters span')].map(e => e.textContent)"
    )
    assert len(letters) == len(HOSTILE)
    for ch, shown in zip(HOSTILE, letters, strict=True):
        assert (
            shown == ch
            if ch.isprintable() and ch != "\u0301"
            else shown != "" and (ch in "\n\t" or shown != ch)
        )
    assert "<script>window.hacked=1</script>" in one_browser.text("#card")
    one_browser.script(
        "for (const e of [...document.querySelectorAll('#text span')].slice(0, 120))"
        "  e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))"
    )
    assert one_browser.logs("browser") == []
    assert one_browser.script("return typeof window.hacked") == "undefined"


@pytest.mark.slow
def test_held_cells_are_told_with_causal(made: Made, tmp_path: Path) -> None:
    _, data = written(made.run, tmp_path / "page.html", causal=True)
    assert data["causal"] is True
    tried = [f for f in data["cells"]["findings"] if f["verdict"] in ("correlate", "tracker")]
    assert all(f["causal_effect"] is not None or f["kind"] == "count" for f in tried)
