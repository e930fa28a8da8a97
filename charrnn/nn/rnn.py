"""The vanilla recurrent layer.

    a[t] = W_ih x[t] + b + W_hh h[t-1]          (1)
    h[t] = φ(a[t]),  φ = tanh or ReLU           (2)

Elman (1990), "Finding Structure in Time". Tensors are those of `torch.nn.RNN`, with one bias.

Memory: 3 T B H numbers per layer: a, h and ∂loss/∂a.
"""

import numpy as np

from charrnn.nn import linear
from charrnn.nn.buffers import Array, Buffers, Tensors

STATES = ("h",)


def parameter_shapes(inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each trainable tensor of one layer."""
    return {"weight_ih": (hidden, inputs), "weight_hh": (hidden, hidden), "bias": (hidden,)}


def forward(
    x: Array,
    state: Array,
    params: Tensors,
    buffers: Buffers,
    *,
    nonlinearity: str = "tanh",
    hold: tuple[Array, Array] | None = None,
) -> dict[str, Array]:
    """Run a chunk.

    x : (T, B, F) or symbols (T, B); state : (1, B, H), the h before the chunk
    hold : mask (B, H) and values (B, H); where the mask is true, h[t] := value at every step

    Returns the trace: the arrays that backward needs, by their letters.
    """
    w_ih, w_hh, bias = linear.by_gate(params, 1)  # (1, H, F), (1, H, H), (1, H)
    (w_hh_t,) = np.ascontiguousarray(w_hh.transpose(0, 2, 1))  # for few streams, BLAS is quicker with it
    (T, B), H, dtype = x.shape[:2], len(w_hh_t), w_hh.dtype
    (a,) = linear.forward(x, w_ih, bias, out=buffers("a", (1, T, B, H), dtype))
    h_prev, h = buffers.shifted("h", state[0], T)  # (T, B, H) each
    for t in range(T):
        a[t] += h_prev[t] @ w_hh_t  # (1)
        if nonlinearity == "tanh":  # (2)
            np.tanh(a[t], out=h[t])
        else:
            np.maximum(a[t], 0, out=h[t])
        if hold is not None:
            np.copyto(h[t], hold[1], where=hold[0])
    return {"x": x, "h": h, "h_prev": h_prev}


def backward(
    trace: Tensors,
    dh_out: Array,
    d_state: Array,
    params: Tensors,
    grads: Tensors,
    buffers: Buffers,
    *,
    nonlinearity: str = "tanh",
    dx: Array | None = None,
) -> Array:
    """Backward through time; overwrites `grads` and `dx`.

    dh_out : (T, B, H), ∂loss/∂h[t] from above; d_state : (1, B, H), from the chunk that follows
    Returns ∂loss/∂state, (1, B, H).
    """
    h, h_prev = trace["h"], trace["h_prev"]
    w_ih, (w_hh,), _ = linear.by_gate(params, 1)
    d_w_ih, (d_w_hh,), d_bias = linear.by_gate(grads, 1)
    T, B, H = h.shape
    (da,) = da_by_gate = buffers("da", (1, T, B, H), h.dtype)
    dh = d_state[0]
    for t in reversed(range(T)):
        dh = dh + dh_out[t]
        if nonlinearity == "tanh":  # (2)
            da[t] = (1 - h[t] * h[t]) * dh
        else:
            da[t] = (h[t] > 0) * dh
        dh = da[t] @ w_hh  # (1)
    np.matmul(da.reshape(-1, H).T, h_prev.reshape(-1, H), out=d_w_hh)
    linear.backward(trace["x"], w_ih, da_by_gate, d_w_ih, d_bias, dx)
    return dh[None]
