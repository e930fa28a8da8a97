"""The gates of a layer in the order of another tool."""

from collections.abc import Sequence

import numpy as np

from charrnn.model.model import Model


def reordered(model: Model, name: str, layer: int, order: Sequence[int]) -> np.ndarray:
    """`weight_ih`, `weight_hh` or a bias of a layer, with its gates in another order.

    order : for each gate in the wanted order, its place in ours
    """
    gates = np.split(model.weights[f"{model.config.cell}.{name}_l{layer}"], len(order))
    return np.concatenate([gates[place] for place in order])
