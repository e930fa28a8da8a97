"""An average of the weights over many steps. It has less of the noise of single steps, and predicts better.

    θ̄ ← θ̄ + s (θ - θ̄),   s = max(1 - D, 9 / (t + 8)),   t = 1, 2, … counts steps

Polyak and Juditsky (1992) average all steps alike. Here old steps fade: about the last 1 / (1 - D) steps count. While
there are fewer than nine times as many, it is the polynomial-decay average of Shamir and Zhang (2013) with η = 8,
in which about the last ninth of all steps counts and the initial weights do not (s = 1 at t = 1). With D close to 1
it stays that: an average over the tail of the run (as in Merity et al. 2018), with no step to begin it at.
"""

import numpy as np

from charrnn.nn.buffers import Array
from charrnn.nn.optimizers import BLOCK

ETA = 8


def share(decay: float, step: int) -> float:
    """s: the part of the new weights in the average after this step, counted from 1; decay : D, 0 to 1."""
    return max(1 - decay, (ETA + 1) / (step + ETA))


def follow(average: Array, theta: Array, share: float) -> None:
    """Move the average (N,) in place towards the weights (N,), a block at a time."""
    scratch = np.empty(min(theta.size, BLOCK), theta.dtype)
    for start in range(0, theta.size, BLOCK):
        block = slice(start, min(start + BLOCK, theta.size))
        difference = np.subtract(theta[block], average[block], out=scratch[: block.stop - start])
        difference *= share
        average[block] += difference
