"""The average of the weights: what is in it, by its definition."""

import numpy as np
import pytest

from charrnn.engines import averaging
from charrnn.nn.optimizers import BLOCK


def weights_in_the_average(decay: float, steps: int) -> np.ndarray:
    """How much of θ_0, θ_1, …, θ_steps is in the average: each θ is a unit vector of its own."""
    average = np.zeros(steps + 1)
    average[0] = 1
    for step in range(1, steps + 1):
        theta = np.zeros(steps + 1)
        theta[step] = 1
        averaging.follow(average, theta, averaging.share(decay, step))
    return average


def test_the_initial_weights_are_not_in_it_and_the_rest_sums_to_one() -> None:
    parts = weights_in_the_average(0.9, 200)
    assert parts[0] == 0
    assert parts.sum() == pytest.approx(1, abs=1e-12)


def test_late_steps_fade_as_in_an_exponential_average() -> None:
    """From step 9 / (1 - D) - 8 = 82 on, each step counts D times as much as the one after it."""
    parts = weights_in_the_average(0.9, 200)
    np.testing.assert_allclose(parts[100:200] / parts[101:], 0.9, rtol=1e-12)
    assert parts[-1] == pytest.approx(0.1)


def test_early_steps_count_by_the_polynomial_decay_of_shamir_and_zhang() -> None:
    """With η = 8, step t of n counts as (t + 7)! / (t - 1)!, and so the mean of t / n is nearly 9 / 10."""
    parts = weights_in_the_average(0.99999, 400)
    t = np.arange(1, 401)
    expected = np.prod([t + k for k in range(8)], axis=0, dtype=np.float64)
    np.testing.assert_allclose(parts[1:], expected / expected.sum(), rtol=1e-9)
    assert (parts[1:] * t).sum() / 400 == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_all_numbers_move_block_by_block(size: int) -> None:
    rng = np.random.default_rng(1)
    average, theta = rng.random((2, size))
    expected, before = average + 0.3 * (theta - average), theta.copy()
    averaging.follow(average, theta, 0.3)
    np.testing.assert_allclose(average, expected, rtol=1e-12)
    np.testing.assert_array_equal(theta, before)
