"""Softmax cross-entropy and its gradient in three passes over a row: `charrnn.nn.loss`, compiled."""

from charrnn.fast.compiler import Program
from charrnn.fast.functions import exp
from charrnn.fast.ir import Array, Index, Kernel
from charrnn.nn.loss import NEVER


def add_cross_entropy(program: Program, T: int, B: int, V: int, scale: float, epsilon: float = 0.0) -> None:
    """`cross_entropy`: in place of logits without bias (T · B, V), scale · ∂loss/∂logits.

    p = softmax(logits + bias);  loss = log total - picked;  ∂loss/∂logits = p - onehot(target)

    steps : (1,), how many of the T there are; targets : (T, B), -1 for none, which leaves zeros
    With label smoothing ε: p - (1-ε) onehot(target) - smooth; smooth, (V,), comes last and already times `scale`.

    losses : (T, B), in nats; d_bias : (V,). V is a multiple of the lanes; a padding column has a bias
    of NEVER, which makes its probability exactly 0.
    """
    vectors = V // program.target.lanes

    def one_row(k: Kernel, n: Index, logits: Array, target: Index) -> None:
        with k.loop(vectors, [k.fill(-1e38)]) as column:
            v = column.index
            value = logits.load(v) + k["bias"].load(v)
            logits.store(value, v)
            column.carried = [column.carried[0].larger(value)]
        highest = column.carried[0].largest()
        largest = k.splat(highest)
        picked = k.build.fsub(logits.number(target), highest)
        with k.loop(vectors, [k.fill(0.0)]) as column:
            v = column.index
            below = logits.load(v) - largest
            value = k.fill(0.0).where(below.is_below(NEVER / 2), exp(below))  # exp alone never is 0
            logits.store(value, v)
            column.carried = [column.carried[0] + value]
        total = column.carried[0].sum()
        k["losses"].store_number(k.build.fsub(k.log(total), picked), n)
        factor = k.splat(total).reciprocal() * scale
        with k.loop(vectors) as column:
            v = column.index
            value = logits.load(v) * factor
            if epsilon:
                value = value - k["smooth"].load(v)
            logits.store(value, v)
            k["d_bias"].add(value, v)
        for array in (logits, k["d_bias"]):
            array.store_number(k.build.fsub(array.number(target), k.number(scale * (1 - epsilon))), target)

    def cross_entropy(k: Kernel) -> None:
        k["d_bias"].clear(vectors)
        with k.loop(k["steps"].integer() * B) as row:
            logits, target = k["logits"][row.index], k["targets"].integer(row.index)
            with k.build.if_else(target >= 0) as (there_is_one, there_is_none):
                with there_is_one:
                    one_row(k, row.index, logits, target)
                with there_is_none:
                    logits.clear(vectors)
                    k["losses"].store_number(k.number(0.0), row.index)

    shapes = {
        "steps": (1,),
        "logits": (T * B, V),
        "bias": (V,),
        "targets": (T, B),
        "losses": (T, B),
        "d_bias": (V,),
        **({"smooth": (V,)} if epsilon else {}),
    }
    program.add("cross_entropy", shapes, cross_entropy, ["steps", "targets"])
