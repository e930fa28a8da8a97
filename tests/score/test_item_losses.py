"""Items of mixed lengths are scored side by side as each would be alone."""

from typing import Any

import numpy as np
import pytest
from helpers.random_models import random_network

from charrnn.config import ModelConfig
from charrnn.nn.gradcheck import relative_error
from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network
from charrnn.score import items as scoring
from charrnn.text.items import Items

VOCAB = 9
GRU = ModelConfig("gru", 2, 6)


def made(lengths: np.ndarray) -> Items:
    rng = np.random.default_rng(2)
    stops = np.cumsum(lengths)
    return Items(rng.integers(0, VOCAB, stops[-1]), stops - lengths, stops, rng.integers(1, 3, len(lengths)))


def alone(network: Network, items: Items, n: int) -> float:
    ids = items.ids[items.starts[n] : items.stops[n]].astype(np.intp)
    logits, _, _ = network.forward(ids[:-1, None], network.zero_state(1))
    return float(cross_entropy(logits, ids[1:, None])[items.conditions[n] - 1 :].sum())


@pytest.mark.parametrize("places", [scoring.PLACES, 40])
def test_an_item_beside_others_has_the_loss_it_has_alone(
    places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is read in several passes, and where a block is not full."""
    monkeypatch.setattr(scoring, "PLACES", places)
    monkeypatch.setattr(scoring, "STEPS", 7)
    network, items = random_network(GRU, VOCAB, seed=3), made(np.random.default_rng(1).integers(3, 30, 45))
    expected = np.array([alone(network, items, n) for n in range(len(items))])
    assert relative_error(scoring.losses([network], items), expected) < 1e-12
    assert scoring.mean_loss(network, items) == pytest.approx(expected.sum() / items.symbols, rel=1e-12)


def test_few_numbers_of_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lengths there are: the compiled network has kernels for each."""
    network, items = random_network(GRU, VOCAB, seed=3), made(np.arange(3, 300))
    monkeypatch.setattr(scoring, "PLACES", 2**11)
    seen, read = set(), network.read

    def noted(x: np.ndarray, state: np.ndarray) -> Any:
        seen.add(x.shape[1])
        return read(x, state)

    monkeypatch.setattr(network, "read", noted)
    scoring.losses([network], items)
    assert seen <= {2**k for k in range(9)}
    assert max(seen) > 8


def test_one_long_item_makes_no_others_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """All items of a block are read as far as the longest: those that are much longer have blocks of their own."""
    lengths = np.array([5] * 60 + [2000])
    network, items = random_network(GRU, VOCAB, seed=3), made(lengths)
    expected = np.array([alone(network, items, n) for n in range(len(items))])
    read, symbols = network.read, []

    def noted(x: np.ndarray, state: np.ndarray) -> Any:
        symbols.append(x.size)
        return read(x, state)

    monkeypatch.setattr(network, "read", noted)
    assert relative_error(scoring.losses([network], items), expected) < 1e-12
    assert sum(symbols) < 2 * lengths.sum()
