"""What rounded weights cost: on the validation text while it is there, otherwise on texts by the model."""

from pathlib import Path

import pytest
from helpers.random_models import random_model
from helpers.small_runs import run, write_text

from charrnn.model.model import load_model
from charrnn.sampling.half import cost_nats, rounded
from charrnn.sampling.sampler import Sampler, SamplingConfig
from charrnn.score import half_weights
from charrnn.score.evaluation import splits_of
from charrnn.score.half_weights import rounding_cost
from charrnn.score.scoring import mean_loss

HALF = SamplingConfig(weights="half")
OWN = "16 texts of 64 characters that the model wrote itself"


@pytest.mark.parametrize("items", [None, "line"])
def test_it_is_measured_on_the_validation_text(
    items: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_text(tmp_path / "text", 900)
    run(text, tmp_path / "run", max_steps=5, items=items)
    model = load_model(tmp_path / "run" / "model.safetensors")
    parts, _ = splits_of(model)
    assert parts
    validation = parts["validation"]
    cost, where = rounding_cost(Sampler(model, HALF))
    assert cost == mean_loss(rounded(model).network, validation) - mean_loss(model.network, validation) != 0
    symbols = len(validation) if items is None else validation.symbols
    assert where == f"{symbols:,} characters of the validation text"
    monkeypatch.setattr(half_weights, "MEASURED", 50)
    shorter = rounding_cost(Sampler(model, HALF))
    assert shorter[0] != cost
    assert int(shorter[1].split()[0]) <= 50 + 25 * (items is not None)  # whole items
    text.unlink()
    sampler = Sampler(model, HALF)
    assert rounding_cost(sampler) == (cost_nats(sampler), OWN)


def test_of_several_models_on_their_own_texts() -> None:
    sampler = Sampler([random_model("abc\n", seed=1), random_model("abc\n", seed=2)], HALF)
    assert rounding_cost(sampler) == (cost_nats(sampler), OWN)
