"""A stock torch module that loads our tensors computes the same numbers and the same gradients."""

import numpy as np
import pytest
from helpers.chunks import CELLS, VOCAB, make_chunk, make_network

from charrnn.model import torch_layout
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network

torch = pytest.importorskip("torch")

LIMITS = {"rtol": 1e-9, "atol": 1e-12}


def torch_run(config, tensors, x, targets, state, d_state):
    """Loss, logits and last state as arrays, gradients by torch's names with "state" and "input"."""
    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[config.cell]
    options = {"nonlinearity": config.nonlinearity} if config.cell == "rnn" else {}
    parts = {
        config.cell: kind(config.embedding or VOCAB, config.hidden, config.layers, **options),
        "head": torch.nn.Linear(config.hidden, VOCAB),
    }
    if config.embedding:
        parts["embedding"] = torch.nn.Embedding(VOCAB, config.embedding)
    modules = torch.nn.ModuleDict(parts).double()
    modules.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})

    first = torch.tensor(state, requires_grad=True)
    if x.ndim == 3:
        below = inputs = torch.tensor(x, requires_grad=True)
    elif config.embedding:
        below, inputs = modules["embedding"](torch.tensor(x)), None
    else:
        below, inputs = torch.nn.functional.one_hot(torch.tensor(x), VOCAB).double(), None
    if config.cell == "lstm":
        top, (h, c) = modules["lstm"](below, (first[:, 0].contiguous(), first[:, 1].contiguous()))
        last = torch.stack([h, c], dim=1)
    else:
        top, h = modules[config.cell](below, first[:, 0].contiguous())
        last = h[:, None]
    logits = modules["head"](top)
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), torch.tensor(targets).flatten(), reduction="sum"
    )
    loss = loss / x.shape[1] + (torch.tensor(d_state) * last).sum()
    loss.backward()
    grads = {name: parameter.grad.numpy() for name, parameter in modules.named_parameters()}
    grads["state"] = first.grad.numpy()
    if inputs is not None:
        grads["input"] = inputs.grad.numpy()
    return loss.item(), logits.detach().numpy(), last.detach().numpy(), grads


@pytest.mark.parametrize("source", ["symbols", "embedding", "real"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_outputs_and_gradients_are_those_of_torch(cell, nonlinearity, layers, source):
    network = make_network(cell, nonlinearity, layers, embedding=3 if source == "embedding" else 0, hidden=6)
    chunk = make_chunk(network, T=9, B=4)
    x = chunk.x_real if source == "real" else chunk.x
    tensors = torch_layout.to_torch(network.params)
    loss, logits, last, grads = torch_run(
        network.config, tensors, x, chunk.targets, chunk.state, chunk.d_state
    )

    ours, our_last, trace = network.forward(x, chunk.state)
    np.testing.assert_allclose(ours, logits, **LIMITS)
    np.testing.assert_allclose(our_last, last, **LIMITS)
    our_loss, d_logits = cross_entropy_gradient(ours, chunk.targets)
    assert our_loss + (chunk.d_state * our_last).sum() == pytest.approx(loss, rel=1e-12)
    d_state, dx = network.backward(trace, d_logits, chunk.d_state)

    ours = {"state": d_state, **network.grads} | ({} if dx is None else {"input": dx})
    for k in range(layers):  # one bias of ours is two of torch's, with the same gradient but for the GRU's n
        bias = ours.pop(f"{cell}.bias_l{k}")
        ours[f"{cell}.bias_ih_l{k}"] = ours[f"{cell}.bias_hh_l{k}"] = bias
        if cell == "gru":
            ours[f"gru.bias_hh_l{k}"] = np.r_[bias[: 2 * 6], ours.pop(f"gru.bias_hn_l{k}")]
    assert ours.keys() == grads.keys()
    for name, grad in grads.items():
        np.testing.assert_allclose(ours[name], grad, **LIMITS, err_msg=name)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_module_trained_elsewhere_with_both_biases(cell):
    config = make_network(cell, layers=2).config
    rng = np.random.default_rng(7)
    tensors = {name: rng.standard_normal(shape) for name, shape in torch_layout.shapes(config, VOCAB).items()}
    network = Network(config, VOCAB, np.float64)
    torch_layout.from_torch(tensors, network.params)
    chunk = make_chunk(network, T=6)
    logits, last, _ = network.forward(chunk.x, chunk.state)
    _, expected, expected_last, _ = torch_run(
        config, tensors, chunk.x, chunk.targets, chunk.state, chunk.d_state
    )
    np.testing.assert_allclose(logits, expected, **LIMITS)
    np.testing.assert_allclose(last, expected_last, **LIMITS)
