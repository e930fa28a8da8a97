"""Chapter 6: factors below and above one, many times over; and clipping."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.interpret.flow import measure_flow, spectral_radii
from charrnn.learn.small import CLIP, TEXT, VOCABULARY, column, make_network, passes_over, train
from charrnn.nn.init import initialise
from charrnn.nn.network import Network

H, DISTANCE, STREAMS = 32, 40, 16
RADII = (0.7, 1.0, 1.3)
TINY = 1e-6  # scale of W_ih: the units stay near 0 over DISTANCE steps even at the largest radius
BACK = 25
STEPS, LR = 120, 0.01


@dataclass(frozen=True)
class Vanishing:
    """norms : (3, K+1), mean ‖∂loss(t)/∂h[t-k]‖ for each of RADII; free, clipped : losses of each training step
    without and with clipping, until a loss is not finite"""

    norms: np.ndarray
    free: Sequence[float]
    clipped: Sequence[float]

    @property
    def facts(self) -> dict[str, str]:
        left = self.norms[:, BACK] / self.norms[:, 0]
        return {
            "back": str(BACK),
            "low": f"{RADII[0]:g}",
            "high": f"{RADII[2]:g}",
            "left_low": f"{left[0]:.0e}",
            "left_high": f"{left[2]:,.0f}",
            "clip": f"{CLIP:g}",
            "steps": str(STEPS),
            "burst": str(len(self.free)),
            "first": f"{self.free[0]:,.0f}",
            "last": f"{self.clipped[-1]:.2f}",
            "percent": f"{100 * 0.9**BACK:.1f}",
        }


def compute() -> Vanishing:
    """The flow for three spectral radii; then a training that bursts, and the same with clipping."""
    ids = column(TEXT)[:, 0]
    ends = np.linspace(DISTANCE + 1, len(ids) - 1, STREAMS).astype(int)
    pieces = ids[ends[None] + np.arange(-DISTANCE - 1, 0)[:, None]]
    norms = []
    for radius in RADII:
        network = with_radius(make_network("rnn", H, seed=2), radius)
        network.params["rnn.weight_ih_l0"] *= TINY
        norms.append(measure_flow(network, pieces, ids[ends], network.zero_state(STREAMS)).h[0])
    return Vanishing(np.array(norms), *(losses_with(clip_value) for clip_value in (math.inf, CLIP)))


def with_radius(network: Network, radius: float) -> Network:
    """The network with W_hh scaled to this spectral radius."""
    network.params["rnn.weight_hh_l0"] *= radius / spectral_radii(network)[0]["h"]
    return network


def losses_with(clip_value: float) -> list[float]:
    """Plain gradient descent on a ReLU layer of spectral radius 2."""
    network = Network(ModelConfig("rnn", 1, H, nonlinearity="relu"), len(VOCABULARY), np.float64)
    initialise(network, np.random.default_rng(2))
    chunks = passes_over(TEXT, STEPS, batch_size=4, seq_length=21)
    with np.errstate(all="ignore"):  # overflow is expected here: the chapter shows it
        return train(with_radius(network, 2.0), chunks, "sgd", LR, clip_value)
