"""The vanilla recurrent layer.

    a[t] = W_ih x[t] + b + W_hh h[t-1]          (1)
    h[t] = φ(a[t]),  φ = tanh or ReLU           (2)

Elman (1990), "Finding Structure in Time". Tensors are those of `torch.nn.RNN`, with one bias.
"""

from collections.abc import Mapping

import numpy as np

from charrnn.nn import linear
from charrnn.nn.buffers import Buffers
from charrnn.nn.trace import LayerTrace

STATES = ("h",)


def parameter_shapes(inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each trainable tensor of one layer."""
    return {"weight_ih": (hidden, inputs), "weight_hh": (hidden, hidden), "bias": (hidden,)}


def forward(
    x: np.ndarray,
    state: np.ndarray,
    params: Mapping[str, np.ndarray],
    buffers: Buffers,
    *,
    nonlinearity: str = "tanh",
    hold: tuple[np.ndarray, np.ndarray] | None = None,
) -> LayerTrace:
    """Run a chunk.

    x : (T, B, F) or symbols (T, B); state : (1, B, H), the h before the chunk
    hold : mask (B, H) and values (B, H); where the mask is true, h[t] := value at every step
    """
    (T, B), H = x.shape[:2], params["weight_hh"].shape[1]
    dtype = params["weight_hh"].dtype
    w_hh_t = np.ascontiguousarray(params["weight_hh"].T)  # BLAS is quicker with it this way round
    w_ih, bias = params["weight_ih"][None], params["bias"][None]
    (a,) = linear.forward(x, w_ih, bias, buffers("a", (1, T, B, H), dtype))
    h = buffers("h", (T + 1, B, H), dtype)
    h[0] = state[0]
    for a_t, h_prev, h_t in zip(a, h[:-1], h[1:], strict=True):
        np.dot(h_prev, w_hh_t, out=h_t)  # (1); np.matmul takes longer over one stream
        h_t += a_t
        if nonlinearity == "tanh":  # (2)
            np.tanh(h_t, out=h_t)
        else:
            np.maximum(h_t, 0, out=h_t)
        if hold is not None:
            np.copyto(h_t, hold[1], where=hold[0])
    return LayerTrace(x=x, h=h[1:], h_prev=h[:-1], state=h[-1:])


def backward(
    trace: LayerTrace,
    dh_out: np.ndarray,
    d_state: np.ndarray,
    params: Mapping[str, np.ndarray],
    grads: Mapping[str, np.ndarray],
    buffers: Buffers,
    *,
    nonlinearity: str = "tanh",
    dx: np.ndarray | None = None,
) -> np.ndarray:
    """Backward through time; overwrites `grads` and `dx`.

    dh_out : (T, B, H), ∂loss/∂h[t] from above; d_state : (1, B, H), from the chunk that follows
    Returns ∂loss/∂state, (1, B, H).
    """
    h, w_hh = trace.h, params["weight_hh"]
    T, B, H = h.shape
    da = buffers("da", (T, B, H), h.dtype)
    if nonlinearity == "tanh":  # (2): φ' = 1 - h², or 1 where h > 0
        np.multiply(h, h, out=da)
        np.subtract(1, da, out=da)
    else:
        np.greater(h, 0, out=da)
    dh = d_state[0].copy()
    for da_t, dh_out_t in zip(da[::-1], dh_out[::-1], strict=True):
        dh += dh_out_t
        da_t *= dh  # (2)
        np.dot(da_t, w_hh, out=dh)  # (1)
    np.matmul(da.reshape(-1, H).T, trace.h_prev.reshape(-1, H), out=grads["weight_hh"])
    w_ih, d_w_ih, d_bias = params["weight_ih"][None], grads["weight_ih"][None], grads["bias"][None]
    linear.backward(trace.x, w_ih, da[None], d_w_ih, d_bias, dx)
    return dh[None]
