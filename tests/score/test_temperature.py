"""The fitted temperature: that it minimises the loss, where it is kept, and what it depends on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.random_models import random_network
from helpers.small_runs import SETTINGS, run, write_text
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.model.model import Model, load_model
from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network
from charrnn.score import temperature
from charrnn.score.evaluation import evaluate, splits_of, surprises_at
from charrnn.score.scoring import mean_loss
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.session import train

pytestmark = pytest.mark.usefixtures("short_samples")


def drawn(scale: float, n: int = 4000, V: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, V), and targets that were drawn from softmax(logits / scale): the temperature to be found."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 2, (n, V))
    p = np.exp(logits / scale)
    p /= p.sum(axis=1, keepdims=True)
    return logits, (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


def fit(logits: np.ndarray, targets: np.ndarray) -> float:
    """In blocks of different shapes."""
    found, cut = temperature.Fit(), len(logits) // 3 * 2
    found.add(logits[:cut].reshape(-1, 2, logits.shape[1]), targets[:cut].reshape(-1, 2))
    found.add(logits[cut:], targets[cut:])
    return found.temperature


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("scale", [0.55, 0.8, 1.0, 1.05, 1.3, 1.9])
def test_it_minimises_the_loss(scale: float, dtype: str) -> None:
    logits, targets = drawn(scale)
    found = fit(logits.astype(dtype), targets)
    near = [cross_entropy(logits / T, targets).mean() for T in (found / 1.001, found, 1.001 * found)]
    assert near[1] < min(near[0], near[2])  # the loss has one minimum
    assert found == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize(("scale", "expected"), [(0.2, 0.5), (5.0, 2.0)])
def test_it_stays_within_its_limits(scale: float, expected: float) -> None:
    assert fit(*drawn(scale)) == expected


def test_where_no_temperature_changes_the_loss_it_is_one() -> None:
    """In a text of one letter."""
    assert fit(np.full((6, 1), 3.0), np.zeros(6, int)) == 1


def test_a_symbol_that_is_never_written_changes_nothing() -> None:
    logits, targets = drawn(1.3)
    more = np.concatenate([logits, np.full((len(logits), 1), -1e30)], axis=1)
    assert fit(more.astype("f4"), targets) == fit(logits.astype("f4"), targets)


def network_of(scale: float) -> Network:
    return random_network(ModelConfig(cell="gru", layers=2, hidden=6), 5, scale=scale)


@pytest.mark.parametrize("length", [2, 40, 3000])
def test_a_text_is_read_as_in_one_pass(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temperature, "SHORTEST_SEGMENT", 500)
    network, ids = network_of(0.5), np.random.default_rng(2).integers(0, 5, length)
    logits = network.forward(ids[:-1, None], network.zero_state(1))[0][:, 0]
    assert temperature.fitted(network, ids) == pytest.approx(fit(logits, ids[1:]), rel=1e-4)
    assert temperature.fitted(network, ids[:1]) is None


def test_losses_at_a_temperature_are_those_of_divided_logits() -> None:
    """At several in one pass, the first as without the others."""
    network, (ids, targets) = network_of(0.5), np.random.default_rng(2).integers(0, 5, (2, 30, 2))
    state = network.zero_state(2)
    logits = network.forward(ids, state)[0].copy()
    found, after = network.losses(ids, targets, state, (1.0, 1.25, 0.7))
    for nats, T in zip(found, (1.0, 1.25, 0.7), strict=True):
        p = np.exp(logits / T) / np.exp(logits / T).sum(axis=-1, keepdims=True)
        expected = -np.log(np.take_along_axis(p, targets[..., None], axis=-1)[..., 0])
        np.testing.assert_allclose(nats, expected, rtol=1e-12)
    (alone,), same = network.losses(ids, targets, state)
    np.testing.assert_array_equal(alone, found[0])
    np.testing.assert_array_equal(same, after)


def mean_loss_at(model: Model, T: float, text: Any) -> float:
    windows = surprises_at([model], text, (T,))
    return float(np.concatenate([*windows], axis=1, dtype=np.float64).mean())


@pytest.mark.parametrize(
    "claim", [None, "1.1", True, 1, float("nan"), float("inf"), 0.0, -1.0, 0.49, 2.01, [1.1]]
)
def test_a_card_that_claims_something_else_has_none(claim: Any) -> None:
    assert temperature.of_card({"temperature": claim}) is None
    assert temperature.of_card({}) is None
    assert temperature.of_card({"temperature": 1.1}) == 1.1


def trained(folder: Path, corpus: Path, **settings: Any) -> Model:
    """Overfitted by much, so that its temperature is above 1."""
    settings = {
        "dropout": 0.0,
        "hidden": 24,
        "optimizer": "adam",
        "lr": 0.02,
        "max_steps": 60,
        "val_fraction": 0.3,
        **settings,
    }
    run(corpus, folder, **settings)
    return load_model(folder / "model.safetensors")


def test_the_kept_model_has_the_temperature_that_fits_the_validation_text(
    corpus: Path, tmp_path: Path
) -> None:
    model = trained(tmp_path / "run", corpus)
    parts, _ = splits_of(model)
    assert parts is not None
    T = model.training["temperature"]
    losses = [mean_loss_at(model, t, parts["validation"]) for t in (0.98 * T, T, 1.02 * T)]
    assert losses[1] < min(losses[0], losses[2])
    assert losses[1] < model.training["val_loss_nats"]
    assert abs(T - 1) > 0.02


def test_no_reported_text_has_an_influence_on_it(tmp_path: Path) -> None:
    """Another test text, and another text given to eval, change no number in the card's fit, to the bit."""
    text = write_text(tmp_path / "text.txt").read_text()
    temperatures, losses = [], []
    for name, tail in (("a", text[-100:]), ("b", text[-100:][::-1])):
        corpus = tmp_path / f"{name}.txt"
        corpus.write_text(text[:-100] + tail)
        model = trained(tmp_path / name, corpus, val_fraction=0.2, test_fraction=100 / len(text))
        parts, _ = splits_of(model)
        assert parts is not None
        assert model.vocab.decode(parts["test"])[-90:] == tail[-90:]
        temperatures.append(model.training["temperature"])
        losses.append(evaluate(model, parts["test"]).tempered_loss_nats)
    assert temperatures[0] == temperatures[1]
    assert losses[0] != losses[1]


def test_eval_tells_the_loss_at_the_fitted_temperature_beside_the_plain_one(
    corpus: Path, tmp_path: Path
) -> None:
    model = trained(tmp_path / "run", corpus)
    T = model.training["temperature"]
    command = ["eval", str(corpus), "--model", str(tmp_path / "run"), "--no-baselines"]
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    ids = model.vocab.encode(corpus.read_text())
    assert found["loss_nats"] == pytest.approx(mean_loss(model.network, ids), abs=1e-6)
    at_it = found["fitted_temperature"]
    assert at_it["temperature"] == T
    assert at_it["loss_nats"] == pytest.approx(mean_loss_at(model, T, ids), abs=1e-6)
    assert at_it["bits_per_char"] == pytest.approx(at_it["loss_nats"] / np.log(2))
    shown = CliRunner().invoke(app, command).stdout
    assert f"model T={T:.2f}" in shown
    assert f"T={T:.2f}: at the temperature that was fitted on the validation text" in shown
    assert f"{found['loss_nats']:.4f}" in shown
    assert (
        f"{T:.3f} fits the validation text best"
        in CliRunner().invoke(app, ["info", "--model", str(tmp_path / "run")]).stdout
    )


def test_a_text_is_read_once_for_both_losses() -> None:
    network, ids = network_of(0.5), np.random.default_rng(2).integers(0, 5, 3000)
    vocab = Vocabulary("char", tuple("abcde"))
    read: list[int] = []
    plain = evaluate(Model.of_network(network, vocab, {}), ids)
    both = evaluate(Model.of_network(network, vocab, {"temperature": 1.4}), ids, progress=read.append)
    assert sum(read) == 2999
    assert both.loss_nats == plain.loss_nats
    assert both.tempered_loss_nats is not None
    assert both.tempered_loss_nats < both.loss_nats


def test_a_file_without_one_is_scored_as_before(corpus: Path, tmp_path: Path) -> None:
    model = trained(tmp_path / "run", corpus, val_fraction=0.0)
    assert "temperature" not in model.training
    command = ["eval", str(corpus), "--model", str(tmp_path / "run"), "--no-baselines", "--json"]
    assert "fitted_temperature" not in json.loads(CliRunner().invoke(app, command).stdout)
    refused = CliRunner().invoke(app, ["sample", "--model", str(tmp_path / "run"), "--temp", "fitted"])
    assert isinstance(refused.exception, UsageError)
    assert "the model has no fitted temperature" in str(refused.exception)


def test_sample_uses_it_when_asked(corpus: Path, tmp_path: Path) -> None:
    T = trained(tmp_path / "run", corpus).training["temperature"]

    def text(*temp: str) -> Any:
        command = [
            "sample",
            "--model",
            str(tmp_path / "run"),
            "--seed",
            "3",
            "--length",
            "60",
            "--json",
            *temp,
        ]
        return json.loads(CliRunner().invoke(app, command).stdout)["samples"][0]

    assert text("--temp", "fitted") == text("--temp", repr(T))
    assert text() == text("--temp", "0.8") != text("--temp", "fitted")  # the default is what it was


def test_a_resume_that_finds_a_better_model_fits_it_anew(corpus: Path, tmp_path: Path) -> None:
    settings = {"max_steps": 15, "lr": 0.005}
    first = trained(tmp_path / "halves", corpus, **settings).training
    train(out=tmp_path / "halves", resume=True, max_steps=45)
    second = load_model(tmp_path / "halves/model.safetensors").training
    whole = trained(tmp_path / "whole", corpus, **{**settings, "max_steps": 45}).training
    assert second["step"] > first["step"]
    assert second["temperature"] == whole["temperature"] != first["temperature"]


def test_of_items_only_what_is_predicted_counts(tmp_path: Path) -> None:
    corpus = tmp_path / "places.csv"
    rows = [f"{a}{b}a,{'north' if a in 'KT' else 'south'}\n" for a in "KTML" for b in "aeiou" * 4]
    corpus.write_text("name,region\n" + "".join(rows))
    columns = {"text_column": "name", "label_column": "region", "out": tmp_path / "run", "val_fraction": 0.4}
    train(corpus, **{**SETTINGS, "max_steps": 40, "optimizer": "adam", "lr": 0.02, **columns})
    model = load_model(tmp_path / "run/model.safetensors")
    parts, _ = splits_of(model)
    assert parts is not None
    held_out = parts["validation"]
    logits, targets = [], []
    for n in range(len(held_out)):
        symbols, condition = held_out.of(n), int(held_out.conditions[n])
        logits.append(model.logits(symbols[:-1, None])[0][condition - 1 :, 0])
        targets.append(symbols[condition:])
    expected = fit(np.concatenate(logits), np.concatenate(targets))
    assert model.training["temperature"] == pytest.approx(expected, rel=1e-4)
    found = evaluate(model, held_out)
    assert found.tempered_loss_nats is not None
    assert found.tempered_loss_nats <= found.loss_nats + 1e-6


def test_broken_outputs_have_none() -> None:
    network = network_of(1.0)
    network.theta[...] = np.nan
    with np.errstate(invalid="ignore"):
        assert temperature.fitted(network, np.arange(500) % 5) is None
