"""charrnn inspect-cells, report and probe on models of items, as commands."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import handmade
from helpers.command_line import Outcome, charrnn
from helpers.small_runs import SETTINGS, run

from charrnn.interpret.reading import BEGIN, END, LABEL, reading_of
from charrnn.interpret.recording import record
from charrnn.interpret.saturation import gate_saturation
from charrnn.interpret.texts import held_out_text
from charrnn.model.model import load_model
from charrnn.text.items import Items


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has hardly begun, on a table of lines with two labels."""
    folder = tmp_path_factory.mktemp("items")
    lines = handmade.lines(9_000, 1, 12, 45).splitlines()
    rows = [f"{line},{'odd' if n % 2 else 'even'}" for n, line in enumerate(lines)]
    (folder / "lines.csv").write_text("\n".join(["line,turn", *rows]) + "\n")
    settings = SETTINGS | {"text_column": "line", "label_column": "turn", "val_fraction": 0.5, "max_steps": 4}
    run(folder / "lines.csv", folder / "run", **settings)
    return folder / "run"


def on(command: str, model: Path, *args: object) -> Outcome:
    found = charrnn(command, *args, "--model", model)
    assert found.code == 0, found.err
    return found


def held_out(model: Path) -> Items:
    found = held_out_text(load_model(model / "model.safetensors"))
    assert isinstance(found, Items)
    return found


def test_the_validation_items_are_read(model: Path) -> None:
    items = held_out(model)
    found = json.loads(on("inspect-cells", model, "--no-causal", "--json").out)
    assert found["items"] == len(items)
    assert found["characters"] == sum(len(items.text(n)) for n in range(len(items)))
    assert {"item_pos", "word_pos", "depth"} <= {one["concept"] for one in found["concepts"]}
    assert {"item_pos", "word_pos"} <= {one["concept"] for one in found["findings"]}
    assert not [one for one in found["findings"] if one["verdict"] == "tracker"]


def test_items_of_a_file_are_read_as_the_training_text_was(model: Path, tmp_path: Path) -> None:
    loaded = load_model(model / "model.safetensors")
    (tmp_path / "new.jsonl").write_text(
        '{"turn": "odd", "line": "the sea"}\n{"line": "of it", "turn": "even"}\n'
    )
    table = on("inspect-cells", model, "--cell", "1:2", "--text", tmp_path / "new.jsonl", "--csv").out
    rows = list(csv.reader(io.StringIO(table)))
    names = ["label turn=odd", *"the sea", "end", "label turn=even", *"of it", "end"]
    assert [name for name, _ in rows[1:]] == names
    ids = [loaded.vocab.label("turn", "even"), *loaded.vocab.encode("of it").tolist()]
    _, _, trace = loaded.network.forward(np.array(ids)[:, None], loaded.network.zero_state(1))
    expected = trace.layers[1]["tanh_c"][:, 0, 2]
    np.testing.assert_allclose([float(value) for _, value in rows[-7:-1]], expected, atol=1e-6)
    assert rows[-1][1] == rows[-2][1]
    answer = json.loads(
        on("inspect-cells", model, "--cell", "1:2", "--text", tmp_path / "new.jsonl", "--json").out
    )
    assert [name for name, _ in answer["values"]] == names


def test_marks_are_drawn(model: Path) -> None:
    shown = on("inspect-cells", model, "--cell", "0:1", "--passages", "1").out
    text = "".join(line[6:] for line in shown.splitlines() if line.startswith("text"))
    loaded = load_model(model / "model.safetensors")
    expected = reading_of(loaded, held_out(model)).first(480).text
    assert text == expected.replace(LABEL, "▸").replace(END, "∎")
    assert text.startswith("▸")
    assert text.endswith("∎")


def test_gates_of_items(model: Path) -> None:
    expected = gate_saturation(load_model(model / "model.safetensors"), held_out(model))
    assert json.loads(on("inspect-cells", model, "--gates", "--json").out)["gates"] == [
        one.to_json() for one in expected
    ]


def data_of(page: Path) -> dict:
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())
    return json.loads(data)


def test_pages_of_items(model: Path, tmp_path: Path) -> None:
    loaded, items = load_model(model / "model.safetensors"), held_out(model)
    recording = record(loaded, items)
    on("inspect-cells", model, "--concept", "item_pos", "--no-causal", "--html", tmp_path / "cells.html")
    data = data_of(tmp_path / "cells.html")
    assert data["text"] == recording.text[recording.confirm]
    assert data["guesses"]["symbols"][len(loaded.vocab.symbols)] == END
    assert BEGIN not in data["text"]
    assert charrnn("report", model, "--html", tmp_path / "run.html").code == 0
    surprises = data_of(tmp_path / "run.html")["surprises"]
    told = [(ch, bits is None) for ch, bits in zip(surprises["text"], surprises["bits"], strict=True)]
    assert {without for ch, without in told if ch == LABEL} == {True}
    assert {without for ch, without in told if ch != LABEL} == {False}


def test_gradients_through_time_are_for_streams(model: Path) -> None:
    found = charrnn("gradient-flow", "--model", model)
    assert found.code == 3
    assert "along one stream, and this model reads items" in found.err


def test_the_probe_reads_each_text_after_the_commonest_label(model: Path, tmp_path: Path) -> None:
    loaded = load_model(model / "model.safetensors")
    (tmp_path / "texts.csv").write_text("text\nthe sea\nof it\n")
    on("probe", model, tmp_path / "texts.csv", "--features", tmp_path / "states.npz")
    states = np.load(tmp_path / "states.npz")["states"]
    counts = loaded.training["corpus"]["label_counts"]["turn"]
    ids = [loaded.vocab.label("turn", max(counts, key=counts.get)), *loaded.vocab.encode("of it").tolist()]
    _, _, trace = loaded.network.forward(np.array(ids)[:, None], loaded.network.zero_state(1))
    expected = np.concatenate([layer["c"][-1, 0] for layer in trace.layers])
    np.testing.assert_allclose(states[1], expected, atol=1e-6)
