"""Clipping by norm and by value, on gradients whose norm is known."""

import numpy as np
import pytest

from charrnn.nn.clipping import clip, gradient_norm


def clipped(grad, value=0.0, norm=0.0):
    grad = np.array(grad)
    clip(grad, value, norm, gradient_norm(grad))
    return grad.tolist()


def test_the_norm_is_euclidean():
    assert gradient_norm(np.array([3.0, -4.0])) == 5
    assert gradient_norm(np.zeros(3)) == 0
    rng = np.random.default_rng(0)
    grad = rng.standard_normal(1000)
    assert gradient_norm(grad) == pytest.approx(sum(g * g for g in grad) ** 0.5)
    assert isinstance(gradient_norm(grad.astype(np.float32)), float)


def test_zero_is_off():
    assert clipped([300.0, -400.0]) == [300, -400]


def test_each_number_is_kept_within_the_value():
    assert clipped([7.0, -7.0, 5.0, -4.5, 0.0], value=5) == [5, -5, 5, -4.5, 0]


def test_the_norm_is_scaled_down_never_up():
    assert clipped([3.0, -4.0], norm=2.5) == [1.5, -2]
    assert clipped([3.0, -4.0], norm=5) == [3, -4]
    assert clipped([3.0, -4.0], norm=50) == [3, -4]


def test_first_the_norm_then_the_value():
    # By norm: (24, 7) / 25 * 10 = (9.6, 2.8), then the value. The other way round would be (5, 5).
    assert clipped([24.0, 7.0], value=5, norm=10) == pytest.approx([5, 2.8])


def test_it_works_in_place_and_keeps_the_precision():
    grad = np.array([30.0, 40.0], np.float32)
    clip(grad, 0.0, 5.0, gradient_norm(grad))
    assert grad.dtype == np.float32
    np.testing.assert_allclose(grad, [3, 4], rtol=1e-6)
