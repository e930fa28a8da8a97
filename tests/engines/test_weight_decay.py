"""Decoupled weight decay: what it does to which weights, with every optimiser."""

import numpy as np
import pytest

from charrnn.config import DEFAULT_LR, OPTIMIZERS, configs
from charrnn.engines.backend import NumpyBackend

DECAY = 0.3


def engine(**settings: object) -> NumpyBackend:
    same = {
        "cell": "gru",
        "layers": 2,
        "hidden": 5,
        "embedding": 3,
        "precision": "float64",
        "clip_value": 0.01,
    }
    return NumpyBackend(*configs(**same, **settings), 7, 3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_is_that_without_decay_and_less_lr_times_decay_times_the_weight(optimizer: str) -> None:
    """θ ← θ - lr W θ - (the optimiser's step for the clipped gradient), whatever the gradient; biases do not decay."""
    decayed, plain = engine(optimizer=optimizer, weight_decay=DECAY), engine(optimizer=optimizer)
    rng, lr = np.random.default_rng(1), DEFAULT_LR[optimizer]
    for _ in range(3):
        start = decayed.network().theta.copy()
        arrays = {name: array.copy() for name, array in decayed.arrays().items()}
        plain.restore(arrays)
        chunk = rng.integers(7, size=(2, 6, 3))
        assert decayed.step(*chunk, lr) == plain.step(*chunk, lr)
        for name, (first, stop) in plain.network().spans().items():
            before, after, without = (
                theta[first:stop] for theta in (start, decayed.network().theta, plain.network().theta)
            )
            expected = without if "bias" in name else without - lr * DECAY * before
            np.testing.assert_allclose(after, expected, rtol=1e-12, atol=1e-15, err_msg=name)
            assert np.array_equal(after, without) == ("bias" in name), name
    for name, array in plain.arrays().items():  # the optimiser's memory knows nothing of it
        if name.startswith("optimizer"):
            np.testing.assert_array_equal(array, decayed.arrays()[name])


def test_frozen_layers_do_not_decay() -> None:
    backend = engine(optimizer="adam", weight_decay=DECAY, freeze_layers="0")
    before = {name: tensor.copy() for name, tensor in backend.network().params.items()}
    backend.step(*np.random.default_rng(1).integers(7, size=(2, 6, 3)), 0.01)
    for name, tensor in backend.network().params.items():
        assert np.array_equal(tensor, before[name]) == name.endswith("_l0"), name


def test_with_adam_it_is_adamw() -> None:
    """Loshchilov and Hutter's, as torch has it; their constants are the same."""
    torch = pytest.importorskip("torch")
    backend = engine(optimizer="adam", weight_decay=DECAY)
    theta = torch.tensor(backend.network().theta.copy(), requires_grad=True)
    masks = torch.tensor(backend._penalised.astype(bool))
    weights, biases = (theta.detach().clone().requires_grad_(True) for _ in range(2))
    torch_steps = [
        torch.optim.AdamW([weights], lr=0.01, weight_decay=DECAY, foreach=False),
        torch.optim.AdamW([biases], lr=0.01, weight_decay=0.0, foreach=False),
    ]
    rng = np.random.default_rng(1)
    for _ in range(5):
        backend.step(*rng.integers(7, size=(2, 6, 3)), 0.01)
        for part, step in zip((weights, biases), torch_steps, strict=True):
            part.grad = torch.tensor(backend.network().grad.copy())
            step.step()
    expected = torch.where(masks, weights, biases).detach().numpy()
    np.testing.assert_allclose(backend.network().theta, expected, rtol=1e-10)
