"""Whole blocks of symbols drawn in one call: the step of `charrnn.sampling.stepper` and the draw, compiled.

For each step and layer l:

    x = table[symbol] for l = 0, otherwise W_ih h_{l-1} + b;   u = W_hh h_l;   then the cell
    logits = W h_{L-1}

One kernel draws a single text: a product of one row, whose tile is as wide as the registers allow, so that weights
stream through them. The other draws up to MOST texts side by side, in tiles of rows. Both add in the same order, so a
text does not depend on those beside it. States and symbols stay in the arrays from call to call.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from charrnn.config import ModelConfig
from charrnn.fast.cells import Cell, Shape, free
from charrnn.fast.choosing import SETTINGS, Chooser, Row
from charrnn.fast.compiler import Program, zeros
from charrnn.fast.ir import Array, Index, Kernel, Vector
from charrnn.fast.shard import cell_of
from charrnn.fast.tiles import panels_of, write_product
from charrnn.fast.weights import whole_vectors
from charrnn.nn.network import Clamp, Network

MOST = 32  # texts side by side
WIDEST = (
    8  # vectors of columns of a single row: as many sums as two units with a latency of four steps keep busy
)
INTEGERS = ("steps", "drawn", "tiles", "rows", "filtered", "scored", "symbols")


class Sizes(NamedTuple):
    """L layers of H cells with K gates, V symbols (H and V rounded up to whole vectors), R rows."""

    L: int
    H: int
    K: int
    V: int
    R: int


def arrays(cell: Cell, sizes: Sizes, symbols: int, clamped: bool, unit: int) -> dict[str, Shape]:
    """Names and shapes of the kernel's arrays. The first axis of those BY_TIME may be of any length.

    unit : numbers by whose multiples the columns of matrices are rounded up
    """
    L, H, K, V, R = sizes
    above, gates, head = max(L - 1, 1), -(-K * H // unit) * unit, -(-V // unit) * unit
    return {
        **dict.fromkeys(("steps", "drawn", "tiles", "rows", "filtered", "scored"), (1,)),
        "symbols": (1, R),
        **dict.fromkeys(("uniforms", "log_p", "totals"), (1, R)),
        "settings": (R, len(SETTINGS)),
        "scratch": (3, V),
        "table": (symbols, K, H),
        "bias": (above, K, H),
        "bias_hn": (L, H),
        "recurrent": (L, H * gates),
        "from_below": (above, H * gates),
        "head": (H * head,),
        "head_bias": (V,),
        "x": (R, K, H),
        "u": (R, K, H),
        "logits": (R, V),
        **dict.fromkeys(cell.states, (L, R, H)),
        **(dict.fromkeys(("free", "held"), (L, R, H)) if clamped else {}),
    }


WEIGHTS = ("table", "bias", "bias_hn", "recurrent", "from_below", "head", "head_bias")
MATRICES = ("recurrent", "from_below", "head")  # the large ones, which may be bfloat16
BY_TIME = ("symbols", "uniforms", "log_p", "totals")
DOUBLES = ("uniforms", "log_p", "totals", "settings", "scratch")  # float64, whatever the weights are


def write_steps(k: Kernel, cell: Cell, sizes: Sizes, clamped: bool) -> None:
    """`steps` steps; at all but the last `drawn` of them the next symbol is there already."""
    L, H, K, V, R = sizes
    gates, vectors = range(cell.gates), H // k.target.lanes
    tiles = k["tiles"].integer() if R > 1 else None
    rows = k["rows"].integer() if R > 1 else 1
    choose = Chooser(k, V)

    def one_layer(layer: Index | int, x: Callable[[Index], Array], bias: Array | None) -> None:
        write_product(k, k["h"][layer], k["recurrent"][layer], k["u"].reshape(R, K * H), tiles=tiles)
        with k.loop(rows) as row, k.loop(vectors) as units:
            b, u = row.index, units.index
            from_below = [x(b)[gate].load(u) for gate in gates]
            if bias is not None:
                from_below = [
                    value + bias[gate].load(u) for gate, value in zip(gates, from_below, strict=True)
                ]
            hidden = [k["u"][b, gate].load(u) for gate in gates]
            if len(hidden) == 3:
                hidden[2] = hidden[2] + k["bias_hn"][layer].load(u)
            before = {state: k[state][layer, b].load(u) for state in cell.states}

            def hold(state: Vector) -> Vector:
                is_free, held = (k[name][layer, b].load(u) for name in ("free", "held"))
                return state.where(is_free.is_positive(), held)

            after = cell.values(hidden, from_below, before, hold if clamped else free)
            for state in cell.states:
                k[state][layer, b].store(after[state], u)

    def draw(t: Index) -> None:
        write_product(k, k["h"][L - 1], k["head"], k["logits"], tiles=tiles)
        with k.loop(rows) as row:
            b = row.index
            per_row = Row(
                k["logits"][b],
                k["settings"][b],
                k["uniforms"][t, b],
                k["symbols"][t + 1, b],
                k["log_p"][t, b],
                k["totals"][t, b],
            )
            choose(per_row, k["head_bias"], k["scratch"], k["filtered"], k["scored"])

    steps = k["steps"].integer()
    first = steps - k["drawn"].integer()
    with k.loop(steps) as time:
        t = time.index
        one_layer(0, lambda b: k["table"][k["symbols"][t, b].integer()], None)
        if L > 1:
            with k.loop(L - 1) as above:
                below = above.index
                x = k["x"].reshape(R, K * H)
                write_product(k, k["h"][below], k["from_below"][below], x, tiles=tiles)
                one_layer(below + 1, lambda b: k["x"][b], k["bias"][below])
        with k.build.if_then((t - first) >= 0):
            draw(t)


@cache
def _program(
    config: ModelConfig, symbols: int, dtype: np.dtype, R: int, clamped: bool, half: bool
) -> tuple[Program, Sizes, dict[str, Shape]]:
    """The kernel for models of these shapes, for one text or for several, and the shapes of its arrays."""
    program = Program("drawing", config.cell, config.nonlinearity, clamped, half, dtype=dtype)
    target = program.target
    if R == 1:
        program.target = target = target._replace(tile=(1, WIDEST))
    else:
        R = -(-R // target.tile[0]) * target.tile[0]
    cell = cell_of(config)
    sizes = Sizes(
        config.layers, whole_vectors(config.hidden, target), cell.gates, whole_vectors(symbols, target), R
    )
    shapes = arrays(cell, sizes, symbols, clamped, 2 * target.lanes if half else target.lanes)
    program.add(
        "draw",
        shapes,
        lambda k: write_steps(k, cell, sizes, clamped),
        INTEGERS,
        DOUBLES,
        MATRICES if half else (),
    )
    program.compile()
    return program, sizes, shapes


def upper_halves(rows: np.ndarray, lanes: int) -> np.ndarray:
    """Rows of vectors of float32 (…, width · lanes) as `Halves.row` reads them."""
    width = rows.shape[-1] // lanes
    bits = np.zeros((*rows.shape[:-1], width + width % 2, lanes), np.uint16)
    vectors = np.ascontiguousarray(rows).reshape(*rows.shape[:-1], width, lanes)
    bits[..., :width, :] = vectors.view(np.uint32) >> 16
    return bits.reshape(*rows.shape[:-1], -1, 2, lanes).swapaxes(-1, -2)


class Packed:
    """The kernel for one text or for several, and a copy of a network's weights: padded to whole vectors, and packed in
    the order in which the kernel reads them. Training the network later does not change it.

    half : keep the upper halves of the large matrices' numbers alone, which are float32 rounded to bfloat16
    """

    def __init__(self, network: Network, *, several: bool, clamped: bool, half: bool = False) -> None:
        self.config, self.dtype = network.config, network.theta.dtype
        R = MOST if several else 1
        self.program, self.sizes, self.shapes = _program(
            network.config, network.vocab_size, self.dtype, R, clamped, half
        )
        self.weights = {
            name: zeros(self.shapes[name], np.uint16 if half and name in MATRICES else self.dtype)
            for name in WEIGHTS
        }
        self._fill(network)

    def _fill(self, network: Network) -> None:
        L, H, K, V, _ = self.sizes
        given, h, target = self.weights, network.config.hidden, self.program.target

        def padded(weight: np.ndarray) -> np.ndarray:
            """(K·h, F) -> (K·H, F), or (K·h,) -> (K, H)."""
            wide = np.zeros((K, H, *weight.shape[1:]), weight.dtype)
            wide[:, :h] = weight.reshape(K, h, *weight.shape[1:])
            return wide.reshape(K * H, -1) if weight.ndim == 2 else wide

        def pack(weight: np.ndarray, out: np.ndarray) -> None:
            """The transpose of weight (N, h), with h rounded up to H."""
            transposed = np.zeros((H, len(weight)), weight.dtype)
            transposed[:h] = weight.T
            for part in panels_of(target, len(weight) // target.lanes):
                columns = slice(
                    part.first * target.lanes, (part.first + part.count * part.width) * target.lanes
                )
                panels = transposed[:, columns].reshape(H, part.count, -1).swapaxes(0, 1)
                if out.dtype == np.uint16:
                    panels = upper_halves(panels, target.lanes)
                out[columns.start * H :][: panels.size] = panels.ravel()

        for layer in range(L):
            w = network.layer(network.params, layer)
            pack(padded(w["weight_hh"]), given["recurrent"][layer])
            if "bias_hn" in w:
                given["bias_hn"][layer, :h] = w["bias_hn"]
            if layer:
                pack(padded(w["weight_ih"]), given["from_below"][layer - 1])
                given["bias"][layer - 1] = padded(w["bias"])
            else:
                table = w["weight_ih"].T
                if network.config.embedding:
                    table = network.params["embedding.weight"] @ table
                given["table"][..., :h] = (table + w["bias"]).reshape(-1, K, h)
        head = np.zeros((V, h), self.dtype)
        head[: network.vocab_size] = network.params["head.weight"]
        pack(head, given["head"])
        given["head_bias"][...] = -np.inf  # probability 0 at any temperature
        given["head_bias"][: network.vocab_size] = network.params["head.bias"]


class Drawing:
    """Up to MOST texts drawn side by side from the zero state, at most `steps` symbols per call.

    temperatures : (B,), of each text; 0 takes the likeliest symbol
    clamps : cells whose signal is held; masks and values (1, H) or (B, H)
    """

    def __init__(
        self,
        packed: Packed,
        temperatures: np.ndarray,
        steps: int,
        *,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        clamps: Sequence[Clamp] = (),
    ) -> None:
        self._own, self._steps = slice(0, len(temperatures)), steps
        shapes, sizes = dict(packed.shapes), packed.sizes
        for name in BY_TIME:
            shapes[name] = (steps + 1, sizes.R)
        own = {
            name: zeros(
                shape, np.int64 if name in INTEGERS else np.float64 if name in DOUBLES else packed.dtype
            )
            for name, shape in shapes.items()
            if name not in WEIGHTS
        }
        self._arrays = own | packed.weights
        V, is_cold = (
            sizes.V,
            temperatures == 0,
        )  # the likeliest: the first of them by rank, at any temperature
        kept = np.where(is_cold, 1, top_k or V)
        settings = (
            np.where(is_cold, 1, temperatures),
            kept,
            np.full(len(kept), top_p),
            np.full(len(kept), min_p),
        )
        own["settings"][self._own] = np.stack(settings, axis=1)
        own["filtered"][0] = bool((kept < V).any() or top_p < 1 or min_p > 0)
        own["rows"][0] = len(temperatures)
        own["tiles"][0] = -(-len(temperatures) // packed.program.target.tile[0])
        self._hold(clamps, packed.config)
        self._call = packed.program.bind("draw", *(self._arrays[name] for name in shapes))

    def _hold(self, clamps: Sequence[Clamp], config: ModelConfig) -> None:
        if clamps:
            self._arrays["free"][...] = 1
        for clamp in clamps:
            mask, values = clamp.hold(config.cell)
            free, held = (
                self._arrays[name][clamp.layer, self._own, : config.hidden] for name in ("free", "held")
            )
            np.copyto(free, 0, where=mask)
            np.copyto(held, values, where=mask, casting="same_kind")

    def read(self, symbols: np.ndarray) -> None:
        """Read symbols (n, B) and draw nothing."""
        for start in range(0, len(symbols), self._steps):
            part = symbols[start : start + self._steps]
            self._arrays["symbols"][: len(part), self._own] = part
            self._run(len(part), drawn=0)

    def draw(
        self, last: np.ndarray, uniforms: np.ndarray, scored: bool
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """Read the symbols `last` (B,), then draw as many as there are uniforms (n, B) in (0, 1].

        Returns symbols (n, B), their log p (n, B), or 0 if not scored, and whether all logits were finite.
        """
        n, own, given = len(uniforms), self._own, self._arrays
        given["symbols"][0, own] = last
        given["uniforms"][:n, own] = uniforms
        given["scored"][0] = scored
        self._run(n, drawn=n)
        is_finite = bool(
            (given["totals"][:n, own] >= 1).all()
        )  # the likeliest symbol alone contributes e⁰ = 1
        return given["symbols"][1 : n + 1, own].copy(), given["log_p"][:n, own].copy(), is_finite

    def _run(self, steps: int, drawn: int) -> None:
        self._arrays["steps"][0], self._arrays["drawn"][0] = steps, drawn
        with np.errstate(over="ignore", invalid="ignore"):  # the totals show it
            self._call()
