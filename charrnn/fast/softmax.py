"""Softmax cross-entropy and its gradient in three passes over a row: `charrnn.nn.loss`, compiled."""

from charrnn.fast.compiler import Program
from charrnn.fast.functions import exp
from charrnn.fast.ir import Kernel


def add_cross_entropy(program: Program, N: int, V: int, scale: float) -> None:
    """`cross_entropy`: in place of logits without bias (N, V), scale · ∂loss/∂logits.

    p = softmax(logits + bias);  loss = log total - picked;  ∂loss/∂logits = p - onehot(target)

    losses : (N,), in nats; d_bias : (V,). V is a multiple of the lanes; a padding column has a bias
    of -1e30.
    """
    vectors = V // program.target.lanes

    def cross_entropy(k: Kernel) -> None:
        k["d_bias"].clear(vectors)
        with k.loop(N) as row:
            n = row.index
            logits, target = k["logits"][n], k["targets"][n].integer()
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
                value = exp(logits.load(v) - largest)
                logits.store(value, v)
                column.carried = [column.carried[0] + value]
            total = column.carried[0].sum()
            k["losses"].store_number(k.build.fsub(k.log(total), picked), n)
            factor = k.splat(total).reciprocal() * scale
            with k.loop(vectors) as column:
                v = column.index
                value = logits.load(v) * factor
                logits.store(value, v)
                k["d_bias"].add(value, v)
            for array in (logits, k["d_bias"]):
                array.store_number(k.build.fsub(array.number(target), k.number(scale)), target)

    shapes = {"logits": (N, V), "bias": (V,), "targets": (N,), "losses": (N,), "d_bias": (V,)}
    program.add("cross_entropy", shapes, cross_entropy, ["targets"])
