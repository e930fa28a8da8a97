"""The number of threads: decided before the first product, never by a clock, since it affects how sums are
rounded.

BLAS gets one thread unless --threads or a variable says otherwise. Its threads spin while they wait for each
other: whenever another program held a core, two were several times slower than one for the products of a time
step. Only from two thousand million multiplications per product, far more than any network here has, were they
at most three times slower (benchmarks/LOG.md). So numpy's results do not depend on the number of cores.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np  # noqa: F401  so that its BLAS is loaded before libraries are looked for

SHORTEST_SHARED = 2e7  # multiplications: half a millisecond
# The variables in which users set the number of threads: a library's own takes precedence over the general one.
VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def given_threads() -> int | None:
    """The number of threads that the environment asks for, or None.

    As in the libraries, a value that is not a positive number is ignored, and "4,2" means 4.
    """
    for name in VARIABLES:
        if (match := re.match(r"\s*(\d+)\s*(,|$)", os.environ.get(name, ""))) and int(match[1]):
            return int(match[1])
    return None


def choose_shards(streams: int, multiplications: float) -> int:
    """The number of threads that share the streams of a batch on the fast path: all cores, unless a step is so
    short that distributing it would take longer than computing it.

    multiplications : of one training step
    """
    return min(available_cores(), streams) if multiplications > SHORTEST_SHARED else 1


@lru_cache(maxsize=1)
def _libraries(modules: int) -> list[Any]:
    """The BLAS libraries of this process; searched again when more modules have been imported."""
    from threadpoolctl import ThreadpoolController

    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found


_lock = threading.RLock()
_asked: list[tuple[object, int]] = []  # what goes on just now, the newest last
_before: dict[str, tuple[Any, int]] = {}  # the libraries that were set, and what they had


@contextmanager
def blas_threads(threads: int | None = None) -> Iterator[None]:
    """Within the context, matrix products use this many threads; by default the number in a variable, or one.

    Also a decorator. It affects the whole process: of several contexts the newest counts, in whatever order they
    end; after the last one, the numbers from before the first are restored.
    """
    mine = object(), threads or given_threads() or 1
    with _lock:
        _asked.append(mine)
        _set_newest()
    try:
        yield
    finally:
        with _lock:
            _asked.remove(mine)
            if _asked:
                _set_newest()
            else:
                for library, number in _before.values():
                    library.set_num_threads(number)
                _before.clear()


def _set_newest() -> None:
    for library in _libraries(len(sys.modules)):
        _before.setdefault(library.filepath, (library, library.num_threads))
        library.set_num_threads(_asked[-1][1])
