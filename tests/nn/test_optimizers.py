"""Each update rule against its formula written out afresh, number by number, and against torch's."""

import math
import tracemalloc

import numpy as np
import pytest

from charrnn import config
from charrnn.nn import optimizers
from charrnn.nn.optimizers import OPTIMIZERS

N, STEPS = 7, 50


def gradients():
    """Fifty gradients of many sizes, some numbers of them zero."""
    rng = np.random.default_rng(0)
    grads = rng.standard_normal((STEPS, N)) * 10.0 ** rng.integers(-4, 2, (STEPS, N))
    grads[rng.random((STEPS, N)) < 0.1] = 0
    return grads


def trajectory(optimizer, lr, dtype=np.float64):
    """θ after each of the fifty steps, from a fixed start."""
    theta = np.linspace(-1, 1, N).astype(dtype)
    path = []
    for grad in gradients().astype(dtype):
        kept = grad.copy()
        optimizer.step(theta, grad, lr)
        np.testing.assert_array_equal(grad, kept)
        path.append(theta.copy())
    return np.array(path)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_blocks_are_nobodys_business(name, monkeypatch):
    """The arrays are gone over in blocks: of three numbers here, of which the last has one."""
    whole = trajectory(OPTIMIZERS[name](N, np.float64), 0.1)
    monkeypatch.setattr(optimizers, "BLOCK", 3)
    np.testing.assert_array_equal(trajectory(OPTIMIZERS[name](N, np.float64), 0.1), whole)


# One number's way, in plain Python floats: (θ, gradients, lr) -> θ after each step.


def sgd(w, grads, lr):
    for g in grads:
        w = w - lr * g
        yield w


def momentum(w, grads, lr):
    for n in range(len(grads)):  # without a velocity: all earlier gradients, each 0.9 of the next
        w = w - lr * sum(0.9 ** (n - k) * grads[k] for k in range(n + 1))
        yield w


def nesterov(w, grads, lr):
    for n in range(len(grads)):  # one more look along the velocity
        w = w - lr * (grads[n] + sum(0.9 ** (n - k + 1) * grads[k] for k in range(n + 1)))
        yield w


def adagrad(w, grads, lr):
    for n, g in enumerate(grads):  # as in min-char-rnn
        w = w - lr * g / math.sqrt(math.fsum(x * x for x in grads[: n + 1]) + 1e-8)
        yield w


def rmsprop(w, grads, lr):
    for n, g in enumerate(grads):
        mean = 0.05 * sum(0.95 ** (n - k) * grads[k] ** 2 for k in range(n + 1))
        w = w - lr * g / (math.sqrt(mean) + 1e-8)
        yield w


def adam(w, grads, lr):
    for n, _ in enumerate(grads, 1):
        m = sum(0.1 * 0.9 ** (n - 1 - k) * grads[k] for k in range(n)) / (1 - 0.9**n)
        v = sum(0.001 * 0.999 ** (n - 1 - k) * grads[k] ** 2 for k in range(n)) / (1 - 0.999**n)
        w = w - lr * m / (math.sqrt(v) + 1e-8)
        yield w


FORMULAS = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_by_the_formula(name):
    path = trajectory(OPTIMIZERS[name](N, np.float64), lr=0.03)
    for k, start in enumerate(np.linspace(-1, 1, N).tolist()):
        expected = [*FORMULAS[name](start, gradients()[:, k].tolist(), 0.03)]
        np.testing.assert_allclose(path[:, k], expected, rtol=1e-11, atol=1e-13)


def torch_trajectory(make, lr):
    torch = pytest.importorskip("torch")
    theta = torch.nn.Parameter(torch.linspace(-1, 1, N, dtype=torch.float64))
    optimizer, path = make(torch.optim)([theta], lr=lr), []
    for grad in gradients():
        theta.grad = torch.from_numpy(grad)
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    return np.array(path)


def with_options(name, **options):
    return lambda optim: lambda parameters, lr: getattr(optim, name)(parameters, lr=lr, **options)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("sgd", with_options("SGD")),
        ("momentum", with_options("SGD", momentum=0.9)),
        ("nesterov", with_options("SGD", momentum=0.9, nesterov=True)),
        ("adagrad", with_options("Adagrad", initial_accumulator_value=1e-8, eps=0)),
        ("rmsprop", with_options("RMSprop", alpha=0.95, eps=1e-8)),
        ("adam", with_options("Adam", betas=(0.9, 0.999), eps=1e-8)),
    ],
)
def test_fifty_steps_like_torch(name, theirs):
    path = trajectory(OPTIMIZERS[name](N, np.float64), lr=0.03)
    np.testing.assert_allclose(path, torch_trajectory(theirs, lr=0.03), rtol=1e-11, atol=1e-13)


def test_every_rule_that_can_be_asked_for_is_there():
    assert set(OPTIMIZERS) == set(config.OPTIMIZERS) == set(config.DEFAULT_LR)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_memory_and_step_count_are_all_a_resume_needs(name):
    straight = trajectory(OPTIMIZERS[name](N, np.float64), lr=0.03)
    first, second = OPTIMIZERS[name](N, np.float64), OPTIMIZERS[name](N, np.float64)
    theta = np.linspace(-1, 1, N)
    for grad in gradients()[:20]:
        first.step(theta, grad, 0.03)
    assert first.steps == 20
    second.steps = first.steps
    for memory, array in second.memory.items():
        array[:] = first.memory[memory]
    for grad in gradients()[20:]:
        second.step(theta, grad, 0.03)
    np.testing.assert_array_equal(theta, straight[-1])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_float32(name):
    optimizer = OPTIMIZERS[name](N, np.float32)
    path = trajectory(optimizer, lr=0.03, dtype=np.float32)
    assert path.dtype == np.float32
    assert all(array.dtype == np.float32 for array in optimizer.memory.values())
    exact = trajectory(OPTIMIZERS[name](N, np.float64), lr=0.03)
    np.testing.assert_allclose(path, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_allocates_a_few_blocks_however_large_the_arrays_are(name, monkeypatch):
    monkeypatch.setattr(optimizers, "BLOCK", 2_000)
    size = 100_000
    optimizer = OPTIMIZERS[name](size, np.float32)
    theta, grad = np.zeros(size, np.float32), np.ones(size, np.float32)
    tracemalloc.start()
    try:
        optimizer.step(theta, grad, 0.01)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * 2_000 * 4  # bytes: an eighth of one array
