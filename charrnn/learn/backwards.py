"""Chapter 6: the gradient of one loss, step by step backward, checked by nudging weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.flow import state_gradients
from charrnn.learn.characters import named, seen
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network
from charrnn.nn.gradcheck import EPSILON, numeric_gradient
from charrnn.nn.loss import cross_entropy, cross_entropy_gradient, log_softmax

H = 6
READ = 13  # characters; the next one is the target
CHECKED = 3  # weights of W_hh
LR = 0.1


@dataclass(frozen=True)
class Backwards:
    """read, next : the characters, and the id that follows; checked : places in W_hh with large gradients
    d_h : (T, H), ∂loss/∂h[t] of the loss at the last step; analytic, numeric : at these places

    h : (T, H); p : (V,) after the last step; head : (V,), the weights in the head of the first unit that is checked
    """

    read: str
    next: int
    symbols: tuple[str, ...]
    checked: Sequence[tuple[int, int]]
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
        """Of the first checked weight, for each step from the last: dh, 1 - h², da, h[t-1], the share da h[t-1]."""
        unit, other = self.checked[0]
        found = []
        for t in reversed(range(1, len(self.read))):
            slope = float(1 - self.h[t, unit] ** 2)
            d_a, before = float(self.d_h[t, unit]) * slope, float(self.h[t - 1, other])
            found.append((float(self.d_h[t, unit]), slope, d_a, before, d_a * before))
        return found

    @property
    def facts(self) -> dict[str, str]:
        gradient = self.analytic[0]
        right = self.next
        d_last = float(self.d_h[-1, self.checked[0][0]])
        return {
            "read": seen(self.read),
            "back": str(len(self.read) - 1),
            "H": str(H),
            "epsilon": f"{EPSILON:g}",
            "norm_last": f"{self.norms[-1]:.3f}",
            "norm_first": f"{self.norms[0]:.1e}",
            "p_next": f"{self.p[right]:.3f}",
            "pull": f"{self.head[right] * (self.p[right] - 1):+.4f}",
            "others": f"{d_last - self.head[right] * (self.p[right] - 1):+.4f}",
            "d_last": f"{d_last:+.4f}",
            "next": named(self.symbols[right]),
            "row": str(self.checked[0][0]),
            "col": str(self.checked[0][1]),
            "gradient": f"{gradient:+.4f}",
            "downhill": "a little smaller" if gradient > 0 else "a little larger",
            "uphill": "a little larger" if gradient > 0 else "a little smaller",
            "lr": f"{LR:g}",
            "loss": f"{self.loss:.4f}",
            "loss_after": f"{self.loss_after:.4f}",
            "loss_uphill": f"{self.loss_uphill:.4f}",
        }


def compute(text: LessonText) -> Backwards:
    """Forward, backward, the same by differences for three weights, then a step down and a step up."""
    network = make_network("rnn", H, len(text.vocabulary), seed=3)
    read = text.passage[:READ]
    x, target, zero = text.column(read), text.column(text.passage[READ])[0], network.zero_state(1)

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
    checked = _largest(d_w)
    places = np.ravel_multi_index(tuple(np.transpose(checked)), w.shape)
    numeric = numeric_gradient(loss, w, places=places)
    analytic = [float(d_w[place]) for place in checked]
    now = loss()
    down, up = [
        _loss_after(network.theta, change, loss) for change in (-LR * network.grad, LR * network.grad)
    ]
    head = network.params["head.weight"][:, checked[0][0]].copy()
    symbols = tuple(map(str, text.vocabulary.symbols))
    return Backwards(
        read,
        int(target[0]),
        symbols,
        checked,
        d_h[0, :, 0],
        h,
        p,
        head,
        analytic,
        numeric.tolist(),
        now,
        down,
        up,
    )


def _largest(d_w: np.ndarray) -> list[tuple[int, int]]:
    """The places of the largest gradient in each of CHECKED rows, the largest of all first."""
    columns = abs(d_w).argmax(axis=1)
    rows = np.argsort(-abs(d_w).max(axis=1), kind="stable")[:CHECKED]
    return [(int(row), int(columns[row])) for row in rows]


def _loss_after(theta: np.ndarray, change: np.ndarray, loss: Callable[[], float]) -> float:
    theta += change
    after = loss()
    theta -= change
    return after
