"""The probe on texts whose truth is known, against brute force and scikit-learn itself; the command."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.install.extras import how_to_install
from charrnn.model.model import Model
from charrnn.model.model_file import read_metadata
from charrnn.probe.probe import (
    PERMUTATIONS,
    Probe,
    Share,
    best_cell,
    best_threshold,
    features,
    fit,
    fit_linear,
    load_probe,
)
from charrnn.ui.terminal.probe_view import report

pytest.importorskip("sklearn")

SYMBOLS = "\n abcdexy"
H, LATCH = 8, 5


def latch_model() -> Model:
    """Cell 5 is high after an x and low after a y, however long ago; all else forgets within a few symbols."""
    weights = random_model(SYMBOLS, cell="rnn", layers=1).weights
    weights["rnn.weight_hh_l0"][...] *= 0.3
    weights["rnn.weight_hh_l0"][LATCH] = weights["rnn.weight_hh_l0"][:, LATCH] = 0
    weights["rnn.weight_hh_l0"][LATCH, LATCH] = 2
    weights["rnn.weight_ih_l0"][LATCH] = 0
    weights["rnn.weight_ih_l0"][LATCH, [SYMBOLS.index("x"), SYMBOLS.index("y")]] = 6, -6
    weights["rnn.bias_ih_l0"][LATCH] = weights["rnn.bias_hh_l0"][LATCH] = 0
    return Model(ModelConfig(cell="rnn", layers=1, hidden=H), SYMBOLS, weights)


def latch_texts(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """x and y once each among other letters, both far from the end; the label is which came last."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        letters = rng.choice(list("abcde "), rng.integers(35, 70))
        first, second = np.sort(rng.choice(20, 2, replace=False))
        last = rng.choice(["x", "y"])
        letters[first], letters[second] = "y" if last == "x" else "x", last
        texts.append("".join(letters))
        labels.append(f"ends {last}")
    return texts, labels


def encoded(model: Model, texts: list[str]) -> list[np.ndarray]:
    return [model.vocab.encode(text) for text in texts]


@pytest.mark.parametrize(("cell", "layers"), [("lstm", 2), ("gru", 1), ("rnn", 1)])
def test_side_by_side_is_one_by_one(cell: str, layers: int) -> None:
    model = random_model(SYMBOLS, cell=cell, layers=layers)
    rng = np.random.default_rng(2)
    lengths = [1, 2, 30, 31, 32, 33, 62, 63, 64, 65, 200, *rng.integers(1, 90, 70)]
    texts = ["".join(rng.choice(list(SYMBOLS), length)) for length in lengths]
    found = features(model, encoded(model, texts))
    for text, signals in zip(texts, found, strict=True):
        states = model.activations("\n" + text)
        last = states["c" if cell == "lstm" else "h"][-1]
        np.testing.assert_allclose(signals, last.ravel(), rtol=1e-6, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=12))
def test_the_threshold_is_the_best_there_is(pairs: list[tuple[int, int]]) -> None:
    signal, y = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    right, threshold, below, above = best_threshold(signal, y, 3)
    assert ((np.where(signal > threshold, above, below)) == y).sum() == right
    for t in np.arange(-4, 4):
        sides = [y[signal <= t + 0.5], y[signal > t + 0.5]]
        assert sum(int(np.bincount(side, minlength=3).max()) for side in sides) <= right


def test_wilsons_interval() -> None:
    assert Share(8, 10).interval == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert Share(0, 10).interval == pytest.approx((0, 0.2775328), abs=1e-6)
    assert Share(10, 10).interval == pytest.approx((0.7224672, 1), abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_classifier_is_scikit_learns(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(3)
    y = rng.integers(0, classes, 90)
    x = (rng.normal(0, 1, (90, 6)) * [1, 10, 0.1, 1, 1, 0] + y[:, None] * 0.5).astype(np.float32)
    weight, bias, strength = fit_linear(x, y, seed=1)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=10_000))
    expected = pipeline.fit(x.astype(float), y).predict_proba(x.astype(float))
    labels = tuple(map(str, range(classes)))
    np.testing.assert_allclose(Probe(labels, weight, bias).probabilities(x), expected, atol=1e-4)


def test_a_planted_cell_is_found() -> None:
    model = latch_model()
    texts, labels = latch_texts(160)
    _, found = fit(model, texts, encoded(model, texts), labels, seed=4)
    assert (found.training_texts, found.held_out_texts) == (128, 32)
    assert found.state.right == found.cell.held_out.right == 32
    assert (found.cell.layer, found.cell.cell) == (0, LATCH)
    assert (found.cell.above, found.cell.below) == ("ends x", "ends y")
    assert found.cell.training.right == 128
    assert found.cell.p_value == 1 / (1 + PERMUTATIONS)
    assert found.cell.chance == pytest.approx(0.5, abs=0.07)
    assert found.ngrams.accuracy < 0.8  # which letter came last is nothing that n-grams can count
    assert found.majority.accuracy == pytest.approx(0.5, abs=0.13)


def test_texts_that_were_fitted_on_are_not_measured_on() -> None:
    model = latch_model()
    texts, labels = latch_texts(60)
    once = fit(model, texts, encoded(model, texts), labels, seed=4)[1]
    assert once.repeated_texts == 0
    given = texts * 2, encoded(model, texts * 2), labels * 2
    _, twice = fit(model, *given, seed=4)
    assert twice.held_out_texts + twice.repeated_texts == 24
    assert 0 < twice.held_out_texts < 12  # only where both copies were drawn
    assert f"measured on {twice.held_out_texts} different ones" in " ".join(report(twice))
    few = [text for text in texts[:2] for _ in range(10)]
    with pytest.raises(DataError, match="Give more different texts"):
        fit(model, few, encoded(model, few), ["a"] * 10 + ["b"] * 10)


def test_shuffled_labels_give_nothing() -> None:
    model = latch_model()
    texts, labels = latch_texts(150)
    shuffled = np.random.default_rng(5).permutation(labels).tolist()
    _, found = fit(model, texts, encoded(model, texts), shuffled, seed=1)
    low, high = found.majority.interval
    assert low - 0.05 < found.state.accuracy < high + 0.05
    assert found.cell.p_value > 0.01
    assert low - 0.05 < found.cell.held_out.accuracy < high + 0.05


def test_the_held_out_texts_choose_nothing() -> None:
    """A cell that tells the held-out texts perfectly and the training texts not at all is not the one."""
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, 100)
    x = rng.normal(size=(100, 3))
    training, confirm = np.arange(80), np.arange(80, 100)
    x[confirm, 1] = y[confirm]
    x[training, 2] = y[training] + 0.3 * rng.normal(size=80)
    x[confirm, 2] = 0
    cell = best_cell(x, y, training, confirm, ["a", "b"], 3, seed=1)
    assert cell.cell == 2
    assert cell.held_out.right == (y[confirm] == 0).sum()


# --- the command ---


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
    assert "another model" in str(another)
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
        ("Z,A\n", ["--unknown", "skip"], DataError, "line 1: the model knows none of"),
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


def test_a_forged_probe(tmp_path: Path) -> None:
    good = Probe(("a", "b"), np.zeros((2, 3)), np.zeros(2), "0" * 64, "m.safetensors")
    good.save(tmp_path / "good")
    loaded = load_probe(tmp_path / "good")
    assert (loaded.labels, loaded.model_sha256, loaded.model) == (good.labels, good.model_sha256, good.model)
    weight = np.zeros((2, 3))
    for forged in (
        Probe(("a", "a"), weight, np.zeros(2)),
        Probe(("a",), weight[:1], np.zeros(1)),
        Probe(("a", 7), weight, np.zeros(2)),  # type: ignore[arg-type]
        Probe(("a", "b", "c"), weight, np.zeros(2)),
    ):
        forged.save(tmp_path / "forged")
        with pytest.raises(ModelError):
            load_probe(tmp_path / "forged")
