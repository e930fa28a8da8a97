"""stdout and stderr, whose readers may go away: `charrnn sample | head -c 100`, a terminal that is closed.

stdout is data. When nobody reads it any more the command has done what was wanted: it ends quietly, exit code 0.
Any other failure to write it is an OSError, for `charrnn.cli.app.main` to tell.
stderr is talk. When it cannot be written it falls silent, and the work goes on.
"""

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Output(io.FileIO):
    """A file descriptor that is written whole, also where another process made it one that does not block."""

    def write(self, data: "ReadableBuffer") -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:
                if (written := super().write(rest)) is None:
                    select.select((), (self,), ())
                else:
                    rest = rest[written:]
        except OSError as error:
            self.failed(error)
        return size

    def failed(self, error: OSError) -> None:
        """Raise what is to be made of a write that failed, or pass over it."""
        raise NotImplementedError


class _Data(_Output):
    def failed(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            raise error
        discard(self.fileno())
        raise SystemExit(0)  # rich and Typer make exit code 1 of a BrokenPipeError


class _Talk(_Output):
    def failed(self, error: OSError) -> None:
        discard(self.fileno())


def discard(descriptor: int) -> None:
    """From now on what is written there is lost."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def guard_streams() -> None:
    """Make stdout and stderr of this process what the top of this file says; one that was closed stays useless.

    What a caller in the same process has put in their place is left alone.
    """
    for descriptor in range(3):  # otherwise the next file to be opened would be taken for the one missing
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Data(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Talk(2, "w", closefd=False), sys.stderr)


def _text(output: _Output, before: TextIO | None) -> TextIO:
    """A stream like the one before, which is None where that was closed."""
    if not isinstance(before, io.TextIOWrapper):
        return io.TextIOWrapper(output, errors="backslashreplace", write_through=True)
    before.flush()
    return io.TextIOWrapper(
        output if before.write_through else io.BufferedWriter(output),
        before.encoding,
        before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
