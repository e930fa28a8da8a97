"""Numeric against analytic gradient: is the backward pass the derivative of the forward pass?

∂loss/∂w ≈ (loss(w + ε) - loss(w - ε)) / 2ε      error O(ε²) + rounding/ε
"""

from collections.abc import Callable

import numpy as np

from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network


def numeric_gradient(loss: Callable[[], float], array: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """Central differences of `loss()` in each number of `array`, which is changed and restored in place."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + epsilon
        above = loss()
        array[index] = kept - epsilon
        below = loss()
        array[index] = kept
        gradient[index] = (above - below) / (2 * epsilon)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """‖a - b‖ / max(‖a‖, ‖b‖), and 0 when both are zero."""
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return float(np.linalg.norm(a - b)) / scale if scale else 0.0


def check_gradients(
    network: Network, x: np.ndarray, targets: np.ndarray, state: np.ndarray, epsilon: float = 1e-5
) -> dict[str, float]:
    """Relative error of the gradient of every tensor, of the initial state, and of a real input.

    The loss is the cross-entropy of the chunk plus a fixed linear function of the last state, so
    that the gradient that arrives from the following chunk is checked too. Meant for float64.

    x : (T, B) symbols or (T, B, V) real; targets : (T, B); state : (L, S, B, H)
    Returns name -> relative error; the state is "state", the input "input".
    """
    d_state = np.cos(np.arange(state.size, dtype=state.dtype)).reshape(state.shape)

    def loss() -> float:
        logits, last, _ = network.forward(x, state)
        return cross_entropy_gradient(logits, targets)[0] + float((d_state * last).sum())

    logits, _, trace = network.forward(x, state)
    _, d_logits = cross_entropy_gradient(logits, targets)
    d_state0, dx = network.backward(trace, d_logits, d_state)
    analytic = {name: grad.copy() for name, grad in network.grads.items()} | {"state": d_state0}
    arrays = dict(network.params) | {"state": state}
    if dx is not None:
        analytic["input"], arrays["input"] = dx.copy(), x
    return {
        name: relative_error(analytic[name], numeric_gradient(loss, arrays[name], epsilon)) for name in arrays
    }
