"""The text as training input: contiguous splits, cut into contiguous streams, read in chunks.

Letters: N ids in total, B parallel streams, T characters per chunk.
"""

import mmap
from typing import Any, NamedTuple

import numpy as np

from charrnn.errors import DataError

_FORGET_EVERY = 1 << 24  # ids read before the pages of a memory-mapped text are released again


class Parts(NamedTuple):
    """The ids of a text to train on, to validate with and to test with: contiguous views, in that order."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(ids: np.ndarray, val_fraction: float, test_fraction: float) -> Parts:
    """Cut `ids` into parts, without gaps."""
    train_end = int(len(ids) * (1 - val_fraction - test_fraction))
    val_end = max(train_end, int(len(ids) * (1 - test_fraction)))
    return Parts(ids[:train_end], ids[train_end:val_end], ids[val_end:])


def spread_part(ids: np.ndarray, most: int, pieces: int = 64) -> np.ndarray:
    """At most `most` ids: all of them, or equal pieces spread evenly over the text, in order."""
    if len(ids) <= most:
        return ids
    size = most // pieces
    starts = np.linspace(0, len(ids) - size, pieces).astype(int)
    return np.concatenate([np.asarray(ids[start : start + size]) for start in starts])


def fit_batch_size(n_ids: int, batch_size: int, seq_length: int) -> int:
    """The largest number of streams, up to `batch_size`, for which each has a whole chunk; at least 1."""
    return max(1, min(batch_size, (n_ids - 1) // seq_length))


class Streams:
    """`ids` cut into B contiguous streams of S = (N - 1) // B characters, served in chunks of T.

    Stream b reads ids[b*S], ids[b*S + 1], …; its targets are the ids one position later:

        x[t, b] = ids[b*S + k*T + t]        y[t, b] = ids[b*S + k*T + t + 1]        for chunk k

    so chunk k + 1 continues where chunk k ended. An epoch has `chunks` = S // T chunks; a shorter rest is left
    out. `ids` may be memory-mapped: only the requested chunks are read.

    served : the streams that this process reads; by default all

    Raises DataError if a stream has no whole chunk.
    """

    def __init__(self, ids: np.ndarray, batch_size: int, seq_length: int, served: slice = slice(None)):
        self.batch_size = batch_size
        self.seq_length = seq_length
        length = (len(ids) - 1) // batch_size
        self.chunks = length // seq_length
        if self.chunks < 1:
            needed = batch_size * seq_length + 1
            raise DataError(
                f"the text is too short: {len(ids):,} symbols, but {batch_size} stream{'s' * (batch_size > 1)} with "
                f"chunks of {seq_length} need at least {needed:,}. Add more text, or lower --seq-length or --batch-size"
            )
        ids = np.asarray(ids)  # a plain array: slicing np.memmap costs several times as much
        self._rows = np.lib.stride_tricks.as_strided(  # row b: stream b and the target of its last character
            ids, (batch_size, length + 1), (length * ids.strides[0], ids.strides[0]), writeable=False
        )[served]
        self._map = _map_under(ids)
        self._forget_every = max(1, _FORGET_EVERY // (batch_size * seq_length))

    def chunk(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs x and targets y of chunk `k` of an epoch, intp arrays of shape (T, B), C-contiguous."""
        if not 0 <= k < self.chunks:
            raise IndexError(f"chunk {k} of {self.chunks}")
        start = k * self.seq_length
        both = self._rows[:, start : start + self.seq_length + 1].T.astype(np.intp, order="C")
        if self._map is not None and k % self._forget_every == 0:
            self._map.madvise(mmap.MADV_DONTNEED)
        return both[:-1], both[1:]


def _map_under(ids: np.ndarray) -> mmap.mmap | None:
    """The memory map behind `ids`, if its pages can be released.

    Pages that were read count as this process's memory although the system could drop them at any time. Releasing
    them now and then keeps memory constant for texts of any size. They stay in the system's cache, so reading them
    again is cheap.
    """
    base: Any = ids
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None
