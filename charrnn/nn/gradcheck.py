"""Numeric against analytic gradient: is the backward pass the derivative of the forward pass?

∂loss/∂w ≈ (loss(w + ε) - loss(w - ε)) / 2ε      error O(ε²) + rounding/ε
"""

from collections.abc import Callable

import numpy as np

from charrnn.nn.buffers import Array

EPSILON = 1e-5  # near the cube root of float64's 2.2e-16, where the two errors balance


def numeric_gradient(
    loss: Callable[[], float], array: Array, epsilon: float = EPSILON, places: Array | None = None
) -> Array:
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


def relative_error(a: Array, b: Array) -> float:
    """‖a - b‖ / max(‖a‖, ‖b‖), and 0 when both are zero."""
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return float(np.linalg.norm(a - b)) / scale if scale else 0.0
