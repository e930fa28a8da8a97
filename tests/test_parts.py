"""The measurement of parts: each half of a text is scored with what was fitted on the other half."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model

from charrnn.model.model import Model

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import parts

sys.path.pop(0)
A, B, HALF = 0, 1, 200


def coin(bias: float) -> Model:
    """A model for which "a" has the probability σ(bias) everywhere."""
    model = random_model("ab", layers=1, hidden=2, scale=0.0)
    model.weights["head.bias"][A] = bias
    return Model(model.config, model.vocab, model.weights, None)


def test_a_half_has_the_temperature_that_fits_the_other() -> None:
    text = np.array([A] * (HALF + 1) + [A, B] * (HALF // 2))
    found = parts.two_fold([coin(1.0)], np.array([A, B] * 300), text)
    of_a, of_b = (lambda T: np.log1p(np.exp(-1 / T))), (lambda T: np.log1p(np.exp(1 / T)))
    expected = [of_a(1.3)] * HALF + [of_a(0.9), of_b(0.9)] * (HALF // 2)
    np.testing.assert_allclose(found["temperature"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["alone"], [of_a(1)] * HALF + [of_a(1), of_b(1)] * (HALF // 2), rtol=1e-6)


@pytest.mark.parametrize("part", ["temperature", "counts", "adaptive"])
def test_a_changed_end_changes_nothing_before_it_in_its_half(part: str) -> None:
    rng = np.random.default_rng(1)
    training, text = (np.repeat(rng.integers(0, 2, n), 3) for n in (300, 140))
    changed = text.copy()
    changed[-20:] = 1 - text[-20:]
    before, after = (parts.two_fold([coin(0.5)], training, read)[part] for read in (text, changed))
    half = len(before) // 2
    assert np.array_equal(before[half:-20], after[half:-20])
    assert (before[-20:] != after[-20:]).all()
    assert part == "temperature" or (before[:half] != after[:half]).any()


def test_counts_gain_where_a_text_repeats(tmp_path: Path, monkeypatch, capsys) -> None:
    rng = np.random.default_rng(2)
    files = tmp_path / "train.txt", tmp_path / "val.txt"
    for file, words in zip(files, (400, 200), strict=True):
        file.write_text("".join(rng.choice(["aab", "abb"], words)), encoding="utf-8")
    models = [tmp_path / f"{k}.safetensors" for k in (0, 1)]
    for path, bias in zip(models, (0.2, 1.0), strict=True):
        coin(bias).save(path)
    words = ["parts.py", *map(str, models), "--train", str(files[0]), "--val", str(files[1])]
    monkeypatch.setattr(sys, "argv", words)
    parts.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["loss_nats"]
    assert list(found) == ["the first", "all 2"]
    text = files[1].read_text(encoding="utf-8")[1:]
    p = 1 / (1 + np.exp([-0.2, -1.0]))
    share = text.count("a") / len(text)
    for name, of_a in (("the first", p[0]), ("all 2", p.mean())):
        expected = -share * np.log(of_a) - (1 - share) * np.log(1 - of_a)
        assert found[name]["alone"] == pytest.approx(expected, abs=1e-6)
        assert found[name]["counts"] == pytest.approx(np.log(2) / 3, abs=0.03)  # a bit for each word of three
