"""The vector registers of the processors that kernels are compiled for, and the tiles that fit into them.

A product keeps the sums of a tile in registers, beside a vector for each of its columns and one number of a row. A
tile with one sum too many sends sums to memory and back in its innermost loop: 6 × 4 took twice the time of 6 × 2 with
AVX2 (benchmarks/LOG.md). float64 has half as many numbers per vector and the same tiles.
"""

from functools import cache
from typing import NamedTuple

import llvmlite.binding as llvm


class Registers(NamedTuple):
    """Name of the instructions, bytes in a register, number of registers, and tile size: rows and vectors of
    columns."""

    name: str
    width: int
    number: int
    tile: tuple[int, int]


AVX512 = Registers("AVX-512", 64, 32, (6, 4))
AVX2 = Registers("AVX2", 32, 16, (6, 2))
NEON = Registers("NEON", 16, 32, (6, 4))


@cache
def registers() -> Registers:
    """Those of this processor; of an unknown one, registers that every 64-bit processor has."""
    if llvm.get_default_triple().startswith(("aarch64", "arm64")):
        return NEON
    features = llvm.get_host_cpu_features()
    known = {"avx512f": AVX512, "avx2": AVX2}
    name = str(llvm.get_host_cpu_name())
    return next(
        (found for flag, found in known.items() if features.get(flag)), Registers(name, 16, 16, (6, 2))
    )
