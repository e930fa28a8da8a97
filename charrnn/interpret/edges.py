"""Single weights as edges between characters, cells and predictions; and networks in which some are cut.

A gate's sum is Σ weight·source + bias, so a constant can move between a source and the bias, and of one-hot characters
between all of their weights and the bias. What an edge tells is how its source differs from its mean on the text:

    weight·(source − mean of the source)            of a cell
    weight − Σ share·weight, where it was read      of a character, over all characters by their shares of the text

A cut edge passes on its mean on the text instead: of a cell, the weight becomes 0 and the bias takes up weight·mean; of
a character, the weight becomes the mean of its row. An embedding is folded into the weights first, W_ih ← W_ih Eᵀ, so
that each character has a weight of its own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from charrnn.engines.choice import network_for_reading
from charrnn.errors import UsageError
from charrnn.interpret.recording import Recording
from charrnn.model.model import Model
from charrnn.nn.buffers import Array
from charrnn.nn.network import Network
from charrnn.text.escapes import one_line
from charrnn.text.vocabulary import Vocabulary

Kind = Literal["symbol", "below", "before", "head"]
SUM = "a"  # the gate of a vanilla cell: its only sum


@dataclass(frozen=True)
class Edge:
    """One weight of a network without an embedding.

    kind : "symbol", from a symbol to a gate of layer 0; "below", from a cell of the layer below, in the same step;
        "before", from a cell of the same layer, one step before; "head", from a cell of the last layer to a symbol
    layer : of the target; of "head" that of the source
    gate : of the target; none of "head"
    source, target : numbers of cells or symbols
    """

    kind: Kind
    layer: int
    gate: str
    source: int
    target: int

    @property
    def source_layer(self) -> int:
        """The layer of the cell that it comes from; -1 of a symbol."""
        return self.layer - (self.kind in ("symbol", "below"))


@dataclass(frozen=True, eq=False)
class Sources:
    """What edges come from, on a text: shares of the symbols (V,), means and standard deviations of h (L, H)."""

    shares: np.ndarray
    means: np.ndarray
    spreads: np.ndarray

    @classmethod
    def of(cls, recording: Recording, part: slice, vocab_size: int) -> "Sources":
        """Over a part of a recorded text."""
        counts = np.bincount(recording.ids[recording.ends[part]].astype(np.intp), minlength=vocab_size)
        shown = recording.shown[:, part].reshape(-1, recording.hidden, part.stop - part.start)
        wide = np.float64 if shown.dtype == np.float64 else np.float32
        means = shown.mean(axis=2, dtype=np.float64)
        spreads = np.array([layer.astype(wide).std(axis=1) for layer in shown])
        return cls(counts / max(1, counts.sum()), means, spreads)


def gates_of(network: Network) -> tuple[str, ...]:
    """The gates of a cell, in the order of their blocks; of a vanilla one its sum."""
    return getattr(network.cell, "GATES", (SUM,))


def without_embedding(model: Model) -> Model:
    """A copy of a model that computes the same from one-hot characters."""
    config = replace(model.config, embedding=0)
    network = network_for_reading(config, len(model.vocab), model.network.theta.dtype)
    given = dict(model.network.params)
    if model.config.embedding:
        name = f"{config.cell}.weight_ih_l0"
        given[name] = given[name] @ given.pop("embedding.weight").T
    for name, value in network.params.items():
        value[...] = given[name]
    return Model.of_network(network, model.vocab, model.training)


def weight_of(network: Network, edge: Edge) -> tuple[Array, tuple[int, int]]:
    """The matrix of an edge's weight, and its place there."""
    if edge.kind == "head":
        return network.params["head.weight"], (edge.target, edge.source)
    matrix = network.layer(network.params, edge.layer)["weight_hh" if edge.kind == "before" else "weight_ih"]
    return matrix, (gates_of(network).index(edge.gate) * network.config.hidden + edge.target, edge.source)


def weight_told(network: Network, edge: Edge, sources: Sources) -> float:
    """The weight of an edge; of a symbol, less the mean of its row."""
    matrix, place = weight_of(network, edge)
    weight = float(matrix[place])
    return weight - float(matrix[place[0]] @ sources.shares) if edge.kind == "symbol" else weight


def cut_edges(network: Network, edges: Iterable[Edge], sources: Sources) -> None:
    """Cut edges of a network without an embedding, in place."""
    told = [(edge, *weight_of(network, edge), weight_told(network, edge, sources)) for edge in edges]
    for edge, matrix, (row, column), weight in told:
        if edge.kind == "symbol":
            matrix[row, column] -= weight
            continue
        matrix[row, column] = 0
        _bias_of(network, edge, row)[...] += weight * sources.means[edge.source_layer, edge.source]


def _bias_of(network: Network, edge: Edge, row: int) -> Array:
    """The bias that takes up the mean of an edge."""
    if edge.kind == "head":
        return network.params["head.bias"][row : row + 1]
    tensors = network.layer(network.params, edge.layer)
    if edge.kind == "before" and edge.gate == "n":  # the reset gate acts on it
        return tensors["bias_hn"][edge.target : edge.target + 1]
    return tensors["bias"][row : row + 1]


@contextmanager
def cut_for_now(model: Model, edges: Iterable[Edge], sources: Sources) -> Iterator[None]:
    """Within the context the edges are cut in ``model`` itself, which has no embedding."""
    kept = model.network.theta.copy()
    try:
        cut_edges(model.network, edges, sources)
        yield
    finally:
        model.network.theta[...] = kept


def edited(model: Model, edges: Sequence[Edge], names: Sequence[str], sources: Sources) -> Model:
    """A copy of a model, without an embedding, in which edges are cut; its card says so.

    names : of the edges, for the card
    """
    copy = without_embedding(model)
    copy.training["edits"] = [*_edits(model), *(f"cut {name}" for name in names)]
    cut_edges(copy.network, edges, sources)
    return copy


def _edits(model: Model) -> list[object]:
    before = model.training.get("edits")
    return before if isinstance(before, list) else []


def symbol_name(vocab: Vocabulary, symbol: int) -> str:
    r"""A symbol on one line: a character, \n, \t, \\, 0xE9 of a byte, or what an item's mark is called."""
    name = vocab.name(symbol)
    if vocab.level == "byte" and symbol < len(vocab.symbols) and int(name, 16) < 128:
        name = chr(int(name, 16))
    return _written(name)


def _written(name: str) -> str:
    return one_line(name.replace("\\", "\\\\").replace("\t", "\\t")) if len(name) == 1 else one_line(name)


def edge_name(vocab: Vocabulary, edge: Edge, layer: int, cell: int) -> str:
    r"""An edge as it is written on the command line for cell ``layer:cell``, which one of its ends is.

    ``"->i`` from a character into gate i, ``0:17->f`` from a cell, ``->0:9:g`` into gate g of another cell, and
    ``->head:;`` into a prediction.
    """
    if edge.kind == "head":
        return f"->head:{symbol_name(vocab, edge.target)}"
    if edge.kind == "symbol":
        return f"{symbol_name(vocab, edge.source)}->{edge.gate}"
    if (edge.layer, edge.target) == (layer, cell):
        return f"{edge.source_layer}:{edge.source}->{edge.gate}"
    return f"->{edge.layer}:{edge.target}:{edge.gate}"


def parse_edge(text: str, model: Model, layer: int, cell: int) -> Edge:
    """The edge of cell ``layer:cell`` that ``text`` names. Raises UsageError if there is none."""
    form = f"an edge of {layer}:{cell} is written CHAR->GATE, L:K->GATE, ->L:K:GATE or ->head:CHAR, as in '\"->i'"
    source, arrow, target = text.rpartition("->")
    gates, (L, H) = gates_of(model.network), (model.config.layers, model.config.hidden)
    symbols = {symbol_name(model.vocab, k): k for k in range(len(model.vocab))}
    symbols.setdefault("␣", symbols.get(" ", -1))  # as it is shown

    def refuse(why: str) -> UsageError:
        return UsageError(f"--cut {text!r}: {why}; {form}")

    def symbol_of(name: str) -> int:
        found = symbols.get(name, symbols.get(_written(name), -1))
        if found < 0:
            raise refuse(f"the model has no symbol {name!r}")
        return found

    def cell_of(at_layer: str, at_cell: str, allowed: tuple[int, ...]) -> tuple[int, int]:
        found = int(at_layer), int(at_cell)
        if found[0] not in allowed or found[0] >= L or found[0] < 0 or found[1] >= H:
            raise refuse(f"cell {found[0]}:{found[1]} has no such edge")
        return found

    if not arrow:
        raise refuse("there is no ->")
    if source:
        if target not in gates:
            raise refuse(f"{target!r} is no gate of this model (it has {', '.join(gates)})")
        if match := re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", source):
            from_layer, number = cell_of(match[1], match[2], (layer, layer - 1))
            return Edge("before" if from_layer == layer else "below", layer, target, number, cell)
        if layer:
            raise refuse("characters are read by layer 0")
        return Edge("symbol", 0, target, symbol_of(source), cell)
    if target.startswith("head:"):
        if layer != L - 1:
            raise refuse(f"the head reads layer {L - 1}")
        return Edge("head", layer, "", cell, symbol_of(target.removeprefix("head:")))
    if (match := re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9}):(\w+)", target)) and match[3] in gates:
        to_layer, number = cell_of(match[1], match[2], (layer, layer + 1))
        return Edge("before" if to_layer == layer else "below", to_layer, match[3], cell, number)
    raise refuse(f"{target!r} is no target")
