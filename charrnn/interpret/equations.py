"""The equations of one layer on recorded steps: the sums of its gates, and what it would do if a sum lacked a part.

Each gate's sum is exact, Σ W_ih x + Σ W_hh h[t-1] + b, and the state moves by

    LSTM     c[t] − c[t-1] = (f − 1) c[t-1] + i g
    GRU      h[t] − h[t-1] = (z − 1) h[t-1] + (1 − z) n
    vanilla  h[t] = φ(a[t])
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.interpret.edges import SUM, gates_of
from charrnn.interpret.reading import Reading
from charrnn.interpret.recording import one_by_one
from charrnn.model.model import Model
from charrnn.nn.buffers import Array
from charrnn.nn.network import Network
from charrnn.nn.sigmoid import sigmoid

Cells = slice | Sequence[int]


@dataclass(frozen=True, eq=False)
class Steps:
    """What a layer takes in and has at P steps of one pass over a text.

    x : symbols (P,), or h of the layer below (P, F); before : h[t-1] (P, H); state_before, state : c or h (P, H)
    shown : h (P, H); gates : of the cells that were asked for, by their letters, as they were recorded
    """

    x: np.ndarray
    before: np.ndarray
    state_before: np.ndarray
    state: np.ndarray
    shown: np.ndarray
    gates: Mapping[str, np.ndarray]

    def at(self, places: np.ndarray | slice) -> "Steps":
        """Some of the steps."""
        gates = {letter: values[places] for letter, values in self.gates.items()}
        arrays = (self.x, self.before, self.state_before, self.state, self.shown)
        x, before, state_before, state, shown = (array[places] for array in arrays)
        return Steps(x, before, state_before, state, shown, gates)


@blas_threads()
def steps_of(
    model: Model, reading: Reading, layers: Sequence[int], gates: Cells = ()
) -> tuple[list[Steps], np.ndarray]:
    """All steps of some layers of a network without an embedding, and the places of their symbols in the reading's ids.

    gates : the cells whose gates are kept, of the first of the layers
    """
    network, n = model.network, len(reading.ids)
    state_name = network.cell.STATES[-1]
    letters = [*dict.fromkeys(["h", state_name, *(g for g in gates_of(network) if g != SUM)])]
    wanted = sorted({*layers, *(k - 1 for k in layers if k)})
    shape = n, model.config.hidden
    h = {k: np.zeros(shape, network.theta.dtype) for k in wanted}
    states = h if state_name == "h" else {k: np.zeros(shape, network.theta.dtype) for k in wanted}
    kept: dict[str, np.ndarray] = {}
    read = np.zeros(n, bool)
    for places, recorded, found in one_by_one(model, reading, letters):
        where = places[recorded]
        read[where] = True
        for k in wanted:
            h[k][where] = found[k]["h"][recorded]
            states[k][where] = found[k][state_name][recorded]
        for letter in letters:
            if letter in gates_of(network):
                values = found[layers[0]][letter][recorded][:, gates]
                kept.setdefault(letter, np.zeros((n, values.shape[1]), values.dtype))[where] = values
    begins, _ = reading.spans

    def before(values: np.ndarray) -> np.ndarray:
        moved = np.roll(values, 1, axis=0)
        moved[begins] = 0
        return moved[read]

    ids = reading.ids[read].astype(np.intp)
    steps = [
        Steps(
            h[k - 1][read] if k else ids,
            before(h[k]),
            before(states[k]),
            states[k][read],
            h[k][read],
            {g: values[read] for g, values in kept.items()} if k == layers[0] else {},
        )
        for k in layers
    ]
    return steps, np.flatnonzero(read)


class Equations:
    """The gates of some cells (J) of a layer at P steps, from their sums, and what would move them.

    sums : of each gate, (P, J); values : the gates themselves, and what else is read by ``moved``
    state : c or h that they come to
    """

    def __init__(
        self,
        network: Network,
        layer: int,
        steps: Steps,
        cells: Cells,
        dtype: np.typing.DTypeLike = np.float64,
    ) -> None:
        self.kind, self.relu = network.config.cell, network.config.nonlinearity == "relu"
        self.gates = gates_of(network)
        params = network.layer(network.params, layer)
        K, H = len(self.gates), network.config.hidden
        w_ih = params["weight_ih"].reshape(K, H, -1)[:, cells].astype(dtype)
        w_hh = params["weight_hh"].reshape(K, H, H)[:, cells].astype(dtype)
        bias = params["bias"].reshape(K, H)[:, cells].astype(dtype)
        x = w_ih.transpose(0, 2, 1)[:, steps.x] if steps.x.ndim == 1 else steps.x @ w_ih.transpose(0, 2, 1)
        u = steps.before.astype(dtype) @ w_hh.transpose(0, 2, 1)
        self.before = steps.state_before[:, cells].astype(dtype)
        self.values: dict[str, Array] = {}
        self.sums = {g: x[k] + bias[k][None] + u[k] for k, g in enumerate(self.gates)}
        if self.kind == "gru":
            self.inner = u[2] + params["bias_hn"][cells].astype(dtype)
            self.outer = x[2] + bias[2][None]
            self.values["r"] = _sigma(self.sums["r"])
            self.sums["n"] = self.outer + self.values["r"] * self.inner
        self.values |= {g: self._gate(g, a) for g, a in self.sums.items()}
        v = self.values
        if self.kind == "lstm":
            self.kept, self.written = v["f"] * self.before, v["i"] * v["g"]
        elif self.kind == "gru":
            self.kept, self.written = v["z"] * self.before, (1 - v["z"]) * v["n"]
        else:
            self.kept, self.written = np.zeros_like(self.before), v[SUM]
        self.state = self.kept + self.written
        if self.kind == "lstm":
            self.shown = v["o"] * np.tanh(self.state)

    @property
    def keeping(self) -> Array | None:
        """The gate that multiplies the state before; None of a vanilla cell."""
        return {"lstm": self.values.get("f"), "gru": self.values.get("z")}.get(self.kind)

    def passed(self, edge_kind: str, gate: str, parts: np.ndarray) -> np.ndarray:
        """What arrives of parts (P, J) of W_hh h[t-1] or W_ih x: the reset gate acts on what comes to n from before."""
        return parts * self.values["r"] if gate == "n" and edge_kind == "before" else parts

    def moved(self, gate: str, parts: np.ndarray) -> np.ndarray:
        """How far the state is from what it would be if the gate's sum lacked ``parts`` (P, J).

        Of gate o of an LSTM, which the state does not see, how far h is. Everything else is as it was.
        """
        v, without = self.values, self._gate(gate, self.sums[gate] - parts)
        change = v[gate] - without
        if self.kind == "rnn":
            return change
        if gate in "fz":
            return change * (self.before - (v["n"] if gate == "z" else 0))
        if self.kind == "lstm":
            return change * {"i": v["g"], "g": v["i"], "o": np.tanh(self.state)}[gate]
        if gate == "r":
            return (1 - v["z"]) * (v["n"] - np.tanh(self.outer + without * self.inner))
        return (1 - v["z"]) * change

    def _gate(self, gate: str, a: np.ndarray) -> np.ndarray:
        if gate == SUM and self.relu:
            return np.maximum(a, 0)
        return np.tanh(a) if gate in ("g", "n", SUM) else _sigma(a)


def _sigma(a: np.ndarray) -> np.ndarray:
    found = a.copy()
    sigmoid(found)
    return found


def error_of(equations: Equations, steps: Steps, cells: Cells) -> float:
    """The largest difference of gates and state from what was recorded, relative to 1 + |value|."""
    pairs = [(equations.values[g], recorded) for g, recorded in steps.gates.items()]
    pairs.append((equations.state, steps.state[:, cells]))
    if equations.kind == "lstm":
        pairs.append((equations.shown, steps.shown[:, cells]))
    return max(float(np.max(np.abs(a - b) / (1 + np.abs(b)), initial=0)) for a, b in pairs)
