"""Scoring side by side against one plain pass."""

import math

import numpy as np
import pytest
from helpers.random_models import random_network

from charrnn.config import ModelConfig
from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network
from charrnn.score import scoring

V = 5


def network_of(scale: float, cell: str = "gru", seed: int = 1) -> Network:
    return random_network(ModelConfig(cell=cell, layers=2, hidden=6), V, scale=scale, seed=seed)


def plain(network: Network, ids: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
    state = network.zero_state(1) if state is None else state
    logits, _, _ = network.forward(ids[:-1, None], state)
    return cross_entropy(logits, ids[1:, None])[:, 0]


def text(length: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, length)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments and windows so small that short texts have many."""
    monkeypatch.setattr(scoring, "SHORTEST_SEGMENT", 32)
    monkeypatch.setattr(scoring, "LOOK", 4)
    monkeypatch.setattr(scoring, "WINDOW", 700)
    monkeypatch.setattr(scoring, "TOLERANCE", dict.fromkeys(scoring.TOLERANCE, 1e-12))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("length", [0, 1, 2, 31, 33, 500, 701, 702, 1999])
@pytest.mark.parametrize("scale", [0.3, 3.0])  # a model that forgets soon, and one that hardly does
def test_segments_agree_with_one_pass(length: int, scale: float) -> None:
    network, ids = network_of(scale), text(length)
    state = np.random.default_rng(3).normal(0, 1, network.zero_state(1).shape)
    if length < 2:
        assert scoring.total_loss(network, ids) == 0
        assert math.isnan(scoring.mean_loss(network, ids))
        return
    for start in (None, state):
        expected = plain(network, ids, start)
        found = np.concatenate([*scoring.network_losses(network, ids, start)], axis=1)[0]
        np.testing.assert_allclose(found, expected, atol=1e-9)
        off = 2 * scoring.NEGLIGIBLE * length  # over all windows; what is expected is not what comes
        assert scoring.total_loss(network, ids, start) == pytest.approx(expected.sum(), abs=off)
    assert scoring.mean_loss(network, ids) == pytest.approx(plain(network, ids).mean(), abs=1e-6)


class Counting(Network):
    """Counts the symbols read, and the steps in time they took."""

    symbols = steps = 0

    def forward(self, x, *args, **settings):  # type: ignore[no-untyped-def]
        self.symbols += x.size
        self.steps += len(x)
        return super().forward(x, *args, **settings)


def integrator() -> Counting:
    """A ReLU cell that adds up a symbol for ever: no guess of its state is ever right."""
    network = Counting(ModelConfig(cell="rnn", layers=1, hidden=1, nonlinearity="relu"), V, np.float64)
    network.params["rnn.weight_ih_l0"][0, 0] = 1e-3
    network.params["rnn.weight_hh_l0"][...] = 1
    network.params["head.weight"][:, 0] = np.linspace(-1, 1, V)
    return network


@pytest.mark.usefixtures("small")
def test_a_model_that_never_forgets_costs_two_passes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "WINDOW", 10**6)
    network, ids = integrator(), text(6400)
    found = np.concatenate([*scoring.network_losses(network, ids)], axis=1)[0]
    # A pass side by side takes 1/64 of the steps of a plain one.
    assert network.steps < 1.1 * len(ids)
    assert network.symbols < (1 + scoring.PASSES + 1) * len(ids)
    np.testing.assert_allclose(found, plain(network, ids), atol=1e-9)


@pytest.mark.usefixtures("small")
def test_a_model_that_forgets_takes_one_pass_side_by_side() -> None:
    network = Counting(ModelConfig(cell="rnn", layers=1, hidden=3), V, np.float64)
    network.theta[...] = np.random.default_rng(1).normal(0, 0.05, network.theta.size)
    scoring.total_loss(network, text(700))
    assert network.symbols < 2 * 700


@pytest.mark.usefixtures("small")
def test_several_models_average_probabilities() -> None:
    networks, ids = [network_of(0.5, seed=1), network_of(0.8, "lstm", 2)], text(1500)
    p = np.mean([np.exp(-plain(n, ids)) for n in networks], axis=0)
    found = np.concatenate([*scoring.averaged(networks, ids)], axis=1)[0]
    np.testing.assert_allclose(found, -np.log(p), atol=1e-9)


def test_memory_mapped_small_integers(tmp_path) -> None:  # type: ignore[no-untyped-def]
    network, ids = network_of(0.5), text(3000)
    path = tmp_path / "ids"
    ids.astype(np.uint8).tofile(path)
    mapped = np.memmap(path, np.uint8, mode="r")
    assert scoring.total_loss(network, mapped) == pytest.approx(plain(network, ids).sum(), rel=1e-6)
