"""Products of a few rows with a packed matrix, one tile at a time.

A tile is a few rows of the left side by a few vectors of the result, as many as the target has registers for:
its sums stay there while the matrix is read once. "Packed" means that the matrix is stored in the order in which
tiles read it: one panel of a tile's columns after the other, row by row within a panel.

BLAS packs the matrix again for each product. Here it is packed once per chunk, for all time steps.
(Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from charrnn.fast.ir import Array, Index, Kernel, Target, Vector


@dataclass(frozen=True)
class Rows:
    """`count` neighbouring rows, from `start`."""

    start: Index
    count: int


def row_tiles(kernel: Kernel, rows: int | Index) -> Iterator[Rows]:
    """Loops over all rows in tiles of nearly equal height; or over so many whole tiles, known when the kernel runs."""
    if isinstance(rows, Index):
        highest = kernel.target.tile[0]
        with kernel.loop(rows) as tile:
            yield Rows(tile.index * highest, highest)
        return
    tiles = -(-rows // kernel.target.tile[0])
    height, taller = divmod(rows, tiles)
    for first, how_many, count in ((0, taller, height + 1), (taller * (height + 1), tiles - taller, height)):
        if how_many:
            with kernel.loop(how_many) as tile:
                yield Rows(tile.index * count + first, count)


# Sums of a single row: more than the 8 that keep two units with a latency of four steps busy. With one number of the
# row they fit into 16 registers, and into 32 beside the columns that they need.
WIDEST = 13


class Column(NamedTuple):
    """A column of a matrix, read as a row is."""

    matrix: Array
    number: Index

    def broadcast(self, index: Index) -> Vector:
        return self.matrix[index, self.number].broadcast()


def product(
    kernel: Kernel,
    left: Sequence[Array | Column],
    depth: Index | int,
    panels: Sequence[Array],
    start: Sequence[Sequence[Vector]],
) -> list[list[Vector]]:
    """start + left · (the panels side by side), for one tile.

    left : a row of `depth` numbers each; panels : (depth, columns) vectors each; start and result: [row][column]
    """
    across = len(start[0])
    width = across // len(panels)
    with kernel.loop(depth, [v for row in start for v in row]) as k:
        columns = [column for panel in panels for column in panel.row(k.index, width)]
        sums = iter(k.carried)
        k.carried = [
            number.times_plus(column, next(sums))
            for number in [row.broadcast(k.index) for row in left]
            for column in columns
        ]
    return [k.carried[r * across : (r + 1) * across] for r in range(len(left))]


@dataclass(frozen=True)
class Panels:
    """`count` panels of the same width, the first of which begins at column `first`; all in vectors."""

    first: int
    count: int
    width: int


def panels_of(target: Target, vectors: int, width: int | None = None) -> list[Panels]:
    """Panels that cover this many columns: full ones, as wide as a tile unless `width` says otherwise, and a narrower
    one for the rest."""
    widest = width or target.tile[1]
    full, rest = divmod(vectors, widest)
    parts = [Panels(0, full, widest), Panels(full * widest, 1, rest)]
    return [part for part in parts if part.count and part.width]


def write_pack(kernel: Kernel, matrix: Array, packed: Array, width: int | None = None) -> None:
    """Pack a matrix (K, N) for `write_product`; N is a multiple of the lanes."""
    depth, columns = matrix.shape

    def rows(k: Index, column: Index) -> list[Vector]:
        return [matrix[k].load(column)]

    _write_panels(kernel, depth, columns, packed, width, [(0, depth, 1, rows)])


def write_pack_transposed(kernel: Kernel, matrix: Array, packed: Array, width: int | None = None) -> None:
    """Pack the transpose of a matrix (N, K), which is (K, N)."""
    columns, depth = matrix.shape
    lanes = kernel.target.lanes

    def block(k: Index, column: Index) -> list[Vector]:
        return kernel.transposed([matrix[column * lanes + lane, k].load() for lane in range(lanes)])

    def gathered(k: Index, column: Index) -> list[Vector]:
        return [kernel.gather([matrix[column * lanes + lane, k] for lane in range(lanes)])]

    whole = depth // lanes
    parts: list[_Rows] = [(0, whole, lanes, block), (whole * lanes, depth - whole * lanes, 1, gathered)]
    _write_panels(kernel, depth, columns, packed, width, parts)


# Rows of a matrix: the first, how often there are how many more, and their vectors at a row and a column in vectors.
_Rows = tuple[int, int, int, Callable[[Index, Index], list[Vector]]]


def _write_panels(
    kernel: Kernel, depth: int, columns: int, packed: Array, width: int | None, rows: Sequence[_Rows]
) -> None:
    """Store the vectors of a matrix where the tiles read them."""
    lanes = kernel.target.lanes
    for part in panels_of(kernel.target, columns // lanes, width):
        for first, times, at_once, vectors in rows:
            if not times:
                continue
            with kernel.loop(part.count) as p, kernel.loop(times) as group:
                panel = packed[(p.index * part.width + part.first) * (depth * lanes)]
                k = group.index * at_once + first
                for c in range(part.width):
                    column = p.index * part.width + (part.first + c)
                    for r, vector in enumerate(vectors(k, column)):
                        panel.store(vector, (k + r) * part.width + c)


def write_product(
    kernel: Kernel,
    left: Array,
    packed: Array,
    result: Array,
    add: bool = False,
    tiles: Index | None = None,
    width: int | None = None,
) -> None:
    """result = left · matrix, for left (M, K), the packed matrix (K, N) and result (M, N).

    add : result += left · matrix; tiles : only the rows of so many tiles; width : of the panels, as it was packed

    With few rows a tile is several panels wide: see `panels_at_once`.
    """
    (rows, depth), columns = left.shape, result.shape[1]
    lanes = kernel.target.lanes
    at_once = 1 if width else panels_at_once(rows, kernel.target)
    for part in panels_of(kernel.target, columns // lanes, width):
        for first in side_by_side(kernel, part.count, at_once):
            starts = [p * part.width + part.first for p in first]
            panels = [packed[start * (depth * lanes)] for start in starts]
            places = [start + c for start in starts for c in range(part.width)]
            for tile in row_tiles(kernel, rows if tiles is None else tiles):
                numbers = range(tile.count)
                before = [
                    [result[tile.start + r].load(c) if add else kernel.fill(0.0) for c in places]
                    for r in numbers
                ]
                sums = product(kernel, [left[tile.start + r] for r in numbers], depth, panels, before)
                for r in numbers:
                    for place, total in zip(places, sums[r], strict=True):
                        result[tile.start + r].store(total, place)


def write_product_transposed(kernel: Kernel, left: Array, packed: Array, result: Array, depth: Index) -> None:
    """result = leftᵀ · matrix, for left (K, M), the packed matrix (K, N) and result (M, N); of the K rows of both, the
    first `depth` count."""
    (most, rows), columns = left.shape, result.shape[1]
    lanes = kernel.target.lanes
    for part in panels_of(kernel.target, columns // lanes):
        with kernel.loop(part.count) as p:
            start = p.index * part.width + part.first
            panels, places = [packed[start * (most * lanes)]], [start + c for c in range(part.width)]
            for tile in row_tiles(kernel, rows):
                numbers = range(tile.count)
                columns_of = [Column(left, tile.start + r) for r in numbers]
                zeros = [[kernel.fill(0.0) for _ in places] for _ in numbers]
                sums = product(kernel, columns_of, depth, panels, zeros)
                for r in numbers:
                    for place, total in zip(places, sums[r], strict=True):
                        result[tile.start + r].store(total, place)


def width_for_one_row(columns: int, target: Target) -> int:
    """The width of panels for products of a single row: all nearly alike, since a narrow one waits for its sums."""
    vectors = columns // target.lanes
    return -(-vectors // -(-vectors // WIDEST))


def panels_at_once(rows: int, target: Target) -> int:
    """How many panels a tile of so many rows takes side by side.

    With few rows the sums of one panel would be too few to keep the processor busy while each waits for the sum before.
    The sums and columns have as many registers as those of a full tile.
    """
    return max(1, (target.tile[0] + 1) // (rows + 1))


def side_by_side(kernel: Kernel, count: int, at_once: int) -> Iterator[list[Index]]:
    """Loops over the numbers below `count`, of which each round has `at_once` neighbouring ones, the last the rest."""
    groups, rest = divmod(count, at_once)
    for start, rounds, size in ((0, groups, at_once), (groups * at_once, 1, rest)):
        if rounds and size:
            with kernel.loop(rounds) as group:
                yield [group.index * size + (start + n) for n in range(size)]
