"""The signals that ask a process to end, while training: finish the step, save, then leave."""

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

# Sent by a terminal to all processes that it started; those who work for another one leave them to that.
OF_TERMINALS = tuple(number for number in ENDING if number.name in ("SIGINT", "SIGHUP"))


class StopRequest:
    """Which signal asked for the end, if any: the first of them. Call it to ask."""

    signal_number: int | None = None

    def __call__(self) -> bool:
        return self.signal_number is not None


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Within the block the first of the signals that end a process is noted; a second SIGINT quits at once.

    Those that this process ignores, as `nohup` has it ignore SIGHUP, stay ignored.
    Outside the main thread signals cannot be caught: then nothing is changed.
    """
    request = StopRequest()
    interrupts = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += number == signal.SIGINT
        if interrupts > 1:
            raise KeyboardInterrupt  # the user insists: the checkpoint on disk is whole, as always
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
    """A process started within the block has these signals held back until it calls `handlers_are_set`.

    Those that come meanwhile are not lost, neither here nor there.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which lets two of them through, so not while a child is being started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def handlers_are_set() -> None:
    """Let through the signals that were held back for this process while it started."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
