"""The probe on texts whose truth is known, against brute force and scikit-learn itself."""

from pathlib import Path

import numpy as np
import pytest
from helpers.latch import LATCH, SYMBOLS, encoded, latch_model, latch_texts
from helpers.random_models import random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import DataError, ModelError
from charrnn.model.model_file import read_metadata
from charrnn.probe.probe import (
    PERMUTATIONS,
    Probe,
    Share,
    best_cell,
    best_stump,
    features,
    fit,
    fit_linear,
    load_probe,
    model_of,
)
from charrnn.text.vocabulary import ItemSymbols, Vocabulary
from charrnn.ui.terminal.probe_view import report

pytest.importorskip("sklearn")


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


@pytest.mark.parametrize(
    ("items", "before", "after"),
    [
        (ItemSymbols(), ["end"], []),
        (ItemSymbols(labels=(("x", ("p", "q", "r")), ("y", ("s", "t")))), ["label x=q", "label y=s"], []),
        (ItemSymbols(pairs=True), [], ["boundary"]),
        (ItemSymbols(True, (("x", ("p", "q")),)), ["label x=q"], ["boundary"]),
    ],
)
def test_a_model_of_items_reads_a_text_as_it_was_trained(
    items: ItemSymbols, before: list[str], after: list[str]
) -> None:
    """From the zero state, after what an item begins with: the commonest labels; a text is the input of a pair."""
    vocab = Vocabulary("char", tuple("ab"), items)
    card = {"corpus": {"label_counts": {"x": {"p": 3, "q": 5, "r": 1}, "y": "damaged"}}}
    model = random_model(vocab, card, cell="gru")
    names = [vocab.name(k) for k in range(len(vocab))]
    texts = ["a", "bab", "ab" * 15, "ab" * 16, "abb" * 30]
    found = features(model, encoded(model, texts))
    for text, signals in zip(texts, found, strict=True):
        ids = [names.index(name) for name in [*before, *text, *after]]
        _, _, trace = model.network.forward(np.array(ids)[:, None], model.network.zero_state(1))
        expected = np.concatenate([layer["h"][-1, 0] for layer in trace.layers])
        np.testing.assert_allclose(signals, expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=12))
def test_the_threshold_is_the_best_there_is(pairs: list[tuple[int, int]]) -> None:
    signal, y = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    right, threshold, below, above = best_stump(signal, y, 3)
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
    latch_model().save(tmp_path / "m.safetensors")
    digest = read_metadata(tmp_path / "m.safetensors")["sha256"]
    Probe(("a", "b"), weight, np.zeros(2), digest, "m.safetensors").save(tmp_path / "narrow")
    with pytest.raises(ModelError, match=r"narrow has weights for 3 cells; .*m\.safetensors has 8"):
        model_of(load_probe(tmp_path / "narrow"), tmp_path / "narrow")
