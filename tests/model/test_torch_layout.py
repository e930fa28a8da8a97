"""Names and shapes of torch's tensors; files made elsewhere, with both biases in use."""

import numpy as np
import pytest
from helpers import naive
from helpers.chunks import VOCAB, make_chunk, make_network

from charrnn.model import torch_layout
from charrnn.nn.network import Network

H = 4


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_there_and_back(cell, layers, embedding):
    network = make_network(cell, layers=layers, embedding=embedding)
    tensors = torch_layout.to_torch(network.params)
    assert {name: t.shape for name, t in tensors.items()} == torch_layout.shapes(network.config, VOCAB)
    other = Network(network.config, VOCAB, np.float64)
    torch_layout.from_torch(tensors, other.params)
    np.testing.assert_array_equal(other.theta, network.theta)


def test_shapes_of_a_gru_file():
    shapes = torch_layout.shapes(make_network("gru", layers=2, embedding=3).config, VOCAB)
    assert shapes == {
        "embedding.weight": (VOCAB, 3),
        "gru.weight_ih_l0": (3 * H, 3),
        "gru.weight_hh_l0": (3 * H, H),
        "gru.bias_ih_l0": (3 * H,),
        "gru.bias_hh_l0": (3 * H,),
        "gru.weight_ih_l1": (3 * H, H),
        "gru.weight_hh_l1": (3 * H, H),
        "gru.bias_ih_l1": (3 * H,),
        "gru.bias_hh_l1": (3 * H,),
        "head.weight": (VOCAB, H),
        "head.bias": (VOCAB,),
    }


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_second_bias_is_zero_where_it_is_not_used(cell):
    network = make_network(cell)
    tensors = torch_layout.to_torch(network.params)
    np.testing.assert_array_equal(tensors[f"{cell}.bias_ih_l0"], network.params[f"{cell}.bias_l0"])
    bias_hh = tensors[f"{cell}.bias_hh_l0"]
    if cell == "gru":
        assert not bias_hh[: 2 * H].any()
        np.testing.assert_array_equal(bias_hh[2 * H :], network.params["gru.bias_hn_l0"])
    else:
        assert not bias_hh.any()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_foreign_file_with_both_biases(cell):
    network = make_network(cell, layers=2)
    rng = np.random.default_rng(6)
    shapes = torch_layout.shapes(network.config, VOCAB)
    tensors = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    kept = {name: tensor.copy() for name, tensor in tensors.items()}
    torch_layout.from_torch(tensors, network.params)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, kept[name])
    # What the two biases mean, written out: they add up, but for the n gate of the GRU.
    for k in range(2):
        bias_ih, bias_hh = tensors[f"{cell}.bias_ih_l{k}"], tensors[f"{cell}.bias_hh_l{k}"]
        if cell == "gru":
            expected = np.r_[bias_ih[: 2 * H] + bias_hh[: 2 * H], bias_ih[2 * H :]]
            np.testing.assert_array_equal(network.params[f"gru.bias_hn_l{k}"], bias_hh[2 * H :])
        else:
            expected = bias_ih + bias_hh
        np.testing.assert_array_equal(network.params[f"{cell}.bias_l{k}"], expected)
    # Saved again, it is the same function.
    chunk = make_chunk(network, T=3)
    other = Network(network.config, VOCAB, np.float64)
    torch_layout.from_torch(torch_layout.to_torch(network.params), other.params)
    logits, _, _ = other.forward(chunk.x, chunk.state)
    expected = naive.run(network.config, network.params, chunk.x, chunk.targets, chunk.state, chunk.d_state)
    np.testing.assert_allclose(logits, expected.logits, rtol=1e-11, atol=1e-12)
