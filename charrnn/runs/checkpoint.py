"""The checkpoint file: everything an exact resume needs."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from charrnn.config import TrainConfig, has_type
from charrnn.errors import ModelError, UsageError
from charrnn.files.writing import Folder, StrPath
from charrnn.model import model_file
from charrnn.model.model import config_of
from charrnn.nn.network import Network
from charrnn.nn.optimizers import OPTIMIZERS
from charrnn.runs.records import Progress


def save(
    path: StrPath,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    *,
    folder: Folder | None = None,
) -> None:
    """Write a checkpoint durably; the previous one is kept until the new one has been read back.

    metadata : `config`, `vocab` and `dtype` as in a model file, `train` (the TrainConfig), `batch_size`
        (streams in use), `progress`, and `training` (the model card)
    folder : the run folder that `path` is in, held open
    """
    model_file.save(path, arrays, {"kind": "checkpoint", **metadata}, folder=folder)


def load(path: StrPath) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a checkpoint: its metadata and its arrays. Raises ModelError if anything is wrong."""
    return model_file.load(path, layout, kind="checkpoint")


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError or UsageError unless all that a resume reads is present and of the right type."""
    TrainConfig(**metadata["train"])
    progress = metadata["progress"]
    for f in fields(Progress):
        if not has_type(progress[f.name], f.type):
            raise TypeError(f"progress: {f.name} is {progress[f.name]!r}")
    Progress(**progress)
    corpus = metadata["training"]["corpus"]
    found = [progress["step"], metadata["batch_size"], metadata["threads"], corpus["symbols"]]
    if not all(type(number) is int and number >= 0 for number in found) or metadata["threads"] < 1:
        raise TypeError("step, batch_size, threads and symbols must be whole numbers")
    if not all(isinstance(text, str) for text in [corpus["sha256"], *corpus["sources"]]):
        raise TypeError("the corpus must have a sha256 and sources")
    if not isinstance(metadata["training"]["changes"], list):
        raise TypeError("changes must be a list")


def layout(metadata: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shape and type of each array that a checkpoint with this metadata must hold."""
    config, vocab, dtype = config_of(metadata)
    try:
        check_metadata(metadata)
        optimizer = OPTIMIZERS[metadata["train"]["optimizer"]]
        batch_size = metadata["batch_size"]
    except (KeyError, TypeError, ValueError, UsageError) as problem:
        raise ModelError(f"the training settings in the file are not valid: {problem}") from problem
    size = Network.size(config, len(vocab))
    average = {"average": ((size,), dtype)} if metadata["train"].get("average") else {}
    return {
        "theta": ((size,), dtype),
        "state": (Network.state_shape(config, batch_size), dtype),
        "rng": ((6,), np.int64),
        "optimizer.steps": ((1,), np.int64),
        **{f"optimizer.{name}": ((size,), dtype) for name in optimizer.memory_names},
        **average,
    }
