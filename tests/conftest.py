"""What tests of several rooms share."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np  # noqa: F401  so that its BLAS is loaded before its threads are set
import pytest
from helpers.small_runs import write_text
from threadpoolctl import threadpool_limits

from charrnn.engines.threads import VARIABLES

Check = Callable[[list[str], BaseException | None], None]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for all tests, so that the kernels of a shape are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARRNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """BLAS has one thread in what tests compute by themselves, as in charrnn's functions: the number decides
    how sums are rounded. Variables that say otherwise are not what is tested."""
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1, user_api="blas"):
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_theme() -> Iterator[None]:
    """The colours of views do not depend on the terminal in which the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COLORFGBG", "CHARRNN_THEME"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Signals reach the tests and what they start, although nohup or a shell in the background has them ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A text for small runs."""
    return write_text(tmp_path / "text.txt")


@pytest.fixture
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are for the eyes, and would take most of the time of small runs."""
    monkeypatch.setattr("charrnn.sampling.glimpse.LENGTH", 3)


@dataclass(frozen=True)
class Failpoint:
    """A fault of the system, to be met at each system call of an operation in turn, as SQLite's tests do.

    A write that fails has put half of its bytes down, as on a full disk. An interrupt comes before the
    call or, with `after`, when it is done.
    """

    fault: str  # a name in errno, or "interrupt"
    forever: bool = False  # every later call fails as well
    after: bool = False

    def error(self) -> BaseException:
        if self.fault == "interrupt":
            return KeyboardInterrupt()
        return OSError(number := getattr(errno, self.fault), os.strerror(number))

    def at_each_call(self, operation: Callable[[], object], check: Check) -> int:
        """Run `operation` until it meets no fault any more; returns how many calls it then made.

        After each run with a fault `check` gets the calls up to the fault and what the operation raised.
        """
        for nth in range(1000):
            calls: list[str] = []
            raised: BaseException | None = None
            with pytest.MonkeyPatch.context() as patch:
                for name in ("open", "write", "fsync", "replace"):
                    patch.setattr(os, name, self._failing(getattr(os, name), name, calls, nth))
                try:
                    operation()
                except BaseException as error:
                    raised = error
            if len(calls) <= nth:
                assert raised is None, "it failed without a fault"
                return nth
            check(calls[: nth + 1], raised)
        raise AssertionError("the operation never got through")

    def _failing(self, real: Callable, name: str, calls: list[str], nth: int) -> Callable:
        def call(*args: object, **kwargs: object) -> object:
            calls.append(name)
            place = len(calls) - 1
            if place < nth or (place > nth and not self.forever):
                return real(*args, **kwargs)
            if self.after:
                real(*args, **kwargs)
            elif name == "write":
                fd, data = args
                real(fd, bytes(data)[: len(data) // 2])
            raise self.error()

        return call


FAILPOINTS = [
    Failpoint(fault, forever) for fault in ("ENOSPC", "EIO", "interrupt") for forever in (False, True)
]
FAILPOINTS += [Failpoint("EROFS"), Failpoint("EACCES"), Failpoint("interrupt", after=True)]


@pytest.fixture(params=FAILPOINTS, ids=str)
def failpoint(request: pytest.FixtureRequest) -> Failpoint:
    return request.param
