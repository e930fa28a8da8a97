"""Chapter 5: the gradient of one loss, step by step backward, checked by nudging weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.flow import state_gradients
from charrnn.learn.small import VOCABULARY, column, make_network
from charrnn.nn.gradcheck import EPSILON, numeric_gradient
from charrnn.nn.loss import cross_entropy, cross_entropy_gradient, log_softmax

H = 6
READ, NEXT = "she sells sea", " "
CHECKED = ((0, 1), (2, 4), (5, 3))  # places in W_hh
LR = 0.1


@dataclass(frozen=True)
class Backwards:
    """d_h : (T, H), ∂loss/∂h[t] of the loss at the last step; analytic, numeric : at CHECKED

    h : (T, H); p : (V,) after the last step; head : (V,), the weights of the first unit of CHECKED in the head
    """

    d_h: np.ndarray
    h: np.ndarray
    p: np.ndarray
    head: np.ndarray
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
    def followed(self) -> list[tuple[float, float, float, float, float]]:
        """Of the first weight of CHECKED, for each step from the last: dh, 1 - h², da, h[t-1], the share da h[t-1]."""
        unit, other = CHECKED[0]
        found = []
        for t in reversed(range(1, len(READ))):
            slope = float(1 - self.h[t, unit] ** 2)
            d_a, before = float(self.d_h[t, unit]) * slope, float(self.h[t - 1, other])
            found.append((float(self.d_h[t, unit]), slope, d_a, before, d_a * before))
        return found

    @property
    def facts(self) -> dict[str, str]:
        gradient = self.analytic[0]
        right = VOCABULARY.symbols.index(NEXT)
        d_last = float(self.d_h[-1, CHECKED[0][0]])
        return {
            "read": READ,
            "back": str(len(READ) - 1),
            "H": str(H),
            "epsilon": f"{EPSILON:g}",
            "norm_last": f"{self.norms[-1]:.3f}",
            "norm_first": f"{self.norms[0]:.1e}",
            "p_next": f"{self.p[right]:.3f}",
            "pull": f"{self.head[right] * (self.p[right] - 1):+.4f}",
            "others": f"{d_last - self.head[right] * (self.p[right] - 1):+.4f}",
            "d_last": f"{d_last:+.4f}",
            "next": NEXT.replace(" ", "a space"),
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
    h, p = trace.layers[0]["h"][:, 0].copy(), np.exp(log_softmax(logits[-1, 0]))
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
    head = network.params["head.weight"][:, CHECKED[0][0]].copy()
    return Backwards(d_h[0, :, 0], h, p, head, analytic, numeric.tolist(), now, down, up)


def _loss_after(theta: np.ndarray, change: np.ndarray, loss: Callable[[], float]) -> float:
    theta += change
    after = loss()
    theta -= change
    return after
