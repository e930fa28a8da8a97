"""A torch state dict, saved as safetensors, as a model of ours.

It must have one `nn.RNN`, `nn.GRU` or `nn.LSTM` (`weight_ih_l0`, …, under any prefix), a linear head
over the symbols, and optionally an embedding. Tensors are recognised by shape, and by name
if shapes are ambiguous. torch's two biases per gate are added (charrnn.model.torch_layout).
"""

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ModelError, UsageError
from charrnn.files.writing import StrPath
from charrnn.model import torch_layout
from charrnn.model.model import Model
from charrnn.model.model_file import load_foreign
from charrnn.text.vocabulary import Vocabulary, listing

Symbols = Sequence[str] | Sequence[int]
Shapes = Mapping[str, tuple[int, ...]]

GATE_COUNTS = {"lstm": 4, "gru": 3, "rnn": 1}
RECURRENT = re.compile(r"((?:.*\.)?)(weight|bias)_(ih|hh|hr)_l(\d{1,2})(_reverse)?")
EMBEDDINGS = ("embedding", "embeddings", "embed", "emb", "encoder", "wte")
HEADS = ("head", "decoder", "fc", "linear", "out", "output", "proj", "lm_head", "classifier", "h2o")

_short = reprlib.Repr()  # names in an untrusted file may be very long
_short.maxstring = 120
show = _short.repr


@dataclass(frozen=True)
class Reading:
    """The model made from the tensors of a file.

    names : our name -> the file's; a bias missing in the file is zero
    """

    config: ModelConfig
    names: Mapping[str, str]


def from_torch_file(
    path: StrPath,
    symbols: Symbols,
    *,
    cell: str | None = None,
    nonlinearity: str = "tanh",
    embedding: str | None = None,
    head: str | None = None,
) -> tuple[Model, Reading]:
    """Read a state dict as a model.

    symbols : what each id stands for, in the order of the ids: characters, or byte values
    cell : the cell that the file must hold; None infers it from the shapes
    nonlinearity : activation of a plain RNN (cannot be inferred from shapes)
    embedding, head : the module or tensor to use for it, if names and shapes are ambiguous

    Raises ModelError if the file is damaged or holds another kind of network.
    """

    def choose(shapes: Shapes) -> Reading:
        return read_shapes(
            shapes, len(symbols), cell=cell, nonlinearity=nonlinearity, embedding=embedding, head=head
        )

    reading, theirs = load_foreign(path, choose)
    level = "byte" if isinstance(symbols[0], int) else "char"
    order = sorted(range(len(symbols)), key=lambda id: symbols[id])
    vocab = Vocabulary(level, tuple(symbols[id] for id in order))  # type: ignore[arg-type]  # all of one kind
    dtype = np.result_type(np.float32, *theirs.values())
    weights = {
        name: theirs[reading.names[name]].astype(dtype) if name in reading.names else np.zeros(shape, dtype)
        for name, shape in torch_layout.shapes(reading.config, len(vocab)).items()
    }
    # Our symbols are in ascending order: their rows (or columns, where they are looked up) move with them.
    for name in ("embedding.weight", "head.weight", "head.bias"):
        if name in weights:
            weights[name] = weights[name][order]
    if not reading.config.embedding:
        first = f"{reading.config.cell}.weight_ih_l0"
        weights[first] = weights[first][:, order]
    return Model(reading.config, vocab, weights, {"imported_from": str(Path(path).absolute())}), reading


def read_shapes(
    shapes: Shapes,
    vocab_size: int,
    *,
    cell: str | None = None,
    nonlinearity: str = "tanh",
    embedding: str | None = None,
    head: str | None = None,
) -> Reading:
    """Recognise a state dict by names and shapes. Raises ModelError if it cannot be a model of charrnn."""
    found, prefix = _recurrent_tensors(shapes)
    settings, names = _recurrent(shapes, found, prefix, cell)
    rest = {name: shape for name, shape in shapes.items() if name not in found}
    inputs = _shape(shapes, f"{prefix}weight_ih_l0")[1]
    head_names = _head(rest, head, vocab_size, settings["hidden"])
    others = dict(rest)
    if not embedding:  # named, the head of tied weights is the embedding too
        del others[head_names["head.weight"]]
    embedding_names = _embedding(others, embedding, vocab_size, inputs)
    if embedding_names:
        settings["embedding"] = inputs
    names |= head_names | embedding_names
    _check_places(shapes, names)
    try:
        config = ModelConfig(**settings, nonlinearity=nonlinearity)
    except UsageError as error:
        raise ModelError(f"its sizes are beyond the limits of charrnn: {error}") from error
    _check_shapes(shapes, names, torch_layout.shapes(config, vocab_size))
    return Reading(config, names)


def _recurrent_tensors(shapes: Shapes) -> tuple[set[str], str]:
    """The names of the tensors of the one recurrent module, and what they all begin with."""
    found = {name: match for name in shapes if (match := RECURRENT.fullmatch(name))}
    if not found:
        raise ModelError(
            f"no tensor has a name of torch.nn.RNN, GRU or LSTM (weight_ih_l0, …); there are "
            f"{listing(sorted(map(show, shapes)))}. Save the state dict of a model with one of these modules"
        )
    prefixes = sorted({match[1] for match in found.values()})
    if len(prefixes) > 1:
        raise ModelError(
            f"there are {len(prefixes)} recurrent modules ({listing([show(p) for p in prefixes])}); "
            "a model of charrnn has one"
        )
    if reverse := [name for name, match in found.items() if match[5]]:
        raise ModelError(
            f"tensor {show(min(reverse))}: the network is bidirectional, and a model that predicts the next "
            "character reads one way. Train it with bidirectional=False"
        )
    if projected := [name for name, match in found.items() if match[3] == "hr"]:
        raise ModelError(
            f"tensor {show(min(projected))}: the LSTM has a proj_size, which charrnn does not support. "
            "Train it without"
        )
    return set(found), prefixes[0]


def _recurrent(
    shapes: Shapes, found: set[str], prefix: str, cell: str | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Cell, layers and hidden size as settings, and the names of the recurrent tensors."""
    layers = 1 + max(int(name.rsplit("_l", 1)[1]) for name in found)
    kinds = ["weight_ih", "weight_hh"]
    if any("bias_" in name.removeprefix(prefix) for name in found):  # torch has all biases, or none
        kinds += ["bias_ih", "bias_hh"]
    parts = [f"{kind}_l{layer}" for layer in range(layers) for kind in kinds]
    if missing := [prefix + part for part in parts if prefix + part not in found]:
        raise ModelError(
            f"tensor {show(missing[0])} is missing: by the other names there are {layers} layers"
        )
    rows, hidden = _shape(shapes, f"{prefix}weight_hh_l0")
    of_shape = next((name for name, gates in GATE_COUNTS.items() if hidden and rows == gates * hidden), None)
    if of_shape is None:
        raise ModelError(
            f"tensor {show(prefix + 'weight_hh_l0')} has shape {[rows, hidden]}; it must have 4 times (LSTM), "
            "3 times (GRU) or as many (RNN) rows as columns"
        )
    if cell not in (None, of_shape):
        raise ModelError(
            f"tensor {show(prefix + 'weight_hh_l0')} has shape {[rows, hidden]}, which is that of a "
            f"{of_shape.upper()}, not of --cell {cell}"
        )
    _shape(shapes, f"{prefix}weight_ih_l0")
    names = {f"{of_shape}.{part}": prefix + part for part in parts}
    return {"cell": of_shape, "layers": layers, "hidden": hidden}, names


def _head(rest: Shapes, named: str | None, vocab_size: int, hidden: int) -> dict[str, str]:
    """Our names of the head's tensors -> theirs, among those that are not recurrent."""
    weight = _pick(rest, named, (vocab_size, hidden), HEADS, "head", biased=True)
    if weight is None:
        raise ModelError(
            f"no tensor can be the head: for {vocab_size} symbols and {hidden} hidden units its "
            f"weight must be [{vocab_size}, {hidden}]; besides the recurrent layers there are "
            f"{_listed(rest)}. Check --vocab and --level, or name the tensor with --head"
        )
    bias = weight.removesuffix("weight") + "bias"
    return {"head.weight": weight} | ({"head.bias": bias} if bias in rest else {})


def _embedding(others: Shapes, named: str | None, vocab_size: int, inputs: int) -> dict[str, str]:
    """Our name of the embedding -> theirs; empty if the recurrent layer takes one-hot symbols."""
    weight = _pick(others, named, (vocab_size, inputs), EMBEDDINGS, "embedding", biased=False)
    if weight is None and inputs != vocab_size:
        raise ModelError(
            f"the recurrent layer takes inputs of {inputs} numbers, neither one-hot of {vocab_size} symbols nor "
            f"from an embedding: none is [{vocab_size}, {inputs}] among {_listed(others)}. Check --vocab and --level, "
            "or name the tensor with --embedding"
        )
    return {} if weight is None else {"embedding.weight": weight}


def _check_places(shapes: Shapes, names: Mapping[str, str]) -> None:
    """Raise ModelError for tensors that have no place in the model."""
    if odd := sorted(shapes.keys() - names.values()):
        raise ModelError(
            f"no place for {listing([f'tensor {show(name)} {list(shapes[name])}' for name in odd])}: a model of "
            "charrnn has an embedding, one recurrent module and a linear head. Leave out all other tensors"
        )


def _check_shapes(shapes: Shapes, names: Mapping[str, str], ours: Shapes) -> None:
    """Raise ModelError for a tensor of the wrong shape."""
    for name, shape in ours.items():
        if name in names and shapes[names[name]] != shape:
            raise ModelError(
                f"tensor {show(names[name])} has shape {list(shapes[names[name]])}; to fit the others it must be "
                f"{list(shape)}"
            )


def _shape(shapes: Shapes, name: str) -> tuple[int, int]:
    if len(shapes[name]) != 2:
        raise ModelError(f"tensor {show(name)} has shape {list(shapes[name])}; it must be a matrix")
    rows, columns = shapes[name]
    return rows, columns


def _pick(
    shapes: Shapes,
    named: str | None,
    shape: tuple[int, int],
    usual: tuple[str, ...],
    role: str,
    *,
    biased: bool,
) -> str | None:
    """The weight for a role: the named one, or the one of this shape, chosen by its bias or name."""
    if named is not None:
        for name in (named, f"{named}.weight"):
            if shapes.get(name) == shape:
                return name
            if name in shapes:
                raise ModelError(
                    f"--{role} {name}: it has shape {list(shapes[name])}, where {list(shape)} is needed"
                )
        raise ModelError(f"--{role} {named}: there is no such tensor. There are {_listed(shapes)}")
    candidates = [name for name in shapes if shapes[name] == shape and name.endswith("weight")]
    by_bias = [n for n in candidates if (n.removesuffix("weight") + "bias" in shapes) == biased]
    by_name = [n for n in candidates if n.split(".")[-2:-1] and n.split(".")[-2] in usual]
    for choice in (by_bias, by_name) if biased else (by_name, by_bias):
        if len(choice) == 1:
            return choice[0]
    if len(candidates) > 1:
        raise ModelError(
            f"{listing([show(name) for name in candidates])} can each be the {role}: choose one with --{role}"
        )
    return candidates[0] if candidates and biased else None


def _listed(shapes: Shapes) -> str:
    return listing([f"{show(name)} {list(shape)}" for name, shape in sorted(shapes.items())]) or "none"
