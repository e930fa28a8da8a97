"""Fine-tuning: a run that starts from the weights of another model, on a text that may have other symbols."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig, as_dict, configs
from charrnn.errors import ModelError, UsageError
from charrnn.model.model import Model, load_model
from charrnn.nn.network import Network
from charrnn.runs.folder import find_model
from charrnn.text.vocabulary import Vocabulary

OF_ITEMS = "the model to start from was trained on items: give --items, and labels, as it was trained"


@dataclass(frozen=True, eq=False)
class Origin:
    """The model that a run starts from, and its file; `sha256` is of the whole file."""

    model: Model
    path: str
    sha256: str

    def card(self) -> dict[str, str]:
        """Its record in the model card of the new run."""
        return {"path": self.path, "sha256": self.sha256}


def read_origin(path: str | os.PathLike[str], sha256: str | None = None) -> Origin:
    """The model at `path`, a model file or run folder; with `sha256`, only if the file is unchanged.

    Raises ModelError if it is missing, damaged or changed.
    """
    file = find_model(path)
    model = load_model(file)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if sha256 is not None and found != sha256:
        raise ModelError(
            f"{file} has changed since the run began from it: sha256 {found[:12]}…, it was {sha256[:12]}…. "
            "Start a new run with --init-from"
        )
    return Origin(model, str(file.absolute()), found)


def settings(origin: Origin, preset: str | None, given: Mapping[str, Any]) -> tuple[ModelConfig, TrainConfig]:
    """The settings of a run from `origin`: its architecture, level and (unless given) its precision.

    Raises UsageError if `given` names another architecture or level.
    """
    of_model = as_dict(origin.model.config) | {"level": origin.model.vocab.level}
    contradicting = [
        f"--{name.replace('_', '-')} {given[name]} (the model has {value})"
        for name, value in of_model.items()
        if name in given and given[name] != value
    ]
    if contradicting:
        raise UsageError(
            f"--init-from {origin.path} keeps the model's architecture and level, so it cannot be combined with "
            f"{', '.join(contradicting)}. Leave these out, or train from scratch without --init-from"
        )
    precision = origin.model.network.theta.dtype.name
    return configs(preset or "default", **{"precision": precision, **given, **of_model})


def new_ids(old: Vocabulary, new: Vocabulary) -> np.ndarray:
    """The id in `new` of each symbol of `old`, (V,)."""
    ids = np.searchsorted(new.codes, old.codes)
    if old.items is None:
        return ids
    if new.items is None or not set(old.items.names) <= set(new.items.names):
        raise UsageError(OF_ITEMS)
    names = {name: len(new.symbols) + k for k, name in enumerate(new.items.names)}
    return np.concatenate([ids, [names[name] for name in old.items.names]])


def transplant(model: Model, network: Network, vocabulary: Vocabulary) -> None:
    """Copy the weights of `model` into a network for a vocabulary that has all its symbols, in place.

    The weights of a symbol (its row of the embedding and of the head, its column of a one-hot input)
    move to the symbol's new id; those of new symbols stay as initialised.
    """
    ids = new_ids(model.vocab, vocabulary)
    one_hot = None if model.config.embedding else f"{model.config.cell}.weight_ih_l0"
    for name, learnt in model.network.params.items():
        value = network.params[name]
        if name in ("embedding.weight", "head.weight", "head.bias"):
            value[ids] = learnt
        elif name == one_hot:
            value[:, ids] = learnt
        else:
            value[...] = learnt
