"""The prepared one-symbol step against the chunked forward pass."""

import numpy as np
import pytest
from helpers.random_models import random_network

from charrnn.config import ModelConfig
from charrnn.nn.network import Clamp
from charrnn.sampling.stepper import Stepper

V, H, T = 7, 5, 12
CONFIGS = [
    ModelConfig(cell=cell, layers=layers, hidden=H, embedding=embedding, nonlinearity=nonlinearity)
    for cell, nonlinearity in (("lstm", "tanh"), ("gru", "tanh"), ("rnn", "tanh"), ("rnn", "relu"))
    for layers in (1, 3)
    for embedding in (0, 4)
]


def stepped(stepper: Stepper, x: np.ndarray) -> np.ndarray:
    """Logits (T, B, V) of symbols (T, B)."""
    if x.shape[1] == 1:
        return np.stack([stepper.step(int(s))[None].copy() for s in x[:, 0]])
    return np.stack([stepper.step(row).T.copy() for row in x])


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("streams", [1, 4])
def test_steps_agree_with_a_chunk(config: ModelConfig, streams: int) -> None:
    network = random_network(config, V, scale=0.6)
    rng = np.random.default_rng(2)
    x = rng.integers(0, V, (T, streams))
    state = rng.normal(0, 0.5, network.zero_state(streams).shape)
    logits, last, _ = network.forward(x, state)
    stepper = Stepper(network, streams)
    stepper.state = state
    np.testing.assert_array_equal(stepper.state, state)
    np.testing.assert_allclose(stepped(stepper, x), logits, atol=1e-12)
    np.testing.assert_allclose(stepper.state, last, atol=1e-12)


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.layers == 3 and not c.embedding], ids=str)
@pytest.mark.parametrize("streams", [1, 3])
def test_clamped_cells_are_held(config: ModelConfig, streams: int) -> None:
    network = random_network(config, V, scale=0.6)
    rng = np.random.default_rng(3)
    x = rng.integers(0, V, (T, streams))
    clamp = Clamp(1, rng.random((streams, H)) < 0.4, rng.uniform(0.1, 0.9, (streams, H)))
    free = network.forward(x, network.zero_state(streams))[0].copy()
    logits, last, _ = network.forward(x, network.zero_state(streams), clamp=clamp)
    stepper = Stepper(network, streams, [clamp])
    held = stepped(stepper, x)
    assert np.abs(held - free).max() > 1e-3
    np.testing.assert_allclose(held, logits, atol=1e-12)
    np.testing.assert_allclose(stepper.state, last, atol=1e-12)


def test_cells_of_several_layers_can_be_held_at_once() -> None:
    network = random_network(CONFIGS[2], V, scale=0.6)
    clamps = [
        Clamp(layer, np.arange(H)[None] == cell, np.full((1, H), value))
        for layer, cell, value in ((0, 1, 0.9), (2, 3, -0.5), (2, 4, 0.25))
    ]
    stepper = Stepper(network, 2, clamps)
    stepped(stepper, np.random.default_rng(4).integers(0, V, (T, 2)))
    c = stepper.state[:, 1]
    np.testing.assert_allclose(np.tanh(c[0, :, 1]), 0.9, atol=1e-12)
    np.testing.assert_allclose(np.tanh(c[2, :, 3:]), [[-0.5, 0.25]] * 2, atol=1e-12)


def test_the_state_of_one_stream_can_start_many() -> None:
    network = random_network(CONFIGS[2], V, scale=0.6)
    one, many = Stepper(network), Stepper(network, 3)
    for symbol in (1, 4, 2):
        one.step(symbol)
    many.state = one.state
    expected = one.step(5)
    for column in many.step(np.array([5, 5, 5])).T:
        np.testing.assert_allclose(column, expected, atol=1e-12)


def test_a_stepper_keeps_the_weights_it_was_made_with() -> None:
    network = random_network(CONFIGS[0], V, scale=0.6)
    stepper, other = Stepper(network), Stepper(network)
    network.theta[...] = 0
    np.testing.assert_array_equal(stepper.step(3), other.step(3))
    assert np.abs(stepper.step(3)).max() > 0
