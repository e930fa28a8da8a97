"""The compiled functions against numpy in float64."""

from collections.abc import Callable

import numpy as np
import pytest
from helpers.kernels import PROCESSORS, aligned, choose_processor, run_kernel

from charrnn.fast.functions import exp, sigmoid, tanh
from charrnn.fast.ir import Kernel, Vector

DTYPES = [np.float32, np.float64]
LARGEST = {np.float32: 60.0, np.float64: 300.0}  # how far exp goes
TINY = np.geomspace(1e-30, 1e-3, 500)
NUMBERS = np.concatenate([[0.0, -0.0], TINY, -TINY, np.linspace(-20, 20, 4001)])
FAR = np.array([-np.inf, -1e30, -1e4, -701, -100, 100, 701, 1e4, 1e30, np.inf])


@pytest.fixture(params=PROCESSORS)
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    choose_processor(request.param, monkeypatch)
    return request.param


def compiled(function: Callable[[Vector], Vector], values: np.ndarray, dtype: type) -> np.ndarray:
    """function(values), as a kernel has it."""
    vectors = -(-len(values) // 16)
    x = aligned(np.resize(values, vectors * 16), dtype)
    y = aligned(np.zeros_like(x), dtype)

    def body(k: Kernel) -> None:
        with k.loop(len(x) // k.target.lanes) as loop:
            k["y"].store(function(k["x"].load(loop.index)), loop.index)

    run_kernel(body, {"x": x, "y": y}, function.__qualname__, dtype=dtype)
    return y[: len(values)]


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest, in units of the last place of 1."""
    scale = np.where(expected == 0, 1.0, np.abs(expected))
    return float((np.abs(got - expected) / scale).max() / np.finfo(got.dtype).eps)


def numbers(dtype: type) -> np.ndarray:
    limit = LARGEST[dtype]
    return np.concatenate([NUMBERS, np.linspace(-limit, limit, 4001)]).astype(dtype).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("function", "reference", "last_places"),
    [
        (exp, np.exp, 2),
        (sigmoid, lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))), 3),
        (tanh, np.tanh, 3),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_functions_are_right_to_the_last_places(
    processor: str, dtype: type, function: Callable, reference: Callable, last_places: float
) -> None:
    x = numbers(dtype)
    assert relative_error(compiled(function, x, dtype), reference(x)) < last_places


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_far_away_are_taken_as_the_last_that_fits(processor: str, dtype: type) -> None:
    limit = LARGEST[dtype]
    within = np.clip(FAR, -limit, limit)
    assert relative_error(compiled(exp, FAR, dtype), np.exp(within)) < 2
    np.testing.assert_allclose(compiled(sigmoid, FAR, dtype), FAR > 0, rtol=0, atol=1e-26)
    np.testing.assert_array_equal(compiled(tanh, FAR, dtype), np.sign(FAR))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [exp, sigmoid, tanh, Vector.reciprocal])
def test_nan_stays_nan(processor: str, dtype: type, function: Callable) -> None:
    x = np.ones(32)
    x[[0, 7, 19, 31]] = np.nan
    np.testing.assert_array_equal(np.isnan(compiled(function, x, dtype)), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_odd_and_keeps_the_smallest(processor: str, dtype: type) -> None:
    x = numbers(dtype)
    y = compiled(tanh, x, dtype)
    np.testing.assert_array_equal(y, -compiled(tanh, -x, dtype))
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))
    smallest = np.array([1, -3, 1000]) * np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(compiled(tanh, smallest, dtype), smallest)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reciprocal(processor: str, dtype: type) -> None:
    x = np.geomspace(1e-37, 1e37, 20001).astype(dtype).astype(np.float64)
    assert relative_error(compiled(Vector.reciprocal, x, dtype), 1 / x) <= 1
    np.testing.assert_array_equal(
        compiled(Vector.reciprocal, -x, dtype), -compiled(Vector.reciprocal, x, dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_keeps_nan(processor: str, dtype: type) -> None:
    x = np.array([-np.inf, -3, -2, 0, 1.5, 2, 7, np.inf, np.nan])
    np.testing.assert_array_equal(compiled(lambda v: v.within(2.0), x, dtype), np.clip(x, -2, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_and_largest_of_a_vector(processor: str, dtype: type) -> None:
    """Each lane counts, once."""
    rng = np.random.default_rng(1)
    x = aligned(rng.standard_normal((50, 16)), dtype)
    total, largest = aligned(np.zeros(50), dtype), aligned(np.zeros(50), dtype)

    def body(k: Kernel) -> None:
        lanes = k.target.lanes
        with k.loop(50) as row:
            vectors = [k["x"][row.index].load(v) for v in range(16 // lanes)]
            high = vectors[0]
            for vector in vectors[1:]:
                high = high.larger(vector)
            k["largest"].store_number(high.largest(), row.index)
            for vector in vectors[1:]:
                vectors[0] = vectors[0] + vector
            k["total"].store_number(vectors[0].sum(), row.index)

    run_kernel(body, {"x": x, "total": total, "largest": largest}, "sum and largest", dtype=dtype)
    np.testing.assert_array_equal(largest, x.max(axis=1))
    error = np.abs(total - x.sum(axis=1, dtype=np.float64))
    assert np.all(error <= 4 * np.finfo(dtype).eps * np.abs(x).sum(axis=1))
