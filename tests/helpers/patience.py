"""How long tests wait for what should end or begin."""

import time
from collections.abc import Callable

PATIENCE = 300  # seconds after which a process hangs, however slow or busy the machine


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until `condition()` is true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
