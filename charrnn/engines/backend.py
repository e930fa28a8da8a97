"""The interface between the training loop and an engine, and the reference engine, numpy."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines import averaging
from charrnn.engines.drawn_masks import draw
from charrnn.nn.buffers import flat
from charrnn.nn.clipping import clip, gradient_norm
from charrnn.nn.init import initialise
from charrnn.nn.loss import cross_entropy_gradient, smoothing
from charrnn.nn.network import Network
from charrnn.nn.optimizers import OPTIMIZERS
from charrnn.nn.penalties import activation_gradient


class Backend(Protocol):
    """An engine holds the weights, perhaps their average, the optimiser's memory, the hidden state and the generator
    of masks."""

    engine: str  # its description, for the first lines of a run and the model card
    notes: Sequence[str]  # notes for the user
    at_once: int = 1  # the most chunks that `steps` takes

    def steps(
        self, chunks: Sequence[tuple[np.ndarray, np.ndarray]], rates: Sequence[float]
    ) -> list[tuple[float, float]]:
        """`step` with each of some chunks at its learning rate."""
        return [self.step(x, y, lr) for (x, y), lr in zip(chunks, rates, strict=True)]

    def step(self, x: np.ndarray, y: np.ndarray, lr: float) -> tuple[float, float]:
        """Train on one chunk: x, y (T, B) -> mean loss in nats per target, gradient norm before clipping.

        T : any number from 1 to the settings' seq_length
        y : a target of -1 means that there is none: it has no loss and no gradient, and is not counted
        """

    def reset_state(self) -> None:
        """Set the hidden state to zero: a new epoch or new items begin."""

    def network(self) -> Network:
        """The weights to validate, keep and sample from, in a numpy network (a view if possible).

        They are the average where one is kept, otherwise those of the last step.
        """

    def last(self) -> Network:
        """The weights of the last step, in a numpy network (a view if possible)."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything an exact resume needs, as named arrays, not copied."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the arrays that `arrays` returned."""


class NumpyBackend(Backend):
    """The reference engine: the code in charrnn/nn."""

    network_type: type[Network] = Network
    notes: Sequence[str] = ()

    def __init__(self, model: ModelConfig, config: TrainConfig, vocab_size: int, batch_size: int) -> None:
        dtype = np.dtype(config.precision)
        self.engine = f"numpy {np.__version__}, {config.precision}"
        init_rng, self._rng = np.random.default_rng(config.seed).spawn(2)
        self._config = config
        self._network = self.network_type(model, vocab_size, dtype)
        initialise(self._network, init_rng, config.init)
        self._average: Network | None = None
        if config.average:
            self._average = self.network_type(model, vocab_size, dtype)
            self._average.theta[...] = self._network.theta
        self._optimizer = OPTIMIZERS[config.optimizer](self._network.theta.size, dtype)
        self._state = self._network.zero_state(batch_size)
        frozen = tuple(f"_l{layer}" for layer in config.frozen_layers)
        # 1 where penalties and weight decay act: on weights that are trained, not on biases.
        self._penalised = flat(self._network.theta.size, dtype)
        for name, (start, stop) in self._network.spans().items():
            self._penalised[start:stop] = "bias" not in name and not name.endswith(frozen)
        self._frozen = [self._network.grads[name] for name in self._network.grads if name.endswith(frozen)]

    def step(self, x: np.ndarray, y: np.ndarray, lr: float) -> tuple[float, float]:
        network, config = self._network, self._config
        masks = draw(config, network.params, len(x), x.shape[1], self._rng)
        logits, self._state, trace = network.forward(x, self._state, masks=masks)
        smooth = self._smoothing()
        loss, d_logits = cross_entropy_gradient(logits, y, config.label_smoothing, smooth)
        dh_top = None
        if config.ar or config.tar:
            h, mask = trace.layers[-1]["h"], masks.outputs[-1] if masks.outputs else None
            dh_top = activation_gradient(h, mask, y, config.ar, config.tar, 1 / h[0].size)
        network.backward(trace, d_logits, dh_top=dh_top)
        self._add_penalties()
        for gradient in self._frozen:  # before the norm, which covers only trained weights
            gradient[...] = 0
        norm = gradient_norm(network.grad)
        clip(network.grad, config.clip_value, config.clip_norm, norm)
        if config.weight_decay:  # θ -= lr W θ, apart from g, so that the optimiser does not scale it (AdamW)
            network.theta -= lr * config.weight_decay * self._penalised * network.theta
        self._optimizer.step(network.theta, network.grad, lr)
        if self._average is not None:
            share = averaging.share(config.average, self._optimizer.steps)
            averaging.follow(self._average.theta, network.theta, share)
        return per_target(loss, y), norm

    def _smoothing(self) -> np.ndarray | None:
        """What label smoothing moves to each symbol, (V,); None without it."""
        epsilon = self._config.label_smoothing
        return smoothing(self._network.params["head.bias"], epsilon) if epsilon else None

    def _add_penalties(self) -> None:
        """Gradient of l1 Σ|w| + ½ l2 Σw², added to that of the chunk's loss."""
        theta, config = self._network.theta, self._config
        if config.l2:
            self._network.grad += config.l2 * self._penalised * theta
        if config.l1:
            self._network.grad += config.l1 * self._penalised * np.sign(theta)

    def reset_state(self) -> None:
        self._state = np.zeros_like(self._state)

    def network(self) -> Network:
        return self._network if self._average is None else self._average

    def last(self) -> Network:
        return self._network

    def arrays(self) -> dict[str, np.ndarray]:
        memory = {f"optimizer.{name}": array for name, array in self._optimizer.memory.items()}
        if self._average is not None:
            memory["average"] = self._average.theta
        return {
            "theta": self._network.theta,
            "state": self._state,
            "optimizer.steps": np.array([self._optimizer.steps]),
            "rng": generator_state(self._rng),
            **memory,
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._network.theta[...] = arrays["theta"]
        self._state = arrays["state"].copy()
        self._optimizer.steps = int(arrays["optimizer.steps"][0])
        for name, array in self._optimizer.memory.items():
            array[...] = arrays[f"optimizer.{name}"]
        if self._average is not None:
            self._average.theta[...] = arrays["average"]
        set_generator_state(self._rng, arrays["rng"])


def per_target(loss: float, targets: np.ndarray) -> float:
    """The mean loss of a chunk's targets, from the sum over time and mean over streams; 0 if it has none."""
    count = np.count_nonzero(targets >= 0)
    return float(loss / (count / targets.shape[1])) if count else 0.0


def generator_state(rng: np.random.Generator) -> np.ndarray:
    """The state of a PCG64 generator as (6,) int64: two 128-bit numbers and the half-used output."""
    state = rng.bit_generator.state
    words = [state["state"][name] >> shift & 2**64 - 1 for name in ("state", "inc") for shift in (64, 0)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64).view(np.int64)


def set_generator_state(rng: np.random.Generator, words: np.ndarray) -> None:
    """Restore a PCG64 generator to a state from `generator_state`."""
    state_high, state_low, inc_high, inc_low, has_uint32, uinteger = (
        int(word) for word in words.view(np.uint64)
    )
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state_high << 64 | state_low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
