"""GFLOP/s of a large float32 matrix product in numpy: with all cores and with one."""

import argparse
import json
import time

import numpy as np
from threadpoolctl import threadpool_limits

from charrnn.engines.threads import available_cores

SIZE = 2048
FEWEST = 3


def peak(threads: int, seconds: float) -> float:
    """The best of the products made in so many seconds."""
    a = np.ones((SIZE, SIZE), np.float32)
    out, times = np.empty_like(a), list[float]()
    with threadpool_limits(threads, user_api="blas"):
        stop = time.perf_counter() + seconds
        while (began := time.perf_counter()) < stop or len(times) < FEWEST:
            np.matmul(a, a, out=out)
            times.append(time.perf_counter() - began)
    return 2 * SIZE**3 / min(times) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    seconds = parser.parse_args().seconds
    print(json.dumps({"all_cores": peak(available_cores(), seconds), "one_core": peak(1, seconds)}))


if __name__ == "__main__":
    main()
