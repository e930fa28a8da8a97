"""The kernels that read. Each is compiled once for a kind of cell: every size is read when it runs.

Every row of a product is summed in the same order whatever rows are beside it, so what is read of one stream does not
depend on the other streams, on the threads that share them or on the blocks of time that a text is cut into.

Arrays for H cells (a multiple of the lanes) with K gates, and N ≥ K·H columns, whole panels:

    packed (panels, depth, panel)  a matrix (depth, N) as products read it: see `pack`
    rows (T, B), table (R, N)      W_ih x[t, b] + b is row `rows[t, b]` of the table
    u (B, N)                       W_hh h[t-1] of the current step
    h, c (T + 1, B, H)             from the state before the block; its place has the state after it when all is done
    a, tanh_c, n                   as in `charrnn.fast.layers`; of the last step alone unless all are kept
    held, values (B, H)            where `held` is above 0 the state is set to `values` at every step
"""

import numpy as np

from charrnn.fast import tiles
from charrnn.fast.cells import Cell, Indices
from charrnn.fast.compiler import Program
from charrnn.fast.functions import exp
from charrnn.fast.ir import Array, Index, Kernel, Target
from charrnn.nn.loss import NEVER

PRODUCT = ("product_sizes", "left", "packed", "start", "result")
LAYER = ("sizes", "product_sizes", "rows", "table", "packed", "zero", "held", "values", "u", "a", "h")
LOSSES = ("sizes", "logits", "targets", "losses")
INTEGERS = ("sizes", "product_sizes", "rows", "targets")
SIZES = 5  # before the numbers of tiles, see `product_sizes`


def panel_columns(target: Target) -> int:
    """Columns of a panel: the width of a tile."""
    return target.tile[1] * target.lanes


def whole_panels(columns: int, target: Target) -> int:
    """`columns` rounded up to whole panels."""
    return -(-columns // panel_columns(target)) * panel_columns(target)


def pack(matrix: np.ndarray, packed: np.ndarray, target: Target) -> None:
    """Store a matrix (depth, N), N whole panels, in the order in which products read it."""
    depth, columns = matrix.shape
    panels = packed.reshape(columns // panel_columns(target), depth, panel_columns(target))
    panels[...] = matrix.reshape(depth, *panels.shape[::2]).transpose(1, 0, 2)


def product_sizes(depth: int, columns: int, rows: int, target: Target, first: int = 0) -> list[int]:
    """What `product` reads: the depth, the panels, the first row of the left side, how many groups of panels are taken
    at once, how many panels come after these, and how many tiles there are of each height, the highest first. The
    heights of tiles differ by at most one."""
    most = target.tile[0]
    count = -(-rows // most)
    height, taller = divmod(rows, count)
    tiles_of = {height + 1: taller, height: count - taller}
    panels, at_once = columns // panel_columns(target), tiles.panels_at_once(height, target)
    groups = panels // at_once if at_once > 1 else 0  # of a single tile
    return [
        depth,
        panels,
        first,
        groups,
        panels - groups * at_once,
        *(tiles_of.get(h, 0) for h in range(most, 0, -1)),
    ]


def add_product(program: Program) -> None:
    """`product`: result (M, N) = left (M, depth) · packed + start (N,)."""
    target, (most, width) = program.target, program.target.tile

    def product(k: Kernel) -> None:
        k.function.attributes.add("noinline")
        depth, panels, first, groups, rest, *counts = (
            k["product_sizes"].integer(n) for n in range(SIZES + most)
        )
        columns = panels * panel_columns(target)
        left = k["left"][first * depth]

        def one_tile(numbers: list[Index], rows: list[Index]) -> None:
            """The product of some rows with neighbouring panels."""
            packed = [k["packed"][number * depth * panel_columns(target)] for number in numbers]
            places = [number * width + c for number in numbers for c in range(width)]
            start = [k["start"].load(place) for place in places]
            sums = tiles.product(k, [left[row * depth] for row in rows], depth, packed, [start] * len(rows))
            for row, of_row in zip(rows, sums, strict=True):
                for place, total in zip(places, of_row, strict=True):
                    k["result"][row * columns].store(total, place)

        heights = range(most, 0, -1)
        for height, count in zip(heights, counts, strict=True):
            if (at_once := tiles.panels_at_once(height, target)) > 1:
                with k.build.if_then(groups >= 1), k.build.if_then(count >= 1), k.loop(groups) as group:
                    numbers = [group.index * at_once + n for n in range(at_once)]
                    one_tile(numbers, [group.index * 0 + row for row in range(height)])
        with k.build.if_then(rest >= 1), k.loop(rest) as panel:
            number = panels - rest + panel.index
            done: Index | int = 0
            for height, count in zip(heights, counts, strict=True):
                with k.build.if_then(count >= 1), k.loop(count) as tile:
                    one_tile([number], [tile.index * height + done + row for row in range(height)])
                done = count * height + done

    program.add("product", dict.fromkeys(PRODUCT, ()), product, INTEGERS)


def call_product(k: Kernel, *arrays: Array) -> None:
    """Run `product`, which must have been added before, from another kernel."""
    k.build.call(k.module.globals["product"], [array.base for array in arrays])


def layer_arrays(cell: Cell) -> list[str]:
    """The arguments of `layer`."""
    return [*LAYER, *cell.kept(1, 1, 1)]


def add_layer(program: Program, cell: Cell) -> None:
    """`layer`: a block of steps through one layer.

    sizes : steps T, streams B, vectors of H, B if the gates of all steps are kept, else 0, and 1 if there is a row of
        `held` for each stream, 0 if all have the first
    product_sizes : of the product with W_hh
    """
    target = program.target

    def layer(k: Kernel) -> None:
        T, B, vectors, kept, each = (k["sizes"].integer(n) for n in range(5))
        H = vectors * target.lanes
        columns = k["product_sizes"].integer(1) * panel_columns(target)
        u, table = k["u"].reshape(B, columns), k["table"].reshape(1, columns)
        gates = range(cell.gates)
        for name in ("held", "values"):
            k.arrays[name] = k[name].reshape(1, H)
        for name in cell.states:
            k.arrays[name] = k[name].reshape(1, B, H)
        # If `kept` is 0, the steps lie one upon the other.
        k.arrays["a"] = k["a"].reshape(1, kept, cell.gates, H)
        for name in {"tanh_c", "n"} & k.arrays.keys():
            k.arrays[name] = k[name].reshape(1, kept, H)

        with k.loop(T) as time:
            t = time.index
            call_product(k, k["product_sizes"], k["h"][t], k["packed"], k["zero"], u)
            with k.loop(B) as stream:
                b = stream.index
                row = table[k["rows"][t * B + b].integer()]
                with k.loop(vectors) as units:
                    v = units.index
                    x = [row.load(vectors * gate + v) for gate in gates]
                    hidden = [u[b].load(vectors * gate + v) for gate in gates]
                    held = k["held"][b * each].load(v).is_positive()
                    value = k["values"][b * each].load(v)
                    cell.forward(k, Indices(t, b, v), hidden, x, lambda state: value.where(held, state))
        for name in cell.states:
            k[name][0].copy(k[name][T], B * vectors)

    program.add("layer", dict.fromkeys(layer_arrays(cell), ()), layer, INTEGERS)


def add_losses(program: Program) -> None:
    """`losses`: -log p of the target of each row of logits (M, N), in nats. sizes : M, and the vectors of N."""

    def losses(k: Kernel) -> None:
        M, vectors = k["sizes"].integer(0), k["sizes"].integer(1)
        with k.loop(M) as row:
            logits = k["logits"][row.index * vectors * program.target.lanes]
            with k.loop(vectors, [k.fill(2 * NEVER)]) as column:
                column.carried = [logits.load(column.index).larger(column.carried[0])]
            highest = column.carried[0].largest()
            with k.loop(vectors, [k.fill(0.0)]) as column:
                below = logits.load(column.index) - k.splat(highest)
                p = k.fill(0.0).where(below.is_below(NEVER / 2), exp(below))  # exp alone never is 0
                column.carried = [column.carried[0] + p]
            picked = k.build.fsub(logits.number(k["targets"].integer(row.index)), highest)
            k["losses"].store_number(k.build.fsub(k.log(column.carried[0].sum()), picked), row.index)

    program.add("losses", dict.fromkeys(LOSSES, ()), losses, INTEGERS)
