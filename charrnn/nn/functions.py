"""The two functions of the gates, in place."""

import numpy as np


def tanh(a: np.ndarray) -> None:
    """a := tanh(a)"""
    np.tanh(a, out=a)


def sigmoid(a: np.ndarray) -> None:
    """a := σ(a) = 1 / (1 + exp(-a)) = ½ + ½ tanh(a/2), which never overflows."""
    a *= 0.5
    np.tanh(a, out=a)
    a *= 0.5
    a += 0.5
