"""`charrnn` as a process of its own, which can be made to wait at a step of its training."""

import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# What whoever runs the tests has ignored, as nohup does, is not what is tested.
AS_A_USER_STARTS_IT = """
import signal
for name in ("SIGINT", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
"""
WAIT_AT_STEP = """
import os
from charrnn.training import loop
step = loop.Trainer._step
def waiting(self):
    if self.progress.step == {step}:
        os.write({here}, b".")
        os.read({go_on}, 1)
    return step(self)
loop.Trainer._step = waiting
"""


def start(arguments: Sequence[str], prologue: str = "", **more: Any) -> subprocess.Popen[str]:
    """A charrnn process that first runs `prologue`, Python code; `more` is for Popen."""
    code = f"{AS_A_USER_STARTS_IT}\n{prologue}\nfrom charrnn.__main__ import main\nmain()"
    variables = os.environ | {"OPENBLAS_NUM_THREADS": "1"} | more.pop("variables", {})
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=variables, text=True, **more)


@contextmanager
def waiting(
    arguments: Sequence[str], step: int, prologue: str = "", **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """Within the block a training process waits before its step `step` + 1; then it goes on."""
    told, here = os.pipe()
    go_on, let_go = os.pipe()
    wait = WAIT_AT_STEP.format(step=step, here=here, go_on=go_on)
    process = start(
        arguments, f"{prologue}\n{wait}", pass_fds=(here, go_on, *more.pop("pass_fds", ())), **more
    )
    os.close(here)
    os.close(go_on)
    try:
        assert os.read(told, 1), "it ended before that step"
        yield process
    finally:
        os.close(told)
        os.close(let_go)


class Terminal:
    """A terminal that shows nothing, until it is closed.

    on_it : what has Popen start a process on it, which then is told with SIGHUP that it was closed
    """

    def __init__(self) -> None:
        self._ours, self._theirs = pty.openpty()
        self._closing, self._close = os.pipe()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        name = os.ttyname(self._theirs)
        self.on_it: dict[str, Any] = {
            "stdin": self._theirs,
            "stdout": self._theirs,
            "stderr": self._theirs,
            "start_new_session": True,
            "preexec_fn": lambda: os.close(os.open(name, os.O_RDWR)),  # it becomes the session's terminal
            "variables": {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        }

    def _read(self) -> None:
        while select.select((self._ours, self._closing), (), ())[0] == [self._ours]:
            os.read(self._ours, 65536)

    def close(self) -> None:
        os.close(self._close)
        self._reader.join()
        for descriptor in (self._closing, self._theirs, self._ours):
            os.close(descriptor)
