"""How often the gates of a network are nearly shut or fully open (Karpathy, Johnson and Li 2015, section 4.2).

A gate is left-saturated below 0.1 and right-saturated above 0.9. An LSTM cell whose forget gate is always
right-saturated never forgets.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError, UsageError
from charrnn.interpret.reading import Reading, reading_of
from charrnn.interpret.recording import WARM_UP, read_side_by_side
from charrnn.interpret.texts import as_trained
from charrnn.model.model import Model
from charrnn.text.items import Items

LEFT, RIGHT = 0.1, 0.9
SIGMOIDS = {"lstm": ("i", "f", "o"), "gru": ("r", "z"), "rnn": ()}  # the candidates g and n are no gates


@dataclass(frozen=True)
class GateSaturation:
    """One gate of one layer: the share of symbols at which each unit's gate is saturated.

    left, right : ndarrays (H,), the shares below LEFT and above RIGHT; left + right is at most 1
    """

    layer: int
    gate: str
    left: np.ndarray
    right: np.ndarray

    def to_json(self) -> dict[str, Any]:
        left, right = np.round(self.left, 6).tolist(), np.round(self.right, 6).tolist()
        return {"layer": self.layer, "gate": self.gate, "left": left, "right": right}


@blas_threads()
def gate_saturation(model: Model, text: str | Items | Reading) -> list[GateSaturation]:
    """The saturation of every gate of ``model`` over ``text``, layer by layer: over items as a whole, over a stream
    after its first WARM_UP symbols.

    Raises UsageError for a network without gates, DataError for a text that is too short or has characters
    that the model does not know.
    """
    names = SIGMOIDS[model.config.cell]
    if not names:
        raise UsageError(
            f"--gates: a model of {model.config.cell} cells has no gates; use an lstm or gru model"
        )
    reading = reading_of(model, as_trained(model, text))
    skipped = WARM_UP if reading.begins is None else 0
    if len(reading.ids) <= skipped:
        raise DataError(
            f"the text has {len(reading.ids):,} symbols; gates are counted after {WARM_UP}. Give more text"
        )
    shape = model.config.layers, len(names), model.config.hidden
    left, right = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    n = 0
    for places, recorded, layers in read_side_by_side(model, reading):
        counted = recorded & (places >= skipped)
        n += int(counted.sum())
        for k, layer in enumerate(layers):
            for g, name in enumerate(names):
                gate = layer[name][counted]
                left[k, g] += np.sum(gate < LEFT, axis=0)
                right[k, g] += np.sum(gate > RIGHT, axis=0)
    return [
        GateSaturation(k, name, left[k, g] / n, right[k, g] / n)
        for k in range(model.config.layers)
        for g, name in enumerate(names)
    ]
