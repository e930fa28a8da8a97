"""charrnn inspect-cells with two models, and over the steps of a run."""

import json
import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from helpers import handmade
from helpers.command_line import charrnn
from helpers.item_models import item_model

from charrnn.config import ModelConfig
from charrnn.model.model import Model
from charrnn.runs.folder import RunFolder

H = 8
TEXT = handmade.dialogue(20_000, seed=4)
LOOK = ["inspect-cells", "--quick", "--concept", "paren", "--text", "story.txt"]


def made(step: int, planted: int) -> Model:
    weights = handmade.random_weights("rnn", H, scale=0.5, seed=planted)
    handmade.clear(weights, "rnn", planted, H)
    handmade.gate(weights, "rnn", "weight_hh_l0", 0, planted, H)[0, planted] = 3
    handmade.gate(weights, "rnn", "bias_ih_l0", 0, planted, H)[:] = -0.5
    for ch, weight in (("(", 10), (")", -10)):
        handmade.gate(weights, "rnn", "weight_ih_l0", 0, planted, H)[0, handmade.VOCAB.index(ch)] = weight
    card = {"step": step, "train_loss_nats": 2.0, "val_loss_nats": 2.5}
    return Model(ModelConfig("rnn", 1, H), handmade.VOCAB, weights, card)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text(TEXT, encoding="utf-8")
    for name, model in (("a", made(900, 5)), ("b", made(800, 2))):
        (tmp_path / name).mkdir()
        model.save(RunFolder(tmp_path / name).model)
    run = RunFolder(tmp_path / "a")
    run.snapshots.mkdir()
    for step, planted in ((100, 1), (500, 5)):
        made(step, planted).save(run.snapshot(step))
    return tmp_path


def test_two_models_as_json_and_as_tables(folder: Path) -> None:
    done = charrnn(*LOOK, "--model", "a", "--model", "b", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer.keys() == {"models", "matching"}
    assert [one["model"] for one in answer["models"]] == ["a/model.safetensors", "b/model.safetensors"]
    assert [one["findings"][0]["cell"] for one in answer["models"]] == [5, 2]
    told = answer["matching"]
    assert told.keys() == {"pairs", "median", "chance", "shared"}
    assert told["pairs"][0] == {"first": [0, 5], "second": [0, 2], "r": pytest.approx(1, abs=0.01)}
    sizes = [abs(pair["r"]) for pair in told["pairs"]]
    assert (len(sizes), told["median"]) == (H, pytest.approx(median(sizes)))
    assert 0 < told["chance"] < told["median"]
    [paren] = told["shared"]
    assert paren.keys() == {"concept", "both", "first", "second", "r", "paired"}
    assert (paren["both"], paren["paired"], paren["second"]["cell"]) == (True, True, 2)

    shown = charrnn(*LOOK, "--model", "a", "--model", "b")
    assert shown.code == 0
    assert "8 pairs of cells: median |r| " in shown.out
    assert "paren      0:5" in shown.out


def test_over_time_as_json_and_as_a_table(folder: Path) -> None:
    done = charrnn(*LOOK, "--model", "a", "--over-time", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert [one["step"] for one in answer["over_time"]] == [100, 500, 900]
    assert answer["over_time"][0].keys() == {"step", "train_loss_nats", "val_loss_nats", "findings"}
    assert answer["over_time"][0]["findings"][0]["best"]["cell"] == 1
    [finding] = answer["findings"]
    for moment in answer["over_time"][1:]:  # which have the same cell
        assert moment["findings"][0]["score"] == pytest.approx(finding["confirm_score"])
        assert moment["findings"][0]["best"] == {
            "layer": 0,
            "cell": 5,
            "score": moment["findings"][0]["score"],
        }

    shown = charrnn(*LOOK, "--model", "a", "--over-time", "--passages", 0)
    assert shown.code == 0
    assert "step  train  validation  paren 0:5" in shown.out
    assert "validation loss, 2.500 nats" in shown.out


def data_of(page: str) -> Any:
    [data] = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', Path(page).read_text(encoding="utf-8")
    )
    return json.loads(data)


def test_over_time_as_a_page(folder: Path) -> None:
    done = charrnn(*LOOK, "--model", "a", "--over-time", "--json", "--html", "steps.html")
    assert done.code == 0, done.err
    assert "page steps.html" in done.err
    data = data_of("steps.html")
    assert data["over_time"] == json.loads(done.out)["over_time"]
    assert [one["step"] for one in data["over_time"]] == [100, 500, 900]
    assert [one["concept"] for one in data["findings"]] == ["paren"]


def test_two_models_as_a_page(folder: Path) -> None:
    done = charrnn(*LOOK, "--model", "a", "--model", "b", "--json", "--html", "both.html")
    assert done.code == 0, done.err
    data, told = data_of("both.html"), json.loads(done.out)["matching"]
    assert data["models"] == ["a/model.safetensors", "b/model.safetensors"]
    assert data["count"] == H
    assert {name: data[name] for name in told} == told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--model", "a", "--model", "b", "--model", "a"],
            2,
            "3 models are named; cells are matched between two",
        ),
        (
            ["--model", "a", "--model", "b", "--cell", "0:1"],
            2,
            "a second --model cannot be combined with --cell",
        ),
        (["--model", "a", "--model", "b", "--csv"], 2, "a second --model cannot be combined with --csv"),
        (["--model", "a", "--model", "b", "--over-time"], 2, "cannot be combined with --over-time"),
        (["--model", "a", "--over-time", "--gates"], 2, "--over-time cannot be combined with --gates"),
        (["--model", "b", "--over-time"], 3, "b has 0 snapshots; --over-time needs at least 2"),
        (["--model", "a", "--model", "nowhere"], 4, "nowhere"),
        (["--model", "a/snapshots"], 4, "a/snapshots"),
    ],
)
def test_errors(arguments: list[str], code: int, message: str) -> None:
    done = charrnn("inspect-cells", "--text", "story.txt", *arguments)
    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err


def test_models_of_different_items_cannot_be_matched(folder: Path) -> None:
    for name, characters in (("c", "ab\n"), ("d", "abc\n")):
        (folder / name).mkdir()
        item_model(characters, training={"form": {"items": "line"}}).save(folder / name / "model.safetensors")
    Path("items.txt").write_text("ab\n" * 900)
    done = charrnn("inspect-cells", "--text", "items.txt", "--quick", "--model", "c", "--model", "d")
    assert done.code == 3, done.err
    assert "different symbols" in done.err
