"""The Jacobian of one step of the network: how the state after a symbol depends on the state before it.

    s[t] = F(s[t-1], x[t]),    J[m, n] = ∂s[t]_m / ∂s[t-1]_n

s is the whole state: h, and c of the LSTM, of every layer. Row m of J is what `Network.backward` returns for the
m-th unit vector as the gradient of the state after the step; all rows are found at once, a stream each.
"""

import numpy as np

from charrnn.nn.buffers import Array
from charrnn.nn.network import Network


def step(network: Network, x: Array, state: Array) -> tuple[Array, Array]:
    """F and its Jacobian at P states, in the numbers of the network; overwrites `network.grads`.

    x : (P, V), real vectors in place of one-hot ones; state : (L, S, P, H)
    Returns the states after the step (L, S, P, H) and J (P, D, D) for D = L S H numbers in the order (L, S, H).
    """
    L, S, P, H = state.shape
    D = L * S * H
    rows = np.repeat(state, D, axis=2)  # a state's D rows side by side: (L, S, P D, H)
    logits, after, trace = network.forward(np.repeat(x, D, axis=0)[None], rows)
    units = np.eye(D, dtype=state.dtype).reshape(D, L, S, H).transpose(1, 2, 0, 3)
    before, _ = network.backward(trace, np.zeros_like(logits), np.tile(units, (1, 1, P, 1)))
    jacobian = before.transpose(2, 0, 1, 3).reshape(P, D, D)
    return after[:, :, ::D], jacobian
