"""Weights rounded to bfloat16: what is rounded and how, what it costs, and that kernels draw the same texts with it."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.nn.loss import log_softmax
from charrnn.sampling import compiled, half
from charrnn.sampling.half import cost_nats, rounded, to_bfloat16
from charrnn.sampling.sampler import Sampler, SamplingConfig

SYMBOLS = "\n abcdé"
HALF = SamplingConfig(length=60, seed=3, temperature=1.0, weights="half")


def test_numbers_are_rounded_to_the_nearest_of_eight_bits() -> None:
    rng = np.random.default_rng(1)
    values = (rng.choice([-1, 1], 5000) * np.exp2(rng.uniform(-40, 40, 5000))).astype(np.float32)
    spacing = np.exp2(np.floor(np.log2(np.abs(values.astype(np.float64)))) - 7)
    np.testing.assert_array_equal(to_bfloat16(values), np.round(values / spacing) * spacing)
    ties = np.float32([1 + 1 / 256, 1 + 3 / 256, -1 - 5 / 256, 0.0, 1 - 2**-24])
    np.testing.assert_array_equal(to_bfloat16(ties), [1, 1 + 2 / 128, -1 - 2 / 128, 0, 1])


@pytest.mark.parametrize("embedding", [0, 4])
def test_only_the_large_matrices_are_rounded(embedding: int) -> None:
    model = random_model(SYMBOLS, cell="gru", embedding=embedding, dtype=np.float32)
    changed = {
        name
        for name, tensor in rounded(model).network.params.items()
        if (tensor != model.network.params[name]).any()
    }
    assert changed == {"gru.weight_hh_l0", "gru.weight_ih_l1", "gru.weight_hh_l1", "head.weight"}
    for name in changed:
        np.testing.assert_array_equal(
            rounded(model).network.params[name], to_bfloat16(model.network.params[name])
        )


def test_the_loss_is_that_of_the_rounded_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one symbol after the first, for which both distributions are known; without rounding nothing is lost."""
    model = random_model(SYMBOLS, scale=1.0)
    sampler = Sampler(model, HALF)
    monkeypatch.setattr(half, "LENGTH", 1)
    ids = np.zeros((1, 1), np.int64)  # a newline
    log_p, log_q = (log_softmax(one.logits(ids)[0][0, 0]) for one in (model, rounded(model)))
    lost = float((np.exp(log_p) * (log_p - log_q)).sum())
    assert lost > 1e-8
    assert cost_nats(sampler) == pytest.approx(lost, rel=1e-6)
    monkeypatch.setattr(half, "LENGTH", 64)
    assert cost_nats(sampler) > 1e-8
    assert cost_nats(Sampler(rounded(model), HALF)) == 0
    items = item_model("abc\n", (("origin", ("Irish", "Welsh")),), scale=0.5)
    assert 0 < cost_nats(Sampler(items, HALF)) < 0.1


@pytest.mark.skipif(not importlib.util.find_spec("llvmlite"), reason="llvmlite is not installed")
@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize(("cell", "hidden"), [("lstm", 19), ("gru", 5), ("rnn", 24)])
def test_kernels_with_half_weights_draw_what_kernels_with_rounded_weights_draw(
    cell: str, hidden: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, for numbers of columns that are odd in vectors too. The plain sampler has the rounded ones."""
    monkeypatch.setattr(compiled, "WORTH", 0)
    model = random_model(SYMBOLS, scale=0.4, cell=cell, hidden=hidden, dtype=np.float32)
    config = replace(HALF, count=count)
    with_half = Sampler(model, config).draw()
    full = Sampler(rounded(model), replace(config, weights="full")).draw()
    assert with_half == full
    assert with_half != Sampler(model, replace(config, weights="full")).draw()
    monkeypatch.setattr(compiled, "WORTH", np.inf)
    plain = Sampler(model, config).draw()
    same = [one.text == other.text for one, other in zip(plain, with_half, strict=True)]
    assert sum(same) >= count - 1  # one may have met a tie
