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
    counts: dict[
        int, np.ndarray
    ] = {}  # (2, L, gates, H) of what is read from each place on: it may be read again
    n = len(reading.ids) - skipped - (0 if reading.begins is None else len(reading.begins))
    for places, recorded, layers in read_side_by_side(model, reading, names):
        counted = recorded & (places >= skipped)
        for b in np.flatnonzero(counted.any(axis=0)):
            gates = np.array([[layer[name][counted[:, b], b] for name in names] for layer in layers])
            counts[int(places[0, b])] = np.array(
                [np.sum(gates < LEFT, axis=2, dtype=np.uint8), np.sum(gates > RIGHT, axis=2, dtype=np.uint8)]
            )
    left, right = np.stack(list(counts.values())).sum(axis=0, dtype=np.int64)
    return [
        GateSaturation(k, name, left[k, g] / n, right[k, g] / n)
        for k in range(model.config.layers)
        for g, name in enumerate(names)
    ]
