"""Readable character-level recurrent networks: train, sample, inspect single cells.

>>> import charrnn
>>> result = charrnn.train("corpus.txt", preset="quick")
>>> model = charrnn.load_model(result.model)
>>> print(charrnn.sample(model, length=200, temperature=0.8, seed=7))
"""

TYPE_CHECKING = False  # type checkers treat this as true; avoids importing `typing`
if TYPE_CHECKING:
    from typing import Any

    from charrnn.config import ModelConfig, TrainConfig
    from charrnn.interpret.findings import inspect_cells
    from charrnn.model.model import Model
    from charrnn.sampling.sampler import sample
    from charrnn.sampling.transform import transform
    from charrnn.score.classify import classify
    from charrnn.score.evaluation import evaluate
    from charrnn.text.sources import StrPath

# The module of each public name. It is imported on first use, so that `charrnn --help` does not import numpy.
_HOMES = {
    "Model": "charrnn.model.model",
    "ModelConfig": "charrnn.config",
    "TrainConfig": "charrnn.config",
    "classify": "charrnn.score.classify",
    "evaluate": "charrnn.score.evaluation",
    "inspect_cells": "charrnn.interpret.findings",
    "sample": "charrnn.sampling.sampler",
    "transform": "charrnn.sampling.transform",
}

__all__ = [
    "Model",
    "ModelConfig",
    "TrainConfig",
    "classify",
    "evaluate",
    "inspect_cells",
    "load_model",
    "sample",
    "train",
    "transform",
]


def load_model(path: "StrPath") -> "Model":
    """The model in a model file, or the one that a run folder keeps.

    Raises ModelError if it is missing, damaged, forged or too new.
    """
    from charrnn.model import model
    from charrnn.runs.folder import find_model

    return model.load_model(find_model(path))


def train(*args: "Any", progress: bool = False, **kwargs: "Any") -> "Any":
    """`charrnn.training.session.train`, which prints nothing. `progress=True` shows progress on stderr, as the
    command does.
    """
    from charrnn.training import session

    if not progress:
        return session.train(*args, **kwargs)
    from charrnn.ui.terminal.training_view import training_view

    with training_view(quiet=False) as shown:
        return session.train(*args, **{**kwargs, "observers": [shown, *kwargs.get("observers", ())]})


def __getattr__(name: str) -> "Any":
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
