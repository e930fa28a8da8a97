"""The Jacobian of a step against finite differences of the step."""

import numpy as np
import pytest
from helpers.chunks import CELLS, VOCAB, make_network

from charrnn.model.jacobian import step
from charrnn.nn.gradcheck import EPSILON, relative_error


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_jacobian_of_the_whole_state(cell: str, nonlinearity: str, layers: int) -> None:
    network = make_network(cell, nonlinearity, layers)
    rng = np.random.default_rng(3)
    state = rng.normal(0, 0.5, network.state_shape(network.config, 2))
    L, S, P, H = state.shape

    def vector(x: np.ndarray, state: np.ndarray) -> np.ndarray:
        _, after, _ = network.forward(x[None], state)
        return after.transpose(2, 0, 1, 3).reshape(P, -1)

    for x in (rng.normal(size=(P, VOCAB)), rng.integers(VOCAB, size=P)):
        after, jacobian = step(network, x, state)
        np.testing.assert_allclose(
            after.transpose(2, 0, 1, 3).reshape(P, -1), vector(x, state), rtol=1e-12, atol=1e-14
        )
        numeric = np.empty((P, L * S * H, L * S * H))
        for column, (layer, kind, unit) in enumerate(np.ndindex(L, S, H)):
            push = np.zeros_like(state)
            push[layer, kind, :, unit] = EPSILON
            numeric[:, :, column] = (vector(x, state + push) - vector(x, state - push)) / (2 * EPSILON)
        for p in range(P):
            assert relative_error(jacobian[p], numeric[p]) < 1e-8
