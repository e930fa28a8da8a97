"""Update rules over one flat array of parameters θ and its gradient g.

Every rule is a class whose `memory` names the flat arrays a resume needs. The arithmetic is in
place: one step allocates nothing. It goes over the arrays once, a block at a time, all of whose operations
are done while it is in the cache. t counts steps from 1.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from charrnn.nn.buffers import Array, flat

BLOCK = 2**17  # numbers: half a megabyte an array. Shorter ones lose more by calls than the cache gains.


class Optimizer:
    """Common parts: the memory arrays, a scratch array and the step count."""

    memory_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, size: int, dtype: np.typing.DTypeLike) -> None:
        self.memory = {name: flat(size, dtype) for name in self.memory_names}
        self.steps = 0
        self._scratch = np.empty(min(size, BLOCK), dtype)

    def step(self, theta: Array, grad: Array, lr: float) -> None:
        """Change `theta` (N,) in place by one step along `grad` (N,)."""
        self.steps += 1
        for start in range(0, theta.size, BLOCK):
            block = slice(start, min(start + BLOCK, theta.size))
            memory = [self.memory[name][block] for name in self.memory_names]
            self._update(theta[block], grad[block], lr, self._scratch[: block.stop - start], memory)

    def _update(self, theta: Array, grad: Array, lr: float, scratch: Array, memory: Sequence[Array]) -> None:
        """The rule for one block; `memory` in the order of `memory_names`."""
        raise NotImplementedError


class SGD(Optimizer):
    """θ -= lr g"""

    def _update(self, theta: Array, grad: Array, lr: float, scratch: Array, memory: Sequence[Array]) -> None:
        theta -= np.multiply(grad, lr, out=scratch)


class Momentum(Optimizer):
    """v = μ v + g;  θ -= lr v

    Polyak (1964), in the form of torch.optim.SGD(momentum=μ).
    """

    memory_names = ("velocity",)
    mu = 0.9

    def _update(self, theta: Array, grad: Array, lr: float, scratch: Array, memory: Sequence[Array]) -> None:
        (v,) = memory
        v *= self.mu
        v += grad
        theta -= np.multiply(v, lr, out=scratch)


class Nesterov(Momentum):
    """v = μ v + g;  θ -= lr (g + μ v)

    Nesterov (1983), in the form of Sutskever et al. (2013) and torch.optim.SGD(nesterov=True).
    """

    def _update(self, theta: Array, grad: Array, lr: float, scratch: Array, memory: Sequence[Array]) -> None:
        (v,) = memory
        v *= self.mu
        v += grad
        np.multiply(v, self.mu, out=scratch)
        scratch += grad
        scratch *= lr
        theta -= scratch


class Adagrad(Optimizer):
    """m += g²;  θ -= lr g / (√m + ε)

    Duchi, Hazan and Singer (2011). m starts at 1e-8, which is min-char-rnn's √(m + 1e-8);
    torch.optim.Adagrad calls it initial_accumulator_value.
    """

    memory_names = ("square_sum",)

    def __init__(
        self, size: int, dtype: np.typing.DTypeLike, initial_accumulator: float = 1e-8, epsilon: float = 0.0
    ) -> None:
        super().__init__(size, dtype)
        self.memory["square_sum"] += initial_accumulator
        self.epsilon = epsilon

    def _update(self, theta: Array, grad: Array, lr: float, scratch: Array, memory: Sequence[Array]) -> None:
        (m,) = memory
        m += np.multiply(grad, grad, out=scratch)
        np.sqrt(m, out=scratch)
        if self.epsilon:
            scratch += self.epsilon
        np.divide(grad, scratch, out=scratch)
        scratch *= lr
        theta -= scratch


class RMSProp(Optimizer):
    """m = ρ m + (1-ρ) g²;  θ -= lr g / (√m + ε)

    Tieleman and Hinton (2012); ρ = 0.95 as char-rnn has it; ε = 1e-8.
    """

    memory_names = ("square_mean",)
    rho, epsilon = 0.95, 1e-8

    def _update(self, theta: Array, grad: Array, lr: float, scratch: Array, memory: Sequence[Array]) -> None:
        (m,) = memory
        m *= self.rho
        np.multiply(grad, grad, out=scratch)
        scratch *= 1 - self.rho
        m += scratch
        np.sqrt(m, out=scratch)
        scratch += self.epsilon
        np.divide(grad, scratch, out=scratch)
        scratch *= lr
        theta -= scratch


class Adam(Optimizer):
    """m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²
    θ -= lr m̂ / (√v̂ + ε),  m̂ = m / (1-β₁ᵗ),  v̂ = v / (1-β₂ᵗ)

    Kingma and Ba (2015); β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    """

    memory_names = ("mean", "square_mean")
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def _update(self, theta: Array, grad: Array, lr: float, scratch: Array, memory: Sequence[Array]) -> None:
        m, v = memory
        m *= self.beta1
        m += np.multiply(grad, 1 - self.beta1, out=scratch)
        v *= self.beta2
        np.multiply(grad, grad, out=scratch)
        scratch *= 1 - self.beta2
        v += scratch
        np.sqrt(v, out=scratch)
        correction = (1 - self.beta2**self.steps) ** 0.5  # √v = correction √v̂
        scratch += correction * self.epsilon
        np.divide(m, scratch, out=scratch)
        scratch *= lr * correction / (1 - self.beta1**self.steps)
        theta -= scratch


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adagrad": Adagrad,
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
}
