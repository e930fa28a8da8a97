"""Where flat arrays lie in memory, and when a buffer is the one that was there before."""

import numpy as np
import pytest

from charrnn.nn.buffers import WHOLE, Buffers, flat

SIZES = [1, WHOLE - 1, WHOLE, WHOLE + 1, 5 * WHOLE - 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flat_arrays_are_zeros_that_begin_at_a_cache_line(dtype):
    arrays = [flat(size, dtype) for size in SIZES * 4]  # all alive, so that they begin at various addresses
    for size, array in zip(SIZES * 4, arrays, strict=True):
        assert (array.shape, array.dtype) == ((size,), dtype)
        assert not array.any()
        assert array.ctypes.data % 64 == 0
        array[:] = 1
        assert array.base.nbytes <= (size + 2 * WHOLE) * array.itemsize  # what it costs in memory


def test_a_buffer_is_the_same_memory_for_the_same_name_shape_and_dtype():
    buffers = Buffers()
    array = buffers("a", (2, 3), np.float32)
    assert (array.shape, array.dtype) == ((2, 3), np.float32)
    array[:] = 5
    assert buffers("a", (2, 3), np.float32) is array
    other = buffers("b", (2, 3), np.float32)
    assert not np.shares_memory(other, array)
    assert buffers("a", (2, 3), np.float32) is array


@pytest.mark.parametrize(("shape", "dtype"), [((3, 2), np.float32), ((2, 3), np.float64)])
def test_a_buffer_of_another_shape_or_dtype_is_another(shape, dtype):
    buffers = Buffers()
    first = buffers("a", (2, 3), np.float32)
    array = buffers("a", shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert not np.shares_memory(array, first)
    assert buffers("a", shape, dtype) is array


def test_shifted_views_are_one_step_apart():
    buffers, before = Buffers(), np.array([[1.0, 2, 3]])
    previous, current = buffers.shifted("h", before, 4)
    for t in range(4):
        current[t] = 10 * (t + 1)
    np.testing.assert_array_equal(previous[:, 0], [[1, 2, 3], [10] * 3, [20] * 3, [30] * 3])
    np.testing.assert_array_equal(current[:, 0], [[10] * 3, [20] * 3, [30] * 3, [40] * 3])
    assert before.tolist() == [[1, 2, 3]]
    again = buffers.shifted("h", np.array([[4.0, 5, 6]]), 4)
    assert np.shares_memory(again[1], current)
    np.testing.assert_array_equal(again[0][0], [[4, 5, 6]])
