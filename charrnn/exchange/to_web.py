"""A model for the web: `model.bin`, which `model.js`, beside this file, reads in a browser or in Node.

    8 bytes    length N of the header, little-endian
    N bytes    header: {"__metadata__": {"web": TEXT}, NAME: {"dtype", "shape", "data_offsets"}, …}
    the rest   the tensors under the names of charrnn.nn.network (one bias per gate)

This is the safetensors format. TEXT is JSON: `config`, `vocab`, `precision`, `label_counts`. Biases are float32.
Matrices are float32, float16, or int8 with a float32 tensor NAME.scale: value = int8 · scale of its row / 127.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import safetensors.numpy

from charrnn.config import as_dict
from charrnn.errors import UsageError
from charrnn.model.model import Model

PRECISIONS = ("float16", "int8", "float32")
STEPS = 127  # int8 steps from 0 to the scale of a row


def module() -> str:
    """The JavaScript that reads and runs the file."""
    return files(__package__).joinpath("model.js").read_text(encoding="utf-8")


def to_web(
    model: Model, precision: str = "float16", label_counts: Mapping[str, Sequence[int]] | None = None
) -> bytes:
    """The bytes of a `model.bin`.

    precision : of the matrices, one of PRECISIONS
    label_counts : of each column of labels, how often each was in the training text; without it all are alike

    Raises UsageError for weights that float16 cannot hold.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, value in model.network.params.items():
        arrays |= _stored(name, value, precision)
    about = {
        "config": as_dict(model.config),
        "vocab": model.vocab.to_json(),
        "precision": precision,
        "label_counts": dict(label_counts or {}),
    }
    return safetensors.numpy.save(arrays, {"web": json.dumps(about)})


def rounded(model: Model, precision: str) -> Model:
    """The model with its weights as they come out of `to_web`, to measure what the rounding costs."""
    weights: dict[str, Any] = {}
    for name, value in model.weights.items():
        parts = _stored(name, value, precision)
        stored = parts[name].astype(np.float64)
        if f"{name}.scale" in parts:
            stored *= parts[f"{name}.scale"][:, None].astype(np.float64) / STEPS
        weights[name] = stored.astype(value.dtype)
    return Model(model.config, model.vocab, weights, model.training)


def _stored(name: str, value: np.ndarray, precision: str) -> dict[str, np.ndarray]:
    """A tensor as it is in the file, and its scales if it has some."""
    if value.ndim < 2 or precision == "float32":
        return {name: np.ascontiguousarray(value, np.float32)}
    if precision == "float16":
        most = float(np.abs(value).max())
        if most > float(np.finfo(np.float16).max):
            raise UsageError(
                f"tensor {name} has the weight {most:.3g}, beyond the range of float16: --precision float32 can hold it"
            )
        return {name: np.ascontiguousarray(value, np.float16)}
    scales = np.abs(value).max(axis=1)
    steps = np.rint(value * (STEPS / np.where(scales > 0, scales, 1))[:, None])
    return {name: np.ascontiguousarray(steps, np.int8), f"{name}.scale": scales.astype(np.float32)}
