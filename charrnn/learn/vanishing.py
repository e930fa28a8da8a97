"""Chapter 8: factors below and above one, many times over; and clipping."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from charrnn.config import ModelConfig
from charrnn.interpret.flow import Flow, measure_flow, spectral_radii
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import CLIP, make_network, passes_over, train
from charrnn.nn.init import initialise
from charrnn.nn.network import Network

H, DISTANCE, STREAMS = 32, 40, 16
RADII = (0.7, 1.0, 1.3)
TINY = 1e-6  # scale of W_ih: the units stay near 0 over DISTANCE steps even at the largest radius
BACK = 25
STEPS, LR = 120, 0.01
LARGE = (2.0, 3.0, 4.0)  # spectral radii that are tried until a training bursts


@dataclass(frozen=True)
class Burst:
    """free, clipped : losses of each training step of a ReLU layer with this spectral radius, without and with
    clipping, until a loss is not finite"""

    radius: float
    free: Sequence[float]
    clipped: Sequence[float]

    @property
    def happens(self) -> bool:
        """Whether only clipping comes to the end."""
        return len(self.free) < STEPS == len(self.clipped)


@dataclass(frozen=True)
class Vanishing:
    """norms : (3, K+1), mean ‖∂loss(t)/∂h[t-k]‖ for each of RADII"""

    text: LessonText
    norms: np.ndarray
    burst: Burst

    @property
    def facts(self) -> dict[str, str]:
        left, steps_back = self.norms[:, BACK] / self.norms[:, 0], len(self.text.line) - 1
        return {
            "text": self.text.title,
            "back": str(BACK),
            "low": f"{RADII[0]:g}",
            "high": f"{RADII[2]:g}",
            "left_low": f"{left[0]:.0e}",
            "left_high": f"{left[2]:,.0f}",
            "clip": f"{CLIP:g}",
            "steps": str(STEPS),
            "radius": f"{self.burst.radius:g}",
            "bursts": "yes" if self.burst.happens else "",
            "burst": str(len(self.burst.free)),
            "first": f"{self.burst.clipped[0]:,.{0 if self.burst.clipped[0] >= 100 else 2}f}",
            "last": f"{self.burst.clipped[-1]:.2f}",
            "T": str(len(self.text.line)),
            "steps_back": str(steps_back),
            "percent": f"{100 * 0.9**steps_back:.1f}",
        }


def compute(text: LessonText) -> Vanishing:
    """The flow for three spectral radii; then a training that bursts, and the same with clipping."""
    norms = []
    for radius in RADII:
        network = with_radius(make_network("rnn", H, len(text.vocabulary), seed=2), radius)
        network.params["rnn.weight_ih_l0"] *= TINY
        norms.append(flow_over(network, text).h[0])
    return Vanishing(text, np.array(norms), burst(text))


def flow_over(network: Network, text: LessonText) -> Flow:
    """The gradient norms over DISTANCE steps back from STREAMS places of the passage."""
    ids = text.column(text.passage)[:, 0]
    ends = np.linspace(DISTANCE + 1, len(ids) - 1, STREAMS).astype(int)
    pieces = ids[ends[None] + np.arange(-DISTANCE - 1, 0)[:, None]]
    return measure_flow(network, pieces, ids[ends], network.zero_state(STREAMS))


def with_radius(network: Network, radius: float) -> Network:
    """The network with W_hh scaled to this spectral radius."""
    network.params["rnn.weight_hh_l0"] *= radius / spectral_radii(network)[0]["h"]
    return network


@cache
def burst(text: LessonText) -> Burst:
    """Trainings with the first of the large radii that bursts without clipping alone; or else with the first."""
    tried = (Burst(radius, *(_losses(text, radius, value) for value in (math.inf, CLIP))) for radius in LARGE)
    found = []
    for one in tried:
        found.append(one)
        if one.happens:
            return one
    return found[0]


def _losses(text: LessonText, radius: float, clip_value: float) -> list[float]:
    """Plain gradient descent on a ReLU layer."""
    network = Network(ModelConfig("rnn", 1, H, nonlinearity="relu"), len(text.vocabulary), np.float64)
    initialise(network, np.random.default_rng(2))
    chunks = passes_over(text, STEPS, batch_size=4, seq_length=21)
    with np.errstate(all="ignore"):  # overflow is expected here: the chapter shows it
        return train(with_radius(network, radius), chunks, "sgd", LR, clip_value)
