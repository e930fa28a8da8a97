"""The temperature that fits a text: the T > 0 at which a model's probabilities, softmax(a / T), predict it best.

    f(β) = mean of log Σ exp(β a) - β a[target],   β = 1 / T
    f'   = mean of E[a] - a[target],   f'' = mean of Var[a],   both under softmax(β a)

f is convex (f'' ≥ 0). One pass over the text sums f' and f'' at a few β. Where f' changes its sign, the fitted β is the
root of the cubic that has these values and slopes. (Guo et al. 2017 fit such a temperature to calibrate classifiers.)
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from charrnn.nn.network import Network
from charrnn.text.batches import ItemBatches, predictions
from charrnn.text.items import NO_TARGET, Items

BETAS = 2.0 ** (np.arange(-4, 5) / 4)  # 1/2 to 2
FAR = 1e4  # below the largest logit: p is 0 there at every β, and squares are finite
ROWS = 64  # segments or items side by side, at most
STEPS = 32  # symbols of each at once
SHORTEST_SEGMENT = 1024  # symbols
WARM_UP = 256  # symbols before a segment, a multiple of STEPS
BISECTIONS = 50  # of the interval between two β


class Fit:
    """Sums of f' and f'' at BETAS over all that is added, and the temperature that follows, from 1/2 to 2."""

    def __init__(self) -> None:
        self._slope, self._curvature = np.zeros((2, len(BETAS)))

    def add(self, logits: np.ndarray, targets: np.ndarray) -> None:
        """Add predictions: logits (…, V) and targets (…)."""
        a, targets = logits.reshape(-1, logits.shape[-1]), targets.ravel().astype(np.intp)
        a = np.maximum(a - a.max(axis=1, keepdims=True), -FAR)
        of_targets = a[np.arange(len(a)), targets].sum(dtype=np.float64)
        for k, beta in enumerate(BETAS):
            p = np.exp(a.dtype.type(beta) * a)
            total = p.sum(axis=1)
            p *= a
            mean, square = p.sum(axis=1) / total, np.einsum("nv,nv->n", p, a) / total
            self._slope[k] += mean.sum(dtype=np.float64) - of_targets
            self._curvature[k] += (square - mean * mean).sum(dtype=np.float64)

    @property
    def temperature(self) -> float:
        """The temperature with the least loss; the nearest limit where that is beyond it; NaN for broken outputs."""
        slope, curvature = self._slope, self._curvature
        if not np.isfinite([slope, curvature]).all():
            return math.nan
        if not slope.any():  # no temperature changes a loss
            return 1.0
        if slope[0] >= 0:
            return float(1 / BETAS[0])
        if slope[-1] <= 0:
            return float(1 / BETAS[-1])
        k = int(np.argmax(slope > 0)) - 1
        low, high = float(BETAS[k]), float(BETAS[k + 1])
        width = high - low

        def cubic(beta: float) -> float:
            """f' between two of BETAS, from its values and slopes there (Hermite)."""
            t, rest = (beta - BETAS[k]) / width, (BETAS[k + 1] - beta) / width
            value = slope[k] * rest**2 * (1 + 2 * t) + slope[k + 1] * t**2 * (1 + 2 * rest)
            return float(value + width * t * rest * (curvature[k] * rest - curvature[k + 1] * t))

        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if cubic(middle) > 0 else (middle, high)
        return 2 / (low + high)


def fitted(network: Network, text: np.ndarray | Items) -> float | None:
    """The temperature that fits a text; None where nothing in it is predicted, or where outputs are not finite."""
    if not predictions(text):
        return None
    fit = Fit()
    if isinstance(text, Items):
        _add_items(fit, network, text)
    else:
        _add_stream(fit, network, text)
    return fit.temperature if math.isfinite(fit.temperature) else None


def _add_items(fit: Fit, network: Network, items: Items) -> None:
    batches = ItemBatches(
        items, min(ROWS, len(items)), STEPS, seed=0, end=0
    )  # beyond an end any symbol will do
    for step in range(batches.chunks):
        if batches.begins(step):
            state = network.zero_state(batches.batch_size)
        x, targets = batches.chunk(step)
        logits, state = network.read(x, state)
        predicted = targets != NO_TARGET
        fit.add(logits[predicted], targets[predicted])


def _add_stream(fit: Fit, network: Network, ids: np.ndarray) -> None:
    """In segments side by side, each after WARM_UP symbols that are only read, so nearly as in one pass."""
    last = len(ids) - 1
    count = max(1, min(ROWS, last // SHORTEST_SEGMENT))
    starts = np.arange(count) * -(-last // count)
    stops = np.append(starts[1:], last)
    state = network.zero_state(count)
    for offset in range(-WARM_UP, int((stops - starts).max()), STEPS):
        places = starts + np.arange(offset, offset + STEPS)[:, None]
        logits, state = network.read(ids[places.clip(0, last)].astype(np.intp), state)
        if offset < 0:
            state[:, :, 0] = 0  # nothing is before the first segment
        else:
            own = places < stops
            fit.add(logits[own], ids[places[own] + 1])


def of_card(card: Mapping[str, Any]) -> float | None:
    """The fitted temperature in a model's card; None where there is none that could be one."""
    found = card.get("temperature")
    return found if isinstance(found, float) and 1 / BETAS[-1] <= found <= 1 / BETAS[0] else None
