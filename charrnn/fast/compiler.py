"""Compile kernels to functions that Python calls without holding the interpreter lock.

Compiling takes a second or two. The machine code is kept in the cache folder, under a digest of everything it depends
on, and the next run of the same shape loads it in milliseconds. If the cache is not private to this user, it is not
used and the code is compiled each time.
"""

import ctypes
import hashlib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm
import llvmlite.ir as ll
import numpy as np

from charrnn.errors import CharRNNError
from charrnn.fast.ir import Kernel, Target
from charrnn.fast.registers import registers
from charrnn.fast.waiting import told
from charrnn.files.writing import Folder, atomic_write, sweep
from charrnn.nn import buffers
from charrnn.nn.buffers import WHOLE, flat
from charrnn.text.cache import NoCache, open_own, private_folder

Shapes = Mapping[str, Sequence[int]]

KEPT = 300  # files in the cache; each has about 10 kB, and a run has up to seven


def zeros(shape: int | Sequence[int], dtype: np.typing.DTypeLike) -> np.ndarray:
    """Like np.zeros, aligned to a cache line, so that no vector spans two of them."""
    return flat(int(np.prod(shape)), dtype).reshape(shape)


def whole(array: np.ndarray) -> np.ndarray:
    """An array of `flat` with the numbers that follow it, up to a multiple of WHOLE."""
    return np.lib.stride_tricks.as_strided(array, (-(-array.size // WHOLE) * WHOLE,))


class _Plan(NamedTuple):
    """A kernel to be compiled: its arguments, and the function that writes its body."""

    shapes: Shapes
    body: Callable[[Kernel], None]
    integers: Sequence[str]
    doubles: Sequence[str]
    halves: Sequence[str]


class Program:
    """Kernels compiled together.

    key : everything the kernels depend on except their names and the shapes of their arguments
    """

    def __init__(self, *key: object, dtype: np.typing.DTypeLike = np.float32) -> None:
        dtype = np.dtype(dtype)
        self.target = Target(dtype, registers().width // dtype.itemsize, registers().tile)
        self.key = key
        self._plans: dict[str, _Plan] = {}
        self._engine: llvm.ExecutionEngine | None = None
        self.without_cache = ""  # message for the user if the cache was not used, with advice

    def add(
        self,
        name: str,
        shapes: Shapes,
        body: Callable[[Kernel], None],
        integers: Sequence[str] = (),
        doubles: Sequence[str] = (),
        halves: Sequence[str] = (),
    ) -> None:
        """Add a kernel; `body` writes it if it is not in the cache."""
        self._plans[name] = _Plan(shapes, body, integers, doubles, halves)

    def compile(self) -> None:
        name = self._name()
        try:
            with private_folder("kernels") as folder:
                code = _read(folder, name)
                if code is None or not self._load(code):
                    code = self._machine_code(kept=os.access(folder.path, os.W_OK))
                    self._load(code)
                    _keep(folder, name, code)
        except NoCache as problem:
            self.without_cache = str(problem)
            self._load(self._machine_code(kept=False))

    def _load(self, code: bytes) -> bool:
        """Load machine code. Returns False if it lacks one of the kernels."""
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._engine = engine
        return all(engine.get_function_address(name) for name in self._plans)

    def bind(self, name: str, *arrays: np.ndarray) -> Callable[[], Any]:
        """A function without arguments that runs the kernel on these arrays and keeps them alive."""
        assert self._engine is not None
        plan = self._plans[name]
        for (argument, shape), array in zip(plan.shapes.items(), arrays, strict=True):
            special: dict[str, type] = dict.fromkeys(plan.integers, np.int64)
            special |= dict.fromkeys(plan.doubles, np.float64) | dict.fromkeys(plan.halves, np.uint16)
            dtype = np.dtype(special.get(argument, self.target.dtype))
            fits = array.flags.c_contiguous and array.dtype == dtype and array.size >= np.prod(shape)
            assert fits, f"{argument} of {name}: {array.dtype} {array.shape} instead of {dtype} {shape}"
        address = self._engine.get_function_address(name)
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))(address)
        call = partial(function, *[ctypes.c_void_p(array.ctypes.data) for array in arrays])
        call.alive = (self._engine, arrays)  # type: ignore[attr-defined]
        return call

    def _name(self) -> str:
        """A digest of the kernels, the code that writes them or has their constants, compiler and processor."""
        kernels = [(name, dict(plan.shapes)) for name, plan in self._plans.items()]
        written_in = [__file__, *(inspect.getfile(plan.body) for plan in self._plans.values())]
        rooms = frozenset(Path(file).parent for file in [*written_in, buffers.__file__])
        processor = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
        parts = (self.key, kernels, self.target, processor, llvmlite.__version__, _source_digest(rooms))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _machine_code(self, kept: bool) -> bytes:
        with told(kept):
            return self._compiled()

    def _compiled(self) -> bytes:
        module = ll.Module()
        for name, plan in self._plans.items():
            kernel = Kernel(module, name, self.target, plan.shapes, plan.integers, plan.doubles, plan.halves)
            plan.body(kernel)
            kernel.build.ret_void()
        parsed, machine = llvm.parse_assembly(str(module)), _machine()
        parsed.verify()
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
        builder.getModulePassManager().run(parsed, builder)
        code: bytes = machine.emit_object(parsed)
        return code


def _machine() -> llvm.TargetMachine:
    """A new target machine; the engine that receives it owns it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )


@cache
def _source_digest(rooms: frozenset[Path]) -> str:
    sources = sorted(source for room in rooms for source in room.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _read(folder: Folder, name: str) -> bytes | None:
    """Machine code from the cache; None unless the digest in front of it matches this code and name."""
    try:
        with open(open_own(folder, f"{name}.o"), "rb") as file:
            content = file.read()
            os.utime(file.fileno())
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    return code if _digest(name, code) == digest else None


def _keep(folder: Folder, name: str, code: bytes) -> None:
    """Add machine code to the cache and remove the least recently used files. If the cache cannot be written, the
    next run compiles again."""
    with suppress(OSError, CharRNNError):
        with atomic_write(folder.path / f"{name}.o", folder=folder, mode=0o600) as file:
            file.write(_digest(name, code) + code)
        sweep(folder)
        found = {name: folder.stat(name) for name in folder.names() if name.endswith(".o")}
        used = {name: file.st_mtime for name, file in found.items() if file is not None}
        for unused in sorted(used, key=used.__getitem__)[:-KEPT]:
            folder.unlink(unused)


def _digest(name: str, code: bytes) -> bytes:
    return hashlib.sha256(name.encode() + code).digest()
