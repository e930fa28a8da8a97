"""Numeric against analytic gradient: is the backward pass the derivative of the forward pass?

∂loss/∂w ≈ (loss(w + ε) - loss(w - ε)) / 2ε      error O(ε²) + rounding/ε
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.nn.init import initialise
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network

EPSILON = 1e-5  # near the cube root of float64's 2.2e-16, where the two errors balance
LIMIT = 1e-6  # relative error up to which a gradient is right


@dataclass(frozen=True)
class TensorCheck:
    """The gradient of one array, numeric against analytic.

    checked : how many of its numbers were compared
    norm : ‖analytic gradient‖ over those numbers
    relative_error : ‖analytic - numeric‖ / max(‖analytic‖, ‖numeric‖)
    rounding : what rounding alone may add to it: the loss is known to one part in 2⁵², and where a gradient
        is tiny beside the loss, a difference of two losses says little of it
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


def numeric_gradient(
    loss: Callable[[], float],
    array: np.ndarray,
    epsilon: float = EPSILON,
    places: np.ndarray | None = None,
) -> np.ndarray:
    """Central differences of `loss()` in numbers of `array`, which is changed and restored in place.

    places : flat indices (N,) into `array`; None is every number
    Returns the gradient at those places (N,), or in the shape of `array`.
    """
    which = range(array.size) if places is None else places.tolist()
    gradient = np.empty(len(which), array.dtype)
    for n, place in enumerate(which):
        index = np.unravel_index(place, array.shape)
        kept = array[index]
        array[index] = kept + epsilon
        above = loss()
        array[index] = kept - epsilon
        below = loss()
        array[index] = kept
        gradient[n] = (above - below) / (2 * epsilon)
    return gradient.reshape(array.shape) if places is None else gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """‖a - b‖ / max(‖a‖, ‖b‖), and 0 when both are zero."""
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return float(np.linalg.norm(a - b)) / scale if scale else 0.0


def check_gradients(
    network: Network, x: np.ndarray, targets: np.ndarray, state: np.ndarray, epsilon: float = EPSILON
) -> dict[str, float]:
    """Relative error of the gradient of every number of every tensor, of the state and of a real input.

    As `check_tensors`. Returns name -> relative error.
    """
    checks = check_tensors(network, x, targets, state, epsilon)
    return {check.name: check.relative_error for check in checks}


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
    that the gradient that arrives from the following chunk is checked too. Meant for float64.

    x : (T, B) symbols or (T, B, V) real; targets : (T, B); state : (L, S, B, H)
    samples : numbers of each array to compare, drawn by `rng` without repetition; 0 is all
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
        checks.append(
            TensorCheck(
                name,
                array.shape,
                len(places),
                float(np.linalg.norm(chosen)),
                relative_error(chosen, numeric),
                float(noise) / scale if scale else 0.0,
            )
        )
    return checks


def made_up_network(config: ModelConfig, vocab_size: int, rng: np.random.Generator) -> Network:
    """A float64 network as training begins with, but that no bias is zero and so every path counts."""
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

    With an embedding there is no real input: symbols are looked up, and what would be the input's
    gradient is the embedding's.

    network : of float64; symbols, targets, state and vectors are drawn by `rng`
    """
    V = network.vocab_size
    x, targets = rng.integers(0, V, (2, seq_length, batch_size))
    state = 0.5 * rng.standard_normal(network.state_shape(network.config, batch_size))
    checks = check_tensors(network, x, targets, state, samples=samples, rng=rng)
    if not network.config.embedding:
        vectors = rng.standard_normal((seq_length, batch_size, V))
        checks += check_tensors(network, vectors, targets, state, samples=samples, rng=rng, only=["input"])
    return checks
