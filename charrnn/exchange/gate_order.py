"""The gates of a layer in the order of another tool."""

from collections.abc import Sequence

import numpy as np

from charrnn.model.model import Model


def reordered(model: Model, name: str, layer: int, order: Sequence[int]) -> np.ndarray:
    """`weight_ih`, `weight_hh` or a bias of a layer, its gates moved.

    order : where each gate, in the order that is wanted, stands in ours
    """
    gates = np.split(model.weights[f"{model.config.cell}.{name}_l{layer}"], len(order))
    return np.concatenate([gates[place] for place in order])
