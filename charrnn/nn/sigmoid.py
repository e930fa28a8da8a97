"""The logistic sigmoid of the gates, in place."""

import numpy as np

from charrnn.nn.buffers import Array


def sigmoid(a: Array) -> None:
    """a := σ(a) = 1 / (1 + exp(-a)) = ½ + ½ tanh(a/2), which never overflows."""
    a *= 0.5
    np.tanh(a, out=a)
    a *= 0.5
    a += 0.5
