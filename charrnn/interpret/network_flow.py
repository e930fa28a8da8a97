"""Gradient flow of a model, of its run, and of fresh networks, measured on a text.

The maths is in `charrnn.interpret.flow`. This module cuts texts into pieces that end at many different places,
each read from the zero state, and counts in the run's records how often clipping acted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.interpret.flow import Flow, measure_flow, spectral_radii
from charrnn.model.model import Model, plain_copy
from charrnn.nn.init import initialise
from charrnn.nn.network import Network
from charrnn.runs.card import recorded_settings
from charrnn.runs.folder import RunFolder

PLACES = 64  # losses averaged
WARM_UP = 100  # symbols read before the steps that gradients go back over
MADE_UP_SYMBOLS = 64  # vocabulary size of a fresh network without a text
FRESH = ("rnn", "gru", "lstm")


@dataclass(frozen=True)
class Clipping:
    """The number of a run's recorded steps in which clipping acted.

    A run records the norm of the gradient, before clipping, at each report, not at each step.

    recorded : steps whose norm is known
    clip_norm, clip_value : the limits, 0 if off
    scaled : recorded steps whose norm was over clip_norm, so that the gradient was scaled down
    maybe_clipped : recorded steps whose norm was over clip_value: only in these may single numbers have been
        clipped; whether they were is not recorded
    """

    recorded: int
    clip_norm: float
    clip_value: float
    scaled: int
    maybe_clipped: int


@dataclass(frozen=True)
class NetworkFlow:
    """The gradient flow of one network.

    name : the cell of a fresh network, or the name of a model
    trained : True for a model, False for a fresh network
    spectral_radii : per layer, gate -> ρ of its block of W_hh
    clipping : None if there is no run, or its records have no gradient norms
    """

    name: str
    config: ModelConfig
    flow: Flow
    spectral_radii: Sequence[Mapping[str, float]]
    trained: bool = False
    clipping: Clipping | None = None

    def factor(self, array: str = "h", layer: int = -1) -> float | None:
        """The factor by which the mean norm changes per step back, averaged over distances 1 … K.

        array : "h" or "c". None if the norm reached zero, or K < 2.
        """
        values = self.flow.h if array == "h" else self.flow.c
        assert values is not None
        first, last, steps = values[layer, 1:2], values[layer, -1], values.shape[1] - 2
        if steps < 1 or not first[0] > 0 or not last > 0:
            return None
        return float((last / first[0]) ** (1 / steps))

    def to_json(self) -> dict[str, Any]:
        """For JSON; lists run over the layers, and in them over distances from 0."""
        return {
            "name": self.name,
            "config": self.config,
            "places": self.flow.places,
            "h": self.flow.h,
            "c": self.flow.c,
            "spectral_radii": self.spectral_radii,
            "clipping": self.clipping,
        }


@blas_threads()
def of_fresh(
    cells: Sequence[str] = FRESH,
    *,
    layers: int = 1,
    hidden: int = 128,
    nonlinearity: str = "tanh",
    distance: int = 50,
    ids: np.ndarray | None = None,
    vocab_size: int = MADE_UP_SYMBOLS,
    seed: int = 1,
) -> list[NetworkFlow]:
    """The flow of freshly initialised networks, all on the same text, in float64.

    ids : (N,) symbols of a text in 0 … vocab_size-1; by default uniform random symbols

    Raises DataError if the text is shorter than distance + 2.
    """
    if ids is None:
        ids = np.random.default_rng(seed).integers(0, vocab_size, PLACES * (WARM_UP + distance))
    flows = []
    for cell in cells:
        config = ModelConfig(cell, layers, hidden, nonlinearity=nonlinearity)
        network = Network(config, vocab_size, np.float64)
        initialise(network, np.random.default_rng(seed))
        flows.append(NetworkFlow(cell, config, over_text(network, ids, distance), spectral_radii(network)))
    return flows


@blas_threads()
def of_model(
    model: Model, ids: np.ndarray, distance: int = 50, *, file: Path | None = None, name: str = "model"
) -> NetworkFlow:
    """The flow of a trained model over a text, in float64, and the clipping in its run.

    ids : (N,) symbols; file : the model file, in the folder with the records of its run

    Raises DataError if the text is shorter than distance + 2.
    """
    network = plain_copy(model.network, np.float64)
    config = recorded_settings(model.training)
    records = [] if file is None else RunFolder(file.parent).read_metrics()
    return NetworkFlow(
        name,
        model.config,
        over_text(network, ids, distance),
        spectral_radii(network),
        True,
        None if config is None else clipping(records, config),
    )


def over_text(network: Network, ids: np.ndarray, distance: int) -> Flow:
    """The flow at up to PLACES places, evenly over a text, each after a warm-up of up to WARM_UP symbols.

    Raises DataError if the text is shorter than distance + 2.
    """
    length = distance + 1
    if len(ids) < length + 1:
        raise DataError(
            f"the text has {len(ids):,} symbols; a distance of {distance} needs at least {length + 1:,}. "
            "Give a longer text with --text, or lower --distance"
        )
    warm_up = min(WARM_UP, len(ids) - 1 - length)
    ends = np.unique(np.linspace(warm_up + length, len(ids) - 1, PLACES).astype(int))  # of the targets
    pieces = ids[ends[None] + np.arange(-warm_up - length, 0)[:, None]].astype(np.intp)  # (T, B)
    state = network.zero_state(len(ends))
    if warm_up:
        _, state = network.record(pieces[:warm_up], state, ())
    return measure_flow(network, pieces[warm_up:], ids[ends].astype(np.intp), state)


def clipping(records: Sequence[Mapping[str, Any]], config: TrainConfig) -> Clipping | None:
    """The clipping in a run, from the records of metrics.jsonl and its settings.

    None if no record has a gradient norm.
    """
    norms = (record.get("grad_norm") for record in records)
    known = [float(norm) for norm in norms if isinstance(norm, int | float) and math.isfinite(norm)]
    if not known:
        return None
    limit = config.clip_norm or math.inf  # scaling comes first, so no norm is larger when values are clipped
    return Clipping(
        len(known),
        config.clip_norm,
        config.clip_value,
        sum(norm > limit for norm in known),
        sum(min(norm, limit) > config.clip_value for norm in known) if config.clip_value else 0,
    )
