"""A sequence of numbers, written once and read again: in memory if short, otherwise in a temporary file."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.text.sources import IN_MEMORY

RECORDS_AT_ONCE = 1 << 14  # numbers, or records, read at a time


class Spool:
    """An array that grows at its end and is read from its beginning, in blocks."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, numbers: np.ndarray) -> None:
        """Add numbers (n,). Raises CharRNNError if the temporary file cannot be written."""
        try:
            self._file.write(numbers.astype(self.dtype, copy=False).tobytes())
        except OSError as error:
            raise CharRNNError(
                f"results could not be kept in a temporary file in {tempfile.gettempdir()}: "
                f"{error.strerror or error}. Set TMPDIR to a folder with more space"
            ) from error

    def blocks(self) -> Iterator[np.ndarray]:
        """All numbers in order, RECORDS_AT_ONCE at a time."""
        self._file.seek(0)
        while block := self._file.read(RECORDS_AT_ONCE * self.dtype.itemsize):
            yield np.frombuffer(block, self.dtype)
