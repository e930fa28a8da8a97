"""How many threads compute: known before the first product, never by a clock, since the number decides how sums
are rounded.

BLAS gets one thread unless --threads or a variable says otherwise. Its threads spin while they wait for each
other: for the products of a time step two were several times slower than one whenever another program held a
core, and only from two thousand million multiplications a product at most three times (benchmarks/LOG.md), which
no network here comes near. So the results of numpy do not depend on the number of cores either.
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
# The variables by which users say how many threads they want: those of a library go before the general one.
VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def given_threads() -> int | None:
    """The number of threads that the environment asks for, if it does.

    What is no positive number says nothing, as for the libraries; of "4,2" the first counts.
    """
    for name in VARIABLES:
        if (match := re.match(r"\s*(\d+)\s*(,|$)", os.environ.get(name, ""))) and int(match[1]):
            return int(match[1])
    return None


def choose_shards(streams: int, multiplications: float) -> int:
    """How many threads share the streams of a batch on the fast path: all cores, unless a step is so short
    that handing out its parts would take longer than they do.

    multiplications : of one training step
    """
    return min(available_cores(), streams) if multiplications > SHORTEST_SHARED else 1


@lru_cache(maxsize=1)
def _libraries(modules: int) -> list[Any]:
    """The BLAS libraries of this process; looked for anew when more modules have been imported."""
    from threadpoolctl import ThreadpoolController

    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found


_lock = threading.RLock()
_asked: list[tuple[object, int]] = []  # what goes on just now, the newest last
_before: dict[str, tuple[Any, int]] = {}  # the libraries that were set, and what they had


@contextmanager
def blas_threads(threads: int | None = None) -> Iterator[None]:
    """While it lasts, matrix products have so many threads; by default what a variable says, or one.

    Also a decorator. It is of the whole process: of several at a time the newest counts, in whatever order they
    end; after the last of them all is as before the first.
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
