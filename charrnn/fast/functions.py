"""exp, σ and tanh of a vector, accurate to about the last digit.

exp(x) = 2ⁿ exp(r),  n = round(x / ln 2),  r = x - n ln 2  in ±½ ln 2
exp(r) - 1 = r + r²/2! + r³/3! + …, until the next term is below the rounding error of 1

ln 2 is split into two parts, 355/512 and a small correction. The first has so few bits that its product with n is
exact (Cody and Waite 1980).
"""

import math

import llvmlite.ir as ll
import numpy as np

from charrnn.fast.ir import Vector

_LN2_HIGH = 355 / 512
_LN2_LOW = -2.121944400546905827679e-4
_TERMS = {np.dtype(np.float32): 7, np.dtype(np.float64): 13}


def _split(x: Vector) -> tuple[Vector, Vector]:
    """2ⁿ and exp(r) - 1."""
    kernel, target = x.kernel, x.kernel.target
    mantissa = np.finfo(target.dtype).nmant
    # Adding 1.5 · 2^mantissa rounds to an integer in the low bits of the sum.
    shifter = 1.5 * 2.0**mantissa
    shifted = x.times_plus(kernel.fill(1 / math.log(2)), kernel.fill(shifter))
    n = shifted - shifter
    r = n.times_plus(kernel.fill(-_LN2_HIGH), x)
    r = n.times_plus(kernel.fill(-_LN2_LOW), r)
    last, *others = [1 / math.factorial(k) for k in range(_TERMS[target.dtype], 0, -1)]
    series = kernel.fill(last)
    for coefficient in others:
        series = series.times_plus(r, kernel.fill(coefficient))
    bias = np.finfo(target.dtype).maxexp - 1
    wide = ll.VectorType(target.integer, target.lanes)
    bits = kernel.build.bitcast(shifted.value, wide)
    bits = kernel.build.add(bits, ll.Constant(wide, [bias] * target.lanes))
    bits = kernel.build.shl(bits, ll.Constant(wide, [mantissa] * target.lanes))
    return Vector(kernel, kernel.build.bitcast(bits, target.vector)), r * series


def _largest(x: Vector) -> float:
    """The limit for |x|: exp(-60) is negligible next to 1, and small multiples of it are still normal numbers,
    which processors add much faster than subnormal ones."""
    return 60.0 if x.kernel.target.dtype == np.float32 else 300.0


def exp(x: Vector) -> Vector:
    """exp(x), with x clipped to ±60 (float64: ±300)."""
    scale, less_one = _split(x.within(_largest(x)))
    return scale.times_plus(less_one, scale)


def sigmoid(x: Vector) -> Vector:
    """σ(x) = 1 / (1 + exp(-x))"""
    return (exp(-x) + 1.0).reciprocal()


def tanh(x: Vector) -> Vector:
    """tanh |x| = (1 - e) / (1 + e),  e = exp(-2 |x|); computed from e - 1, which keeps small x exact."""
    kernel = x.kernel
    scale, less_one = _split((kernel.call("llvm.fabs", x) * -2.0).at_least(-_largest(x)))
    e_less_one = scale.times_plus(less_one, scale - 1.0)
    return kernel.call("llvm.copysign", e_less_one * (e_less_one + 2.0).reciprocal(), x)
