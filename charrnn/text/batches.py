"""The text as training input, in chunks: contiguous streams, or items side by side.

Letters: N ids in total, B parallel streams or items, T characters per chunk.
"""

import mmap
from typing import Any, NamedTuple, Protocol

import numpy as np

from charrnn.errors import DataError
from charrnn.text.items import Items

_FORGET_EVERY = 1 << 24  # ids read before the pages of a memory-mapped text are released again


Text = np.ndarray | Items  # the ids (N,) of a stream, or items


class Parts(NamedTuple):
    """The text to train on, to validate with and to test with: of a stream contiguous views, in that order."""

    training: Text
    validation: Text
    test: Text


class Chunks(Protocol):
    """A training text in chunks, one after the other in an epoch, and epoch after epoch.

    chunks : in an epoch
    symbols : predicted in an epoch
    """

    batch_size: int
    seq_length: int
    chunks: int
    symbols: int

    def chunk(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs x and targets y of the chunk at `step`, counted through all epochs: intp arrays (t, B),
        C-contiguous, t ≤ seq_length. A target of NO_TARGET is none."""

    def targets(self, step: int) -> int:
        """How many symbols the chunk at `step` predicts, in the streams or items of all processes."""

    def begins(self, step: int) -> bool:
        """Whether the chunk at `step` is read from the zero state."""


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


def size_of(text: Text) -> int:
    """The symbols of a stream, or the predicted symbols of items."""
    return text.symbols if isinstance(text, Items) else len(text)


def predictions(text: Text) -> int:
    """How many symbols of a text are predicted: of a stream all but the first."""
    return text.symbols if isinstance(text, Items) else max(0, len(text) - 1)


def fit_batch_size(text: Text, batch_size: int, seq_length: int) -> int:
    """The largest number of streams, up to `batch_size`, for which each has a whole chunk, or items; at least 1."""
    most = len(text) if isinstance(text, Items) else (len(text) - 1) // seq_length
    return max(1, min(batch_size, most))


class Streams:
    """`ids` cut into B contiguous streams of S = (N - 1) // B characters, served in chunks of T.

    Stream b reads ids[b*S], ids[b*S + 1], …; its targets are the ids one position later:

        x[t, b] = ids[b*S + k*T + t]        y[t, b] = ids[b*S + k*T + t + 1]        for chunk k

    so chunk k + 1 continues where chunk k ended. An epoch has `chunks` = S // T chunks; a shorter rest is left
    out. `ids` may be memory-mapped: only the requested chunks are read.

    With jitter each epoch begins at an offset o < T of its own in all streams, ids[b*S + o + k*T + t], so that no place
    of the text is always at the end of a chunk, where gradients stop (Merity et al. 2018 also vary the lengths, which
    gained nothing here: benchmarks/LOG.md). The offset follows from the seed and the epoch alone. There is a chunk
    less, so that all epochs have the same number.

    served : the streams that this process reads; by default all
    jitter : the seed of the offsets; without it there are none

    Raises DataError if a stream has no whole chunk.
    """

    def __init__(
        self,
        ids: np.ndarray,
        batch_size: int,
        seq_length: int,
        served: slice = slice(None),
        jitter: int | None = None,
    ):
        self.batch_size = batch_size
        self.seq_length = seq_length
        self._jitter, self._epoch, self._offset = jitter, -1, 0
        length = (len(ids) - 1) // batch_size
        self.chunks = length // seq_length
        if jitter is not None and self.chunks > 1:
            self.chunks = (
                length - seq_length + 1
            ) // seq_length  # the last offset, T - 1, leaves room for so many
        self._offsets = min(seq_length, length - self.chunks * seq_length + 1)
        self.symbols = self.chunks * seq_length * batch_size
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

    def targets(self, step: int) -> int:
        """T B: each symbol of a stream is predicted."""
        return self.seq_length * self.batch_size

    def begins(self, step: int) -> bool:
        """Whether an epoch begins: the state is carried from chunk to chunk within one."""
        return step % self.chunks == 0

    def chunk(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs x and targets y of the chunk at `step`, intp arrays of shape (T, B), C-contiguous."""
        epoch, k = divmod(step, self.chunks)
        start = self._offset_in(epoch) + k * self.seq_length
        both = self._rows[:, start : start + self.seq_length + 1].T.astype(np.intp, order="C")
        if self._map is not None and k % self._forget_every == 0:
            self._map.madvise(mmap.MADV_DONTNEED)
        return both[:-1], both[1:]

    def _offset_in(self, epoch: int) -> int:
        """The first place of each stream that is read in an epoch."""
        if self._jitter is not None and epoch != self._epoch:
            self._offset = int(np.random.default_rng([self._jitter, epoch]).integers(self._offsets))
            self._epoch = epoch
        return self._offset


class ItemBatches:
    """Items of like length side by side, each from the zero state, in chunks of at most T.

    The items are sorted by length and cut into batches of B. A batch whose longest item has L places is read in
    n = ⌈L / T⌉ chunks of ⌈L / n⌉ places, the state carried from one to the next. In each epoch the batches come in
    another order, and items of the same length stand in other batches, as `seed` and the epoch say; the lengths of
    the batches are the same in every epoch.

    served : the rows of each batch that this process reads; by default all
    """

    def __init__(
        self, items: Items, batch_size: int, seq_length: int, seed: int, end: int, served: slice = slice(None)
    ):
        if not len(items):
            raise DataError("there is no item to train on. Give more items, or lower --val-fraction")
        self.items, self.batch_size, self.seq_length = items, batch_size, seq_length
        self.symbols = items.symbols
        self._seed, self._end, self._served = seed, end, served
        longest = np.sort(items.places)[batch_size - 1 :: batch_size]
        if len(items) % batch_size:
            longest = np.append(longest, items.places.max())
        self._chunks = -(-longest // seq_length)  # of each batch, the shortest items first
        self._lengths = -(-longest // self._chunks)
        self.chunks = int(self._chunks.sum())
        self._epoch = -1

    @property
    def padding(self) -> float:
        """Share of the places of an epoch, 0 to 1, that no item fills."""
        places = int((self._chunks * self._lengths).sum()) * self.batch_size
        return 1 - int(self.items.places.sum(dtype=np.int64)) / places

    def targets(self, step: int) -> int:
        """How many symbols the chunk at `step` predicts, in all rows."""
        which, begin, length = self._places(step)
        first = np.maximum(self.items.conditions[which] - 1, begin)
        stop = np.minimum(self.items.places[which], begin + length)
        return int(np.maximum(stop - first, 0).sum())

    def begins(self, step: int) -> bool:
        """Whether a batch begins."""
        return self._find(step)[1] == 0

    def chunk(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs x and targets y of the chunk at `step`, intp arrays of shape (t, B), C-contiguous."""
        which, begin, length = self._places(step)
        x, y = self.items.block(which, self.batch_size, begin, length, self._end)
        return np.ascontiguousarray(x[:, self._served]), np.ascontiguousarray(y[:, self._served])

    def _places(self, step: int) -> tuple[np.ndarray, int, int]:
        """The items that are read at `step`, the first of their places, and how many places."""
        batch, k = self._find(step)
        which = self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
        length = int(self._lengths[batch])
        return which, k * length, length

    def _find(self, step: int) -> tuple[int, int]:
        """The batch that is read at `step`, and which of its chunks."""
        epoch, place = divmod(step, self.chunks)
        if epoch != self._epoch:
            self._shuffle(epoch)
        turn = int(np.searchsorted(self._firsts, place, side="right")) - 1
        return int(self._turns[turn]), place - int(self._firsts[turn])

    def _shuffle(self, epoch: int) -> None:
        """Settle which items stand in which batch in an epoch, and the order of the batches."""
        rng = np.random.default_rng([self._seed, epoch])
        order = rng.permutation(len(self.items))
        self._order = order[np.argsort(self.items.places[order], kind="stable")]
        self._turns = rng.permutation(len(self._chunks))
        self._firsts = np.cumsum(self._chunks[self._turns]) - self._chunks[self._turns]  # chunk of each turn
        self._epoch = epoch


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
