"""Who is told that kernels are being compiled, where that takes long enough to be noticed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NOTICEABLE = 0.5  # seconds

# Called with whether the machine code will be kept for later.
tell: ContextVar[Callable[[bool], None] | None] = ContextVar("tell", default=None)


@contextmanager
def told(kept: bool) -> Iterator[None]:
    """Around a compilation: where it takes longer than NOTICEABLE, `tell` is called, in a thread of its own."""
    teller = tell.get()
    if teller is None:
        yield
        return
    from threading import Timer

    timer = Timer(NOTICEABLE, teller, [kept])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
