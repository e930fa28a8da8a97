"""Readable character-level recurrent networks: train, sample, inspect single cells.

>>> import charrnn
>>> result = charrnn.train("corpus.txt", preset="quick")
>>> model = result.load()
>>> print(model.sample(length=200, temperature=0.8, seed=7))

A model also scores texts (`model.score`, `model.surprise`), and `charrnn.load_model` reads one from its file or run
folder. In a notebook, models and results show themselves.
"""

TYPE_CHECKING = False  # type checkers treat this as true; avoids importing `typing`
if TYPE_CHECKING:
    from typing import Any

    from charrnn.config import ModelConfig, TrainConfig
    from charrnn.install.version import __version__
    from charrnn.interpret.findings import inspect_cells
    from charrnn.sampling.transform import transform
    from charrnn.sampling.writer import Model, load_model, sample
    from charrnn.score.classify import classify
    from charrnn.score.evaluation import evaluate
    from charrnn.training.estimator import CharRNN
    from charrnn.ui.training import train

# The module of each public name. It is imported on first use, so that `charrnn --help` does not import numpy, and
# Ctrl-C is handled before anything is.
_HOMES = {
    "CharRNN": "charrnn.training.estimator",
    "Model": "charrnn.sampling.writer",
    "ModelConfig": "charrnn.config",
    "TrainConfig": "charrnn.config",
    "__version__": "charrnn.install.version",
    "classify": "charrnn.score.classify",
    "evaluate": "charrnn.score.evaluation",
    "inspect_cells": "charrnn.interpret.findings",
    "load_model": "charrnn.sampling.writer",
    "sample": "charrnn.sampling.writer",
    "train": "charrnn.ui.training",
    "transform": "charrnn.sampling.transform",
}

__all__ = [
    "CharRNN",
    "Model",
    "ModelConfig",
    "TrainConfig",
    "__version__",
    "classify",
    "evaluate",
    "inspect_cells",
    "load_model",
    "sample",
    "train",
    "transform",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        from charrnn.errors import did_you_mean

        near = "" if name.startswith("_") else did_you_mean(name, _HOMES)
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}{near}")
    import importlib

    from charrnn.python import arguments, results

    results.drawn_by(_drawn)
    found = getattr(importlib.import_module(_HOMES[name]), name)
    if callable(found) and not isinstance(found, type):
        found = arguments.naming_arguments(found)
    globals()[name] = found
    return found


def _drawn(result: object) -> "str | None":
    """What a notebook shows of a result."""
    from charrnn.ui.html.notebook import html_of

    return html_of(result)
