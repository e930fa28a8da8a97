"""Penalties on what the last layer puts out: small numbers, and slow changes (Merity, McCann and Socher 2017).

    AR:   α/(B H) Σ ‖m ∘ h[t]‖²            h after dropout
    TAR:  β/(B H) Σ ‖h[t] - h[t-1]‖²       h before it, t > 0

The sums are over time and streams, of the places that have a target: as in the loss, a sum over time and a mean
over streams.
"""

import numpy as np

from charrnn.nn.buffers import Array


def activation_gradient(
    h: Array, mask: Array | None, targets: Array, alpha: float, beta: float, scale: float
) -> Array:
    """∂(AR + TAR)/∂h.

    h : (T, B, H); mask : m, (T, B, H), (1, B, H) or None for ones; targets : (T, B), -1 for none; scale : 1/(B H)
    """
    counted = (targets >= 0)[..., None] * h.dtype.type(2 * scale)
    dh: Array = alpha * counted * h
    if mask is not None:
        dh *= mask
        dh *= mask
    if beta:
        change = beta * counted[1:] * np.diff(h, axis=0)
        dh[1:] += change
        dh[:-1] -= change
    return dh
