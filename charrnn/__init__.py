"""Readable character-level recurrent networks: train, sample, inspect single cells.

>>> import charrnn
>>> result = charrnn.train("corpus.txt", preset="quick")
>>> model = charrnn.load_model(result.model)
>>> print(charrnn.sample(model, length=200, temperature=0.8, seed=7))
"""

from charrnn.errors import UsageError

TYPE_CHECKING = False  # type checkers treat this as true; avoids importing `typing`
if TYPE_CHECKING:
    from typing import Any

    from charrnn.config import ModelConfig, TrainConfig
    from charrnn.interpret.findings import inspect_cells
    from charrnn.model.model import Model, load_model
    from charrnn.sampling.sampler import sample
    from charrnn.score.evaluation import evaluate

# The module of each public name. It is imported on first use, so that `charrnn --help` does not import numpy.
_HOMES = {
    "Model": "charrnn.model.model",
    "ModelConfig": "charrnn.config",
    "TrainConfig": "charrnn.config",
    "evaluate": "charrnn.score.evaluation",
    "inspect_cells": "charrnn.interpret.findings",
    "load_model": "charrnn.model.model",
    "sample": "charrnn.sampling.sampler",
}

__all__ = [
    "Model",
    "ModelConfig",
    "TrainConfig",
    "evaluate",
    "inspect_cells",
    "load_model",
    "sample",
    "train",
]


def train(*args: "Any", progress: bool = False, **kwargs: "Any") -> "Any":
    """`charrnn.training.session.train`, which prints nothing. `progress=True` shows progress on stderr, as the
    command does.
    """
    from charrnn.training import session

    if not progress:
        return session.train(*args, **kwargs)
    if kwargs.get("listener") is not None:
        raise UsageError(
            "progress=True cannot be combined with a listener, which already receives the progress"
        )
    from charrnn.ui.terminal.training import training_listener

    with training_listener(quiet=False) as listener:
        result = session.train(*args, **{**kwargs, "listener": listener})
        listener.end(result)
        return result


def __getattr__(name: str) -> "Any":
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
