"""The engine of the fast path: shards of the batch in threads, each compiled for its shape."""

import math
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import llvmlite
import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines import fast_update as update
from charrnn.engines.backend import NumpyBackend, per_target
from charrnn.engines.drawn_masks import draw, rates
from charrnn.fast.compiler import Program, whole, zeros
from charrnn.fast.fast_network import FastNetwork, Threads, shares
from charrnn.fast.registers import registers
from charrnn.fast.shard import Shard, cell_of, programs_by_streams
from charrnn.fast.weights import Weights
from charrnn.nn.buffers import flat
from charrnn.nn.clipping import gradient_norm


class FastBackend(NumpyBackend):
    """The results of NumpyBackend up to rounding, step for step.

    The batch is cut into `threads` shards. Their gradients are summed in the order of the shards, so
    the result depends on the number of shards but never on which thread was first.
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
        weights = self._weights = Weights(network, cell_of(model))
        weights.mask(rates(config, network.params))
        parts = shares(batch_size, self._threads.count)
        of_batch = network, weights.width, config.seq_length, parts, batch_size
        by_place, epsilon = config.input_dropout > 0, config.label_smoothing
        programs = programs_by_streams(*of_batch, by_place=by_place, epsilon=epsilon)
        self._shards: list[Shard] = []
        for part in parts:
            grad = flat(network.grad.size, network.grad.dtype) if self._shards else network.grad
            kernels = programs[part.stop - part.start]
            self._shards.append(Shard(network, weights, kernels, part, grad, config))
        self._make_update(self._threads.count)
        network.compile()  # for validation
        self.compile_seconds = time.perf_counter() - began
        compiler = f"llvmlite {llvmlite.__version__}, for {registers().name}"
        self.engine = f"fast ({compiler}), {config.precision}, compiled in {self.compile_seconds:.1f} s"

    def _make_update(self, threads: int) -> None:
        """Bind the sum of gradients and the optimiser to a part of the flat arrays for each thread."""
        network, config = self._network, self._config
        program = Program(config.optimizer, config.clip_value, dtype=network.theta.dtype)
        theta, lanes, dtype = whole(network.theta), program.target.lanes, network.theta.dtype
        edges = [theta.size // lanes * k // threads * lanes for k in range(threads + 1)]
        spans = [slice(start, stop) for start, stop in pairwise(edges) if start < stop]
        more = {"penalised": self._penalised} if config.weight_decay else {}
        if self._average is not None:
            more["average"] = self._average.theta
        for size in sorted({span.stop - span.start for span in spans}):
            update.add_sum_gradients(program, f"sum_gradients_{size}", size, len(self._shards))
            update.add_update(program, f"update_{size}", config.optimizer, size, config.clip_value, [*more])
        program.compile()
        if program.without_cache:
            self.notes = (f"{program.without_cache}. Until then each run compiles its kernels again",)
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
            own = [theta[span], grads[0], self._scalars]
            self._updates.append(program.bind(f"update_{size}", *own, *memory))

    def step(self, x: np.ndarray, y: np.ndarray, lr: float) -> tuple[float, float]:
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

    def reset_state(self) -> None:
        for shard in self._shards:
            shard.state = np.zeros_like(shard.state)

    def arrays(self) -> dict[str, np.ndarray]:
        self._state = np.concatenate([shard.state for shard in self._shards], axis=2)
        return super().arrays()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        for shard in self._shards:
            shard.state = self._state[:, :, shard.streams]
