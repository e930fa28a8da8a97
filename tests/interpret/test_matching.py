"""Cells of two models are paired: assignment against brute force and scipy, permuted models, concepts in both."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from helpers import handmade

from charrnn.config import ModelConfig
from charrnn.errors import DataError
from charrnn.interpret.findings import Inspection, inspect_cells
from charrnn.interpret.matching import assigned, correlations, match
from charrnn.interpret.recording import record
from charrnn.model.model import Model

H = 6
TEXT = handmade.dialogue(20_000, seed=2)


def gained(gain, columns):
    return sum(gain[row, column] for row, column in enumerate(columns) if column >= 0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 5), (5, 3)])
def test_the_assignment_has_the_largest_sum(shape, seed):
    rng = np.random.default_rng(seed)
    gain = rng.integers(0, 4, shape) if seed % 2 else rng.normal(size=shape)  # with ties, and without
    columns = assigned(gain)
    used = columns[columns >= 0]
    assert len(used) == min(shape) == len(set(used.tolist()))
    wide = gain if shape[0] <= shape[1] else gain.T
    best = max(gained(wide, chosen) for chosen in permutations(range(max(shape)), min(shape)))
    assert gained(gain, columns) == pytest.approx(best)


@pytest.mark.parametrize("shape", [(60, 60), (40, 70), (70, 40)])
def test_the_assignment_is_as_good_as_that_of_scipy(shape):
    optimize = pytest.importorskip("scipy.optimize")
    gain = np.abs(np.random.default_rng(1).normal(size=shape)) ** 3
    theirs = gain[optimize.linear_sum_assignment(gain, maximize=True)].sum()
    assert gained(gain, assigned(gain)) == pytest.approx(theirs, rel=1e-12)


def test_correlations_are_those_of_numpy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(3, 20_000)), rng.normal(size=(4, 20_000))
    b[1] = 2 - 3 * a[2]
    a[1] = 5.0
    b[3, 7] = np.inf
    found = correlations(a, b)
    own = np.corrcoef(a[[0, 2]], b[:3])[:2, 2:]
    np.testing.assert_allclose(found[[0, 2], :3], own, atol=1e-10)
    assert found[2, 1] == pytest.approx(-1)
    assert not found[1].any()
    assert not found[:, 3].any()


def weights_of(seed=0):
    weights = handmade.random_weights("rnn", H, seed=seed, scale=0.5)
    handmade.clear(weights, "rnn", 3, H)
    handmade.gate(weights, "rnn", "weight_hh_l0", 0, 3, H)[0, 3] = 3
    handmade.gate(weights, "rnn", "bias_ih_l0", 0, 3, H)[:] = -0.5
    handmade.gate(weights, "rnn", "weight_ih_l0", 0, 3, H)[0, handmade.VOCAB.index("(")] = 10
    handmade.gate(weights, "rnn", "weight_ih_l0", 0, 3, H)[0, handmade.VOCAB.index(")")] = -10
    return weights


def rearranged(weights, order, sign):
    """The same network with its units in another order, and some with the opposite sign."""
    new = dict(weights)
    for name in ("weight_ih_l0", "bias_ih_l0"):
        tensor = weights[f"rnn.{name}"][order]
        new[f"rnn.{name}"] = sign.reshape(-1, *[1] * (tensor.ndim - 1)) * tensor
    new["rnn.weight_hh_l0"] = sign[:, None] * weights["rnn.weight_hh_l0"][np.ix_(order, order)] * sign
    new["head.weight"] = weights["head.weight"][:, order] * sign
    return new


def inspected(weights) -> Inspection:
    model = Model(ModelConfig("rnn", 1, H), handmade.VOCAB, weights)
    return inspect_cells(model, TEXT, ["paren"], causal=False, untrained=False)


@pytest.fixture(scope="module")
def first() -> Inspection:
    return inspected(weights_of(0))


@pytest.fixture(scope="module")
def second() -> Inspection:
    return inspected(weights_of(1))


def test_the_same_network_in_another_order_is_recognised(first):
    order, sign = np.array([4, 2, 5, 0, 3, 1]), np.array([1.0, -1, -1, 1, -1, 1])
    found = match(first, inspected(rearranged(weights_of(), order, sign)))
    assert {(pair.second[1], pair.first[1]) for pair in found.pairs} == set(enumerate(order.tolist()))
    for pair in found.pairs:
        assert pair.r == pytest.approx(sign[pair.second[1]], abs=1e-4)
    assert found.median == pytest.approx(1, abs=1e-4)
    assert found.chance < 0.3
    (paren,) = found.shared
    assert (paren.concept, paren.first.cell, paren.second.cell) == ("paren", 3, 4)
    assert paren.both
    assert paren.paired
    assert paren.r == pytest.approx(-1, abs=1e-4)


def test_networks_that_share_one_cell(first, second):
    """All other units are random: the planted cell is in both, and its pair is the closest."""
    found = match(first, second)
    closest = found.pairs[0]
    assert (closest.first, closest.second) == ((0, 3), (0, 3))
    assert closest.r == pytest.approx(1, abs=1e-3)
    assert [abs(pair.r) for pair in found.pairs] == sorted((abs(p.r) for p in found.pairs), reverse=True)
    assert found.shared[0].both


def test_a_concept_that_one_of_them_lacks(first, second):
    lacking = replace(second, findings=())
    (one,) = match(first, lacking).shared
    assert (one.second, one.both, one.paired) == (None, False, False)
    assert one.to_json()["second"] is None
    assert one.to_json()["r"] is None
    none = replace(second, findings=(replace(second.findings[0], verdict="none"),))
    assert not match(first, none).shared[0].both


def test_they_must_have_read_the_same_text(first):
    other = replace(
        first, recording=record(Model(ModelConfig("rnn", 1, H), handmade.VOCAB, weights_of()), TEXT[1:])
    )
    with pytest.raises(DataError, match="different texts"):
        match(first, other)
