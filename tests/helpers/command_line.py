"""The whole command line, run in this process."""

import io
import sys
from typing import NamedTuple

import pytest

from charrnn.cli.app import main


class Outcome(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


class Stream(io.TextIOWrapper):
    """A standard stream in memory that says whether it is a terminal."""

    def __init__(
        self, content: bytes = b"", encoding: str = "utf-8", *, terminal: bool = False, errors: str = "strict"
    ) -> None:
        super().__init__(io.BytesIO(content), encoding, errors, newline="", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def written(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def charrnn(
    *args: object, stdin: bytes | Stream | None = b"", encoding: str = "utf-8", terminal: bool = False
) -> Outcome:
    """Run `charrnn ARGS` as its entry point does; an exception that escapes, a traceback to a user, is raised."""
    out = Stream(encoding=encoding, terminal=terminal)
    err = Stream(encoding=encoding, terminal=terminal, errors="backslashreplace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["charrnn", *map(str, args)])
        patch.setattr(sys, "stdin", Stream(stdin, encoding) if isinstance(stdin, bytes) else stdin)
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as end:
            main()
    code = end.value.code
    return Outcome(code if isinstance(code, int) else 0 if code is None else 1, out.written(), err.written())


def charrnn_line(line: str, stdin: bytes | Stream | None = b"") -> Outcome:
    """Run a command line whose words hold no blanks: `charrnn_line("train text.txt --lr 0.1")`."""
    return charrnn(*line.split(), stdin=stdin)
