"""The draw of the next symbol from logits: `charrnn.sampling.sampler.next_distribution` and its draw, compiled.

    p(s) = exp((a_s - max a) / T)        not scaled to sum 1
    the symbol: the first s with p(0) + … + p(s) ≥ u Σp, over the symbols that the filters keep

The symbols that top-k, top-p and min-p keep are the first ones in the order of p, and of the vocabulary among equals:
all with p above a limit, and the first `equal` ones with p at the limit. All is in float64, whatever the logits are.
"""

from typing import NamedTuple

import llvmlite.ir as ll
import numpy as np

from charrnn.fast.functions import exp
from charrnn.fast.ir import INT64, Array, Kernel, Target, Vector

SETTINGS = ("temperature", "top_k", "top_p", "min_p")  # of each row; temperature > 0
SMALLEST = -300.0  # exp of anything below counts as 0
DOUBLE = ll.DoubleType()


class Row(NamedTuple):
    """What a draw reads, and where it writes to."""

    logits: Array  # (V,), V a multiple of the lanes; without the bias
    settings: Array  # SETTINGS
    uniform: Array  # u in (0, 1]
    symbol: Array
    log_p: Array  # of the symbol at temperature 1 without filters, if wanted
    total: Array  # Σp over the symbols kept: at least 1, unless the logits are not finite


class Chooser:
    """A function within a kernel's module that draws one symbol; `__call__` emits a call of it.

    bias : (V,) of the kernel's type; scratch : (3, V) float64
    """

    def __init__(self, outer: Kernel, V: int) -> None:
        self._outer, self._V = outer, V
        width = outer.target.lanes * outer.target.dtype.itemsize
        target = Target(np.dtype(np.float64), width // 8, outer.target.tile)
        names = [*Row._fields, "bias", "scratch", "filtered", "scored"]
        k = Kernel(
            outer.module, "choose", target, dict.fromkeys(names, (V,)), ["symbol", "filtered", "scored"]
        )
        k.function.linkage = "internal"
        for name in ("logits", "bias"):
            k.arrays[name] = Array(k, k.arrays[name].base, outer.target.real, (V,))
        self._vectors = V // target.lanes
        self._write(k)
        k.build.ret_void()
        self._function = k.function

    def __call__(self, row: Row, bias: Array, scratch: Array, filtered: Array, scored: Array) -> None:
        arrays = [*row, bias, scratch, filtered, scored]
        self._outer.build.call(self._function, [array.base for array in arrays])

    def _write(self, k: Kernel) -> None:
        a, p, cdf = (k["scratch"].reshape(3, self._V)[i] for i in range(3))
        temperature, top_k, top_p, min_p = (k["settings"].number(i) for i in range(4))
        highest = self._less_highest(k, a)
        with k.loop(self._vectors, [k.fill(0.0)]) as column:
            v = column.index
            shifted = a.load(v) - k.splat(highest)
            a.store(shifted, v)
            value = _exp(shifted / k.splat(temperature))
            p.store(value, v)
            column.carried = [column.carried[0] + value]
        total = column.carried[0].sum()
        everything = k.number(-1.0), k.number(0.0)
        is_filtered = k.build.icmp_signed("!=", k["filtered"].number(), ll.Constant(INT64, 0))
        without = k.build.block
        with k.build.if_then(is_filtered):
            prefix = self._prefix(k, p, top_k, k.build.fmul(top_p, total), min_p)
            within = k.build.block
        limit, equal = (k.build.phi(DOUBLE) for _ in everything)
        for phi, of_all, of_prefix in zip((limit, equal), everything, prefix, strict=True):
            phi.add_incoming(of_all, without)
            phi.add_incoming(of_prefix, within)
        self._draw(k, p, cdf, limit, equal)
        is_scored = k.build.icmp_signed("!=", k["scored"].number(), ll.Constant(INT64, 0))
        with k.build.if_then(is_scored):
            with k.loop(self._vectors, [k.fill(0.0)]) as column:
                column.carried = [column.carried[0] + _exp(a.load(column.index))]
            of_symbol = a.number(k["symbol"].integer())
            k["log_p"].store_number(k.build.fsub(of_symbol, k.log(column.carried[0].sum())))

    def _less_highest(self, k: Kernel, a: Array) -> ll.Value:
        """Stores the logits in float64; returns the highest."""
        with k.loop(self._vectors, [k.fill(-np.inf)]) as column:
            v = column.index
            value = k["logits"].load(v) + k["bias"].load(v)
            a.store(value, v)
            column.carried = [value.larger(column.carried[0])]
        return column.carried[0].largest()

    def _prefix(
        self, k: Kernel, p: Array, top_k: ll.Value, top_p: ll.Value, min_p: ll.Value
    ) -> tuple[ll.Value, ll.Value]:
        """The lowest p that is kept, and how many of the symbols that have it. Each round takes the next lower p.

        top_p : times the sum of all p
        """
        zero, one = k.number(0.0), k.number(1.0)
        start = [
            k.number(np.inf),
            zero,
            zero,
            zero,
        ]  # that p, how many have it, how many came before, their sum
        with k.loop(self._V, numbers=start) as round:
            last, _, before, summed = round.numbers
            with k.loop(self._vectors, [k.fill(0.0)]) as column:
                value = p.load(column.index)
                column.carried = [_where(value, "<", last).larger(column.carried[0])]
            limit = column.carried[0].largest()
            with k.loop(self._vectors, [k.fill(0.0)]) as column:
                value = p.load(column.index)
                is_equal = k.build.fcmp_ordered("==", value.value, k.splat(limit).value)
                column.carried = [column.carried[0] + k.fill(1.0).where(is_equal, 0.0)]
            equals = column.carried[0].sum()
            ok = k.build.and_(
                k.build.fcmp_ordered(">", limit, zero), k.build.fcmp_ordered(">=", limit, min_p)
            )
            with k.loop(self._V, numbers=[zero, before, summed]) as each:
                count, rank, so_far = each.numbers
                fits = k.build.and_(ok, k.build.fcmp_ordered("<", rank, top_k))
                fits = k.build.and_(fits, k.build.fcmp_ordered("<", so_far, top_p))
                more = k.build.select(fits, one, zero)
                added = k.build.select(fits, limit, zero)
                each.numbers = [
                    k.build.fadd(count, more),
                    k.build.fadd(rank, more),
                    k.build.fadd(so_far, added),
                ]
                each.only_while = k.build.and_(fits, k.build.fcmp_ordered("<", each.numbers[0], equals))
            count, rank, so_far = each.numbers
            round.numbers = [limit, count, rank, so_far]
            round.only_while = k.build.fcmp_ordered("==", count, equals)
        return round.numbers[0], round.numbers[1]

    def _draw(self, k: Kernel, p: Array, cdf: Array, limit: ll.Value, equal: ll.Value) -> None:
        zero, one = k.number(0.0), k.number(1.0)
        with k.loop(self._V, numbers=[zero, zero]) as each:
            total, seen = each.numbers
            value = p.number(each.index)
            is_equal = k.build.fcmp_ordered("==", value, limit)
            kept = k.build.or_(
                k.build.fcmp_unordered(">", value, limit),  # NaN is kept: it shows in the total
                k.build.and_(is_equal, k.build.fcmp_ordered("<", seen, equal)),
            )
            total = k.build.fadd(total, k.build.select(kept, value, zero))
            cdf.store_number(total, each.index)
            each.numbers = [total, k.build.fadd(seen, k.build.select(is_equal, one, zero))]
        total = each.numbers[0]
        target = k.build.fmul(k["uniform"].number(), total)
        with k.loop(self._vectors, [k.fill(0.0)]) as column:
            below = k.build.fcmp_ordered("<", cdf.load(column.index).value, k.splat(target).value)
            column.carried = [column.carried[0] + k.fill(1.0).where(below, 0.0)]
        k["symbol"].store_number(k.build.fptosi(column.carried[0].sum(), INT64))
        k["total"].store_number(total)


def _exp(x: Vector) -> Vector:
    return x.kernel.fill(0.0).where(x.is_below(SMALLEST), exp(x))


def _where(value: Vector, comparison: str, limit: ll.Value) -> Vector:
    """The numbers for which the comparison holds, otherwise 0."""
    k = value.kernel
    return value.where(k.build.fcmp_ordered(comparison, value.value, k.splat(limit).value), 0.0)
