"""Is the backward pass the derivative of the forward pass? Numeric differences in float64."""

import numpy as np
import pytest
from helpers.chunks import CELLS, make_chunk, make_network

from charrnn.config import TrainConfig
from charrnn.engines.drawn_masks import draw
from charrnn.interpret.tensor_checks import check_tensors
from charrnn.nn.gradcheck import numeric_gradient, relative_error
from charrnn.nn.loss import cross_entropy_gradient

LIMIT = 1e-6


def check_gradients(network, x, targets, state):
    """Name -> relative error of every tensor's gradient."""
    return {check.name: check.relative_error for check in check_tensors(network, x, targets, state)}


def assert_small(errors):
    assert max(errors.values()) < LIMIT, {name: error for name, error in errors.items() if error >= LIMIT}


@pytest.mark.parametrize("B", [1, 2])
@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_gradient_of_a_real_input_the_state_and_every_tensor(cell, nonlinearity, layers, T, B):
    network = make_network(cell, nonlinearity, layers, hidden=3)
    chunk = make_chunk(network, T, B)
    errors = check_gradients(network, chunk.x_real, chunk.targets, chunk.state)
    assert errors.keys() == {*network.params, "state", "input"}
    assert_small(errors)
    assert all(np.linalg.norm(grad) > 1e-3 for grad in network.grads.values())  # none is trivially right


@pytest.mark.parametrize("B", [1, 2])
@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_gradient_of_symbols_with_and_without_embedding(cell, nonlinearity, layers, embedding, T, B):
    network = make_network(cell, nonlinearity, layers, embedding, hidden=3)
    chunk = make_chunk(network, T, B)
    errors = check_gradients(network, chunk.x, chunk.targets, chunk.state)
    assert errors.keys() == {*network.params, "state"}
    assert_small(errors)


MASKED = {
    "dropout": {"dropout": 0.4},
    "locked": {"dropout": 0.4, "dropout_kind": "locked"},
    "weights": {"weight_drop": 0.4},
    "embedding": {"embedding_dropout": 0.4},
    "inputs": {"input_dropout": 0.4},
    "all": {"input_dropout": 0.4, "embedding_dropout": 0.3, "dropout": 0.3, "weight_drop": 0.3},
}


@pytest.mark.parametrize(
    ("kind", "embedding"),
    [
        ("dropout", 0),
        ("locked", 0),
        ("weights", 0),
        ("dropout", 3),
        ("embedding", 3),
        ("inputs", 3),
        ("all", 3),
    ],
)
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_gradient_through_fixed_masks(cell, nonlinearity, kind, embedding):
    network = make_network(cell, nonlinearity, layers=2, embedding=embedding, hidden=3)
    chunk = make_chunk(network, T=3)
    masks = draw(TrainConfig(**MASKED[kind]), network.params, 3, 2, np.random.default_rng(5))

    def forward():
        return network.forward(chunk.x, chunk.state, masks=masks)

    def loss():
        logits, last, _ = forward()
        return cross_entropy_gradient(logits, chunk.targets)[0] + float((chunk.d_state * last).sum())

    logits, _, trace = forward()
    _, d_logits = cross_entropy_gradient(logits, chunk.targets)
    d_state, _ = network.backward(trace, d_logits, chunk.d_state)
    analytic = {name: grad.copy() for name, grad in network.grads.items()} | {"state": d_state}
    arrays = network.params | {"state": chunk.state}
    assert_small(
        {name: relative_error(analytic[name], numeric_gradient(loss, arrays[name])) for name in arrays}
    )


def test_the_check_sees_a_wrong_gradient():
    network = make_network("lstm")
    chunk = make_chunk(network, T=3)
    right = network.backward

    def wrong(*arguments):
        answer = right(*arguments)
        network.grads["lstm.weight_hh_l0"][0, 0] *= 1.01
        return answer

    network.backward = wrong
    errors = check_gradients(network, chunk.x, chunk.targets, chunk.state)
    assert errors.pop("lstm.weight_hh_l0") > 1e-5
    assert_small(errors)


def test_the_check_leaves_everything_as_it_was():
    network = make_network("gru")
    chunk = make_chunk(network, T=2)
    theta, state, x = network.theta.copy(), chunk.state.copy(), chunk.x_real.copy()
    check_gradients(network, chunk.x_real, chunk.targets, chunk.state)
    np.testing.assert_array_equal(network.theta, theta)
    np.testing.assert_array_equal(chunk.state, state)
    np.testing.assert_array_equal(chunk.x_real, x)


def test_numeric_gradient_of_a_known_function():
    w = np.array([[1.0, -2.0], [0.5, 3.0]])
    gradient = numeric_gradient(lambda: float((w**3).sum()), w)
    np.testing.assert_allclose(gradient, 3 * np.array([[1.0, 4.0], [0.25, 9.0]]), rtol=1e-8)


def test_relative_error():
    a = np.array([3.0, 4.0])
    assert relative_error(a, a) == 0
    assert relative_error(a, 0 * a) == 1
    assert relative_error(0 * a, 0 * a) == 0
    assert relative_error(a, 2 * a) == 0.5
