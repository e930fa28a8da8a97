"""The measurement of parts: each half of a text is scored with what was fitted on the other half."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model

from charrnn.model.model import Model

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import two_fold

sys.path.pop(0)
A, B, HALF = 0, 1, 200


def coin(bias: float) -> Model:
    """A model for which "a" has the probability σ(bias) everywhere."""
    model = random_model("ab", layers=1, hidden=2, scale=0.0)
    model.weights["head.bias"][A] = bias
    return Model(model.config, model.vocab, model.weights, None)


def test_a_half_has_the_temperature_that_fits_the_other() -> None:
    text = np.array([A] * (HALF + 1) + [A, B] * (HALF // 2))
    found = two_fold.two_fold([coin(1.0)], np.array([A, B] * 300), text)
    of_a, of_b = (lambda T: np.log1p(np.exp(-1 / T))), (lambda T: np.log1p(np.exp(1 / T)))
    expected = [of_a(1.3)] * HALF + [of_a(0.9), of_b(0.9)] * (HALF // 2)
    np.testing.assert_allclose(found[two_fold.TEMPERATURE], expected, rtol=1e-6)
    np.testing.assert_allclose(found["alone"], [of_a(1)] * HALF + [of_a(1), of_b(1)] * (HALF // 2), rtol=1e-6)


@pytest.mark.parametrize("part", [two_fold.TEMPERATURE, "+ counts", "+ adaptive"])
def test_a_changed_end_changes_nothing_before_it_in_its_half(part: str) -> None:
    rng = np.random.default_rng(1)
    training, text = (np.repeat(rng.integers(0, 2, n), 3) for n in (300, 140))
    changed = text.copy()
    changed[-20:] = 1 - text[-20:]
    before, after = (two_fold.two_fold([coin(0.5)], training, read)[part] for read in (text, changed))
    half = len(before) // 2
    assert np.array_equal(before[half:-20], after[half:-20])
    assert (before[-20:] != after[-20:]).all()
    assert part == two_fold.TEMPERATURE or (before[:half] != after[:half]).any()


@pytest.mark.parametrize("ensemble", [False, True])
def test_counts_gain_where_a_text_repeats(
    ensemble: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    training, text = ("".join(rng.choice(["aab", "abb"], words)) for words in (400, 200))
    monkeypatch.setattr(two_fold, "texts_of", lambda model: tuple(map(model.vocab.encode, (training, text))))
    models = [tmp_path / f"{k}.safetensors" for k in (0, 1)]
    for path, bias in zip(models, (0.2, 1.0), strict=True):
        coin(bias).save(path)
    monkeypatch.setattr(sys, "argv", ["two_fold.py", *map(str, models), *["--ensemble"] * ensemble])
    two_fold.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    p = 1 / (1 + np.exp([-0.2, -1.0]))
    p = np.array([p.mean()]) if ensemble else p
    share = text[1:].count("a") / len(text[1:])
    alone = -share * np.log(p) - (1 - share) * np.log(1 - p)
    assert found["mean"]["alone"] == pytest.approx(alone.mean(), abs=1e-6)
    assert found["spread"]["alone"] == pytest.approx(np.ptp(alone), abs=1e-6)
    assert found["mean"]["+ counts"] == pytest.approx(np.log(2) / 3, abs=0.03)  # a bit for each word of three
