"""Integrated gradients against finite differences, brute force, and their completeness."""

import numpy as np
import pytest
from helpers.chunks import CELLS, make_network

from charrnn.interpret import integrated
from charrnn.interpret.integrated import integrated_gradients

T = 5


def case(cell, nonlinearity, embedding=0, scale=0.7):
    network = make_network(cell, nonlinearity, layers=2, embedding=embedding, scale=scale)
    rng = np.random.default_rng(3)
    x, baseline = rng.standard_normal((2, T, embedding or network.vocab_size))
    state = 0.5 * rng.standard_normal(network.state_shape(network.config, 1))
    weights = rng.standard_normal((2, network.config.hidden))

    def output(inputs):
        """F (n, D) of inputs (n, T, F)."""
        states = np.repeat(state, len(inputs), axis=2)
        return network.forward(inputs.transpose(1, 0, 2), states)[2].top[-1] @ weights.T

    return network, x, baseline, state, weights, output


def by_differences(output, x, baseline, steps):
    """A by the midpoint rule, each derivative a central difference along one input's way."""
    epsilon = 1e-5
    total = 0.0
    for alpha in (np.arange(steps) + 0.5) / steps:
        here = baseline + alpha * (x - baseline)
        moves = np.zeros((T, *x.shape))
        moves[np.arange(T), np.arange(T)] = epsilon * (x - baseline)
        total = total + (output(here + moves) - output(here - moves)) / (2 * epsilon * steps)
    return total.T


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_as_by_differences(cell, nonlinearity, embedding):
    network, x, baseline, state, weights, output = case(cell, nonlinearity, embedding)
    found = integrated_gradients(network, x, baseline, state, weights)
    steps, atol = (2000, 5e-3) if nonlinearity == "relu" else (100, 1e-3)  # a kink costs a step's width
    np.testing.assert_allclose(found.parts, by_differences(output, x, baseline, steps), atol=atol)
    ends = output(np.stack([baseline, x]))
    np.testing.assert_allclose(found.differences, ends[1] - ends[0], rtol=1e-12)
    np.testing.assert_allclose(found.errors, np.abs(found.parts.sum(axis=1) - found.differences))
    assert found.errors.max() < 1e-4


def test_where_nothing_differs_there_is_no_part():
    network, x, baseline, state, weights, _ = case("lstm", "tanh")
    baseline[2] = x[2]
    found = integrated_gradients(network, x, baseline, state, weights)
    assert (found.parts[:, 2] == 0).all()
    assert (np.abs(found.parts[:, [0, 1, 3, 4]]) > 1e-6).all()


def test_steep_places_are_halved_until_they_are_right():
    """Gates ten times as steep as above: the nodes of a single interval miss where they open."""
    network, x, baseline, state, weights, _ = case("lstm", "tanh", scale=7.0)
    once = integrated_gradients(network, x, baseline, state, weights, most=0)
    assert once.gradients == 3 * integrated.NODES
    assert once.errors.max() > 1e-2
    found = integrated_gradients(network, x, baseline, state, weights)
    assert found.errors.max() < 1e-4
    finer = integrated_gradients(network, x, baseline, state, weights, tolerance=1e-8)
    assert finer.gradients > found.gradients
    np.testing.assert_allclose(found.parts, finer.parts, atol=1e-4)


def test_the_bound_holds():
    network, x, baseline, state, weights, _ = case("lstm", "tanh", scale=7.0)
    found = integrated_gradients(network, x, baseline, state, weights, tolerance=0, most=200)
    assert 200 <= found.gradients <= 3 * 200 + 3 * integrated.NODES


def test_parts_do_not_depend_on_how_many_points_are_read_at_once(monkeypatch):
    network, x, baseline, state, weights, _ = case("gru", "tanh")
    together = integrated_gradients(network, x, baseline, state, weights)
    monkeypatch.setattr(integrated, "NUMBERS_AT_ONCE", 1)
    alone = integrated_gradients(network, x, baseline, state, weights)
    np.testing.assert_allclose(alone.parts, together.parts, rtol=1e-10, atol=1e-12)
