"""Clipping and the optimisers in one pass over memory: `charrnn.nn.clipping` and `optimizers`, compiled."""

from collections.abc import Callable, Mapping, Sequence

from charrnn.config import TrainConfig
from charrnn.engines import averaging
from charrnn.fast.compiler import Program, Shapes
from charrnn.fast.ir import Array, Kernel, Vector
from charrnn.nn.optimizers import Adam, Momentum, RMSProp

SUMS = 4  # side by side, so that none waits for the one before
PER_SUM = 64  # vectors summed in single precision before the sum is put down
SCALARS = ("clip_scale", "lr", "root_scale", "average_share", "decay")

Memory = dict[str, Vector]
Rule = Callable[[Kernel, Vector, Memory, Mapping[str, Vector]], Vector]


def blocks_of(size: int, lanes: int) -> list[tuple[int, int, int]]:
    """(first vector, blocks, vectors per block) that cover `size` numbers, a multiple of the lanes."""
    vectors = size // lanes
    full, rest = divmod(vectors, PER_SUM)
    return [part for part in ((0, full, PER_SUM), (full * PER_SUM, 1, rest)) if part[1] and part[2]]


def partial_sums(size: int, lanes: int) -> int:
    """The number of sums that `sum_gradients` stores."""
    return sum(blocks for _, blocks, _ in blocks_of(size, lanes))


def add_sum_gradients(program: Program, name: str, size: int, shards: int) -> None:
    """g_0 += g_1 + …, always in this order, and Σ g² block by block."""
    names = [f"grad_{s}" for s in range(shards)]

    def sum_gradients(k: Kernel) -> None:
        write_sum_gradients(k, [k[name] for name in names], k["squares"], size)

    shapes: Shapes = dict.fromkeys(names, (size,)) | {"squares": (partial_sums(size, program.target.lanes),)}
    program.add(name, shapes, sum_gradients)


def write_sum_gradients(k: Kernel, grads: Sequence[Array], squares: Array, size: int) -> None:
    block = 0
    for first, blocks, length in blocks_of(size, k.target.lanes):
        side_by_side = SUMS if length % SUMS == 0 else 1
        with k.loop(blocks) as outer:
            with k.loop(length // side_by_side, [k.fill(0.0)] * side_by_side) as inner:
                start = outer.index * length + inner.index * side_by_side + first
                for s in range(side_by_side):
                    total = grads[0].load(start + s)
                    for other in grads[1:]:
                        total = total + other.load(start + s)
                    if len(grads) > 1:
                        grads[0].store(total, start + s)
                    inner.carried[s] = total.times_plus(total, inner.carried[s])
            whole = inner.carried[0]
            for part in inner.carried[1:]:
                whole = whole + part
            squares.store_number(whole.sum(), outer.index + block)
        block += blocks


def update_shapes(optimizer: str, size: int, more: Sequence[str] = ()) -> dict[str, tuple[int, ...]]:
    """The arrays of an update.

    more : arrays for what is done besides: "penalised" to decay the weights where it is 1, "average" to average them;
        they come last
    """
    names = ("theta", "grad", *RULES[optimizer][1], *more)
    return dict.fromkeys(names, (size,))


def add_update(
    program: Program, name: str, optimizer: str, size: int, clip_value: float, more: Sequence[str] = ()
) -> None:
    """Scale and clip the gradient, and move θ along it. Scalars: see SCALARS. more : see `update_shapes`"""
    shapes: Shapes = {**update_shapes(optimizer, size, more), "scalars": (len(SCALARS),)}

    def update(k: Kernel) -> None:
        write_update(k, k["scalars"], optimizer, size, clip_value, more)

    program.add(name, shapes, update)


def write_update(
    k: Kernel, scalars: Array, optimizer: str, size: int, clip_value: float, more: Sequence[str] = ()
) -> None:
    rule, names = RULES[optimizer]
    by_name = {n: scalars.broadcast(i) for i, n in enumerate(SCALARS)}
    with k.loop(size // k.target.lanes) as loop:
        at = loop.index
        g = k["grad"].load(at) * by_name["clip_scale"]
        if clip_value:
            g = g.within(clip_value)
        memory = {n: k[n].load(at) for n in names}
        theta = k["theta"].load(at)
        if "penalised" in more:
            theta = theta - k["penalised"].load(at) * by_name["decay"] * theta
        theta = theta - by_name["lr"] * rule(k, g, memory, by_name)
        k["theta"].store(theta, at)
        if "average" in more:
            average = k["average"].load(at)
            k["average"].store((theta - average).times_plus(by_name["average_share"], average), at)
        for n in names:
            k[n].store(memory[n], at)


def scalars_of(config: TrainConfig, clip_scale: float, lr: float, step: int) -> list[float]:
    """The scalar arguments of `update` at this step, counted from 1."""
    decay, root_scale = lr * config.weight_decay, 1.0
    if config.optimizer == "adam":
        lr, root_scale = lr / (1 - Adam.beta1**step), (1 - Adam.beta2**step) ** -0.5
    return [clip_scale, lr, root_scale, averaging.share(config.average, step), decay]


def _sqrt(k: Kernel, x: Vector) -> Vector:
    return k.call("llvm.sqrt", x)


def _sgd(k: Kernel, g: Vector, memory: Memory, scalars: Mapping[str, Vector]) -> Vector:
    return g


def _momentum(k: Kernel, g: Vector, memory: Memory, scalars: Mapping[str, Vector]) -> Vector:
    memory["velocity"] = memory["velocity"] * Momentum.mu + g
    return memory["velocity"]


def _nesterov(k: Kernel, g: Vector, memory: Memory, scalars: Mapping[str, Vector]) -> Vector:
    memory["velocity"] = memory["velocity"] * Momentum.mu + g
    return memory["velocity"] * Momentum.mu + g


def _adagrad(k: Kernel, g: Vector, memory: Memory, scalars: Mapping[str, Vector]) -> Vector:
    memory["square_sum"] = memory["square_sum"] + g * g
    return g / _sqrt(k, memory["square_sum"])


def _rmsprop(k: Kernel, g: Vector, memory: Memory, scalars: Mapping[str, Vector]) -> Vector:
    memory["square_mean"] = memory["square_mean"] * RMSProp.rho + g * g * (1 - RMSProp.rho)
    return g / (_sqrt(k, memory["square_mean"]) + RMSProp.epsilon)


def _adam(k: Kernel, g: Vector, memory: Memory, scalars: Mapping[str, Vector]) -> Vector:
    memory["mean"] = memory["mean"] * Adam.beta1 + g * (1 - Adam.beta1)
    memory["square_mean"] = memory["square_mean"] * Adam.beta2 + g * g * (1 - Adam.beta2)
    root = _sqrt(k, memory["square_mean"]) * scalars["root_scale"]
    return memory["mean"] / (root + Adam.epsilon)


# Name -> the step before multiplication by the learning rate, and the arrays that the optimiser keeps.
RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {
    "sgd": (_sgd, ()),
    "momentum": (_momentum, ("velocity",)),
    "nesterov": (_nesterov, ("velocity",)),
    "adagrad": (_adagrad, ("square_sum",)),
    "rmsprop": (_rmsprop, ("square_mean",)),
    "adam": (_adam, ("mean", "square_mean")),
}
