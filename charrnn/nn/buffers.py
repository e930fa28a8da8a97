"""Arrays that are allocated once per shape and used again by every chunk."""

from collections.abc import Mapping

import numpy as np

Array = np.ndarray
Tensors = Mapping[str, Array]  # arrays by their names

WHOLE = 1024  # numbers: a multiple of any vector register


def flat(size: int, dtype: np.typing.DTypeLike) -> Array:
    """`size` zeros that begin at a cache line, in memory that goes on to a multiple of WHOLE.

    Compiled code works on whole vectors, and may run over the numbers that follow: they are nobody's.
    """
    dtype = np.dtype(dtype)
    room = np.zeros((-(-size // WHOLE) + 1) * WHOLE, dtype)
    start = (-room.ctypes.data % 64) // dtype.itemsize
    return room[start : start + size]


class Buffers:
    """Named scratch arrays: asking again for the same name, shape and dtype gives the same memory.

    The contents are whatever the last user left there.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> Array:
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array

    def shifted(self, name: str, before: Array, T: int) -> tuple[Array, Array]:
        """Two views (T, …) of one buffer, of s[t-1] and of s[t], where s[-1] is `before` (…)."""
        whole = self(name, (T + 1, *before.shape), before.dtype)
        whole[0] = before
        return whole[:-1], whole[1:]
