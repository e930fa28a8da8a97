"""Kernels of a few lines for the tests of charrnn.fast, and the processors they are compiled for."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

llvm = pytest.importorskip("llvmlite.binding")

from charrnn.fast import compiler  # noqa: E402
from charrnn.fast.ir import Kernel  # noqa: E402
from charrnn.fast.registers import AVX2  # noqa: E402

PROCESSORS = ["this", "avx2"]


def choose_processor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on kernels are for this processor, or as for one with vectors of 32 bytes."""
    if name == "this":
        return
    monkeypatch.setattr(compiler, "registers", lambda: AVX2)
    features = llvm.get_host_cpu_features()
    if features.get("avx2") and features.get("fma"):
        monkeypatch.setattr(compiler.llvm, "get_host_cpu_name", lambda: "haswell")
        monkeypatch.setattr(compiler.llvm, "get_host_cpu_features", lambda: llvm.FeatureMap())


def run_kernel(
    body: Callable[[Kernel], None],
    arrays: Mapping[str, np.ndarray],
    *key: object,
    integers: Sequence[str] = (),
    dtype: np.typing.DTypeLike = np.float32,
) -> None:
    """Compile one kernel for these arrays and call it on them; `key` tells bodies of the same shapes apart."""
    program = compiler.Program(*key, dtype=dtype)
    program.add("kernel", {name: array.shape for name, array in arrays.items()}, body, integers)
    program.compile()
    program.bind("kernel", *arrays.values())()


def aligned(values: np.ndarray, dtype: np.typing.DTypeLike = np.float32) -> np.ndarray:
    """A copy such as kernels work on."""
    copy = compiler.zeros(values.shape, dtype)
    copy[...] = values
    return copy
