"""The memory that compiled code may work on."""

import numpy as np
import pytest

from charrnn.nn.buffers import WHOLE, flat

whole = pytest.importorskip("charrnn.fast.compiler", exc_type=ModuleNotFoundError).whole


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, WHOLE - 1, WHOLE, WHOLE + 1, 5 * WHOLE - 3])
def test_the_whole_of_a_flat_array_ends_with_a_vector_and_in_its_own_memory(size: int, dtype: type) -> None:
    array = flat(size, dtype)
    array[:] = np.arange(size)
    longer = whole(array)
    np.testing.assert_array_equal(longer[:size], np.arange(size))
    assert not longer[size:].any()
    assert size <= len(longer) < size + WHOLE
    assert longer.nbytes % 256 == 0  # bytes of the longest vector register that any processor may have
    (start, end), (first, last) = (
        np.lib.array_utils.byte_bounds(array.base),
        np.lib.array_utils.byte_bounds(longer),
    )
    assert start <= first
    assert last <= end
    longer[:] = 7  # what is written there is seen here
    np.testing.assert_array_equal(array, np.full(size, 7.0))
