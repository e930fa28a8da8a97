from contextlib import contextmanager

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from charrnn.train import threads
from charrnn.train.threads import Watch, choose_shards, choose_threads


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def watched(monkeypatch):
    """A watch on a made-up clock, what its probe will answer, and a way to let steps of some length pass."""
    monkeypatch.setattr(threads, "available_cores", lambda: 2)
    clock, answers = Clock(), []
    looks = []

    def choose():
        looks.append(clock.seconds)
        return answers[0]

    watch = Watch(choose, clock)

    def steps(count, seconds):
        for _ in range(count):
            clock.seconds += seconds
            watch(seconds)

    with threadpool_limits(2, user_api="blas"):
        yield steps, answers, looks


def blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_steady_steps_are_left_alone(watched):
    steps, _, looks = watched
    steps(1000, 0.03)
    steps(1, 3.0)  # one slow step, a checkpoint perhaps
    steps(1000, 0.06)
    assert looks == []


def test_a_collapse_is_answered_within_two_steps_and_a_look(watched):
    steps, answers, looks = watched
    answers.append(1)
    steps(100, 0.03)
    steps(2, 3.0)
    assert looks == [pytest.approx(9.0)]
    assert blas_threads() == {1}


def test_threads_come_back_after_a_minute(watched):
    steps, answers, looks = watched
    answers.append(1)
    steps(100, 0.03)
    steps(2, 3.0)
    answers[0] = 2
    steps(1300, 0.05)
    assert looks[1:] == [pytest.approx(69.0, abs=0.1)]
    assert blas_threads() == {2}
    steps(5000, 0.03)
    assert len(looks) == 2


def test_slow_for_good_is_not_looked_at_all_the_time(watched):
    steps, answers, looks = watched
    answers.append(2)  # more threads are still best: the machine is slow, not the waiting
    steps(100, 0.03)
    steps(1000, 0.1)
    assert 0 < len(looks) <= 1000 * 0.1 / threads.LOOK_AGAIN_SECONDS


@pytest.mark.parametrize(
    ("one_step", "all_steps", "best"),
    [
        (0.5, 0.5, 2),
        (1.0, 0.5, 2),
        (1.0, 1.0, 1),
        (100.0, 0.5, 1),
    ],  # times with two threads, those with one being 1
)
def test_both_kinds_of_product_count(one_step, all_steps, best, monkeypatch):
    """A made-up clock goes on at each product; one of several time steps takes as many times as long."""
    clock, threads_now = Clock(), [1]

    @contextmanager
    def limits(count, user_api):
        threads_now[0] = count
        yield

    def matmul(h, w, out):
        steps = len(h) // 16
        slower = 1 if threads_now[0] == 1 else one_step if steps == 1 else all_steps
        clock.seconds += 1e-3 * steps * slower

    monkeypatch.setattr(threads, "available_cores", lambda: 2)
    monkeypatch.setattr(threads, "threadpool_limits", limits)
    monkeypatch.setattr(threads.time, "perf_counter", clock)
    monkeypatch.setattr(threads.np, "matmul", matmul)
    assert choose_threads(16, 8) == best


def test_one_core_has_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 1)
    assert choose_threads(64, 512) == 1
    assert choose_shards(64, 1e12) == 1


def test_shards(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    assert choose_shards(64, 1e9) == 4
    assert choose_shards(3, 1e9) == 3
    assert choose_shards(64, 1e5) == 1
