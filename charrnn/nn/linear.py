"""The affine map y = W x + b, for real vectors and for symbols, in K blocks at once.

A symbol s stands for the one-hot vector with a 1 at s, so W x is column s of W. Forward looks the
column up and backward adds into it; only for at most FEW_ROWS symbols does backward make the vectors, since
one small product takes less time than the calls.

A recurrent layer has a block a gate (K = 4 for the LSTM), the head has one. The block axis comes
first, so that a gate over a whole chunk is one array (T, B, H). OpenBLAS multiplies several small
matrices at twice the rate of one wide one (16×128 by 128×512: 20 against 40 µs). In memory it comes first
too, but for a single stream, whose K blocks of one step lie side by side: there it is calls that cost,
and a call takes a third of the time when what it works on is in one piece.
"""

from itertools import pairwise

import numpy as np

from charrnn.nn.buffers import Buffers

FEW_ROWS = 64  # symbols up to which each is looked up by itself, and added up by one-hot vectors


def blocks(
    buffers: Buffers, name: str, shape: tuple[int, int, int, int], dtype: np.typing.DTypeLike
) -> np.ndarray:
    """A buffer of shape (K, T, B, G): K blocks over a chunk."""
    K, T, B, G = shape
    if B > 1:
        return buffers(name, shape, dtype)
    return buffers(name, (T, K, B, G), dtype).swapaxes(0, 1)


def products(K: int, B: int) -> int:
    """In how many products one step of B streams multiplies by K blocks: K, but one for a single stream."""
    return K if B > 1 else 1


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray) -> np.ndarray:
    """All time steps at once: y[k, t, b] = W[k] x[t, b] + b[k].

    x : (T, B, F) real, or (T, B) symbols in 0..F-1
    weight : (K, G, F), bias : (K, G), out : (K, T, B, G), such that reshape(K, T B, G) is a view
    """
    K, _, _, G = out.shape
    if x.ndim == 2 and x.size <= FEW_ROWS:
        np.add(weight[:, :, x].transpose(0, 2, 3, 1), bias[:, None, None], out=out)
    elif x.ndim == 2:
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

    dy : (K, T, B, G), as `out` of forward; dx : (T, B, F), or None where it is not wanted (symbols have none)
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
    np.matmul(np.ones(rows.shape[1], rows.dtype), rows, out=d_bias)  # a sum, as a product: half the time


def sum_by_symbol(symbols: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """out[k, s] = Σ rows[k, n] over the n with symbols[n] = s; zero for absent symbols.

    symbols : (N,), rows : (K, N, G), out : (K, V, G). Few rows are multiplied by one-hot vectors; many are
    brought together by a stable sort and summed group by group. The order is always the same: the result
    does not depend on timing.
    """
    K, V, G = out.shape
    if len(symbols) <= FEW_ROWS:
        np.matmul(one_hot(symbols, V, rows.dtype).T, rows, out=out)
        return
    total = np.zeros((V, K, G), out.dtype)  # since `out` may be a transposed view, slow to add into
    order = np.argsort(symbols, kind="stable")
    ordered, grouped = symbols[order], rows[:, order]
    starts = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1), len(ordered)]
    # A sum a symbol: np.add.reduceat would do it in one call, at twice the time.
    for start, stop in pairwise(starts):
        total[ordered[start]] = np.add.reduce(grouped[:, start:stop], axis=1)
    out[...] = total.swapaxes(0, 1)


def one_hot(symbols: np.ndarray, size: int, dtype: np.typing.DTypeLike) -> np.ndarray:
    """A 1 at each symbol: symbols (…) in 0..size-1 -> (…, size)."""
    return (symbols[..., None] == np.arange(size)).astype(dtype)
