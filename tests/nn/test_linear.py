"""The affine map and its gradient, in one block and in several."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.nn import linear

K, T, B, F, G = 3, 4, 2, 6, 5


def blocks(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((K, G, F)), rng.standard_normal((K, G))


def test_forward_by_its_equation():
    weight, bias = blocks()
    x = np.random.default_rng(1).standard_normal((T, B, F))
    y = linear.forward(x, weight, bias, np.empty((K, T, B, G)))
    for k in range(K):
        for t in range(T):
            for b in range(B):
                np.testing.assert_allclose(y[k, t, b], weight[k] @ x[t, b] + bias[k], rtol=1e-12)


def test_a_symbol_looks_up_its_column():
    weight, bias = blocks()
    x = np.random.default_rng(1).integers(0, F, (T, B))
    y = linear.forward(x, weight, bias, np.empty((K, T, B, G)))
    for k in range(K):
        for t in range(T):
            for b in range(B):
                np.testing.assert_allclose(y[k, t, b], weight[k][:, x[t, b]] + bias[k], rtol=1e-14)


@pytest.mark.parametrize("symbols", [False, True])
def test_backward_by_its_equation(symbols):
    weight, _ = blocks()
    rng = np.random.default_rng(2)
    x = rng.integers(0, F, (T, B)) if symbols else rng.standard_normal((T, B, F))
    vectors = np.eye(F)[x] if symbols else x
    dy = rng.standard_normal((K, T, B, G))
    d_weight, d_bias, dx = np.full((K, G, F), np.nan), np.full((K, G), np.nan), np.full((T, B, F), np.nan)
    linear.backward(x, weight, dy, d_weight, d_bias, None if symbols else dx)
    np.testing.assert_allclose(d_weight, np.einsum("ktbg,tbf->kgf", dy, vectors), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(d_bias, np.einsum("ktbg->kg", dy), rtol=1e-12)
    if not symbols:
        np.testing.assert_allclose(dx, np.einsum("ktbg,kgf->tbf", dy, weight), rtol=1e-12, atol=1e-14)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 3), st.sampled_from(["f4", "f8"]))
def test_sum_by_symbol_by_its_equation(symbols, blocks, dtype):
    rng = np.random.default_rng(len(symbols))
    rows = rng.integers(-9, 10, (blocks, len(symbols), 4)).astype(dtype)  # sums of integers are exact
    expected = np.zeros((blocks, 10, 4), dtype)
    for n, symbol in enumerate(symbols):
        expected[:, symbol] += rows[:, n]
    transposed = np.full((blocks, 4, 10), np.nan, dtype)  # an out that is not C-contiguous, as weights are
    linear.sum_by_symbol(np.array(symbols), rows, transposed.transpose(0, 2, 1))
    np.testing.assert_array_equal(transposed.transpose(0, 2, 1), expected)
