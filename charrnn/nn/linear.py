"""The affine map y = W x + b, for real vectors and for symbols, in K blocks at once.

A symbol s stands for the one-hot vector with a 1 at s, so W x is column s of W: forward looks the column up,
and backward adds into it. The one-hot vectors themselves are never made.

A recurrent layer has one block per gate (K = 4 for the LSTM), the head has one. The block axis comes first, so
that a gate at one time step is one contiguous array (B, H).
"""

from itertools import pairwise

import numpy as np

from charrnn.nn.buffers import Array, Tensors


def by_gate(tensors: Tensors, K: int) -> tuple[Array, Array, Array]:
    """weight_ih (K, H, F), weight_hh (K, H, H) and bias (K, H) of a layer: views of the stacked (K H, …)."""
    w_ih, w_hh, bias = (tensors[name] for name in ("weight_ih", "weight_hh", "bias"))
    return w_ih.reshape(K, -1, w_ih.shape[1]), w_hh.reshape(K, -1, w_hh.shape[1]), bias.reshape(K, -1)


def forward(x: Array, weight: Array, bias: Array, out: Array) -> Array:
    """All time steps at once: y[k, t] = W[k] x[t] + b[k].

    x : (T, B, F) real, or (T, B) symbols in 0..F-1
    weight : (K, G, F), bias : (K, G), out : (K, T, B, G)
    """
    w_t = weight.transpose(0, 2, 1)  # (K, F, G)
    if x.ndim == 2:  # mode "clip" writes into out without a copy
        return np.take(w_t + bias[:, None], x, axis=1, out=out, mode="clip")
    np.matmul(x.reshape(-1, x.shape[-1]), w_t, out=out.reshape(len(w_t), -1, w_t.shape[-1]))
    out += bias[:, None, None]
    return out


def backward(x: Array, weight: Array, dy: Array, d_weight: Array, d_bias: Array, dx: Array | None) -> None:
    """Weight gradients as one product over all time steps; overwrites d_weight, d_bias and dx.

    dW[k] = Σ dy[k, t] x[t]ᵀ,  db[k] = Σ dy[k, t],  dx[t] = Σ_k W[k]ᵀ dy[k, t]

    dy : (K, T, B, G); dx : (T, B, F), or None where it is not wanted (symbols have none)
    """
    K, G = d_bias.shape
    rows = dy.reshape(K, -1, G)  # (K, T B, G)
    if x.ndim == 2:
        sum_by_symbol(x.ravel(), rows, d_weight.transpose(0, 2, 1))
    else:
        np.matmul(rows.transpose(0, 2, 1), x.reshape(-1, x.shape[-1]), out=d_weight)
    np.matmul(np.ones(rows.shape[1], rows.dtype), rows, out=d_bias)  # a sum, as a product: half the time
    if dx is not None:
        np.sum(rows @ weight, axis=0, out=dx.reshape(-1, dx.shape[-1]))  # (T B, F)


def sum_by_symbol(symbols: Array, rows: Array, out: Array) -> None:
    """out[k, s] = Σ rows[k, n] over the n with symbols[n] = s; zero for absent symbols.

    symbols : (N,), rows : (K, N, G), out : (K, V, G). Rows of one symbol are brought together by a stable sort,
    so that they are always added in the same order.
    """
    K, V, G = out.shape
    order = np.argsort(symbols, kind="stable")
    ordered, grouped = symbols[order], rows[:, order]
    starts = [0, *(np.flatnonzero(np.diff(ordered)) + 1), len(ordered)]
    total = np.zeros((V, K, G), out.dtype)  # since `out` may be a transposed view, slow to add into
    for start, stop in pairwise(starts):
        total[ordered[start]] = grouped[:, start:stop].sum(axis=1)
    out[...] = total.swapaxes(0, 1)
