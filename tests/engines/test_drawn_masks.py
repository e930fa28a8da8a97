"""Dropout of signals and weights: what is drawn, how often, and what a mask acts on."""

import numpy as np
import pytest
from helpers.chunks import CELLS, make_chunk, make_network

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines.drawn_masks import draw
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.masks import Masks
from charrnn.nn.network import Network


def masks_of(network, T=5, B=4, seed=0, **settings):
    return draw(TrainConfig(**settings), network.params, T, B, np.random.default_rng(seed))


def test_without_a_rate_nothing_is_drawn():
    network, rng = make_network("lstm", layers=2), np.random.default_rng(0)
    masks = draw(TrainConfig(dropout_kind="locked"), network.params, 3, 2, rng)
    assert (dict(masks.weights), list(masks.outputs)) == ({}, [])
    assert rng.random() == np.random.default_rng(0).random()


def test_no_masks_leave_everything_as_it_is():
    network = make_network("lstm", layers=2)
    chunk = make_chunk(network, T=3)
    plain = network.forward(chunk.x, chunk.state)[0].copy()
    np.testing.assert_array_equal(network.forward(chunk.x, chunk.state, masks=Masks())[0], plain)


# Signals


@pytest.mark.parametrize(("kind", "T", "B", "steps"), [("standard", 50, 4, 50), ("locked", 3, 100, 1)])
def test_dropout_keeps_its_share_and_the_mean(kind, T, B, steps):
    network = make_network("gru", hidden=200, scale=0.1)
    chunk = make_chunk(network, T, B)
    masks = masks_of(network, T, B, dropout=0.3, dropout_kind=kind)
    (mask,) = masks.outputs
    assert mask.shape == (steps, B, 200)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.7])
    assert (mask == 0).mean() == pytest.approx(0.3, abs=0.01)
    _, _, trace = network.forward(chunk.x, chunk.state, masks=masks)
    np.testing.assert_array_equal(trace.top, trace.layers[0]["h"] * mask)


@pytest.mark.parametrize("kind", ["standard", "locked"])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_dropout_is_on_the_way_up_only(cell, nonlinearity, kind):
    network = make_network(cell, nonlinearity, layers=3)
    chunk = make_chunk(network, T=6)
    _, last, trace = network.forward(chunk.x, chunk.state)
    h, last = trace.layers[0]["h"].copy(), last.copy()
    masks = masks_of(network, 6, 2, seed=3, dropout=0.5, dropout_kind=kind)
    logits, dropped_last, trace = network.forward(chunk.x, chunk.state, masks=masks)
    np.testing.assert_array_equal(trace.layers[0]["h"], h)  # time steps are not cut off from one another
    np.testing.assert_array_equal(dropped_last[0], last[0])
    assert not np.allclose(dropped_last[1], last[1])
    for k in range(2):
        np.testing.assert_array_equal(trace.layers[k + 1]["x"], trace.layers[k]["h"] * masks.outputs[k])
    top = trace.layers[2]["h"] * masks.outputs[2]
    expected = top @ network.params["head.weight"].T + network.params["head.bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-12, atol=1e-13)
    assert not np.array_equal(masks.outputs[0], masks.outputs[1])


def test_a_number_equal_to_the_rate_keeps_its_output():
    """Numbers lie in [0, 1): as many of them are below the rate as the rate says."""

    class Generator:
        def random(self, shape, dtype):
            return np.resize(np.array([0.25, np.nextafter(0.25, 0)], dtype), shape)

    masks = draw(TrainConfig(dropout=0.25), make_network("rnn").params, 2, 2, Generator())
    np.testing.assert_array_equal(masks.outputs[0].ravel(), [1 / 0.75, 0] * 8)


def test_input_dropout_is_the_same_at_all_steps():
    network = make_network("gru", embedding=150, scale=0.1)
    chunk = make_chunk(network, T=6, B=60)
    masks = masks_of(network, 6, 60, input_dropout=0.2)
    assert masks.inputs.shape == (1, 60, 150)
    np.testing.assert_allclose(np.unique(masks.inputs), [0, 1 / 0.8])
    assert (masks.inputs == 0).mean() == pytest.approx(0.2, abs=0.015)
    _, _, trace = network.forward(chunk.x, chunk.state, masks=masks)
    expected = network.params["embedding.weight"][chunk.x] * masks.inputs
    np.testing.assert_array_equal(trace.layers[0]["x"], expected)


def test_a_part_of_the_batch_has_its_streams_and_all_weights():
    network = make_network("gru", layers=2, embedding=7)
    masks = masks_of(network, 3, 6, dropout=0.5, weight_drop=0.5, input_dropout=0.5)
    part = masks.of_streams(slice(1, None, 2))
    np.testing.assert_array_equal(part.inputs, masks.inputs[:, [1, 3, 5]])
    for own, whole in zip(part.outputs, masks.outputs, strict=True):
        np.testing.assert_array_equal(own, whole[:, [1, 3, 5]])
    assert part.weights is masks.weights


# Weights


@pytest.mark.parametrize(
    ("rate", "dropped"), [(0.3, 19_661), (1e-12, 0), (0.999, 65_470), (1 - 1e-12, 65_535)]
)
def test_weight_drop_keeps_its_share_and_the_mean(rate, dropped):
    """Rates are rounded to 16 bits, but never to all of the weights."""
    network = make_network("lstm", layers=2, hidden=130)
    masks = masks_of(network, weight_drop=rate)
    assert list(masks.weights) == ["lstm.weight_hh_l0", "lstm.weight_hh_l1"]
    first, second = masks.weights.values()
    assert first.shape == (520, 130)
    assert (first == 0).mean() == pytest.approx(dropped / 2**16, abs=0.007)
    np.testing.assert_allclose(first[first > 0], 2**16 / (2**16 - dropped), rtol=1e-12)
    assert not (dropped and np.array_equal(first, second))


def test_the_mask_of_the_weights_has_no_pattern_of_rows_or_columns():
    """Each row and column loses about its share: the bits are independent."""
    (mask,) = masks_of(make_network("gru", hidden=333), weight_drop=0.5).weights.values()
    assert mask.shape == (999, 333)
    kept = mask > 0
    for axis, size in ((0, 999), (1, 333)):
        spread = (kept.mean(axis=axis) - 0.5) * 2 * size**0.5  # of variance 1
        assert abs(spread).max() < 5
        assert spread.std() == pytest.approx(1, abs=0.15)


def test_embedding_dropout_drops_whole_symbols():
    network = Network(ModelConfig("gru", embedding=3), 5_000, np.float64)
    masks = masks_of(network, embedding_dropout=0.25)
    (mask,) = masks.weights.values()
    assert (list(masks.weights), mask.shape) == (["embedding.weight"], (5_000, 1))
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.75])
    assert (mask == 0).mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_dropped_weights_are_those_of_a_network_with_zeros(cell, nonlinearity):
    """Its outputs, and its gradients where the weights are left, in proportion."""
    network = make_network(cell, nonlinearity, layers=2, embedding=3)
    masks = masks_of(network, seed=1, weight_drop=0.5, embedding_dropout=0.5)
    assert len(masks.weights) == 3
    other = make_network(cell, nonlinearity, layers=2, embedding=3)
    for name, mask in masks.weights.items():
        other.params[name][...] *= mask
    chunk, results = make_chunk(network, T=5), []
    for each, own in ((network, masks), (other, None)):
        logits, last, trace = each.forward(chunk.x, chunk.state, masks=own)
        kept = logits.copy()
        each.grad[:] = np.nan
        d_state, _ = each.backward(trace, cross_entropy_gradient(logits, chunk.targets)[1], chunk.d_state)
        results.append((kept, last, d_state))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name, gradient in other.grads.items():
        np.testing.assert_array_equal(network.grads[name], gradient * masks.weights.get(name, 1))
    assert np.count_nonzero(network.grads[f"{cell}.weight_hh_l1"] == 0) > 3
