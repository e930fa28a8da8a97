"""The affine map y = W x + b, for real vectors and for symbols, in K blocks at once.

A symbol s stands for the one-hot vector with a 1 at s, so W x is column s of W. The
vector is never made: forward looks the column up, backward adds into it.

A recurrent layer has a block a gate (K = 4 for the LSTM), the head has one. The block axis comes
first, so that a gate over a whole chunk is one array (T, B, H). OpenBLAS multiplies several small
matrices at twice the rate of one wide one (16×128 by 128×512: 20 against 40 µs).
"""

from itertools import pairwise

import numpy as np

FEW_ROWS = 64  # up to here adding row by row is quicker than sorting first


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray) -> np.ndarray:
    """All time steps at once: y[k, t, b] = W[k] x[t, b] + b[k].

    x : (T, B, F) real, or (T, B) symbols in 0..F-1
    weight : (K, G, F), bias : (K, G), out : (K, T, B, G), C-contiguous
    """
    K, _, _, G = out.shape
    if x.ndim == 2:
        columns = weight.transpose(0, 2, 1) + bias[:, None]  # (K, F, G)
        np.take(columns, x, axis=1, out=out, mode="clip")  # "clip" writes into out without a copy
    else:
        np.matmul(x.reshape(-1, x.shape[-1]), weight.transpose(0, 2, 1), out=out.reshape(K, -1, G))
        out += bias[:, None, None]
    return out


def backward(
    x: np.ndarray,
    weight: np.ndarray,
    dy: np.ndarray,
    d_weight: np.ndarray,
    d_bias: np.ndarray,
    dx: np.ndarray | None,
) -> None:
    """Weight gradients as one product over all time steps; overwrites d_weight, d_bias and dx.

    dW[k] = Σ dy[k] xᵀ,  db[k] = Σ dy[k],  dx = Σ_k W[k]ᵀ dy[k]

    dy : (K, T, B, G), C-contiguous; dx : (T, B, F), or None where it is not wanted (symbols have none)
    """
    K, G = d_bias.shape
    rows = dy.reshape(K, -1, G)
    if x.ndim == 2:
        sum_by_symbol(x.ravel(), rows, d_weight.transpose(0, 2, 1))
    else:
        np.matmul(rows.transpose(0, 2, 1), x.reshape(-1, x.shape[-1]), out=d_weight)
        if dx is not None:
            flat = dx.reshape(-1, dx.shape[-1])
            np.matmul(rows[0], weight[0], out=flat)
            for k in range(1, K):
                flat += rows[k] @ weight[k]
    np.sum(rows, axis=1, out=d_bias)


def sum_by_symbol(symbols: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """out[k, s] = Σ rows[k, n] over the n with symbols[n] = s; zero for absent symbols.

    symbols : (N,), rows : (K, N, G), out : (K, V, G). Many rows are brought together by a stable sort
    and summed group by group. The order is always the same: the result does not depend on timing.
    """
    total = np.zeros(out.shape, out.dtype)  # since `out` may be a transposed view, slow to add into
    if len(symbols) <= FEW_ROWS:
        for symbol, row in zip(symbols.tolist(), rows.swapaxes(0, 1), strict=True):
            total[:, symbol] += row
    else:
        order = np.argsort(symbols, kind="stable")
        ordered, grouped = symbols[order], rows[:, order]
        starts = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1), len(ordered)]
        # A sum a symbol: np.add.reduceat would do it in one call, at twice the time.
        for start, stop in pairwise(starts):
            total[:, ordered[start]] = np.add.reduce(grouped[:, start:stop], axis=1)
    out[...] = total
