"""Chapter 13: faults put in on purpose, and who notices them: the check of gradients, or the curve."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.learn import vanishing
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import CLIP, make_network, passes_over, train
from charrnn.nn.gradcheck import numeric_gradient, relative_error
from charrnn.nn.loss import cross_entropy, cross_entropy_gradient
from charrnn.nn.network import Network

H, STEPS, CHUNKS, LR = 16, 120, 4, 0.1
READ = 15  # characters that the gradients are checked on
PLACES = 8  # numbers of each tensor that are nudged
WRONG = 1e-5  # of the relative error
CLEAR, HIDDEN = 0.05, 0.1  # nats per character above a sound network's loss: seen in the curve; not seen


def nothing(network: Network) -> None:
    """The network as it is."""


def drop_h(network: Network) -> None:
    """h[t-1] has no way in: W_hh is 0 and stays 0."""
    network.params["lstm.weight_hh_l0"][:] = 0
    network.grads["lstm.weight_hh_l0"][:] = 0


def zero_gradient(network: Network) -> None:
    """The gradient of the head's bias is forgotten."""
    network.grads["head.bias"][:] = 0


def swap_gates(network: Network) -> None:
    """The backward pass takes gate i for f, and f for i."""
    for name in ("lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_l0"):
        rows = network.grads[name]
        rows[: 2 * H] = np.concatenate([rows[H : 2 * H], rows[:H]])


FAULTS: tuple[tuple[str, Callable[[Network], None]], ...] = (
    ("none", nothing),
    ("h[t-1] dropped", drop_h),
    ("a gradient zeroed", zero_gradient),
    ("two gates swapped", swap_gates),
)


@dataclass(frozen=True)
class Outcome:
    """error, tensor : the largest relative error of a tensor's gradient; loss : of the last pass, nats per character"""

    fault: str
    error: float
    tensor: str
    loss: float


@dataclass(frozen=True)
class BreakIt:
    """outcomes : of FAULTS; burst : the trainings of a ReLU layer without and with clipping"""

    text: LessonText
    outcomes: list[Outcome]
    burst: vanishing.Burst

    @property
    def facts(self) -> dict[str, str]:
        sound, dropped, zeroed, swapped = self.outcomes
        return {
            "text": self.text.title,
            "H": str(H),
            "steps": str(STEPS),
            "sound": f"{sound.loss:.2f}",
            "sound_error": f"{sound.error:.0e}",
            "worse": "yes" if dropped.loss > sound.loss + CLEAR else "",
            "dropped": f"{dropped.loss:.2f}",
            "hidden": "yes" if zeroed.loss < sound.loss + HIDDEN else "",
            "zeroed": f"{zeroed.loss:.2f}",
            "fresh": f"{math.log(len(self.text.vocabulary)):.2f}",
            "swapped": f"{swapped.loss:.2f}",
            "swapped_error": f"{swapped.error:.1f}",
            "clip": f"{CLIP:g}",
            "bursts": "yes" if self.burst.happens else "",
            "burst": str(len(self.burst.free)),
            "clipped": f"{self.burst.clipped[-1]:.2f}",
        }


def compute(text: LessonText) -> BreakIt:
    """Each fault: its gradient against differences, and a training with it; and a training without clipping."""
    return BreakIt(text, [outcome(text, name, fault) for name, fault in FAULTS], vanishing.burst(text))


def outcome(text: LessonText, name: str, fault: Callable[[Network], None]) -> Outcome:
    """What the check of gradients and the curve say of a fault."""
    error, tensor = worst_tensor(text, fault)
    network = make_network("lstm", H, len(text.vocabulary))
    fault(network)
    losses = train(network, passes_over(text, STEPS), "adagrad", LR, meddle=fault)
    return Outcome(name, error, tensor, float(np.mean(losses[-CHUNKS:])))


def worst_tensor(text: LessonText, fault: Callable[[Network], None]) -> tuple[float, str]:
    """The largest relative error of a fresh network's gradient, and the tensor that has it."""
    network = make_network("lstm", H, len(text.vocabulary))
    fault(network)
    ids = text.column(text.passage[:READ])
    x, y, zero = ids[:-1], ids[1:], network.zero_state(1)
    logits, _, trace = network.forward(x, zero)
    _, d_logits = cross_entropy_gradient(logits, y)
    network.backward(trace, d_logits)
    fault(network)
    analytic = {name: grad.copy() for name, grad in network.grads.items()}

    def loss() -> float:
        return float(cross_entropy(network.forward(x, zero)[0], y).sum())

    rng, errors = np.random.default_rng(1), {}
    for name, weights in network.params.items():
        places = rng.choice(weights.size, min(PLACES, weights.size), replace=False)
        errors[name] = relative_error(
            analytic[name].ravel()[places], numeric_gradient(loss, weights, places=places)
        )
    name = max(errors, key=lambda name: errors[name])
    return errors[name], name
