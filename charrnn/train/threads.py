"""How many threads the matrix products get."""

import os
import statistics
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

SHORTEST_SHARED = 2e7  # multiplications: half a millisecond
USUAL_STEPS = 20
MUCH_SLOWER = 2.5
LOOK_AGAIN_SECONDS = 2.0
BACK_TO_MORE_SECONDS = 60.0
PROBE_SECONDS = 0.04  # at least, for each number of threads and kind of product
FEWEST_PRODUCTS = 3
STEPS_AT_ONCE = 8  # time steps; a chunk has more, which would take longer and tell the same


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_shards(streams: int, multiplications: float) -> int:
    """How many threads share the streams of a batch on the fast path: all cores, unless a step is so short
    that handing out its parts would take longer than they do.

    multiplications : of one training step
    """
    return min(available_cores(), streams) if multiplications > SHORTEST_SHARED else 1


def choose_threads(batch_size: int, hidden: int) -> int:
    """1, or all cores, whichever makes the products of a training step sooner just now.

    About half of them multiply (B, H) by (H, 4H), one time step after the other; half do all at once. BLAS
    threads spin while they wait for each other: for small products, or when another program holds a core, more
    threads are slower, sometimes by far.
    """
    cores = available_cores()
    if cores == 1:
        return 1
    weight = np.ones((hidden, 4 * hidden), np.float32)

    def seconds_a_time_step(steps: int, threads: int) -> float:
        h = np.ones((steps * batch_size, hidden), np.float32)
        out, times = np.empty((len(h), 4 * hidden), np.float32), list[float]()
        with threadpool_limits(threads, user_api="blas"):
            stop = time.perf_counter() + PROBE_SECONDS
            while (started := time.perf_counter()) < stop or len(times) < FEWEST_PRODUCTS:
                np.matmul(h, weight, out=out)
                times.append(time.perf_counter() - started)
        return statistics.median(times) / steps

    def of_both_kinds(threads: int) -> float:
        return seconds_a_time_step(1, threads) + seconds_a_time_step(STEPS_AT_ONCE, threads)

    # Threads must pay clearly: the products are not all of a training step.
    return cores if of_both_kinds(cores) < 0.9 * of_both_kinds(1) else 1


class Watch:
    """Looks again at how many threads the products get when steps have become much slower.

    Call it with the seconds of each step. Another program that takes a core makes BLAS threads wait for each
    other at every product, up to a hundred times as long as the product takes.

    choose : gives the number of threads that is best just now; now : a clock, in seconds
    """

    def __init__(self, choose: Callable[[], int], now: Callable[[], float] = time.perf_counter) -> None:
        self._choose, self._now = choose, now
        self._steps: deque[float] = deque(maxlen=USUAL_STEPS)
        self._usual: float | None = None
        self._fewer = False
        self._looked = now()

    def __call__(self, seconds: float) -> None:
        self._steps.append(seconds)
        since = self._now() - self._looked
        if self._usual is not None and min(list(self._steps)[-2:]) > MUCH_SLOWER * self._usual:
            if since >= LOOK_AGAIN_SECONDS:
                self._look()
        elif self._fewer and since >= BACK_TO_MORE_SECONDS:
            self._look()
        if len(self._steps) == USUAL_STEPS:
            typical = statistics.median(self._steps)
            self._usual = typical if self._usual is None else min(self._usual, typical)

    def _look(self) -> None:
        threads = self._choose()
        threadpool_limits(threads, user_api="blas")
        self._fewer = threads < available_cores()
        self._steps.clear()
        self._looked = self._now()
