"""The GRU layer, with the reset gate after the matrix product.

    a[t] = W_ih x[t] + b;  u[t] = W_hh h[t-1]                 (1)   gates r, z, n: blocks of H rows
    r = σ(a_r + u_r);  z = σ(a_z + u_z)                       (2)
    n = tanh(a_n + r ∘ (u_n + b_hn))                          (3)
    h[t] = (1 - z) ∘ n + z ∘ h[t-1] = n + z ∘ (h[t-1] - n)    (4)

Cho et al. (2014), in the form of cuDNN and `torch.nn.GRU`, whose tensors these are; b_hn stands
apart since the reset gate acts on it.

Memory: 9 T B H numbers per layer: 3 for the gates, 1 each for u_n + b_hn and h, 3 for ∂loss/∂u, 1 for ∂loss/∂a_n.
"""

import numpy as np

from charrnn.nn import linear
from charrnn.nn.buffers import Array, Buffers, Tensors
from charrnn.nn.sigmoid import sigmoid

GATES = ("r", "z", "n")
STATES = ("h",)


def parameter_shapes(inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each trainable tensor of one layer."""
    return {
        "weight_ih": (3 * hidden, inputs),
        "weight_hh": (3 * hidden, hidden),
        "bias": (3 * hidden,),
        "bias_hn": (hidden,),
    }


def forward(
    x: Array, state: Array, params: Tensors, buffers: Buffers, *, hold: tuple[Array, Array] | None = None
) -> dict[str, Array]:
    """Run a chunk.

    x : (T, B, F) or symbols (T, B); state : (1, B, H), the h before the chunk
    hold : mask (B, H) and values (B, H); where the mask is true, h[t] := value at every step

    Returns the trace: the arrays that backward needs, by their letters.
    """
    w_ih, w_hh, bias = linear.by_gate(params, 3)  # (3, H, F), (3, H, H), (3, H)
    w_hh_t = np.ascontiguousarray(w_hh.transpose(0, 2, 1))  # for few streams, BLAS is quicker with it
    (T, B), H, dtype = x.shape[:2], w_hh.shape[2], w_hh.dtype
    r, z, n = a = buffers("a", (3, T, B, H), dtype)  # each gate takes the place of its a
    inner = buffers("inner", (T, B, H), dtype)  # u_n + b_hn
    h_prev, h = buffers.shifted("h", state[0], T)  # (T, B, H) each
    linear.forward(x, w_ih, bias, out=a)
    for t in range(T):
        u = h_prev[t] @ w_hh_t  # (1)
        a[:2, t] += u[:2]  # (2): r and z
        sigmoid(a[:2, t])
        inner[t] = u[2] + params["bias_hn"]  # (3)
        n[t] += r[t] * inner[t]
        np.tanh(n[t], out=n[t])
        h[t] = n[t] + z[t] * (h_prev[t] - n[t])  # (4)
        if hold is not None:
            np.copyto(h[t], hold[1], where=hold[0])
    return {"x": x, "r": r, "z": z, "n": n, "inner": inner, "h": h, "h_prev": h_prev}


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

    dh_out : (T, B, H), ∂loss/∂h[t] from above; d_state : (1, B, H), from the chunk that follows
    Returns ∂loss/∂state, (1, B, H).
    """
    r, z, n = (trace[name] for name in GATES)
    inner, h_prev = trace["inner"], trace["h_prev"]
    w_ih, w_hh, _ = linear.by_gate(params, 3)
    d_w_ih, d_w_hh, d_bias = linear.by_gate(grads, 3)
    T, B, H = h_prev.shape
    du_r, du_z, du_n = du = buffers("du", (3, T, B, H), h_prev.dtype)  # da_r = du_r, da_z = du_z
    da_n = buffers("da_n", (T, B, H), h_prev.dtype)
    np.multiply(1 - n * n, 1 - z, out=da_n)  # (4), (3): ∂h[t]/∂a_n, for all t at once, as the next three
    np.multiply(da_n, r, out=du_n)  # (3)
    np.multiply(da_n * inner, (1 - r) * r, out=du_r)  # (3), (2)
    np.multiply(h_prev - n, (1 - z) * z, out=du_z)  # (4), (2)
    dh = d_state[0]
    for t in reversed(range(T)):
        dh = dh + dh_out[t]
        da_n[t] *= dh
        du[:, t] *= dh
        dh = dh * z[t] + (du[:, t] @ w_hh).sum(axis=0)  # (4), (1)
    np.matmul(du.reshape(3, -1, H).transpose(0, 2, 1), h_prev.reshape(-1, H), out=d_w_hh)
    np.sum(du_n.reshape(-1, H), axis=0, out=grads["bias_hn"])
    da = du
    da[2] = da_n
    linear.backward(trace["x"], w_ih, da, d_w_ih, d_bias, dx)
    return dh[None]
