"""Chapter 5: the gradient of one loss, step by step backward, checked by nudging weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.flow import state_gradients
from charrnn.learn.small import column, make_network
from charrnn.nn.gradcheck import EPSILON, numeric_gradient
from charrnn.nn.loss import cross_entropy, cross_entropy_gradient

H = 6
READ, NEXT = "she sells sea", " "
CHECKED = ((0, 1), (2, 4), (5, 3))  # places in W_hh
LR = 0.1


@dataclass(frozen=True)
class Backwards:
    """d_h : (T, H), ∂loss/∂h[t] of the loss at the last step; analytic, numeric : at CHECKED"""

    d_h: np.ndarray
    analytic: Sequence[float]
    numeric: Sequence[float]
    loss: float
    loss_after: float
    loss_uphill: float

    @property
    def norms(self) -> np.ndarray:
        """‖∂loss/∂h[t]‖ at every step, (T,)."""
        return np.linalg.norm(self.d_h, axis=1)

    @property
    def facts(self) -> dict[str, str]:
        gradient = self.analytic[0]
        return {
            "read": READ,
            "back": str(len(READ) - 1),
            "H": str(H),
            "epsilon": f"{EPSILON:g}",
            "norm_last": f"{self.norms[-1]:.3f}",
            "norm_first": f"{self.norms[0]:.1e}",
            "row": str(CHECKED[0][0]),
            "col": str(CHECKED[0][1]),
            "gradient": f"{gradient:+.4f}",
            "downhill": "a little smaller" if gradient > 0 else "a little larger",
            "uphill": "a little larger" if gradient > 0 else "a little smaller",
            "lr": f"{LR:g}",
            "loss": f"{self.loss:.4f}",
            "loss_after": f"{self.loss_after:.4f}",
            "loss_uphill": f"{self.loss_uphill:.4f}",
        }


def compute() -> Backwards:
    """Forward, backward, the same by differences for three weights, then a step down and a step up."""
    network = make_network("rnn", H, seed=3)
    x, target, zero = column(READ), column(NEXT)[0], network.zero_state(1)

    def loss() -> float:
        logits, _, _ = network.forward(x, zero)
        return float(cross_entropy(logits[-1], target)[0])

    d_h, _ = state_gradients(network, x, target, zero)
    logits, _, trace = network.forward(x, zero)
    _, d_last = cross_entropy_gradient(logits[-1:].copy(), target[None])
    d_logits = np.zeros_like(logits)
    d_logits[-1] = d_last
    network.backward(trace, d_logits)
    w, d_w = network.params["rnn.weight_hh_l0"], network.grads["rnn.weight_hh_l0"]
    places = np.ravel_multi_index(tuple(np.transpose(CHECKED)), w.shape)
    numeric = numeric_gradient(loss, w, places=places)
    analytic = [float(d_w[place]) for place in CHECKED]
    now = loss()
    down, up = [
        _loss_after(network.theta, change, loss) for change in (-LR * network.grad, LR * network.grad)
    ]
    return Backwards(d_h[0, :, 0], analytic, numeric.tolist(), now, down, up)


def _loss_after(theta: np.ndarray, change: np.ndarray, loss: Callable[[], float]) -> float:
    theta += change
    after = loss()
    theta -= change
    return after
