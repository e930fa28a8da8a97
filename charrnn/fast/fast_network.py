"""A network that reads with compiled kernels and otherwise works like `charrnn.nn.network`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.nn.buffers import Buffers
from charrnn.nn.network import Clamp, Network

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from charrnn.fast.streams import Streams, Weights

WORTH_A_THREAD = 2e6  # multiplications: some hundredths of a millisecond


class Threads:
    """Runs a list of calls in parallel, the first one in the calling thread."""

    def __init__(self, count: int) -> None:
        self.count = count

    @cached_property
    def _pool(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor  # only here: one short text needs no threads

        return ThreadPoolExecutor(self.count - 1)

    def run(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        if self.count < 2 or len(calls) < 2:
            return [call() for call in calls]
        others = [self._pool.submit(call) for call in calls[1:]]
        return [calls[0](), *(other.result() for other in others)]


def shares(streams: int, threads: int) -> list[slice]:
    """The streams of each thread; their numbers differ by at most one."""
    edges = [streams * k // threads for k in range(threads + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges) if start < stop]


class FastNetwork(Network):
    """A network with compiled reading. Kernels are made or loaded when it first reads.

    threads : that share the streams; what they read does not depend on their number
    """

    streams_at_once = 24  # whole tiles for 1, 2 and 4 threads

    def __init__(self, config: ModelConfig, vocab_size: int, dtype: np.typing.DTypeLike = np.float32) -> None:
        super().__init__(config, vocab_size, dtype)
        self.threads = Threads(1)
        self._weights: Weights | None = None
        self._streams: list[Streams] = []
        self._found = Buffers()

    def compile(self) -> None:
        """Make or load the kernels now."""
        from charrnn.fast.streams import Weights

        if self._weights is None:
            self._weights = Weights(self)

    def read(
        self, x: np.ndarray, state: np.ndarray, clamp: Clamp | Sequence[Clamp] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        logits = np.empty((*x.shape, self.vocab_size), self.theta.dtype)
        clamps = (clamp,) if isinstance(clamp, Clamp) else clamp or ()
        state = self._share(x, state, clamps, lambda streams, part: streams.read(x[:, part], logits[:, part]))
        return logits, state

    def losses(
        self, x: np.ndarray, targets: np.ndarray, state: np.ndarray, temperatures: Sequence[float] = (1.0,)
    ) -> tuple[np.ndarray, np.ndarray]:
        nats = np.empty((len(temperatures), *x.shape), self.theta.dtype)

        def read(streams: "Streams", part: slice) -> None:
            streams.losses(x[:, part], targets[:, part], temperatures, nats[:, :, part])

        return nats, self._share(x, state, (), read)

    def record(
        self, x: np.ndarray, state: np.ndarray, letters: Sequence[str]
    ) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
        shape = (*x.shape, self.config.hidden)
        layers = [
            {letter: self._found(f"{letter}{k}", shape, self.theta.dtype) for letter in letters}
            for k in range(self.config.layers)
        ]

        def record(streams: "Streams", part: slice) -> None:
            streams.record(x[:, part], [{n: array[:, part] for n, array in of.items()} for of in layers])

        return layers, self._share(x, state, (), record)

    def _share(
        self,
        x: np.ndarray,
        state: np.ndarray,
        clamps: Sequence[Clamp],
        read: Callable[["Streams", slice], None],
    ) -> np.ndarray:
        """Each thread reads a part of the streams; returns the state after x."""
        from charrnn.fast.streams import Streams

        if not x.size:
            return state.copy()
        self.compile()
        assert self._weights is not None
        self._weights.refresh()
        worth = int(x.size * self.theta.size // WORTH_A_THREAD)
        parts = shares(x.shape[1], max(1, min(self.threads.count, worth)))
        for k, part in enumerate(parts):
            if k == len(self._streams):
                self._streams.append(Streams(self._weights, part.stop - part.start))
            elif self._streams[k].most < part.stop - part.start:
                self._streams[k] = Streams(self._weights, part.stop - part.start)

        def run(streams: Streams, part: slice) -> np.ndarray:
            with np.errstate(over="ignore", invalid="ignore"):  # per thread; the results show it
                held = [replace(one, mask=one.mask[part], values=one.values[part]) for one in clamps]
                streams.begin(state[:, :, part], held)
                read(streams, part)
                return streams.state()

        return np.concatenate(
            self.threads.run([partial(run, s, part) for s, part in zip(self._streams, parts, strict=False)]),
            axis=2,
        )
