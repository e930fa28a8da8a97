"""Softmax cross-entropy, in nats.

log p = a - log Σ exp(a),   loss = -log p[target],   ∂loss/∂a = p - onehot(target)

Label smoothing (Szegedy et al. 2016) changes the gradient alone: in place of onehot(target) it has
(1 - ε) onehot(target) + ε/V, where V counts the symbols that can be written.
"""

import numpy as np

from charrnn.nn.buffers import Array

NEVER = -1e30  # head bias of a symbol that is read and never written: p = 0, and so are all its gradients


def smoothing(bias: Array, epsilon: float) -> Array:
    """ε/V for each symbol that can be written, 0 for one that never comes; bias : that of the head, (V,)."""
    written = bias > NEVER / 2
    shares: Array = written * bias.dtype.type(epsilon / max(int(np.count_nonzero(written)), 1))
    return shares


def log_softmax(logits: Array) -> Array:
    """log p over the last axis; the maximum is subtracted first, so that nothing overflows."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(logits: Array, targets: Array) -> Array:
    """-log p[target] at each place, in nats.

    logits : (…, V); targets : (…) of ints in 0..V-1. Returns (…).
    """
    return -np.take_along_axis(log_softmax(logits), targets[..., None], axis=-1)[..., 0]


def cross_entropy_gradient(
    logits: Array, targets: Array, epsilon: float = 0.0, smooth: Array | None = None
) -> tuple[float, Array]:
    """Loss of a chunk and its gradient, which takes the place of the logits.

    The loss is summed over the T characters and averaged over the B streams, as in min-char-rnn
    and char-rnn, so that a clip at ±5 means what it means there. A target of -1 means that there is none:
    no loss and no gradient at that place.

    logits : (T, B, V), overwritten; targets : (T, B); with label smoothing ε, smooth : (V,), of `smoothing`
    Returns (loss in nats, ∂loss/∂logits); smoothing leaves the loss as it is.
    """
    T, B, V = logits.shape
    rows, targets = logits.reshape(T * B, V), targets.ravel()
    counted = np.flatnonzero(targets >= 0)
    index = counted, targets[counted]
    rows -= rows.max(axis=1, keepdims=True)
    picked = float(rows[index].sum(dtype=np.float64))
    np.exp(rows, out=rows)
    total = rows.sum(axis=1, keepdims=True)
    loss = float(np.log(total[counted]).sum(dtype=np.float64)) - picked
    rows /= total * B
    rows[index] -= rows.dtype.type((1 - epsilon) / B)
    if smooth is not None:
        rows -= smooth / B
    rows[targets < 0] = 0
    return loss / B, logits
