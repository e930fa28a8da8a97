"""Packed products against numpy in float64, of all shapes that tiles and panels can be left with."""

import numpy as np
import pytest
from helpers.kernels import aligned, run_kernel

from charrnn.fast import compiler, tiles
from charrnn.fast.compiler import Program
from charrnn.fast.ir import Kernel
from charrnn.fast.registers import AVX2, NEON

ROWS = range(1, 14)
VECTORS = range(1, 9)  # of columns
ERROR = 4 * np.finfo(np.float32).eps


@pytest.fixture(params=[None, NEON, AVX2])
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """With the vectors and tiles of this processor, and of others, which every processor can compute with."""
    if request.param is not None:
        monkeypatch.setattr(compiler, "registers", lambda: request.param)
    return compiler.registers().width // 4


def random(*shape: int) -> np.ndarray:
    return aligned(np.random.default_rng(shape).standard_normal(shape))


def multiply(left: np.ndarray, matrix: np.ndarray, add: bool = False) -> None:
    """Checks left · matrix, or that it is added to a result, where the packed matrix has just its own room."""
    result = random(len(left), matrix.shape[1])
    start = result.astype(np.float64) if add else np.zeros(result.shape)
    arrays = {"left": left, "matrix": matrix, "packed": aligned(np.zeros(matrix.size)), "result": result}
    before = left.copy(), matrix.copy()

    def body(k: Kernel) -> None:
        tiles.write_pack(k, k["matrix"], k["packed"])
        tiles.write_product(k, k["left"], k["packed"], k["result"], add)

    run_kernel(body, arrays, "multiply", add)
    left, matrix = (array.astype(np.float64) for array in before)
    scale = np.abs(start) + np.abs(left) @ np.abs(matrix)
    assert np.all(np.abs(result - start - left @ matrix) <= ERROR * scale)
    assert all(
        np.array_equal(arrays[name], array) for name, array in zip(("left", "matrix"), before, strict=True)
    )


@pytest.mark.parametrize("vectors", VECTORS)
def test_any_number_of_columns(lanes: int, vectors: int) -> None:
    multiply(random(2, 5), random(5, vectors * lanes))


@pytest.mark.parametrize("rows", ROWS)
def test_any_number_of_rows(lanes: int, rows: int) -> None:
    multiply(random(rows, 5), random(5, 3 * lanes), add=rows % 2 == 0)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("depth", [1, 100])
def test_any_depth(lanes: int, depth: int, add: bool) -> None:
    multiply(random(3, depth), random(depth, 6 * lanes), add)


@pytest.mark.parametrize("columns", [1, 13, 14, 52])
def test_a_single_row(lanes: int, columns: int) -> None:
    """By panels that are wider than a tile, of nearly the same width."""
    target = Program().target
    width = tiles.width_for_one_row(columns * lanes, target)
    assert width == {1: 1, 13: 13, 14: 7, 52: 13}[columns]
    left, matrix, result = random(1, 5), random(5, columns * lanes), random(1, columns * lanes)
    packed = {"packed": aligned(np.zeros(matrix.size)), "copy": aligned(np.zeros(matrix.size))}
    arrays = {"left": left, "matrix": matrix, "transpose": aligned(matrix.T), "result": result, **packed}
    expected = result + left.astype(np.float64) @ matrix

    def body(k: Kernel) -> None:
        tiles.write_pack(k, k["matrix"], k["packed"], width)
        tiles.write_pack_transposed(k, k["transpose"], k["copy"], width)
        tiles.write_product(k, k["left"], k["packed"], k["result"], add=True, width=width)

    run_kernel(body, arrays, "single row", width)
    assert np.array_equal(packed["copy"], packed["packed"])
    np.testing.assert_allclose(result, expected, rtol=0, atol=20 * ERROR)


@pytest.mark.parametrize("depth", [1, 4, 7])
def test_the_transpose_times_a_matrix(lanes: int, depth: int) -> None:
    """Of the first rows alone, as many as is said when it runs."""
    left, matrix = random(7, 11), random(7, 5 * lanes)
    arrays = {"left": left, "matrix": matrix, "packed": aligned(np.zeros(matrix.size))}
    arrays |= {"depth": np.array([depth]), "result": random(11, 5 * lanes)}

    def body(k: Kernel) -> None:
        tiles.write_pack(k, k["matrix"], k["packed"])
        tiles.write_product_transposed(k, k["left"], k["packed"], k["result"], k["depth"].integer())

    run_kernel(body, arrays, "transposed left", integers=["depth"])
    expected = left[:depth].astype(np.float64).T @ matrix[:depth]
    np.testing.assert_allclose(arrays["result"], expected, rtol=0, atol=20 * ERROR)


def test_packing_the_transpose(lanes: int) -> None:
    """It gives what packing a transposed copy gives: each number once, none beyond its room."""
    arrays: dict[str, np.ndarray] = {}
    for vectors in VECTORS:
        depth = 2 * vectors + 1
        arrays[f"matrix{vectors}"] = random(vectors * lanes, depth)
        arrays[f"copy{vectors}"] = aligned(arrays[f"matrix{vectors}"].T)
        for name in ("packed", "expected"):
            arrays[f"{name}{vectors}"] = aligned(np.full(vectors * lanes * depth, np.nan))

    def body(k: Kernel) -> None:
        for n in VECTORS:
            tiles.write_pack(k, k[f"copy{n}"], k[f"expected{n}"])
            tiles.write_pack_transposed(k, k[f"matrix{n}"], k[f"packed{n}"])

    run_kernel(body, arrays, "transposed")
    for n in VECTORS:
        assert np.array_equal(arrays[f"packed{n}"], arrays[f"expected{n}"])
        assert np.array_equal(np.sort(arrays[f"packed{n}"]), np.sort(arrays[f"matrix{n}"].ravel()))


def test_each_tile_has_machine_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for tile in ((6, 2), (6, 4)):
        monkeypatch.setattr(compiler, "registers", lambda tile=tile: AVX2._replace(tile=tile))
        names.add(Program()._name())
    assert len(names) == 2
