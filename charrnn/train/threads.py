"""How many threads the matrix products get."""

import os
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

SHORTEST_SHARED = 2e7  # multiplications: half a millisecond
PROBE_SECONDS = 0.05  # for each number of threads tried


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
    """1, or all cores, whichever multiplies (B, H) by (H, 4H) sooner just now.

    BLAS threads spin while they wait for each other: for small products, or when another program
    holds a core, more threads are slower, sometimes by far.
    """
    cores = available_cores()
    if cores == 1:
        return 1
    h, w = np.ones((batch_size, hidden), np.float32), np.ones((hidden, 4 * hidden), np.float32)
    out = np.empty((batch_size, 4 * hidden), np.float32)

    def typical_time(threads: int) -> float:
        times = []
        with threadpool_limits(threads, user_api="blas"):
            stop = time.perf_counter() + PROBE_SECONDS
            while (started := time.perf_counter()) < stop:
                np.matmul(h, w, out=out)
                times.append(time.perf_counter() - started)
        return statistics.median(times)

    # Threads must pay clearly: the products are not all of a step.
    return cores if typical_time(cores) < 0.75 * typical_time(1) else 1
