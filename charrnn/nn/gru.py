"""The GRU layer, with the reset gate after the matrix product.

    a[t] = W_ih x[t] + b;  u[t] = W_hh h[t-1]                 (1)   gates r, z, n: blocks of H rows
    r = σ(a_r + u_r);  z = σ(a_z + u_z)                       (2)
    n = tanh(a_n + r ∘ (u_n + b_hn))                          (3)
    h[t] = (1 - z) ∘ n + z ∘ h[t-1] = n + z ∘ (h[t-1] - n)    (4)

Cho et al. (2014), in the form of cuDNN and `torch.nn.GRU`, whose tensors these are; b_hn stands
apart since the reset gate acts on it.
"""

from collections.abc import Mapping

import numpy as np

from charrnn.nn import linear
from charrnn.nn.buffers import Buffers
from charrnn.nn.trace import LayerTrace

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
    x: np.ndarray,
    state: np.ndarray,
    params: Mapping[str, np.ndarray],
    buffers: Buffers,
    *,
    hold: tuple[np.ndarray, np.ndarray] | None = None,
) -> LayerTrace:
    """Run a chunk.

    x : (T, B, F) or symbols (T, B); state : (1, B, H), the h before the chunk
    hold : mask (B, H) and values (B, H); where the mask is true, h[t] := value at every step
    """
    (T, B), H = x.shape[:2], params["weight_hh"].shape[1]
    b_hn, dtype = params["bias_hn"], params["weight_hh"].dtype
    parts = linear.products(3, B)
    # Transposed, since BLAS is quicker with it this way round.
    w_hh_t = np.ascontiguousarray(params["weight_hh"].reshape(parts, -1, H).transpose(0, 2, 1))
    w_ih, bias = params["weight_ih"].reshape(3, H, -1), params["bias"].reshape(3, H)
    a = linear.forward(x, w_ih, bias, linear.blocks(buffers, "a", (3, T, B, H), dtype))
    u = buffers("u", (3, B, H), dtype)
    u_parts, u_rz, u_n = u.reshape(parts, B, 3 * H // parts), u[:2], u[2]
    inner = buffers("inner", (T, B, H), dtype)
    h = buffers("h", (T + 1, B, H), dtype)
    h[0] = state[0]
    rz, (r, z, n) = a[:2].swapaxes(0, 1), a
    for rz_t, r_t, z_t, n_t, inner_t, h_prev, h_t in zip(rz, r, z, n, inner, h[:-1], h[1:], strict=True):
        np.matmul(h_prev, w_hh_t, out=u_parts)  # (1)
        rz_t += u_rz
        rz_t *= 0.5  # (2): σ(a) = ½ + ½ tanh(a/2)
        np.tanh(rz_t, out=rz_t)
        rz_t *= 0.5
        rz_t += 0.5
        np.add(u_n, b_hn, out=inner_t)  # (3)
        np.multiply(r_t, inner_t, out=h_t)
        n_t += h_t
        np.tanh(n_t, out=n_t)
        np.subtract(h_prev, n_t, out=h_t)  # (4)
        h_t *= z_t
        h_t += n_t
        if hold is not None:
            np.copyto(h_t, hold[1], where=hold[0])
    return LayerTrace(
        x=x, h=h[1:], h_prev=h[:-1], state=h[-1:], inner=inner, gates=dict(zip(GATES, a, strict=True))
    )


def backward(
    trace: LayerTrace,
    dh_out: np.ndarray,
    d_state: np.ndarray,
    params: Mapping[str, np.ndarray],
    grads: Mapping[str, np.ndarray],
    buffers: Buffers,
    *,
    dx: np.ndarray | None = None,
) -> np.ndarray:
    """Backward through time; overwrites `grads` and `dx`.

    dh_out : (T, B, H), ∂loss/∂h[t] from above; d_state : (1, B, H), from the chunk that follows
    Returns ∂loss/∂state, (1, B, H).
    """
    assert trace.inner is not None
    h, h_prev = trace.h, trace.h_prev
    T, B, H = h.shape
    parts = linear.products(3, B)
    w_hh = params["weight_hh"].reshape(parts, -1, H)
    r, z, n = (trace.gates[name] for name in GATES)
    # Everything that needs no time loop, for all steps at once:
    da_n = buffers("da_n", (T, B, H), h.dtype)
    du = linear.blocks(buffers, "du", (3, T, B, H), h.dtype)  # of u; da is the same for r and z
    du_r, du_z, du_n = du
    local = buffers("local", (T, B, H), h.dtype)
    np.subtract(1, np.multiply(n, n, out=da_n), out=da_n)  # (3): ∂n/∂a_n
    da_n *= np.subtract(1, z, out=local)  # (4): ∂h/∂a_n
    np.multiply(da_n, r, out=du_n)  # (3): ∂h/∂u_n
    np.multiply(da_n, trace.inner, out=du_r)  # (3): ∂h/∂r, then (2): ∂h/∂u_r
    du_r *= derivative_of_sigma(r, out=local)
    np.subtract(h_prev, n, out=du_z)  # (4): ∂h/∂z, then (2): ∂h/∂u_z
    du_z *= derivative_of_sigma(z, out=local)
    dh = d_state[0].copy()
    carried = buffers("carried", (B, H), h.dtype)
    dh_k = buffers("dh_k", (parts, B, H), h.dtype)
    by_gate = du.swapaxes(0, 1)
    by_part = by_gate.reshape(T, parts, B, 3 * H // parts)  # a view, of one stream as of many
    by_step = (array[::-1] for array in (dh_out, da_n, by_gate, by_part, z))
    for dh_out_t, da_n_t, du_t, du_parts_t, z_t in zip(*by_step, strict=True):
        dh += dh_out_t
        da_n_t *= dh
        du_t *= dh
        np.multiply(dh, z_t, out=carried)  # (4)
        np.matmul(du_parts_t, w_hh, out=dh_k)  # (1)
        np.add.reduce(dh_k, axis=0, out=dh)
        dh += carried
    d_w_hh, d_w_ih = grads["weight_hh"].reshape(3, H, H), grads["weight_ih"].reshape(3, H, -1)
    np.matmul(du.reshape(3, -1, H).transpose(0, 2, 1), h_prev.reshape(-1, H), out=d_w_hh)
    np.sum(du_n.reshape(-1, H), axis=0, out=grads["bias_hn"])
    du_n[...] = da_n  # from here on: da
    w_ih, d_bias = params["weight_ih"].reshape(3, H, -1), grads["bias"].reshape(3, H)
    linear.backward(trace.x, w_ih, du, d_w_ih, d_bias, dx)
    return dh[None]


def derivative_of_sigma(gate: np.ndarray, out: np.ndarray) -> np.ndarray:
    """σ'(a) = σ(a) (1 - σ(a)), from the gate σ(a)."""
    np.subtract(1, gate, out=out)
    return np.multiply(out, gate, out=out)
