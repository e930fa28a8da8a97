"""The LSTM layer.

    a[t] = W_ih x[t] + b + W_hh h[t-1]                   (1)   gates i, f, g, o: blocks of H rows
    i, f, o = σ(a_i), σ(a_f), σ(a_o);  g = tanh(a_g)     (2)
    c[t] = f ∘ c[t-1] + i ∘ g                            (3)
    h[t] = o ∘ tanh(c[t])                                (4)

Hochreiter and Schmidhuber (1997); forget gate: Gers et al. (2000). Tensors are those of
`torch.nn.LSTM`, with one bias.

Memory: 11 T B H numbers per layer: 4 for the gates, 1 each for c, tanh(c) and h, and 4 for ∂loss/∂a.
"""

import numpy as np

from charrnn.nn import linear
from charrnn.nn.buffers import Array, Buffers, Tensors
from charrnn.nn.sigmoid import sigmoid

GATES = ("i", "f", "g", "o")
STATES = ("h", "c")


def parameter_shapes(inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each trainable tensor of one layer."""
    return {"weight_ih": (4 * hidden, inputs), "weight_hh": (4 * hidden, hidden), "bias": (4 * hidden,)}


def forward(
    x: Array, state: Array, params: Tensors, buffers: Buffers, *, hold: tuple[Array, Array] | None = None
) -> dict[str, Array]:
    """Run a chunk.

    x : (T, B, F) or symbols (T, B); state : (2, B, H), h and c before the chunk
    hold : mask (B, H) and values (B, H); where the mask is true, c[t] := value at every step

    Returns the trace: the arrays that backward needs, by their letters.
    """
    w_ih, w_hh, bias = linear.by_gate(params, 4)  # (4, H, F), (4, H, H), (4, H)
    w_hh_t = np.ascontiguousarray(w_hh.transpose(0, 2, 1))  # for few streams, BLAS is quicker with it
    (T, B), H, dtype = x.shape[:2], w_hh.shape[2], w_hh.dtype
    i, f, g, o = a = buffers("a", (4, T, B, H), dtype)  # each gate takes the place of its a
    tanh_c = buffers("tanh_c", (T, B, H), dtype)
    h_prev, h = buffers.shifted("h", state[0], T)  # (T, B, H) each
    c_prev, c = buffers.shifted("c", state[1], T)  # (T, B, H) each
    linear.forward(x, w_ih, bias, out=a)
    for t in range(T):
        a[:, t] += h_prev[t] @ w_hh_t  # (1)
        sigmoid(a[:2, t])  # (2): i and f
        np.tanh(g[t], out=g[t])
        sigmoid(o[t])
        c[t] = f[t] * c_prev[t] + i[t] * g[t]  # (3)
        if hold is not None:
            np.copyto(c[t], hold[1], where=hold[0])
        np.tanh(c[t], out=tanh_c[t])  # (4)
        h[t] = o[t] * tanh_c[t]
    arrays = {"h": h, "h_prev": h_prev, "c": c, "c_prev": c_prev, "tanh_c": tanh_c}
    return {"x": x, "i": i, "f": f, "g": g, "o": o, **arrays}


def backward(
    trace: Tensors,
    dh_out: Array,
    d_state: Array,
    params: Tensors,
    grads: Tensors,
    buffers: Buffers,
    *,
    dx: Array | None = None,
) -> Array:
    """Backward through time; overwrites `grads` and `dx`.

    dh_out : (T, B, H), ∂loss/∂h[t] from above; d_state : (2, B, H), from the chunk that follows
    Returns ∂loss/∂state, (2, B, H).
    """
    i, f, g, o = (trace[name] for name in GATES)
    c_prev, tanh_c, h_prev = trace["c_prev"], trace["tanh_c"], trace["h_prev"]
    w_ih, w_hh, _ = linear.by_gate(params, 4)
    d_w_ih, d_w_hh, d_bias = linear.by_gate(grads, 4)
    T, B, H = h_prev.shape
    da_i, da_f, da_g, da_o = da = buffers("da", (4, T, B, H), h_prev.dtype)
    dh, dc = d_state
    for t in reversed(range(T)):
        dh = dh + dh_out[t]
        da_o[t] = (o[t] - o[t] * o[t]) * tanh_c[t] * dh  # (4), (2)
        dc = dc + (1 - tanh_c[t] * tanh_c[t]) * o[t] * dh  # (4)
        da_i[t] = (i[t] - i[t] * i[t]) * g[t] * dc  # (3), (2)
        da_f[t] = (f[t] - f[t] * f[t]) * c_prev[t] * dc
        da_g[t] = (1 - g[t] * g[t]) * i[t] * dc
        dc = dc * f[t]  # (3)
        dh = (da[:, t] @ w_hh).sum(axis=0)  # (1)
    np.matmul(da.reshape(4, -1, H).transpose(0, 2, 1), h_prev.reshape(-1, H), out=d_w_hh)
    linear.backward(trace["x"], w_ih, da, d_w_ih, d_bias, dx)
    return np.array((dh, dc))
