"""Output that someone else may stop reading: `charrnn sample | head -c 100`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """End the command quietly, as done, when the reader of stdout goes away within the block."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # caught here since click would make it exit code 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the exit flushes
        raise typer.Exit from None
