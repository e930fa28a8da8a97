"""Arrays that are allocated once per shape and used again by every chunk."""

import numpy as np


class Buffers:
    """Named scratch arrays: asking again for the same name, shape and dtype gives the same memory.

    The contents are whatever the last user left there.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array
