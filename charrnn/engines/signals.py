"""The signals that ask a process to end: training finishes the step, saves, then ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A user's Ctrl-C, `kill`, a terminal that is closed, CPU time used up, and what batch systems send before the end.
ENDING = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1", "SIGUSR2")
    if name in signal.Signals.__members__  # Windows has the first two
)

# Sent by a terminal to all processes that it started; worker processes leave them to their parent.
OF_TERMINALS = tuple(number for number in ENDING if number.name in ("SIGINT", "SIGHUP"))


class StopRequest:
    """The first signal that asked for the end, if any. Calling the object tells whether there was one."""

    signal_number: int | None = None

    def __call__(self) -> bool:
        return self.signal_number is not None


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Within the block, the first signal to end is noted instead of obeyed; a second SIGINT quits at once.

    Signals that this process ignores stay ignored, such as SIGHUP under `nohup`.
    Outside the main thread signals cannot be caught, and nothing changes.
    """
    request = StopRequest()
    interrupts = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += number == signal.SIGINT
        if interrupts > 1:
            raise KeyboardInterrupt  # the user insists; the checkpoint on disk is always complete
        if request.signal_number is None:
            request.signal_number = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    caught = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, note) for number in caught}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def children_wait_for_their_handlers() -> Iterator[None]:
    """Processes started within the block receive these signals only after they call `handlers_are_set`.

    Signals that arrive meanwhile are not lost, neither here nor there.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it unblocks two of them, so start it before the children
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def handlers_are_set() -> None:
    """Receive the signals that were held back while this process started."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
