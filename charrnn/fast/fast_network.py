"""A network that reads long texts with compiled kernels and otherwise works like `charrnn.nn.network`."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.fast.shard import Reader, cell_of, programs_by_streams
from charrnn.fast.weights import Weights
from charrnn.nn.masks import Masks
from charrnn.nn.network import SHAPES_KEPT, Network

STEPS = 32  # time steps per kernel call: efficient products whose results still fit in the cache
FEWEST_STREAMS = 8  # fewer streams are read by the plain network


class Threads:
    """Runs a list of calls in parallel, the first one in the calling thread."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count - 1) if count > 1 else None

    def run(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        if self._pool is None or len(calls) < 2:
            return [call() for call in calls]
        others = [self._pool.submit(call) for call in calls[1:]]
        return [calls[0](), *(other.result() for other in others)]


def shares(streams: int, threads: int) -> list[slice]:
    """The streams of each thread; their numbers differ by at most one."""
    edges = [streams * k // threads for k in range(threads + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges) if start < stop]


class FastNetwork(Network):
    """A network with compiled reading. Set `threads` before the first use."""

    steps_at_once = STEPS

    def __init__(self, config: ModelConfig, vocab_size: int, dtype: np.typing.DTypeLike = np.float32) -> None:
        super().__init__(config, vocab_size, dtype)
        self.threads = Threads(1)
        self.weights = Weights(self, cell_of(config))
        self._readers: dict[int, list[tuple[slice, Reader]]] = {}

    def refresh(self, masks: Masks | None = None) -> None:
        """Update the kernels' copies of the weights from `theta`, with the masks of a training step."""
        self.weights.tensors.spread()
        self.weights.set_masks(masks or Masks())
        self.threads.run(self.weights.tasks)

    def read(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T, B = x.shape
        whole = T - T % STEPS
        if B < FEWEST_STREAMS or not whole:
            return super().read(x, state)
        self.refresh()
        readers = self._readers.pop(B, None) or self._make_readers(B)
        self._readers[B] = readers  # now the most recent
        if len(self._readers) > SHAPES_KEPT:
            del self._readers[next(iter(self._readers))]
        logits = np.empty((T, B, self.vocab_size), self.theta.dtype)
        for streams, reader in readers:
            reader.state = state[:, :, streams]

        def read(streams: slice, reader: Reader) -> None:
            with np.errstate(over="ignore", invalid="ignore"):  # per thread; the logits show it
                for start in range(0, whole, STEPS):
                    block = slice(start, start + STEPS)
                    reader.x[...] = x[block, streams]
                    reader.forward()
                    wide = reader.logits.reshape(STEPS, -1, reader.logits.shape[1])
                    np.add(wide[..., : self.vocab_size], self.params["head.bias"], out=logits[block, streams])

        self.threads.run([partial(read, *part) for part in readers])
        state = np.concatenate([reader.state for _, reader in readers], axis=2)
        if whole < T:
            logits[whole:], state = super().read(x[whole:], state)
        return logits, state

    def _make_readers(self, B: int) -> list[tuple[slice, Reader]]:
        parts = shares(B, self.threads.count)
        programs = programs_by_streams(self, self.weights.width, STEPS, parts)
        return [(part, Reader(self, self.weights, programs[part.stop - part.start])) for part in parts]
