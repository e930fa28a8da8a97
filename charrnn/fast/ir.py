"""A small language for vector code that generates LLVM instructions.

The Python code of a kernel runs once and emits the instructions of each operation it executes. A Python `for` is
therefore unrolled; a loop at run time is `kernel.loop(n)`. All shapes are known when a kernel is generated, so
addresses are constants times loop counters. How often a loop runs may be read from an array.

    Kernel   a function of arrays, and the loops in it
    Array    an argument or part of one: indexing selects a part, `load` and `store` move one vector
    Vector   a register of numbers, with arithmetic
    Index    a loop counter, with +, - and ×
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import llvmlite.ir as ll
import numpy as np

INT64 = ll.IntType(64)
DOUBLE = ll.DoubleType()
POINTER = ll.PointerType()


class Target(NamedTuple):
    """Number type of a kernel, numbers per vector, and tile size in rows and vectors of columns."""

    dtype: np.dtype[Any]
    lanes: int
    tile: tuple[int, int]

    @property
    def real(self) -> ll.Type:
        return ll.FloatType() if self.dtype == np.float32 else ll.DoubleType()

    @property
    def vector(self) -> ll.Type:
        return ll.VectorType(self.real, self.lanes)

    @property
    def integer(self) -> ll.Type:
        """An integer as wide as a real."""
        return ll.IntType(8 * self.dtype.itemsize)


class Index:
    """An integer computed when the kernel runs."""

    def __init__(self, kernel: "Kernel", value: ll.Value) -> None:
        self.kernel, self.value = kernel, value

    def __add__(self, other: "Index | int") -> "Index":
        return Index(
            self.kernel, self.kernel.build.add(self.value, self.kernel.integer(other), flags=("nsw",))
        )

    def __mul__(self, other: "Index | int") -> "Index":
        return Index(
            self.kernel, self.kernel.build.mul(self.value, self.kernel.integer(other), flags=("nsw",))
        )

    def __sub__(self, other: "Index | int") -> "Index":
        return Index(
            self.kernel, self.kernel.build.sub(self.value, self.kernel.integer(other), flags=("nsw",))
        )

    def __ge__(self, other: int) -> ll.Value:
        """Whether it is `other` or more when the kernel runs."""
        return self.kernel.build.icmp_signed(">=", self.value, self.kernel.integer(other))

    __radd__, __rmul__ = __add__, __mul__


class Vector:
    """A register of numbers."""

    def __init__(self, kernel: "Kernel", value: ll.Value) -> None:
        self.kernel, self.value = kernel, value

    def _with(self, operation: str, left: ll.Value, right: "Vector | float") -> "Vector":
        other = right if isinstance(right, Vector) else self.kernel.fill(right)
        return Vector(self.kernel, getattr(self.kernel.build, operation)(left, other.value))

    def __add__(self, other: "Vector | float") -> "Vector":
        return self._with("fadd", self.value, other)

    def __mul__(self, other: "Vector | float") -> "Vector":
        return self._with("fmul", self.value, other)

    def __sub__(self, other: "Vector | float") -> "Vector":
        return self._with("fsub", self.value, other)

    def __truediv__(self, other: "Vector | float") -> "Vector":
        return self._with("fdiv", self.value, other)

    def __rsub__(self, other: float) -> "Vector":
        return self.kernel.fill(other) - self

    def __neg__(self) -> "Vector":
        return Vector(self.kernel, self.kernel.build.fneg(self.value))

    __radd__, __rmul__ = __add__, __mul__

    def times_plus(self, factor: "Vector", term: "Vector") -> "Vector":
        """self ∘ factor + term, rounded once."""
        return self.kernel.call("llvm.fma", self, factor, term)

    def reciprocal(self) -> "Vector":
        """1 / self, for finite numbers other than 0. With AVX-512, an estimate of 14 bits and one step of Newton's
        method: accurate to a unit in the last place in a quarter of the time of a division."""
        kernel = self.kernel
        if (kernel.target.dtype, kernel.target.lanes) != (np.float32, 16):
            return kernel.fill(1.0) / self
        kind = ll.FunctionType(self.value.type, [self.value.type, self.value.type, ll.IntType(16)])
        estimate = Vector(
            kernel,
            kernel.build.call(
                kernel.function_named("llvm.x86.avx512.rcp14.ps.512", kind),
                [self.value, self.value, ll.Constant(ll.IntType(16), 2**16 - 1)],
            ),
        )
        error = (-self).times_plus(estimate, kernel.fill(1.0))
        return estimate.times_plus(error, estimate)

    def at_least(self, bound: float) -> "Vector":
        """max(self, bound); NaN stays NaN."""
        return self._replaced("<", bound)

    def at_most(self, bound: float) -> "Vector":
        """min(self, bound); NaN stays NaN."""
        return self._replaced(">", bound)

    def _replaced(self, comparison: str, bound: float) -> "Vector":
        other = self.kernel.fill(bound).value
        out = self.kernel.build.fcmp_ordered(comparison, self.value, other)
        return Vector(self.kernel, self.kernel.build.select(out, other, self.value))

    def within(self, limit: float) -> "Vector":
        """Clipped to ±limit; NaN stays NaN."""
        return self.at_least(-limit).at_most(limit)

    def larger(self, other: "Vector") -> "Vector":
        """The larger of the two; `other` if either is NaN."""
        more = self.kernel.build.fcmp_ordered(">", self.value, other.value)
        return Vector(self.kernel, self.kernel.build.select(more, self.value, other.value))

    def is_positive(self) -> ll.Value:
        """For each number, whether it is above 0."""
        return self.kernel.build.fcmp_ordered(">", self.value, self.kernel.fill(0.0).value)

    def is_below(self, bound: float) -> ll.Value:
        """For each number, whether it is below the bound; NaN is not."""
        return self.kernel.build.fcmp_ordered("<", self.value, self.kernel.fill(bound).value)

    def where(self, condition: ll.Value, otherwise: "Vector | float") -> "Vector":
        """self where the condition holds, otherwise `otherwise`."""
        other = otherwise if isinstance(otherwise, Vector) else self.kernel.fill(otherwise)
        return Vector(self.kernel, self.kernel.build.select(condition, self.value, other.value))

    def first(self, count: int, otherwise: float) -> "Vector":
        """Its first numbers, and `otherwise` in the lanes after them."""
        lanes = self.kernel.target.lanes
        inside = ll.Constant(ll.VectorType(ll.IntType(1), lanes), [lane < count for lane in range(lanes)])
        return self.where(inside, otherwise)

    def largest(self) -> ll.Value:
        """The largest of its numbers that are not NaN."""
        return self.kernel.reduce("llvm.vector.reduce.fmax", [self.value])

    def sum(self) -> ll.Value:
        """The sum of its numbers, added in pairs, always in the same order."""
        zero = ll.Constant(self.kernel.target.real, 0)
        return self.kernel.reduce("llvm.vector.reduce.fadd", [zero, self.value], ("reassoc",))


class Array:
    """An argument of a kernel, or the part of it selected by the indices so far (C order)."""

    def __init__(
        self, kernel: "Kernel", base: ll.Value, element: ll.Type, shape: Sequence[Index | int]
    ) -> None:
        self.kernel, self.base, self.element = kernel, base, element
        self.shape: tuple[Any, ...] = tuple(shape)

    def __getitem__(self, where: "Index | int | tuple[Index | int, ...]") -> "Array":
        where = where if isinstance(where, tuple) else (where,)
        base = self.base
        for axis, index in enumerate(where):
            base = self.kernel.offset(base, index * prod(self.shape[axis + 1 :]), self.element)
        return Array(self.kernel, base, self.element, self.shape[len(where) :])

    def reshape(self, *shape: "Index | int") -> "Array":
        return Array(self.kernel, self.base, self.element, shape)

    def load(self, index: "Index | int" = 0) -> Vector:
        """The vector of numbers at offset `index` vectors, widened if the array's numbers are narrower than the
        kernel's."""
        return self.kernel.load(self._vector(index), self.element)

    def row(self, index: "Index | int", width: int) -> list[Vector]:
        """Row `index` of a matrix whose rows are `width` vectors."""
        return [self.load(index * width + c) for c in range(width)]

    def store(self, value: Vector, index: "Index | int" = 0) -> None:
        self.kernel.build.store(value.value, self._vector(index), align=self.kernel.target.dtype.itemsize)

    def copy(self, other: "Array", vectors: "Index | int") -> None:
        """Copy this many vectors from another array."""
        with self.kernel.loop(vectors) as loop:
            self.store(other.load(loop.index), loop.index)

    def clear(self, vectors: int) -> None:
        """Set this many vectors to zero."""
        with self.kernel.loop(vectors) as loop:
            self.store(self.kernel.fill(0.0), loop.index)

    def add(self, value: Vector, index: "Index | int" = 0) -> None:
        self.store(self.load(index) + value, index)

    def broadcast(self, index: "Index | int" = 0) -> Vector:
        """A vector that holds one number in every lane."""
        return self.kernel.splat(self.number(index))

    def number(self, index: "Index | int" = 0) -> ll.Value:
        return self.kernel.build.load(self.kernel.offset(self.base, index, self.element), typ=self.element)

    def store_number(self, value: ll.Value, index: "Index | int" = 0) -> None:
        self.kernel.build.store(value, self.kernel.offset(self.base, index, self.element))

    def integer(self, index: "Index | int" = 0) -> Index:
        return Index(self.kernel, self.number(index))

    def _vector(self, index: "Index | int") -> ll.Value:
        return self.kernel.offset(self.base, index * self.kernel.target.lanes, self.element)


class Halves(Array):
    """A matrix of bfloat16, the upper halves of float32 numbers. The vectors 2n and 2n + 1 of a row share a vector of
    32-bit words, as its lower and its upper halves. The index of a part counts numbers."""

    def __init__(self, kernel: "Kernel", base: ll.Value, shape: Sequence[int]) -> None:
        super().__init__(kernel, base, ll.IntType(16), shape)

    def __getitem__(self, where: "Index | int | tuple[Index | int, ...]") -> "Halves":
        part = super().__getitem__(where)
        return Halves(self.kernel, part.base, part.shape)

    def row(self, index: "Index | int", width: int) -> list[Vector]:
        """Row `index`; rows are an even number of vectors, of which the last is not used if `width` is odd."""
        build, target = self.kernel.build, self.kernel.target
        words = ll.VectorType(target.integer, target.lanes)
        pairs = -(-width // 2)
        vectors = []
        for pair in range(pairs):
            pointer = self._vector((index * pairs + pair) * 2)
            both = build.load(pointer, align=4, typ=words)
            lower = build.shl(both, ll.Constant(words, [16] * target.lanes))
            upper = build.and_(both, ll.Constant(words, [0xFFFF0000] * target.lanes))
            vectors += [Vector(self.kernel, build.bitcast(bits, target.vector)) for bits in (lower, upper)]
        return vectors[:width]


class Loop:
    """A loop under construction: its counter, the vectors carried from one iteration to the next, and after these
    the single numbers; `only_while` may be set to a condition for the next iteration."""

    def __init__(self, index: Index, carried: list[Vector], numbers: list[ll.Value]) -> None:
        self.index, self.carried, self.numbers = index, carried, numbers
        self.only_while: ll.Value | None = None


class Kernel:
    """A function under construction.

    arrays : name -> shape; each becomes an argument, in this order, and is available by its name
    integers : names of the arrays that hold int64; doubles : those that hold float64 whatever the target's type is,
        which the others hold; halves : those of bfloat16
    """

    def __init__(
        self,
        module: ll.Module,
        name: str,
        target: Target,
        arrays: Mapping[str, Sequence[int]],
        integers: Sequence[str] = (),
        doubles: Sequence[str] = (),
        halves: Sequence[str] = (),
    ) -> None:
        self.target, self.module = target, module
        kind = ll.FunctionType(ll.VoidType(), [POINTER] * len(arrays))
        self.function = ll.Function(module, kind, name)
        self.build = ll.IRBuilder(self.function.append_basic_block())
        for argument in self.function.args:
            argument.add_attribute("noalias")
        elements = dict.fromkeys(integers, INT64) | dict.fromkeys(doubles, ll.DoubleType())
        self.arrays = {
            name: Halves(self, argument, shape)
            if name in halves
            else Array(self, argument, elements.get(name, target.real), shape)
            for (name, shape), argument in zip(arrays.items(), self.function.args, strict=True)
        }

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    @contextmanager
    def loop(
        self, rounds: Index | int, carried: Sequence[Vector] = (), numbers: Sequence[ll.Value] = ()
    ) -> Iterator[Loop]:
        """Emit a loop of `rounds` ≥ 1 iterations. The values that the body leaves in `carried` and `numbers` enter
        the next iteration, and are the result after the last."""
        before = self.build.block
        body = self.build.append_basic_block()
        self.build.branch(body)
        self.build.position_at_end(body)
        counter = self.build.phi(INT64)
        counter.add_incoming(self.integer(0), before)
        entering = [vector.value for vector in carried] + list(numbers)
        phis = [self.build.phi(value.type) for value in entering]
        vectors = [Vector(self, phi) for phi in phis[: len(carried)]]
        loop = Loop(Index(self, counter), vectors, phis[len(carried) :])
        yield loop
        following = self.build.add(counter, self.integer(1), flags=("nsw",))
        again = self.build.icmp_signed("<", following, self.integer(rounds))
        if loop.only_while is not None:
            again = self.build.and_(again, loop.only_while)
        counter.add_incoming(following, self.build.block)
        leaving = [vector.value for vector in loop.carried] + list(loop.numbers)
        for phi, first, last in zip(phis, entering, leaving, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(last, self.build.block)
        after = self.build.append_basic_block()
        self.build.cbranch(again, body, after)
        self.build.position_at_end(after)

    def integer(self, value: Index | int) -> ll.Value:
        return value.value if isinstance(value, Index) else ll.Constant(INT64, value)

    def offset(self, base: ll.Value, index: Index | int, element: ll.Type) -> ll.Value:
        return self.build.gep(base, [self.integer(index)], inbounds=True, source_etype=element)

    def load(self, pointer: ll.Value, element: ll.Type) -> Vector:
        if element == self.target.real:
            loaded = self.build.load(pointer, align=self.target.dtype.itemsize, typ=self.target.vector)
            return Vector(self, loaded)
        narrow = ll.VectorType(element, self.target.lanes)
        loaded = self.build.load(pointer, align=4, typ=narrow)
        return Vector(self, self.build.fpext(loaded, self.target.vector))

    def fill(self, value: float) -> Vector:
        return Vector(self, ll.Constant(self.target.vector, [float(value)] * self.target.lanes))

    def number(self, value: float) -> ll.Value:
        return ll.Constant(self.target.real, value)

    def log(self, number: ll.Value) -> ll.Value:
        """The natural logarithm of one number, from the system's library."""
        kind = ll.FunctionType(self.target.real, [self.target.real])
        name = "llvm.log.f32" if self.target.dtype == np.float32 else "llvm.log.f64"
        return self.build.call(self.function_named(name, kind), [number])

    def double(self, number: ll.Value | float) -> ll.Value:
        """A number in float64."""
        if isinstance(number, (int, float)):
            return ll.Constant(DOUBLE, float(number))
        return number if number.type == DOUBLE else self.build.fpext(number, DOUBLE)

    def rounded(self, number: ll.Value) -> ll.Value:
        """A number in float64 as one of the kernel's."""
        return number if number.type == self.target.real else self.build.fptrunc(number, self.target.real)

    def root(self, number: ll.Value) -> ll.Value:
        """The square root of a number in float64."""
        kind = ll.FunctionType(DOUBLE, [DOUBLE])
        return self.build.call(self.function_named("llvm.sqrt.f64", kind), [number])

    def splat(self, number: ll.Value) -> Vector:
        nothing = ll.Constant(self.target.vector, ll.Undefined)
        one = self.build.insert_element(nothing, number, ll.Constant(ll.IntType(32), 0))
        places = ll.Constant(ll.VectorType(ll.IntType(32), self.target.lanes), [0] * self.target.lanes)
        return Vector(self, self.build.shuffle_vector(one, nothing, places))

    def gather(self, arrays: Sequence[Array]) -> Vector:
        """The first number of each of `lanes` arrays."""
        gathered: ll.Value = ll.Constant(self.target.vector, ll.Undefined)
        for lane, array in enumerate(arrays):
            place = ll.Constant(ll.IntType(32), lane)
            gathered = self.build.insert_element(gathered, array.number(), place)
        return Vector(self, gathered)

    def transposed(self, rows: Sequence[Vector]) -> list[Vector]:
        """The columns of a square of `lanes` rows. Each round exchanges the squares beside the diagonal."""
        lanes, found, half = self.target.lanes, [row.value for row in rows], 1
        while half < lanes:
            for r in (r for r in range(lanes) if not r & half):
                above, below = found[r], found[r + half]
                for row, moved in ((r, half), (r + half, 0)):  # the lanes that change place
                    places = [
                        (lane ^ half if lane & half == moved else lane) + lanes * bool(lane & half)
                        for lane in range(lanes)
                    ]
                    mask = ll.Constant(ll.VectorType(ll.IntType(32), lanes), places)
                    found[row] = self.build.shuffle_vector(above, below, mask)
            half *= 2
        return [Vector(self, value) for value in found]

    def call(self, intrinsic: str, *vectors: Vector) -> Vector:
        """Call an LLVM intrinsic on vectors, such as `llvm.fma` or `llvm.fabs`."""
        kinds = [self.target.vector] * len(vectors)
        function = self._intrinsic(intrinsic, self.target.vector, kinds)
        return Vector(self, self.build.call(function, [v.value for v in vectors]))

    def reduce(self, intrinsic: str, values: Sequence[ll.Value], flags: Sequence[str] = ()) -> ll.Value:
        function = self._intrinsic(intrinsic, self.target.real, [v.type for v in values])
        return self.build.call(function, values, fastmath=flags)

    def _intrinsic(self, name: str, result: ll.Type, kinds: Sequence[ll.Type]) -> ll.Function:
        letter = "f32" if self.target.dtype == np.float32 else "f64"
        return self.function_named(f"{name}.v{self.target.lanes}{letter}", ll.FunctionType(result, kinds))

    def function_named(self, name: str, kind: ll.FunctionType) -> ll.Function:
        """An external function, declared on first use."""
        if name not in self.module.globals:
            ll.Function(self.module, kind, name)
        return self.module.globals[name]
