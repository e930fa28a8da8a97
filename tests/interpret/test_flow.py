"""The gradient by distance: finite differences of one state at one step, and torch's autograd."""

import numpy as np
import pytest
from helpers.chunks import CELLS, VOCAB, make_chunk, make_network

from charrnn.config import ModelConfig
from charrnn.interpret.flow import measure_flow, spectral_radii, state_gradients
from charrnn.model.torch_layout import to_torch
from charrnn.nn.buffers import Buffers
from charrnn.nn.gradcheck import relative_error
from charrnn.nn.init import initialise
from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network

T, B, H = 5, 3, 4


def network_and_text(cell, nonlinearity="tanh", layers=2, embedding=0):
    network = make_network(cell, nonlinearity, layers, embedding, hidden=H, scale=0.5)
    chunk = make_chunk(network, T, B)
    return network, chunk.x, chunk.targets[-1], chunk.state


def losses_with(network, x, targets, state, layer, step, array, change):
    """The loss of the last step of each stream, with `change` (B, H) added to h or c of one layer at one step.

    Symbol by symbol and layer by layer, each layer as a chunk of one step: the layers above read the
    changed h at the same step, everything else follows by itself.
    """
    state = state.copy()
    for t in range(len(x)):
        below = x[t : t + 1]
        if network.config.embedding:
            below = network.params["embedding.weight"][below]
        for k in range(network.config.layers):
            params = network.layer(network.params, k)
            trace = network.cell.forward(below, state[k], params, Buffers(), **network.options)
            state[k] = [trace[name][-1] for name in network.cell.STATES]
            if (k, t) == (layer, step):
                if array == "h":
                    state[k, 0] += change
                else:
                    state[k, 1] += change
                    state[k, 0] = trace["o"][0] * np.tanh(state[k, 1])
            below = state[k, :1].copy()
    logits = below[0] @ network.params["head.weight"].T + network.params["head.bias"]
    return cross_entropy(logits, targets)


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_gradients_are_finite_differences_of_one_state(cell, nonlinearity, layers, embedding):
    network, x, targets, state = network_and_text(cell, nonlinearity, layers, embedding)
    d_h, d_c = state_gradients(network, x, targets, state)
    epsilon = 1e-5
    for array, analytic in [("h", d_h)] + ([("c", d_c)] if cell == "lstm" else []):
        numeric = np.empty_like(analytic)
        for layer, step, unit in np.ndindex(layers, T, H):
            change = np.zeros((B, H))
            change[:, unit] = epsilon
            above = losses_with(network, x, targets, state, layer, step, array, change)
            below = losses_with(network, x, targets, state, layer, step, array, -change)
            numeric[layer, step, :, unit] = (above - below) / (2 * epsilon)
        for layer, step in np.ndindex(layers, T):
            assert np.linalg.norm(analytic[layer, step]) > 1e-6  # none is trivially right
            error = relative_error(analytic[layer, step], numeric[layer, step])
            assert error < 1e-6, (array, layer, step, error)


def unrolled_by_torch(torch, network, x, targets, state):
    """∂loss/∂h_l[s] and ∂loss/∂c_l[s] as autograd leaves them in a network of torch's own cells."""
    config, tensors = network.config, to_torch(network.params)
    kind = {"rnn": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}[config.cell]
    options = {"nonlinearity": config.nonlinearity} if config.cell == "rnn" else {}
    cells = []
    for k in range(config.layers):
        inputs = tensors[f"{config.cell}.weight_ih_l{k}"].shape[1]
        cells.append(kind(inputs, config.hidden, **options).double())
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        cells[k].load_state_dict(
            {name: torch.from_numpy(tensors[f"{config.cell}.{name}_l{k}"]) for name in names}
        )
    states = [[torch.tensor(array) for array in layer] for layer in state]
    kept = []
    for symbols in x:
        below = torch.nn.functional.one_hot(torch.tensor(symbols), VOCAB).double()
        for k, cell in enumerate(cells):
            if config.cell == "lstm":
                _, c = cell(below, tuple(states[k]))
                # LSTMCell gives h and c side by side; for ∂/∂c through h as well, h is made from c again.
                gates = (
                    below @ cell.weight_ih.T + cell.bias_ih + states[k][0] @ cell.weight_hh.T + cell.bias_hh
                )
                c.retain_grad()
                h = torch.sigmoid(gates.chunk(4, dim=1)[3]) * torch.tanh(c)
                states[k] = [h, c]
            else:
                states[k] = [cell(below, states[k][0])]
            states[k][0].retain_grad()
            kept.append((k, states[k]))
            below = states[k][0]
    logits = below @ torch.from_numpy(tensors["head.weight"]).T + torch.from_numpy(tensors["head.bias"])
    torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="sum").backward()
    shape = (len(state[0]), config.layers, len(x), x.shape[1], config.hidden)
    found = np.zeros(shape)
    step = dict.fromkeys(range(config.layers), 0)
    for k, arrays in kept:
        for s, array in enumerate(arrays):
            found[s, k, step[k]] = array.grad.numpy()
        step[k] += 1
    return found


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_gradients_are_those_of_autograd(cell, nonlinearity):
    torch = pytest.importorskip("torch")
    network, x, targets, state = network_and_text(cell, nonlinearity, layers=2)
    d_h, d_c = state_gradients(network, x, targets, state)
    expected = unrolled_by_torch(torch, network, x, targets, state)
    np.testing.assert_allclose(d_h, expected[0], rtol=1e-9, atol=1e-14)
    if cell == "lstm":
        np.testing.assert_allclose(d_c, expected[1], rtol=1e-9, atol=1e-14)


def test_flow_is_the_mean_over_streams_of_norms_over_units_by_distance():
    network, x, targets, state = network_and_text("lstm")
    d_h, d_c = state_gradients(network, x, targets, state)
    flow = measure_flow(network, x, targets, state)
    assert (flow.places, flow.distance) == (B, T - 1)
    for found, gradients in ((flow.h, d_h), (flow.c, d_c)):
        for layer, k in np.ndindex(2, T):
            norms = [np.sqrt((gradients[layer, T - 1 - k, b] ** 2).sum()) for b in range(B)]
            assert found[layer, k] == pytest.approx(np.mean(norms), rel=1e-12)


def test_a_linear_chain_decays_by_its_factor():
    """One ReLU unit that stays on: ∂h[t]/∂h[t-k] = wᵏ exactly."""
    network = Network(ModelConfig("rnn", 1, 1, nonlinearity="relu"), 2, np.float64)
    network.params["rnn.bias_l0"][:] = 1
    network.params["rnn.weight_hh_l0"][:] = 0.8
    network.params["head.weight"][:] = [[1.0], [-1.0]]
    flow = measure_flow(network, np.zeros((30, 1), int), np.zeros(1, int), network.zero_state(1))
    np.testing.assert_allclose(flow.h[0] / flow.h[0, 0], 0.8 ** np.arange(30), rtol=1e-12)
    assert spectral_radii(network) == [{"h": pytest.approx(0.8)}]


def fresh(cell):
    network = Network(ModelConfig(cell, 1, 32), VOCAB, np.float64)
    initialise(network, np.random.default_rng(2))
    x = np.random.default_rng(3).integers(0, VOCAB, (61, 8))
    return network, measure_flow(network, x, x[0], network.zero_state(8))


def test_fresh_networks_forget_with_distance_and_the_lstm_later():
    ratios = {cell: fresh(cell)[1].h[0, 30] / fresh(cell)[1].h[0, 0] for cell in ("rnn", "gru", "lstm")}
    assert ratios["rnn"] < 1e-4
    assert all(ratio < 0.1 for ratio in ratios.values())
    assert ratios["rnn"] < 0.1 * ratios["lstm"]
    h = fresh("lstm")[1].c[0]
    assert (np.diff(h[5:40]) < 0).all()


def test_spectral_radius_of_each_gate():
    network = make_network("lstm", layers=2, hidden=3)
    for layer in range(2):
        w = network.params[f"lstm.weight_hh_l{layer}"]
        for k in range(4):
            w[3 * k : 3 * k + 3] = np.diag([0.1, -(k + 1.0), 0.5]) * (layer + 1)
            w[3 * k, 1] = 7.0  # above the diagonal: no eigenvalue changes, the norm does
    assert spectral_radii(network) == [
        {gate: pytest.approx((layer + 1) * (k + 1.0)) for k, gate in enumerate("ifgo")} for layer in range(2)
    ]
