"""Keeping one bad chunk from undoing the work of many (Pascanu, Mikolov and Bengio 2013)."""

import numpy as np

from charrnn.nn.buffers import Array


def gradient_norm(grad: Array) -> float:
    """‖g‖, the Euclidean norm of the flat gradient."""
    return float(np.sqrt(np.dot(grad, grad)))


def clip(grad: Array, value: float, norm: float, grad_norm: float) -> None:
    """Clip in place: first the whole gradient to ‖g‖ ≤ norm, then each number to ±value; 0 is off.

    grad : (N,); grad_norm : its Euclidean norm, as `gradient_norm` gives it
    """
    if norm and grad_norm > norm:
        grad *= norm / grad_norm
    if value and grad_norm > value:  # otherwise no single number can be over it
        np.clip(grad, -value, value, out=grad)
