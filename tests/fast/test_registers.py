"""The tiles of products stay in the registers: seen in the machine code for each kind of processor."""

import re

import pytest

llvm = pytest.importorskip("llvmlite.binding")
import llvmlite.ir as ll  # noqa: E402
import numpy as np  # noqa: E402

from charrnn.fast import registers  # noqa: E402
from charrnn.fast.ir import Kernel, Target  # noqa: E402
from charrnn.fast.registers import AVX2, AVX512, NEON, Registers  # noqa: E402
from charrnn.fast.tiles import width_for_one_row, write_product  # noqa: E402

# The processor, or the set of instructions, for which LLVM compiles.
COMPILED_FOR = {
    AVX512: ("x86_64-unknown-linux-gnu", "x86-64-v4"),
    AVX2: ("x86_64-unknown-linux-gnu", "x86-64-v3"),
    NEON: ("aarch64-unknown-linux-gnu", "cortex-a76"),
}
STACK = re.compile(r"%rsp\b|\[sp\b")
MULTIPLY_ADD = re.compile(r"\s(vfmadd|fmla)")


def assembly(kind: Registers, dtype: str, rows: int, add: bool, wide: bool = False) -> str:
    """Machine code, as text, of a product with 13 panels and some rows; or with panels for a single row."""
    triple, processor = COMPILED_FOR[kind]
    number = np.dtype(dtype)
    lanes = kind.width // number.itemsize
    depth, columns = 64, 13 * kind.tile[1] * lanes
    module = ll.Module()
    module.triple = triple
    arrays = {"left": (rows, depth), "packed": (depth * columns,), "result": (rows, columns)}
    kernel = Kernel(module, "product", Target(number, lanes, kind.tile), arrays)
    width = width_for_one_row(columns, kernel.target) if wide else None
    write_product(kernel, kernel["left"], kernel["packed"], kernel["result"], add, width=width)
    kernel.build.ret_void()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=processor, opt=3)
    parsed = llvm.parse_assembly(str(module))
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    return str(machine.emit_assembly(parsed))


def innermost_loops(code: str) -> list[list[str]]:
    """The lines from a label to a jump back to it, without another label between."""
    lines, loops, label, start = code.splitlines(), [], "", 0
    for number, line in enumerate(lines):
        if found := re.match(r"(\.?L\w+):", line):
            label, start = found[1], number
        elif re.match(rf"\s+(j|b|cb|tb).*\s{re.escape(label)}$", line) and label:
            loops.append(lines[start : number + 1])
    return loops


def tile_loops(kind: Registers, dtype: str, rows: int, add: bool, wide: bool = False) -> list[list[str]]:
    loops = innermost_loops(assembly(kind, dtype, rows, add, wide))
    return [loop for loop in loops if any(map(MULTIPLY_ADD.search, loop))]


def on_the_stack(loop: list[str]) -> int:
    return sum(bool(STACK.search(line)) for line in loop)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", COMPILED_FOR, ids=lambda kind: kind.name)
def test_a_tile_uses_no_memory_but_its_operands(kind: Registers, dtype: str, add: bool) -> None:
    tallest, width = kind.tile
    for rows in (1, 2, tallest, 25, 50):  # several panels at once; tiles of 6 rows; of 5; of 6 and 5
        loops = tile_loops(kind, dtype, rows, add)
        assert loops
        for loop in loops:
            assert sum(bool(MULTIPLY_ADD.search(line)) for line in loop) % width == 0
            assert on_the_stack(loop) == 0, "\n".join(loop)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", COMPILED_FOR, ids=lambda kind: kind.name)
def test_so_does_a_row_by_wide_panels(kind: Registers, dtype: str) -> None:
    loops = tile_loops(kind, dtype, 1, True, wide=True)
    assert loops
    for loop in loops:
        sums = sum(bool(MULTIPLY_ADD.search(line)) for line in loop)
        assert sums >= 8  # enough that none waits for the one before
        assert on_the_stack(loop) == 0, "\n".join(loop)


@pytest.mark.parametrize(("kind", "tile"), [(AVX2, (6, 4)), (AVX2, (8, 2)), (AVX512, (12, 3))])
def test_a_tile_with_more_sums_than_registers_is_found(kind: Registers, tile: tuple[int, int]) -> None:
    larger = kind._replace(tile=tile)
    COMPILED_FOR[larger] = COMPILED_FOR[kind]
    try:
        assert max(map(on_the_stack, tile_loops(larger, "float32", 2 * tile[0], False))) > 0
    finally:
        del COMPILED_FOR[larger]


@pytest.mark.parametrize(
    ("triple", "features", "expected"),
    [
        ("x86_64-unknown-linux-gnu", {"avx2": True, "avx512f": True}, AVX512),
        ("x86_64-unknown-linux-gnu", {"avx2": True}, AVX2),
        ("x86_64-unknown-linux-gnu", {"avx2": False, "sse2": True}, Registers("old", 16, 16, (6, 2))),
        ("arm64-apple-darwin23", {"neon": True}, NEON),
        ("aarch64-unknown-linux-gnu", {}, NEON),
    ],
)
def test_which_registers_a_processor_has(
    triple: str, features: dict[str, bool], expected: Registers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("default_triple", triple),
        ("host_cpu_features", features),
        ("host_cpu_name", "old"),
    ):
        monkeypatch.setattr(registers.llvm, f"get_{name}", lambda value=value: value)
    assert registers.registers.__wrapped__() == expected
