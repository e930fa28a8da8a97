"""A training step in JAX: `jax.lax.scan` over the time steps of a layer, the whole step compiled."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sides.common import GATES, Shape, main, measure

Arrays = Any  # a tree of arrays


def lstm(state: Arrays, a: jax.Array, w: jax.Array, b: jax.Array) -> Arrays:
    h, c = state
    i, f, g, o = jnp.split(a + h @ w + b, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(state: Arrays, a: jax.Array, w: jax.Array, b: jax.Array) -> Arrays:
    (h,) = state
    a_r, a_z, a_n = jnp.split(a, 3, axis=-1)
    u_r, u_z, u_n = jnp.split(h @ w + b, 3, axis=-1)
    r, z = jax.nn.sigmoid(a_r + u_r), jax.nn.sigmoid(a_z + u_z)
    n = jnp.tanh(a_n + r * u_n)
    return ((1 - z) * n + z * h,)


def rnn(state: Arrays, a: jax.Array, w: jax.Array, b: jax.Array) -> Arrays:
    (h,) = state
    return (jnp.tanh(a + h @ w + b),)


CELLS: dict[str, Callable[..., Arrays]] = {"lstm": lstm, "gru": gru, "rnn": rnn}


def initial(shape: Shape) -> Arrays:
    """Weights of U(±1/√H)."""
    rng, H = np.random.default_rng(1), shape.hidden

    def draw(*size: int) -> jax.Array:
        return jnp.asarray(rng.uniform(-1, 1, size).astype(np.float32) / math.sqrt(H))

    def layer(n: int) -> dict[str, jax.Array]:
        inputs = H if n else shape.embedding or shape.vocab
        width = GATES[shape.cell] * H
        return {"w_x": draw(inputs, width), "w_h": draw(H, width), "b_x": draw(width), "b_h": draw(width)}

    weights = {"layers": [layer(n) for n in range(shape.layers)]}
    weights |= {"head": draw(H, shape.vocab), "bias": draw(shape.vocab)}
    return weights | ({"embedding": draw(shape.vocab, shape.embedding)} if shape.embedding else {})


def loss_of(
    weights: Arrays, states: Arrays, x: jax.Array, y: jax.Array, cell: str
) -> tuple[jax.Array, Arrays]:
    """Mean loss in nats a character; the state at the end of the chunk."""
    new_states, below = [], weights["embedding"][x] if "embedding" in weights else None
    for layer, start in zip(weights["layers"], states, strict=True):
        # One-hot input picks a row: no product.
        a = (layer["w_x"][x] if below is None else below @ layer["w_x"]) + layer["b_x"]

        def step(state: Arrays, a: jax.Array, layer: Arrays = layer) -> tuple[Arrays, jax.Array]:
            state = CELLS[cell](state, a, layer["w_h"], layer["b_h"])
            return state, state[0]

        state, below = jax.lax.scan(step, start, a)
        new_states.append(state)
    log_p = jax.nn.log_softmax(below @ weights["head"] + weights["bias"])
    return -jnp.take_along_axis(log_p, y[..., None], axis=-1).mean(), new_states


def adam(
    weights: Arrays, memory: Arrays, gradient: Arrays, step: jax.Array, lr: float
) -> tuple[Arrays, Arrays]:
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, memory[0], gradient)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, memory[1], gradient)
    rate = lr * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-8), weights, mean, square)
    return weights, (mean, square)


def adagrad(
    weights: Arrays, memory: Arrays, gradient: Arrays, step: jax.Array, lr: float
) -> tuple[Arrays, Arrays]:
    mean, square = memory
    square = jax.tree.map(lambda v, g: v + g * g, square, gradient)
    weights = jax.tree.map(lambda w, g, v: w - lr * g / jnp.sqrt(v + 1e-8), weights, gradient, square)
    return weights, (mean, square)


def clipped(gradient: Arrays, shape: Shape) -> Arrays:
    if shape.clip_norm:
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
        factor = jnp.minimum(1.0, shape.clip_norm / (norm + 1e-6))
        gradient = jax.tree.map(lambda g: g * factor, gradient)
    if shape.clip_value:
        gradient = jax.tree.map(lambda g: jnp.clip(g, -shape.clip_value, shape.clip_value), gradient)
    return gradient


def side(shape: Shape, seconds: float, variant: str) -> dict[str, Any]:
    update = {"adam": adam, "adagrad": adagrad}[shape.optimizer]
    signals = 2 if shape.cell == "lstm" else 1
    weights = initial(shape)
    memory = jax.tree.map(jnp.zeros_like, (weights, weights))
    states = [
        tuple(jnp.zeros((shape.batch, shape.hidden)) for _ in range(signals)) for _ in range(shape.layers)
    ]

    def train_step(
        weights: Arrays, memory: Arrays, states: Arrays, count: Any, x: jax.Array, y: jax.Array
    ) -> tuple[Arrays, Arrays, Arrays, jax.Array]:
        (loss, states), gradient = jax.value_and_grad(loss_of, has_aux=True)(
            weights, states, x, y, shape.cell
        )
        weights, memory = update(weights, memory, clipped(gradient, shape), count, shape.lr)
        return weights, memory, states, loss

    compiled = jax.jit(train_step, donate_argnums=(0, 1, 2))
    count = 0

    def step(x: np.ndarray, y: np.ndarray) -> float:
        nonlocal weights, memory, states, count
        count += 1
        inputs, targets = x.astype(np.int32), y.astype(np.int32)
        weights, memory, states, loss = compiled(weights, memory, states, float(count), inputs, targets)
        return float(loss)

    return measure(step, shape, seconds) | {"engine": f"jax {jax.__version__}"}


if __name__ == "__main__":
    main(side)
