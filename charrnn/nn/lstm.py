"""The LSTM layer.

    a[t] = W_ih x[t] + b + W_hh h[t-1]                   (1)   gates i, f, g, o: blocks of H rows
    i, f, o = σ(a_i), σ(a_f), σ(a_o);  g = tanh(a_g)     (2)
    c[t] = f ∘ c[t-1] + i ∘ g                            (3)
    h[t] = o ∘ tanh(c[t])                                (4)

Hochreiter and Schmidhuber (1997); forget gate: Gers et al. (2000). Tensors are those of
`torch.nn.LSTM`, with one bias.

σ(a) = ½ + ½ tanh(a/2): with the inner ½ folded into the weights, one tanh serves all four gates.
"""

from collections.abc import Mapping

import numpy as np

from charrnn.nn import linear
from charrnn.nn.buffers import Buffers
from charrnn.nn.trace import LayerTrace

GATES = ("i", "f", "g", "o")
STATES = ("h", "c")
BLOCK = 2**16  # numbers of gate derivative worked on at once in backward: 256 kB, to stay in cache


def parameter_shapes(inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each trainable tensor of one layer."""
    return {"weight_ih": (4 * hidden, inputs), "weight_hh": (4 * hidden, hidden), "bias": (4 * hidden,)}


def forward(
    x: np.ndarray,
    state: np.ndarray,
    params: Mapping[str, np.ndarray],
    buffers: Buffers,
    *,
    hold: tuple[np.ndarray, np.ndarray] | None = None,
) -> LayerTrace:
    """Run a chunk.

    x : (T, B, F) or symbols (T, B); state : (2, B, H), h and c before the chunk
    hold : mask (B, H) and values (B, H); where the mask is true, c[t] := value at every step
    """
    (T, B), H, dtype = x.shape[:2], params["weight_hh"].shape[1], params["weight_hh"].dtype
    # One number a gate, written out for each cell: arrays of one shape need no broadcasting.
    half, shift = np.empty((2, 4, 1, H), dtype)
    half[...] = np.array([0.5, 0.5, 1, 0.5])[:, None, None]
    shift[...] = np.array([0.5, 0.5, 0, 0.5])[:, None, None]
    w_ih = params["weight_ih"].reshape(4, H, -1) * half[:, :, :1]
    bias = params["bias"].reshape(4, H) * half[:, 0]
    # Transposed, since BLAS is quicker with it this way round.
    parts = linear.products(4, B)
    w_hh_t = buffers("w_hh_t", (parts, H, 4 * H // parts), dtype)
    w_hh, scale = params["weight_hh"].reshape(parts, -1, H), half.reshape(parts, 1, -1)
    np.multiply(w_hh.transpose(0, 2, 1), scale, out=w_hh_t)
    a = linear.forward(x, w_ih, bias, linear.blocks(buffers, "a", (4, T, B, H), dtype))
    u = buffers("u", (4, B, H), dtype)
    u_parts = u.reshape(parts, B, 4 * H // parts)
    ig = buffers("ig", (B, H), dtype)
    tanh_c = buffers("tanh_c", (T, B, H), dtype)
    h = buffers("h", (T + 1, B, H), dtype)
    c = buffers("c", (T + 1, B, H), dtype)
    h[0], c[0] = state
    i, f, g, o = a
    steps = zip(a.swapaxes(0, 1), i, f, g, o, h[:-1], c[:-1], h[1:], c[1:], tanh_c, strict=True)
    for a_t, i_t, f_t, g_t, o_t, h_prev, c_prev, h_t, c_t, tanh_c_t in steps:
        np.matmul(h_prev, w_hh_t, out=u_parts)  # (1)
        a_t += u
        np.tanh(a_t, out=a_t)  # (2)
        a_t *= half
        a_t += shift
        np.multiply(f_t, c_prev, out=c_t)  # (3)
        np.multiply(i_t, g_t, out=ig)
        c_t += ig
        if hold is not None:
            np.copyto(c_t, hold[1], where=hold[0])
        np.tanh(c_t, out=tanh_c_t)  # (4)
        np.multiply(o_t, tanh_c_t, out=h_t)
    return LayerTrace(
        x=x,
        h=h[1:],
        h_prev=h[:-1],
        state=np.array((h[-1], c[-1])),
        c=c[1:],
        c_prev=c[:-1],
        inner=tanh_c,
        gates=dict(zip(GATES, a, strict=True)),
        stacked_gates=a,
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

    dh_out : (T, B, H), ∂loss/∂h[t] from above; d_state : (2, B, H), from the chunk that follows
    Returns ∂loss/∂state, (2, B, H).
    """
    assert trace.c_prev is not None
    assert trace.inner is not None
    assert trace.stacked_gates is not None
    h = trace.h
    T, B, H = h.shape
    parts = linear.products(4, B)
    w_hh = params["weight_hh"].reshape(parts, -1, H)
    a = trace.stacked_gates
    da = linear.blocks(buffers, "da", (4, T, B, H), h.dtype)
    dh_dc = buffers("dh_dc", (T, B, H), h.dtype)  # ∂h[t]/∂c[t] = o (1 - tanh²c)
    dc_t = buffers("dc_t", (B, H), h.dtype)
    dh, dc = d_state.copy()
    dh_k = buffers("dh_k", (parts, B, H), h.dtype) if parts > 1 else dh[None]
    f, da_ifg, da_o = a[1], da[:3].swapaxes(0, 1), da[3]
    da_parts = da.swapaxes(0, 1).reshape(T, parts, B, 4 * H // parts)  # a view, of one stream as of many
    steps_at_once = max(1, BLOCK // (B * 4 * H))
    for end in range(T, 0, -steps_at_once):
        block = slice(max(0, end - steps_at_once), end)
        local_derivatives(a[:, block], trace.c_prev[block], trace.inner[block], da[:, block], dh_dc[block])
        by_step = (array[block][::-1] for array in (dh_out, dh_dc, da_o, da_ifg, da_parts, f))
        for dh_out_t, dh_dc_t, da_o_t, da_ifg_t, da_t, f_t in zip(*by_step, strict=True):
            dh += dh_out_t
            np.multiply(dh, dh_dc_t, out=dc_t)  # (4)
            dc += dc_t
            da_o_t *= dh  # (4), (2)
            da_ifg_t *= dc  # (3), (2)
            dc *= f_t  # (3)
            np.matmul(da_t, w_hh, out=dh_k)  # (1)
            if parts > 1:
                np.add.reduce(dh_k, axis=0, out=dh)
    d_w_hh, d_w_ih = grads["weight_hh"].reshape(4, H, H), grads["weight_ih"].reshape(4, H, -1)
    np.matmul(da.reshape(4, -1, H).transpose(0, 2, 1), trace.h_prev.reshape(-1, H), out=d_w_hh)
    w_ih, d_bias = params["weight_ih"].reshape(4, H, -1), grads["bias"].reshape(4, H)
    linear.backward(trace.x, w_ih, da, d_w_ih, d_bias, dx)
    return np.array((dh, dc))


def local_derivatives(
    gates: np.ndarray, c_prev: np.ndarray, tanh_c: np.ndarray, da: np.ndarray, dh_dc: np.ndarray
) -> None:
    """The part of the backward pass that needs no time loop.

    ∂c/∂a_i = g i(1-i),  ∂c/∂a_f = c[t-1] f(1-f),  ∂c/∂a_g = i (1-g²),  ∂h/∂a_o = tanh(c) o(1-o)
    ∂h/∂c = o (1 - tanh²c)

    gates : (4, T, B, H); c_prev, tanh_c : (T, B, H); results in da (4, T, B, H) and dh_dc (T, B, H)
    """
    i, f, g, o = gates
    da_i, da_f, da_g, da_o = da
    np.multiply(gates, gates, out=da)
    for da_k, gate, factor in ((da_i, i, g), (da_f, f, c_prev), (da_o, o, tanh_c)):
        np.subtract(gate, da_k, out=da_k)
        da_k *= factor
    np.subtract(1, da_g, out=da_g)
    da_g *= i
    np.multiply(tanh_c, tanh_c, out=dh_dc)
    np.subtract(1, dh_dc, out=dh_dc)
    dh_dc *= o
