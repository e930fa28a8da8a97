"""Learning rates against values worked out by hand."""

import math

import pytest

from charrnn.config import TrainConfig
from charrnn.training.schedules import learning_rate


def rate(step=0, epoch=0.0, progress=0.0, **settings):
    return learning_rate(TrainConfig(**({"lr": 0.2, "warmup_steps": 0} | settings)), step, epoch, progress)


@pytest.mark.parametrize(("step", "epoch", "progress"), [(0, 0, 0), (5000, 7.5, 0.8), (10, 1, 1)])
def test_constant(step, epoch, progress):
    assert rate(step, epoch, progress, schedule="constant") == 0.2


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.2), (2.99, 0.2), (3, 0.1), (5.99, 0.1), (6, 0.05), (30, 0.2 / 1024)]
)
def test_step(epoch, expected):
    settings = {"schedule": "step", "decay": 0.5, "decay_every": 3}
    assert rate(123, epoch, 0.5, **settings) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("epoch", "expected"), [(0, 0.2), (2, 0.1), (0.5, 0.16), (18, 0.02)])
def test_inverse_time(epoch, expected):
    settings = {"schedule": "inverse-time", "decay": 0.5}
    assert rate(123, epoch, 0.5, **settings) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0, 0.2),
        (1 / 3, 0.2 * (0.1 + 0.9 * 0.75)),
        (0.5, 0.2 * 0.55),
        (2 / 3, 0.2 * (0.1 + 0.9 * 0.25)),
        (1, 0.02),
        (1.2, 0.02),  # a clock may run past its budget
    ],
)
def test_cosine(progress, expected):
    assert rate(123, 4.5, progress, schedule="cosine", final_lr=0.1) == pytest.approx(expected, rel=1e-12)


def test_warm_up_rises_linearly_to_the_rate():
    rates = [rate(step, warmup_steps=4, schedule="constant") for step in range(6)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2], rel=1e-12)


def test_warm_up_goes_with_any_schedule():
    settings = {"warmup_steps": 10, "schedule": "cosine", "final_lr": 0.0}
    expected = 0.2 * (1 + math.cos(math.pi / 4)) / 2
    assert rate(4, 0.0, 0.25, **settings) == pytest.approx(expected / 2, rel=1e-12)
    assert rate(10, 0.0, 0.25, **settings) == pytest.approx(expected, rel=1e-12)
