"""Numeric checks of every gradient of a network, random or trained, on random symbols and vectors."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.nn.gradcheck import EPSILON, numeric_gradient, relative_error
from charrnn.nn.init import initialise
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network

LIMIT = 1e-6  # largest relative error of a correct gradient


@dataclass(frozen=True)
class TensorCheck:
    """The gradient of one array, numeric against analytic.

    checked : number of its entries that were compared
    norm : ‖analytic gradient‖ over those entries
    relative_error : ‖analytic - numeric‖ / max(‖analytic‖, ‖numeric‖)
    rounding : the part of it that rounding may cause: the loss is known to one part in 2⁵², so the difference of
        two losses is imprecise if the gradient is tiny compared with the loss
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    norm: float
    relative_error: float
    rounding: float

    @property
    def passed(self) -> bool:
        """Whether the error is below LIMIT, with allowance for rounding."""
        return self.relative_error <= LIMIT + self.rounding


def check_tensors(
    network: Network,
    x: np.ndarray,
    targets: np.ndarray,
    state: np.ndarray,
    epsilon: float = EPSILON,
    *,
    samples: int = 0,
    rng: np.random.Generator | None = None,
    only: Collection[str] | None = None,
) -> list[TensorCheck]:
    """Check the gradient of a real input, of the initial state and of every tensor.

    The loss is the cross-entropy of the chunk plus a fixed linear function of the last state, so
    the gradient from the following chunk is checked too. Meant for float64.

    x : (T, B) symbols or (T, B, F) real; targets : (T, B); state : (L, S, B, H)
    samples : entries of each array to compare, drawn by `rng` without repetition; 0 compares all
    only : names to check; the state is called "state", the input "input"
    """
    d_state = np.cos(np.arange(state.size, dtype=state.dtype)).reshape(state.shape)

    def loss() -> float:
        logits, last, _ = network.forward(x, state)
        return cross_entropy_gradient(logits, targets)[0] + float((d_state * last).sum())

    logits, _, trace = network.forward(x, state)
    _, d_logits = cross_entropy_gradient(logits, targets)
    d_state0, dx = network.backward(trace, d_logits, d_state)
    pairs = {} if dx is None else {"input": (x, dx.copy())}
    pairs["state"] = state, d_state0
    pairs |= {name: (value, network.grads[name].copy()) for name, value in network.params.items()}

    size_of_loss = abs(loss())
    checks: list[TensorCheck] = []
    for name, (array, analytic) in pairs.items():
        if only is not None and name not in only:
            continue
        places = np.arange(array.size)
        if samples and samples < array.size:
            assert rng is not None
            places = np.sort(rng.choice(array.size, samples, replace=False))
        numeric = numeric_gradient(loss, array, epsilon, places)
        chosen = analytic.ravel()[places]
        scale = max(float(np.linalg.norm(chosen)), float(np.linalg.norm(numeric)))
        noise = np.finfo(array.dtype).eps * size_of_loss / epsilon * np.sqrt(len(places))
        norm, error = float(np.linalg.norm(chosen)), relative_error(chosen, numeric)
        rounding = float(noise) / scale if scale else 0.0
        checks.append(TensorCheck(name, array.shape, len(places), norm, error, rounding))
    return checks


def made_up_network(config: ModelConfig, vocab_size: int, rng: np.random.Generator) -> Network:
    """A float64 network, initialised as for training, but with no bias at zero, so that every path counts."""
    network = Network(config, vocab_size, np.float64)
    initialise(network, rng)
    for name, value in network.params.items():
        if "bias" in name:
            value += 0.1 * rng.standard_normal(value.shape)
    return network


def check_network(
    network: Network, seq_length: int, batch_size: int, samples: int, rng: np.random.Generator
) -> list[TensorCheck]:
    """Check every tensor and the initial state on symbols, then the input on vectors of real numbers.

    With an embedding the input's gradient is not checked apart: it is summed into that of the embedding.

    network : in float64; symbols, targets, state and vectors are drawn by `rng`
    """
    V = network.vocab_size
    x, targets = rng.integers(0, V, (2, seq_length, batch_size))
    state = 0.5 * rng.standard_normal(network.state_shape(network.config, batch_size))
    checks = check_tensors(network, x, targets, state, samples=samples, rng=rng)
    if not network.config.embedding:
        vectors = rng.standard_normal((seq_length, batch_size, V))
        checks += check_tensors(network, vectors, targets, state, samples=samples, rng=rng, only=["input"])
    return checks
