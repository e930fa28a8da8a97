"""The whole network against the naive one, against itself in pieces, and what it promises about memory."""

import numpy as np
import pytest
from helpers import naive
from helpers.chunks import CELLS, VOCAB, make_chunk, make_network

from charrnn.config import ModelConfig
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Clamp, Network


def run(network, x, chunk):
    """Like naive.run: loss, and copies of all that comes out of both passes."""
    logits, last, trace = network.forward(x, chunk.state)
    logits, h = logits.copy(), np.stack([layer["h"] for layer in trace.layers])
    network.grad[:] = np.nan  # to be overwritten, not added to
    loss, d_logits = cross_entropy_gradient(logits.copy(), chunk.targets)
    d_state, dx = network.backward(trace, d_logits, chunk.d_state)
    loss += float((chunk.d_state * last).sum())
    dx = None if dx is None else dx.copy()
    grads = {name: grad.copy() for name, grad in network.grads.items()}
    return naive.Result(loss, logits, h, last, grads, d_state, dx)


def assert_same(ours, theirs, **tolerance):
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-12)
    for name in ("logits", "h", "state", "d_state"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), **tolerance, err_msg=name)
    assert ours.grads.keys() == theirs.grads.keys()
    for name, grad in ours.grads.items():
        np.testing.assert_allclose(grad, theirs.grads[name], **tolerance, err_msg=name)


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("T", [1, 6])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_symbols_like_the_naive_network(cell, nonlinearity, embedding, layers, T, B):
    network = make_network(cell, nonlinearity, layers, embedding)
    chunk = make_chunk(network, T, B)
    ours = run(network, chunk.x, chunk)
    assert ours.dx is None
    theirs = naive.run(network.config, network.params, chunk.x, chunk.targets, chunk.state, chunk.d_state)
    assert_same(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_real_inputs_like_the_naive_network(cell, nonlinearity, layers, B):
    network = make_network(cell, nonlinearity, layers)
    chunk = make_chunk(network, T=5, B=B)
    ours = run(network, chunk.x_real, chunk)
    theirs = naive.run(
        network.config, network.params, chunk.x_real, chunk.targets, chunk.state, chunk.d_state
    )
    assert_same(ours, theirs, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(ours.dx, theirs.dx, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_a_symbol_is_a_one_hot_vector(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2)
    chunk = make_chunk(network, T=7, B=3)
    assert_same(
        run(network, chunk.x, chunk), run(network, np.eye(VOCAB)[chunk.x], chunk), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_a_symbol_is_a_row_of_the_embedding(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2, embedding=3)
    chunk = make_chunk(network, T=7, B=3)
    of_symbols, of_rows = (
        run(network, x, chunk) for x in (chunk.x, network.params["embedding.weight"][chunk.x])
    )
    summed = np.zeros_like(network.params["embedding.weight"])
    np.add.at(summed, chunk.x, of_rows.dx)
    np.testing.assert_allclose(of_symbols.grads["embedding.weight"], summed, rtol=1e-12, atol=1e-13)
    assert not of_rows.grads["embedding.weight"].any()  # it was not read
    for found in (of_symbols, of_rows):
        del found.grads["embedding.weight"]
    assert_same(of_symbols, of_rows, rtol=1e-12, atol=1e-13)


def test_gates_and_cell_states_of_the_trace_satisfy_the_lstm_equations():
    network = make_network("lstm", layers=2)
    chunk = make_chunk(network, T=5)
    _, last, trace = network.forward(chunk.x, chunk.state)
    for k, layer in enumerate(trace.layers):
        i, f, g, o = (layer[name] for name in "ifgo")
        np.testing.assert_array_equal(layer["c_prev"][0], chunk.state[k, 1])
        np.testing.assert_array_equal(layer["c_prev"][1:], layer["c"][:-1])
        np.testing.assert_array_equal(layer["h_prev"][0], chunk.state[k, 0])
        np.testing.assert_array_equal(layer["h_prev"][1:], layer["h"][:-1])
        np.testing.assert_allclose(layer["c"], f * layer["c_prev"] + i * g, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(layer["h"], o * np.tanh(layer["c"]), rtol=1e-13, atol=1e-15)
        np.testing.assert_array_equal(last[k], [layer["h"][-1], layer["c"][-1]])


def test_gates_of_the_trace_satisfy_the_gru_equation():
    network = make_network("gru", layers=2)
    chunk = make_chunk(network, T=5)
    _, last, trace = network.forward(chunk.x, chunk.state)
    for k, layer in enumerate(trace.layers):
        z, n = layer["z"], layer["n"]
        np.testing.assert_allclose(layer["h"], (1 - z) * n + z * layer["h_prev"], rtol=1e-12, atol=1e-14)
        assert ((layer["r"] > 0) & (layer["r"] < 1)).all()
        np.testing.assert_array_equal(layer["h_prev"][0], chunk.state[k, 0])
        np.testing.assert_array_equal(last[k, 0], layer["h"][-1])
        assert "c" not in layer


# Truncated backpropagation: a chunk at a time, the state handed on.


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_chunks_with_carried_state_equal_one_pass(cell, nonlinearity, embedding):
    network = make_network(cell, nonlinearity, layers=3, embedding=embedding)
    chunk = make_chunk(network, T=12)
    whole = run(network, chunk.x, chunk)

    cuts = [slice(0, 5), slice(5, 9), slice(9, 12)]
    before, logits, loss = [chunk.state], [], 0.0
    for cut in cuts:
        piece, state, _ = network.forward(chunk.x[cut], before[-1])
        before.append(state)
        logits.append(piece.copy())
        loss += cross_entropy_gradient(piece, chunk.targets[cut])[0]
    np.testing.assert_allclose(np.concatenate(logits), whole.logits, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(before[-1], whole.state, rtol=1e-13, atol=1e-14)
    assert loss + float((chunk.d_state * before[-1]).sum()) == pytest.approx(whole.loss, rel=1e-13)

    grad, d_state = np.zeros_like(network.grad), chunk.d_state
    for cut, state in zip(cuts[::-1], before[-2::-1], strict=True):
        piece, _, trace = network.forward(chunk.x[cut], state)
        d_state, _ = network.backward(trace, cross_entropy_gradient(piece, chunk.targets[cut])[1], d_state)
        grad += network.grad
    np.testing.assert_allclose(d_state, whole.d_state, rtol=1e-11, atol=1e-13)
    for name, (start, stop) in network.spans().items():
        expected = whole.grads[name].ravel()
        np.testing.assert_allclose(grad[start:stop], expected, rtol=1e-11, atol=1e-13, err_msg=name)


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_no_gradient_from_the_next_chunk_means_zero(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2)
    chunk = make_chunk(network, T=4)
    chunk.d_state[:] = 0
    given = run(network, chunk.x, chunk)
    logits, _, trace = network.forward(chunk.x, chunk.state)
    d_state, _ = network.backward(trace, cross_entropy_gradient(logits, chunk.targets)[1])
    np.testing.assert_array_equal(d_state, given.d_state)
    for name, grad in network.grads.items():
        np.testing.assert_array_equal(grad, given.grads[name])


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_streams_do_not_see_one_another(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2)
    chunk = make_chunk(network, T=4, B=3)
    logits, last, _ = network.forward(chunk.x, chunk.state)
    logits = logits.copy()
    for b in range(3):
        alone, last_alone, _ = network.forward(chunk.x[:, b : b + 1], chunk.state[:, :, b : b + 1])
        np.testing.assert_allclose(alone[:, 0], logits[:, b], rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(last_alone[:, :, 0], last[:, :, b], rtol=1e-13, atol=1e-14)


# Clamps


def make_clamp(network, layer, B, rng):
    H = network.config.hidden
    return Clamp(layer, rng.random((B, H)) < 0.5, rng.uniform(-0.9, 0.9, (B, H)))


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_clamped_cells_like_the_naive_network(cell, nonlinearity, layer):
    network = make_network(cell, nonlinearity, layers=3)
    chunk = make_chunk(network, T=5, B=3)
    clamp = make_clamp(network, layer, 3, np.random.default_rng(8))
    logits, last, trace = network.forward(chunk.x, chunk.state, clamp=clamp)
    theirs = naive.run(
        network.config, network.params, chunk.x, chunk.targets, chunk.state, chunk.d_state, clamp
    )
    np.testing.assert_allclose(
        np.stack([part["h"] for part in trace.layers]), theirs.h, rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(logits, theirs.logits, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(last, theirs.state, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_a_held_cell_stays_and_the_layer_above_feels_it_at_once(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2)
    chunk = make_chunk(network, T=4)
    free = network.forward(chunk.x, chunk.state)[2]
    free_h = [layer["h"].copy() for layer in free.layers]
    mask = np.zeros((2, 4), bool)
    mask[1, 2] = True  # one cell of the second stream
    clamp = Clamp(0, mask, np.where(mask, 0.75, 0.0))
    _, last, trace = network.forward(chunk.x, chunk.state, clamp=clamp)
    if cell == "lstm":
        signal, end = np.tanh(trace.layers[0]["c"]), np.tanh(last[0, 1])
    else:
        signal, end = trace.layers[0]["h"], last[0, 0]
    np.testing.assert_allclose(signal[:, 1, 2], 0.75, rtol=1e-14)
    assert end[1, 2] == pytest.approx(0.75, rel=1e-14)
    np.testing.assert_array_equal(
        trace.layers[0]["h"][0, ~mask], free_h[0][0, ~mask]
    )  # others not yet, at t = 0
    assert not np.allclose(trace.layers[1]["h"][0, 1], free_h[1][0, 1])  # the layer above, at t = 0
    assert not np.allclose(trace.layers[0]["h"][1, 1, :2], free_h[0][1, 1, :2])  # the same layer, at t = 1
    for k in range(2):
        np.testing.assert_array_equal(trace.layers[k]["h"][:, 0], free_h[k][:, 0])  # the other stream never


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_a_clamp_on_no_cell_changes_nothing(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2)
    chunk = make_chunk(network, T=4)
    logits, last, _ = network.forward(chunk.x, chunk.state)
    logits, last = logits.copy(), last.copy()
    clamp = Clamp(1, np.zeros((2, 4), bool), np.full((2, 4), 0.5))
    clamped, clamped_last, _ = network.forward(chunk.x, chunk.state, clamp=clamp)
    np.testing.assert_array_equal(clamped, logits)
    np.testing.assert_array_equal(clamped_last, last)


# Memory and numbers


def test_parameters_and_gradients_are_views_of_flat_arrays_in_order():
    network = make_network("gru", layers=2, embedding=3)
    H, E = 4, 3
    assert {name: value.shape for name, value in network.params.items()} == {
        "embedding.weight": (VOCAB, E),
        "gru.weight_ih_l0": (3 * H, E),
        "gru.weight_hh_l0": (3 * H, H),
        "gru.bias_l0": (3 * H,),
        "gru.bias_hn_l0": (H,),
        "gru.weight_ih_l1": (3 * H, H),
        "gru.weight_hh_l1": (3 * H, H),
        "gru.bias_l1": (3 * H,),
        "gru.bias_hn_l1": (H,),
        "head.weight": (VOCAB, H),
        "head.bias": (VOCAB,),
    }
    for arrays, flat in ((network.params, network.theta), (network.grads, network.grad)):
        flat[:] = np.arange(flat.size)
        np.testing.assert_array_equal(np.concatenate([a.ravel() for a in arrays.values()]), flat)
        for name, (start, stop) in network.spans().items():
            np.testing.assert_array_equal(arrays[name].ravel(), np.arange(start, stop))


@pytest.mark.parametrize(("cell", "S"), [("rnn", 1), ("gru", 1), ("lstm", 2)])
def test_the_state_is_passed_in_and_returned_not_kept(cell, S):
    network = make_network(cell, layers=3)
    state = network.zero_state(2)
    assert state.shape == (3, S, 2, 4)
    assert not state.any()
    chunk = make_chunk(network, T=3)
    kept = chunk.state.copy()
    first, last, _ = network.forward(chunk.x, chunk.state)
    first, last = first.copy(), last.copy()
    np.testing.assert_array_equal(chunk.state, kept)
    again, last_again, _ = network.forward(chunk.x, chunk.state)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(last_again, last)
    network.forward(chunk.x, last_again)  # the state returned is the caller's: later calls leave it alone
    np.testing.assert_array_equal(last_again, last)


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_chunks_of_one_shape_use_the_same_memory(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2, embedding=3)
    chunk = make_chunk(network, T=3)
    other = make_chunk(network, T=5)
    logits, _, trace = network.forward(chunk.x, chunk.state)
    network.forward(other.x, other.state)  # another shape comes between
    logits_again, _, trace_again = network.forward(chunk.x, chunk.state)
    assert np.shares_memory(logits_again, logits)
    assert all(
        np.shares_memory(a["h"], b["h"]) for a, b in zip(trace.layers, trace_again.layers, strict=True)
    )


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_float32_stays_float32_and_is_near_float64(cell, nonlinearity, embedding):
    exact = make_network(cell, nonlinearity, layers=2, embedding=embedding)
    network = make_network(cell, nonlinearity, layers=2, embedding=embedding, dtype=np.float32)
    chunk = make_chunk(exact, T=5)
    expected = run(exact, chunk.x, chunk)
    chunk.state, chunk.d_state = chunk.state.astype(np.float32), chunk.d_state.astype(np.float32)
    ours = run(network, chunk.x, chunk)
    for array in (ours.logits, ours.h, ours.state, ours.d_state, *ours.grads.values()):
        assert array.dtype == np.float32
    np.testing.assert_allclose(ours.logits, expected.logits, rtol=1e-4, atol=1e-5)
    for name, grad in ours.grads.items():
        np.testing.assert_allclose(grad, expected.grads[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_saturated_gates_neither_overflow_nor_warn(cell):
    network = make_network(cell, layers=2, scale=1e4, dtype=np.float32)
    chunk = make_chunk(network, T=4)
    state = chunk.state.astype(np.float32)
    logits, _, trace = network.forward(chunk.x, state)
    loss, d_logits = cross_entropy_gradient(logits, chunk.targets)
    network.backward(trace, d_logits)
    assert np.isfinite(loss)
    assert np.isfinite(network.grad).all()


def test_a_network_begins_with_zeros_of_the_precision_asked_for():
    network = Network(ModelConfig("gru", 1, 3), 4)
    assert network.theta.dtype == network.grad.dtype == network.zero_state(1).dtype == np.float32
    assert not network.theta.any()


def test_buffers_of_few_shapes_are_kept():
    network = Network(ModelConfig(hidden=4), 5, np.float64)
    results = [network.forward(np.zeros((T, 1), int), network.zero_state(1))[0].copy() for T in range(1, 20)]
    assert list(network._buffers) == [(T, 1) for T in (16, 17, 18, 19)]  # the newest
    np.testing.assert_allclose(results[3], results[18][:4], atol=1e-15)
    network.forward(np.zeros((16, 1), int), network.zero_state(1))  # used again, and so the newest
    network.forward(np.zeros((20, 1), int), network.zero_state(1))
    assert list(network._buffers) == [(T, 1) for T in (18, 19, 16, 20)]


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_reading_is_the_forward_pass_without_its_trace(cell, nonlinearity):
    network = make_network(cell, nonlinearity, layers=2)
    chunk = make_chunk(network, T=4)
    logits, last, _ = network.forward(chunk.x, chunk.state)
    expected = logits.copy()
    logits, state = network.read(chunk.x, chunk.state)
    np.testing.assert_array_equal(logits, expected)
    np.testing.assert_array_equal(state, last)
