"""The engine of the fast path: shards of the batch in threads, each compiled for its shape."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import llvmlite
import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines import fast_update as update
from charrnn.engines.backend import NumpyBackend, per_target
from charrnn.engines.drawn_masks import draw, rates
from charrnn.engines.fast_chunks import Chunks, suits
from charrnn.fast.compiler import Program, whole, zeros
from charrnn.fast.fast_network import FastNetwork, Threads, shares
from charrnn.fast.registers import registers
from charrnn.fast.shard import Shard, cell_of, programs_by_streams
from charrnn.fast.weights import Weights
from charrnn.nn.buffers import flat
from charrnn.nn.clipping import gradient_norm


class FastBackend(NumpyBackend):
    """The results of NumpyBackend up to rounding, step for step.

    A single stream is trained by `fast_chunks`, unless the settings ask for more than that has. Otherwise the batch is
    cut into `threads` shards. Their gradients are summed in the order of the shards, so the result depends on the
    number of shards but never on which thread was first.
    """

    network_type = FastNetwork

    def __init__(
        self, model: ModelConfig, config: TrainConfig, vocab_size: int, batch_size: int, threads: int = 1
    ) -> None:
        began = time.perf_counter()
        super().__init__(model, config, vocab_size, batch_size)
        network = self._network
        assert isinstance(network, FastNetwork)
        self._threads = network.threads = Threads(min(threads, batch_size))
        if isinstance(self._average, FastNetwork):
            self._average.threads = network.threads
        self._more = {"penalised": self._penalised} if config.weight_decay else {}
        if self._average is not None:
            self._more["average"] = self._average.theta
        self._chunks: Chunks | None = None
        self._shards: list[Shard] = []
        if suits(model, config, batch_size):
            self._chunks = Chunks(network, config, self._optimizer, self._more)
            self.at_once, without_cache = self._chunks.at_once, self._chunks.without_cache
        else:
            self._make_shards(batch_size)
            without_cache = self._make_update(self._threads.count)
        if without_cache:
            self.notes = (f"{without_cache}. Until then each run compiles its kernels again",)
        network.compile()  # for validation
        self.compile_seconds = time.perf_counter() - began
        compiler = f"llvmlite {llvmlite.__version__}, for {registers().name}"
        self.engine = f"fast ({compiler}), {config.precision}, compiled in {self.compile_seconds:.1f} s"

    def _make_shards(self, batch_size: int) -> None:
        network, config = self._network, self._config
        weights = self._weights = Weights(network, cell_of(network.config))
        weights.mask(rates(config, network.params))
        parts = shares(batch_size, self._threads.count)
        of_batch = network, weights.width, config.seq_length, parts, batch_size
        by_place, epsilon = config.input_dropout > 0, config.label_smoothing
        programs = programs_by_streams(*of_batch, by_place=by_place, epsilon=epsilon)
        for part in parts:
            grad = flat(network.grad.size, network.grad.dtype) if self._shards else network.grad
            kernels = programs[part.stop - part.start]
            self._shards.append(Shard(network, weights, kernels, part, grad, config))

    def _make_update(self, threads: int) -> str:
        """Bind the sum of gradients and the optimiser to a part of the flat arrays for each thread. Returns why the
        cache was not used, if it was not."""
        network, config = self._network, self._config
        program = Program(config.optimizer, config.clip_value, dtype=network.theta.dtype)
        theta, lanes, dtype = whole(network.theta), program.target.lanes, network.theta.dtype
        edges = [theta.size // lanes * k // threads * lanes for k in range(threads + 1)]
        spans = [slice(start, stop) for start, stop in pairwise(edges) if start < stop]
        more = self._more
        for size in sorted({span.stop - span.start for span in spans}):
            update.add_sum_gradients(program, f"sum_gradients_{size}", size, len(self._shards))
            update.add_update(program, f"update_{size}", config.optimizer, size, config.clip_value, [*more])
        program.compile()
        self._scalars = zeros(len(update.SCALARS), dtype)
        self._squares: list[np.ndarray] = []
        self._sums: list[Callable[[], Any]] = []
        self._updates: list[Callable[[], Any]] = []
        for span in spans:
            size = span.stop - span.start
            self._squares.append(zeros(update.partial_sums(size, lanes), dtype))
            grads = [whole(shard.grad)[span] for shard in self._shards]
            self._sums.append(program.bind(f"sum_gradients_{size}", *grads, self._squares[-1]))
            memory = [whole(array)[span] for array in self._optimizer.memory.values()]
            memory += [whole(array)[span] for array in more.values()]
            self._updates.append(
                program.bind(f"update_{size}", theta[span], grads[0], *memory, self._scalars)
            )
        return program.without_cache

    def steps(
        self, chunks: Sequence[tuple[np.ndarray, np.ndarray]], rates: Sequence[float]
    ) -> list[tuple[float, float]]:
        if self._chunks is None:
            return super().steps(chunks, rates)
        found = self._chunks.steps(chunks, rates)
        return [(per_target(loss, y), norm) for (loss, norm), (_, y) in zip(found, chunks, strict=True)]

    def step(self, x: np.ndarray, y: np.ndarray, lr: float) -> tuple[float, float]:
        if self._chunks is not None:
            return self.steps([(x, y)], [lr])[0]
        T, B = x.shape
        smooth = self._smoothing()
        masks = draw(self._config, self._network.params, T, B, self._rng)
        for shard in self._shards:
            shard.begin(T)
            shard.x[:T], shard.y[:T] = x[:, shard.streams], y[:, shard.streams]
            if smooth is not None:
                shard.smooth[: len(smooth)] = smooth / B
            shard.mask(masks.of_streams(shard.streams))
        self._weights.refresh(masks, self._threads.run)
        loss = sum(self._threads.run([shard.step for shard in self._shards])) / B
        norm = self._sum_gradients()
        self._update(lr, norm)
        return per_target(loss, y), norm

    def _sum_gradients(self) -> float:
        """Sum the shards' gradients and the penalties into the network's gradient; returns its norm."""
        grad = self._network.grad
        self._threads.run(self._sums)
        if self._config.l1 or self._config.l2 or self._frozen:
            self._add_penalties()
            for gradient in self._frozen:
                gradient[...] = 0
            return gradient_norm(grad)
        return math.sqrt(sum(float(squares.sum(dtype=np.float64)) for squares in self._squares))

    def _update(self, lr: float, norm: float) -> None:
        config = self._config
        self._optimizer.steps += 1
        scale = config.clip_norm / norm if config.clip_norm and norm > config.clip_norm else 1.0
        self._scalars[...] = update.scalars_of(config, scale, lr, self._optimizer.steps)
        self._threads.run(self._updates)

    @property
    def _streams(self) -> Sequence[Shard | Chunks]:
        """Those that hold the state of a part of the batch."""
        return self._shards if self._chunks is None else [self._chunks]

    def reset_state(self) -> None:
        for streams in self._streams:
            streams.state = np.zeros_like(streams.state)

    def arrays(self) -> dict[str, np.ndarray]:
        self._state = np.concatenate([streams.state for streams in self._streams], axis=2)
        return super().arrays()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        for streams in self._streams:
            streams.state = self._state[:, :, streams.streams]
