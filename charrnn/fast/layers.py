"""The loops over time of a recurrent layer, forward and backward.

Each step computes one product for all streams, then everything between W_hh h[t-1] and h[t] in one pass over
vectors of cells, which reads and writes each array from front to back.

Arrays for H cells (a multiple of the lanes) with K gates. T is the most steps that a chunk can have; a chunk of
`steps` steps is in the first rows of each array.

    steps (1,)                     how many time steps this chunk has, 1 to T
    rows (T, B), table (R, K, H)   W_ih x[t, b] is row `rows[t, b]` of the table
    a (T, B, K, H)                 the gates
    u (B, K, H)                    W_hh h[t-1] of the current step
    h (T + 1, B, H)                h[0] is the state before the chunk, h[T] also the state after it
    dh_out (T, B, H), dh (B, H)    ∂loss/∂h[t] from the layer above, and from the next step
    bias, d_bias (K, H)
    d_table (R, K, H)              the sums of ∂loss/∂(W_ih x[t, b]) for each row of the table
"""

from math import prod

from charrnn.fast.cells import Cell, Indices, Shape
from charrnn.fast.compiler import Program
from charrnn.fast.ir import Index, Kernel
from charrnn.fast.tiles import width_for_one_row, write_pack, write_pack_transposed, write_product

INTEGERS = ("steps", "rows")  # arrays of int64


def arrays(cell: Cell, T: int, B: int, H: int, R: int) -> dict[str, Shape]:
    """Names and shapes of a layer's arrays."""
    K = cell.gates
    return {
        "steps": (1,),
        "rows": (T, B),
        "table": (R, K, H),
        "bias": (K, H),
        "packed": (H * K * H,),
        "packed_back": (K * H * H,),
        "u": (B, K, H),
        "a": (T, B, K, H),
        "h": (T + 1, B, H),
        **cell.kept(T, B, H),
    }


def backward_arrays(cell: Cell, T: int, B: int, H: int, R: int, by_row: bool) -> dict[str, Shape]:
    """Arrays that `backward` needs in addition to `arrays`; `by_row` adds the sums by row."""
    K = cell.gates
    own = {"dh_out": (T, B, H), "dh": (B, H), "d_bias": (K, H), **cell.sums(B, H)}
    return own | ({"d_table": (R, K, H)} if by_row else {})


def widths(program: Program, cell: Cell, H: int, single: bool) -> tuple[int | None, int | None]:
    """Of the panels of the recurrent products, forward and backward; wide ones for a single stream alone."""
    if not single:
        return None, None
    return width_for_one_row(cell.gates * H, program.target), width_for_one_row(H, program.target)


def add_packing(program: Program, cell: Cell, H: int, single: bool = False) -> None:
    """`pack`: weight (K·H, H), as in torch -> packed for backward, and its transpose for forward.

    single : for kernels of a single stream alone
    """
    width, width_back = widths(program, cell, H, single)

    def pack(k: Kernel) -> None:
        write_pack_transposed(k, k["weight"], k["packed"], width)
        write_pack(k, k["weight"], k["packed_back"], width_back)

    size = cell.gates * H * H
    program.add("pack", {"weight": (cell.gates * H, H), "packed": (size,), "packed_back": (size,)}, pack)


def add_forward(program: Program, cell: Cell, T: int, B: int, H: int, R: int, single: bool = False) -> None:
    """`forward`: a chunk through the layer, starting from the state after the previous chunk, which may have had
    another number of steps."""
    gates, vectors = range(cell.gates), H // program.target.lanes
    width, _ = widths(program, cell, H, single)

    def forward(k: Kernel) -> None:
        steps = k["steps"].integer()
        for state in cell.states:
            k[state][0].copy(k[state][T], B * vectors)
        with k.loop(steps) as time:
            t = time.index
            write_product(k, k["h"][t], k["packed"], k["u"].reshape(B, cell.gates * H), width=width)
            with k.loop(B) as stream:
                b = stream.index
                row = k["table"][k["rows"][t, b].integer()]
                with k.loop(vectors) as units:
                    u = units.index
                    x = [row[gate].load(u) + k["bias"][gate].load(u) for gate in gates]
                    hidden = [k["u"][b, gate].load(u) for gate in gates]
                    cell.forward(k, Indices(t, b, u), hidden, x)
        for state in cell.states:
            k[state][T].copy(k[state][steps], B * vectors)

    program.add("forward", arrays(cell, T, B, H, R), forward, INTEGERS)


def add_backward(
    program: Program, cell: Cell, T: int, B: int, H: int, R: int, by_row: bool, single: bool = False
) -> None:
    """`backward`: from the last step to the first. Gradients do not cross chunks: dh starts at zero."""
    K, vectors = cell.gates, H // program.target.lanes
    _, width = widths(program, cell, H, single)
    own = backward_arrays(cell, T, B, H, R, by_row)

    def through_cells(k: Kernel, t: Index) -> None:
        with k.loop(B) as stream:
            d_row = k["d_table"][k["rows"][t, stream.index].integer()] if by_row else None
            with k.loop(vectors) as units:
                b, u = stream.index, units.index
                dh = k["dh"][b].load(u) + k["dh_out"][t, b].load(u)
                for gate, da in enumerate(cell.backward(k, Indices(t, b, u), dh)):
                    k["d_bias"][gate].add(da, u)
                    if d_row is not None:
                        d_row[gate].add(da, u)

    def backward(k: Kernel) -> None:
        for name, shape in own.items():
            if name != "dh_out":
                k[name].clear(prod(shape) // program.target.lanes)
        steps = k["steps"].integer()
        with k.loop(steps) as time:
            t = steps - 1 - time.index
            through_cells(k, t)
            with k.build.if_then(t >= 1):
                da = k["a"][t].reshape(B, K * H)
                write_product(k, da, k["packed_back"], k["dh"], add=True, width=width)

    program.add("backward", {**arrays(cell, T, B, H, R), **own}, backward, INTEGERS)
