"""Penalties on activations: their gradient, by the equations of penalties.py, through the whole network."""

import numpy as np
import pytest
from helpers.chunks import CELLS, make_chunk, make_network

from charrnn.config import TrainConfig
from charrnn.engines.drawn_masks import draw
from charrnn.nn.gradcheck import numeric_gradient, relative_error
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.penalties import activation_gradient


@pytest.mark.parametrize(
    ("alpha", "beta", "kind"),
    [(2.0, 0.0, "standard"), (0.0, 1.5, "standard"), (2.0, 1.5, "locked"), (2.0, 1.5, "")],
)
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_gradient_of_the_penalised_loss(cell, nonlinearity, alpha, beta, kind):
    """Through dropout, and where the target of some places is missing."""
    network = make_network(cell, nonlinearity, layers=2, hidden=3)
    chunk, T, B, H = make_chunk(network, T=4), 4, 2, 3
    chunk.targets[1, 0] = chunk.targets[3, 1] = -1
    config = TrainConfig(dropout=0.4 if kind else 0.0, dropout_kind=kind or "standard")
    masks = draw(config, network.params, T, B, np.random.default_rng(2))
    mask = masks.outputs[-1] if kind else None

    def loss():
        logits, _, trace = network.forward(chunk.x, chunk.state, masks=masks)
        h, total = trace.layers[-1]["h"], cross_entropy_gradient(logits, chunk.targets)[0]
        for t in range(T):
            for b in range(B):
                if chunk.targets[t, b] >= 0:
                    total += alpha / (B * H) * float((trace.top[t, b] ** 2).sum())
                    if t > 0:
                        total += beta / (B * H) * float(((h[t, b] - h[t - 1, b]) ** 2).sum())
        return total

    logits, _, trace = network.forward(chunk.x, chunk.state, masks=masks)
    _, d_logits = cross_entropy_gradient(logits, chunk.targets)
    h = trace.layers[-1]["h"]
    dh_top = activation_gradient(h, mask, chunk.targets, alpha, beta, 1 / (B * H))
    assert np.linalg.norm(dh_top) > 0.05
    network.backward(trace, d_logits, dh_top=dh_top)
    analytic = {name: grad.copy() for name, grad in network.grads.items()}
    for name, value in network.params.items():
        assert relative_error(analytic[name], numeric_gradient(loss, value)) < 1e-6, name


def test_a_chunk_of_one_step_has_no_change():
    h = np.random.default_rng(0).standard_normal((1, 2, 3))
    assert not activation_gradient(h, None, np.zeros((1, 2), int), 0.0, 5.0, 0.1).any()
