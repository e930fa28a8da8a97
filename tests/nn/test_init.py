"""How weights start: ranges, the forget bias, and the same weights for the same generator."""

import numpy as np
import pytest
from helpers.chunks import make_chunk, make_network

from charrnn.config import ModelConfig
from charrnn.nn.init import initialise
from charrnn.nn.loss import NEVER, cross_entropy, cross_entropy_gradient
from charrnn.nn.network import Network

H = 60


def initialised(cell, scheme="uniform", seed=0, **settings):
    network = Network(ModelConfig(cell, layers=2, hidden=H, **settings), 50, np.float64)
    network.theta[:] = 99.0  # nothing may stay as it was
    initialise(network, np.random.default_rng(seed), scheme)
    return network


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_uniform_weights_fill_their_range(cell):
    for name, value in initialised(cell, embedding=80).params.items():
        if "weight" in name and name != "embedding.weight":
            bound = H**-0.5
            assert bound > value.max() > 0.98 * bound
            assert -bound < value.min() < -0.98 * bound
            assert abs(value.mean()) < 4 * bound / (3 * value.size) ** 0.5
            assert value.std() == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize("scheme", ["uniform", "min-char-rnn"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_biases_are_zero_but_for_the_forget_gate(cell, scheme):
    for name, value in initialised(cell, scheme).params.items():
        if "bias" in name:
            expected = np.zeros(value.shape)
            if name in ("lstm.bias_l0", "lstm.bias_l1") and scheme == "uniform":
                expected[H : 2 * H] = 1
            np.testing.assert_array_equal(value, expected, err_msg=name)


@pytest.mark.parametrize("embedding", [0, 80])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_table_looked_up_by_symbol_is_standard_normal(cell, embedding):
    params = initialised(cell, embedding=embedding).params
    table = params["embedding.weight" if embedding else f"{cell}.weight_ih_l0"]
    assert table.std() == pytest.approx(1, abs=0.05)
    assert abs(table.mean()) < 0.06
    assert table.max() > 2.5
    assert np.abs(params[f"{cell}.weight_ih_l1"]).max() < H**-0.5  # reads cells, not symbols


@pytest.mark.parametrize("settings", [{}, {"embedding": 80}])
def test_min_char_rnn_weights_are_small_and_normal(settings):
    for name, value in initialised("rnn", "min-char-rnn", **settings).params.items():
        if "weight" in name:
            assert value.std() == pytest.approx(0.01, rel=0.06)
            assert abs(value.mean()) < 6e-4
            assert np.abs(value).max() > 0.025  # a uniform of that deviation ends at 0.0173


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_symbol_that_is_never_written_has_no_probability_and_no_gradient(dtype):
    network = make_network("gru", layers=2, dtype=dtype)
    chunk = make_chunk(network, T=6)
    network.params["head.bias"][3] = NEVER
    targets = np.where(chunk.targets == 3, 1, chunk.targets)
    logits, _, trace = network.forward(chunk.x, chunk.state.astype(dtype))
    assert np.all(np.exp(-cross_entropy(logits, np.full_like(targets, 3))) == 0)
    loss, d_logits = cross_entropy_gradient(logits, targets)
    assert 0 < loss < 100
    network.backward(trace, d_logits)
    for name in ("head.weight", "head.bias"):
        grad = network.grads[name]
        assert not grad[3].any()
        assert grad[[0, 1, 2, 4]].all()


def test_the_generator_decides():
    network = initialised("gru", seed=3)
    np.testing.assert_array_equal(network.theta, initialised("gru", seed=3).theta)
    assert not np.array_equal(network.theta, initialised("gru", seed=4).theta)
