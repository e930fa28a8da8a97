"""The three cells, one vector of cells at one time step: the equations of `charrnn.nn.lstm`, `gru`, `rnn`.

`charrnn.fast.layers` has the loops around them and documents the arrays. Forward gets W_hh h[t-1] and
W_ih x[t] + b for each gate. Backward replaces the gates by ∂loss/∂(W_hh h[t-1]), leaves in `dh` the gradient that
reaches h[t-1] by other paths than W_hh, and returns ∂loss/∂(W_ih x[t]).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from charrnn.fast.functions import sigmoid, tanh
from charrnn.fast.ir import Index, Kernel, Vector

Shape = tuple[int, ...]
Hold = Callable[[Vector], Vector]


class Indices(NamedTuple):
    """Indices of the time step, the stream and the vector of cells."""

    t: Index | int
    b: Index
    u: Index


def free(state: Vector) -> Vector:
    """The state as it is, where no cell is held at a value."""
    return state


class Cell(Protocol):
    gates: int
    states: tuple[str, ...]  # arrays whose last entry is the state after a chunk

    def kept(self, T: int, B: int, H: int) -> dict[str, Shape]:
        """Arrays that forward needs in addition to those of every layer."""

    def sums(self, B: int, H: int) -> dict[str, Shape]:
        """Arrays that are zero at the start of backward, in addition to those of every layer."""

    def values(
        self, hidden: Sequence[Vector], x: Sequence[Vector], before: Mapping[str, Vector], hold: Hold = free
    ) -> dict[str, Vector]:
        """The gates and the new states by their letters; `before` has the states before the step, and the GRU's
        `hidden[2]` contains b_hn. `hold` replaces the state that a clamp holds."""

    def forward(
        self, k: Kernel, at: Indices, hidden: Sequence[Vector], x: Sequence[Vector], hold: Hold = free
    ) -> None: ...

    def backward(self, k: Kernel, at: Indices, dh: Vector) -> list[Vector]: ...


class LSTM:
    """c : (T + 1, B, H); dc : (B, H), ∂loss/∂c[t] from the step that follows."""

    gates = 4
    states: tuple[str, ...] = ("h", "c")

    def kept(self, T: int, B: int, H: int) -> dict[str, Shape]:
        return {"c": (T + 1, B, H), "tanh_c": (T, B, H)}

    def sums(self, B: int, H: int) -> dict[str, Shape]:
        return {"dc": (B, H)}

    def values(
        self, hidden: Sequence[Vector], x: Sequence[Vector], before: Mapping[str, Vector], hold: Hold = free
    ) -> dict[str, Vector]:
        i, f, o = (sigmoid(x[gate] + hidden[gate]) for gate in (0, 1, 3))
        g = tanh(x[2] + hidden[2])
        c = hold(f * before["c"] + i * g)
        tanh_c = tanh(c)
        return {"i": i, "f": f, "g": g, "o": o, "c": c, "tanh_c": tanh_c, "h": o * tanh_c}

    def forward(
        self, k: Kernel, at: Indices, hidden: Sequence[Vector], x: Sequence[Vector], hold: Hold = free
    ) -> None:
        t, b, u = at
        found = self.values(hidden, x, {"c": k["c"][t, b].load(u)}, hold)
        for gate, name in enumerate("ifgo"):
            k["a"][t, b, gate].store(found[name], u)
        k["c"][t + 1, b].store(found["c"], u)
        k["tanh_c"][t, b].store(found["tanh_c"], u)
        k["h"][t + 1, b].store(found["h"], u)

    def backward(self, k: Kernel, at: Indices, dh: Vector) -> list[Vector]:
        t, b, u = at
        i, f, g, o = (k["a"][t, b, gate].load(u) for gate in range(4))
        tanh_c = k["tanh_c"][t, b].load(u)
        dc = k["dc"][b].load(u) + dh * o * (1.0 - tanh_c * tanh_c)
        da_i = dc * g * i * (1.0 - i)
        da_f = dc * k["c"][t, b].load(u) * f * (1.0 - f)
        da_g = dc * i * (1.0 - g * g)
        da_o = dh * tanh_c * o * (1.0 - o)
        da = [da_i, da_f, da_g, da_o]
        for gate, value in enumerate(da):
            k["a"][t, b, gate].store(value, u)
        k["dc"][b].store(dc * f, u)
        k["dh"][b].store(k.fill(0.0), u)
        return da


class GRU:
    """n : (T, B, H); backward replaces it by ∂loss/∂a_n. a[…, 2] is W_hn h[t-1] + b_hn."""

    gates = 3
    states: tuple[str, ...] = ("h",)

    def kept(self, T: int, B: int, H: int) -> dict[str, Shape]:
        return {"n": (T, B, H), "bias_hn": (H,)}

    def sums(self, B: int, H: int) -> dict[str, Shape]:
        return {"d_bias_hn": (H,)}

    def values(
        self, hidden: Sequence[Vector], x: Sequence[Vector], before: Mapping[str, Vector], hold: Hold = free
    ) -> dict[str, Vector]:
        r, z = (sigmoid(x[gate] + hidden[gate]) for gate in (0, 1))
        n = tanh(x[2] + r * hidden[2])
        return {"r": r, "z": z, "inner": hidden[2], "n": n, "h": hold(n + z * (before["h"] - n))}

    def forward(
        self, k: Kernel, at: Indices, hidden: Sequence[Vector], x: Sequence[Vector], hold: Hold = free
    ) -> None:
        t, b, u = at
        inner = hidden[2] + k["bias_hn"].load(u)
        found = self.values([*hidden[:2], inner], x, {"h": k["h"][t, b].load(u)}, hold)
        for gate, name in enumerate(("r", "z", "inner")):
            k["a"][t, b, gate].store(found[name], u)
        k["n"][t, b].store(found["n"], u)
        k["h"][t + 1, b].store(found["h"], u)

    def backward(self, k: Kernel, at: Indices, dh: Vector) -> list[Vector]:
        t, b, u = at
        r, z, inner = (k["a"][t, b, gate].load(u) for gate in range(3))
        n = k["n"][t, b].load(u)
        da_n = dh * (1.0 - z) * (1.0 - n * n)
        da_r = da_n * inner * r * (1.0 - r)
        da_z = dh * (k["h"][t, b].load(u) - n) * z * (1.0 - z)
        du_n = da_n * r
        for gate, value in enumerate((da_r, da_z, du_n)):
            k["a"][t, b, gate].store(value, u)
        k["n"][t, b].store(da_n, u)
        k["d_bias_hn"].add(du_n, u)
        k["dh"][b].store(dh * z, u)
        return [da_r, da_z, da_n]


class RNN:
    gates = 1
    states: tuple[str, ...] = ("h",)

    def __init__(self, nonlinearity: str = "tanh") -> None:
        self.nonlinearity = nonlinearity

    def kept(self, T: int, B: int, H: int) -> dict[str, Shape]:
        return {}

    def sums(self, B: int, H: int) -> dict[str, Shape]:
        return {}

    def values(
        self, hidden: Sequence[Vector], x: Sequence[Vector], before: Mapping[str, Vector], hold: Hold = free
    ) -> dict[str, Vector]:
        a = x[0] + hidden[0]
        return {"h": hold(tanh(a) if self.nonlinearity == "tanh" else a.at_least(0.0))}

    def forward(
        self, k: Kernel, at: Indices, hidden: Sequence[Vector], x: Sequence[Vector], hold: Hold = free
    ) -> None:
        t, b, u = at
        k["h"][t + 1, b].store(self.values(hidden, x, {}, hold)["h"], u)

    def backward(self, k: Kernel, at: Indices, dh: Vector) -> list[Vector]:
        t, b, u = at
        h = k["h"][t + 1, b].load(u)
        da = dh * (1.0 - h * h) if self.nonlinearity == "tanh" else dh.where(h.is_positive(), 0.0)
        k["a"][t, b, 0].store(da, u)
        k["dh"][b].store(k.fill(0.0), u)
        return [da]
