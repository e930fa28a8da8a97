"""Update rules over one flat array of parameters θ and its gradient g.

Every rule is a class whose `memory` names the flat arrays a resume needs. A step goes over the arrays once, a block at
a time, all of whose operations are done while it is in the cache. t counts steps from 1.
"""

from collections.abc import Callable

import numpy as np

from charrnn.nn.buffers import Array, flat

BLOCK = 2**17  # numbers: half a megabyte an array. Shorter ones lose more by calls than the cache gains.


class Optimizer:
    """Common parts: the memory arrays and the step count."""

    memory_names: tuple[str, ...] = ()
    _change: Callable[
        ..., Array
    ]  # (g, lr, *memory) -> what the rule takes from θ; it changes memory in place

    def __init__(self, size: int, dtype: np.typing.DTypeLike) -> None:
        self.memory = {name: flat(size, dtype) for name in self.memory_names}
        self.steps = 0

    def step(self, theta: Array, grad: Array, lr: float) -> None:
        """Change `theta` (N,) in place by one step along `grad` (N,)."""
        self.steps += 1
        for start in range(0, theta.size, BLOCK):
            block = slice(start, start + BLOCK)
            memory = (array[block] for array in self.memory.values())
            theta[block] -= self._change(grad[block], lr, *memory)


class SGD(Optimizer):
    """θ -= lr g"""

    def _change(self, g: Array, lr: float) -> Array:
        return lr * g


class Momentum(Optimizer):
    """v = μ v + g;  θ -= lr v

    Polyak (1964), in the form of torch.optim.SGD(momentum=μ).
    """

    memory_names = ("velocity",)
    mu = 0.9

    def _change(self, g: Array, lr: float, v: Array) -> Array:
        v *= self.mu
        v += g
        return lr * v


class Nesterov(Momentum):
    """v = μ v + g;  θ -= lr (g + μ v)

    Nesterov (1983), in the form of Sutskever et al. (2013) and torch.optim.SGD(nesterov=True).
    """

    def _change(self, g: Array, lr: float, v: Array) -> Array:
        v *= self.mu
        v += g
        return lr * (g + self.mu * v)


class Adagrad(Optimizer):
    """m += g²;  θ -= lr g / √m

    Duchi, Hazan and Singer (2011). m starts at 1e-8, which is min-char-rnn's √(m + 1e-8);
    torch.optim.Adagrad calls it initial_accumulator_value.
    """

    memory_names = ("square_sum",)

    def __init__(self, size: int, dtype: np.typing.DTypeLike) -> None:
        super().__init__(size, dtype)
        self.memory["square_sum"] += 1e-8

    def _change(self, g: Array, lr: float, m: Array) -> Array:
        m += g * g
        return lr * (g / np.sqrt(m))


class RMSProp(Optimizer):
    """m = ρ m + (1-ρ) g²;  θ -= lr g / (√m + ε)

    Tieleman and Hinton (2012); ρ = 0.95 as char-rnn has it; ε = 1e-8.
    """

    memory_names = ("square_mean",)
    rho, epsilon = 0.95, 1e-8

    def _change(self, g: Array, lr: float, m: Array) -> Array:
        m *= self.rho
        m += (1 - self.rho) * (g * g)
        return lr * (g / (np.sqrt(m) + self.epsilon))


class Adam(Optimizer):
    """m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²
    θ -= lr m̂ / (√v̂ + ε),  m̂ = m / (1-β₁ᵗ),  v̂ = v / (1-β₂ᵗ)

    Kingma and Ba (2015); β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    """

    memory_names = ("mean", "square_mean")
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def _change(self, g: Array, lr: float, m: Array, v: Array) -> Array:
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * (g * g)
        correction = (1 - self.beta2**self.steps) ** 0.5  # √v = correction √v̂
        lr = lr * correction / (1 - self.beta1**self.steps)
        return lr * (m / (np.sqrt(v) + correction * self.epsilon))


RULES: tuple[type[Optimizer], ...] = (Adagrad, SGD, Momentum, Nesterov, RMSProp, Adam)
OPTIMIZERS = {rule.__name__.lower(): rule for rule in RULES}
