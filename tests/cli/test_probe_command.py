"""charrnn probe, as a command."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.latch import LATCH, SYMBOLS, H, encoded, latch_model, latch_texts
from helpers.random_models import random_model
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.install.extras import how_to_install
from charrnn.model.model import Model
from charrnn.model.model_file import read_metadata
from charrnn.probe.probe import (
    Probe,
    Share,
    features,
    load_probe,
)

pytest.importorskip("sklearn")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.chdir(tmp_path)
    made = latch_model()
    made.save("m.safetensors")
    texts, labels = latch_texts(60)
    write(
        Path("labels.csv"),
        [["label", "Text", "n"], *([b, a, "1"] for a, b in zip(texts, labels, strict=True))],
    )
    return made


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def run(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["probe", *args], input=stdin)


def test_fit_and_predict(model: Model) -> None:
    result = run("labels.csv", "--model", "m.safetensors", "--json", "--seed", "3")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["probe"] == "labels.probe.safetensors"
    assert answer["state"]["accuracy"] == 1
    assert answer["cell"]["cell"] == LATCH
    assert answer["cell"]["held_out"]["interval"] == list(Share(12, 12).interval)
    words = run("labels.csv", "--model", "m.safetensors", "--seed", "3", "--out", "p.safetensors").stdout
    assert f"cell 0:{LATCH} alone 100.0% {Share(12, 12).interval[0]:.1%} – 100.0%" in " ".join(words.split())
    assert "saved p.safetensors" in words
    assert Path("p.safetensors").read_bytes() == Path("labels.probe.safetensors").read_bytes()

    texts, labels = latch_texts(20, seed=9)
    texts[0] += ',"\n'
    write(Path("new.csv"), [[text] for text in texts])
    given = ("--predict", "new.csv", "--probe", "p.safetensors", "--unknown", "skip")
    rows = list(csv.reader(io.StringIO(run(*given).stdout)))
    assert rows[0] == ["text", "label", "p(ends x)", "p(ends y)"]
    assert [row[:2] for row in rows[1:]] == [[a, b] for a, b in zip(texts, labels, strict=True)]
    probe = load_probe("p.safetensors")
    p = probe.probabilities(features(model, encoded(model, [texts[0].replace(',"', ""), *texts[1:]])))
    np.testing.assert_allclose([[float(c) for c in row[2:]] for row in rows[1:]], p, atol=1e-6)
    lines = [json.loads(line) for line in run(*given, "--json").stdout.splitlines()]
    assert [line["label"] for line in lines] == labels
    assert lines[3]["probabilities"] == pytest.approx(dict(zip(probe.labels, p[3], strict=True)))
    assert run("-", "--model", "m.safetensors", stdin=Path("labels.csv").read_text()).exit_code == 0
    assert Path("stdin.probe.safetensors").read_bytes()
    piped = run("--predict", "-", "--probe", "p.safetensors", stdin="Text,label\nxay,?\n").stdout
    assert piped.splitlines()[1].startswith("xay,ends y,")


def test_the_states_as_data(model: Model) -> None:
    texts, labels = latch_texts(60)
    expected = features(model, encoded(model, texts))
    for name, options in (("a", ()), ("b", ("--label-column", "label"))):
        for ending in (".csv", ".npz"):
            result = run("labels.csv", "--model", "m.safetensors", "--features", name + ending, *options)
            assert result.exit_code == 0, result.output
            assert result.stdout == ""
        rows = list(csv.reader(io.StringIO(Path(f"{name}.csv").read_text(), newline="")))
        cells = [
            f"{layer}:{cell}" for layer in range(model.config.layers) for cell in range(model.config.hidden)
        ]
        assert rows[0] == ["line", *(["label"] if options else []), *cells]
        values = [[float(value) for value in row[len(rows[0]) - len(cells) :]] for row in rows[1:]]
        np.testing.assert_allclose(values, expected, rtol=1e-6)
        with np.load(f"{name}.npz") as arrays:
            assert set(arrays) == {"states", "lines", *(["labels"] if options else [])}
            np.testing.assert_array_equal(arrays["states"], expected)
            assert arrays["lines"].tolist() == list(range(2, 62))
            if options:
                assert arrays["labels"].tolist() == [row[1] for row in rows[1:]] == labels
    assert not list(Path().glob("*.probe.safetensors"))
    assert "--features is a.txt" in str(run("labels.csv", "--features", "a.txt").exception)


def test_where_the_model_of_a_probe_is_looked_for(model: Model) -> None:
    digest = read_metadata("m.safetensors")["sha256"]
    Probe(("a", "b"), np.zeros((2, H)), np.zeros(2), digest, "/elsewhere/m.safetensors").save("p.safetensors")
    given = ("--predict", "-", "--probe", "p.safetensors")
    assert run(*given, stdin="x\n").stdout.splitlines()[1] == "x,a,0.500000,0.500000"
    Path("m.safetensors").rename("other.safetensors")
    missing = run(*given, stdin="x\n").exception
    assert isinstance(missing, ModelError)
    assert "--model" in str(missing)
    assert run(*given, "--model", "other.safetensors", stdin="x\n").exit_code == 0
    random_model(SYMBOLS, cell="rnn", layers=1).save("m.safetensors")
    another = run(*given, stdin="x\n").exception
    assert isinstance(another, ModelError)
    assert "was not fitted on m.safetensors" in str(another)
    assert isinstance(run("--predict", "-", "--probe", "m.safetensors", stdin="x\n").exception, ModelError)


@pytest.mark.parametrize(
    ("content", "args", "error", "message"),
    [
        ("", [], DataError, "no rows"),
        ("text,label\n", [], DataError, "a header but no rows"),
        ("ax,A\n" * 9, [], DataError, "all are 'A'"),
        ("ax,A\nb,B\n" * 4, [], DataError, "4 texts labelled 'A'"),
        ("ax,A\nb,B\n" * 5, ["--held-out", "0.99"], DataError, "--held-out"),
        ("ax,A\nb,B\n" * 5, ["--held-out", "0"], DataError, "--held-out"),
        ("ax,A\nb,B\n,B\n", [], DataError, "line 3: the text is empty"),
        ("ax,A\nb,\n", [], DataError, "line 2: the label is empty"),
        ("ax,A\nb,B,C\n", [], DataError, "line 2: 3 columns"),
        ("ax\n", [], DataError, "line 1: 1 columns, where 2"),
        ('ax,"A\n', [], DataError, "not CSV"),
        ("ax,A\nZ,B\n", [], DataError, "line 2: .*'Z'"),
        ("Z,A\n", ["--unknown", "skip"], DataError, "line 1: the model knows none of this text's characters"),
        ("a,b\nax,A\n", ["--label-column", "mood"], UsageError, "no column 'text' or no column 'mood'"),
        (b"ax,A\n\xff,B\n", [], DataError, "line 2: not UTF-8"),
    ],
    ids=str,
)
def test_errors(
    model: Model, content: str | bytes, args: list[str], error: type[CharRNNError], message: str
) -> None:
    Path("bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run("bad.csv", "--model", "m.safetensors", *args)
    assert isinstance(result.exception, error), result.exception
    with pytest.raises(error, match=message):
        raise result.exception
    assert not Path("bad.probe.safetensors").exists()


def test_wrong_usage(model: Model) -> None:
    for args in (
        [],
        ["labels.csv", "--predict", "new.csv"],
        ["--predict", "new.csv"],
        ["labels.csv", "--probe", "p"],
        ["labels.csv", "--model", "m.safetensors", "--out", "m.safetensors"],
    ):
        assert isinstance(run(*args).exception, UsageError), args
    assert isinstance(run("nowhere.csv", "--model", "m.safetensors").exception, DataError)


def test_without_scikit_learn(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    missing = run("labels.csv", "--model", "m.safetensors").exception
    assert isinstance(missing, UsageError)
    assert how_to_install("probe") in str(missing)
