"""Text on a terminal."""

import io
import os
import sys

import pytest

from charrnn.ui.terminal.output import escape, writer


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, [bold] é 漢\t\n", "plain, [bold] é 漢\t\n"),
        ("\x1b[2J\x07\r\x7f", r"\x1b[2J\x07\r\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\u202eb\u2066\ufeff", r"a\u202eb\u2066\ufeff"),
        ("\u2028\ue000\U000e0001", r"\u2028\ue000\U000e0001"),
        ("a\u00a0b", "a\u00a0b"),
        ("\u0645\u200c\u0647 👩\u200d🚀", "\u0645\u200c\u0647 👩\u200d🚀"),
        ("\u200b\u200e\u2060\u00ad", r"\u200b\u200e\u2060\xad"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "raw", "written"),
    [(Terminal, False, rb"\x1b[0mx"), (Terminal, True, b"\x1b[0mx"), (io.TextIOWrapper, False, b"\x1b[0mx")],
)
def test_only_a_terminal_needs_care(kind: type[io.TextIOWrapper], raw: bool, written: bytes) -> None:
    stream = kind(io.BytesIO(), "utf-8")
    writer(stream, raw=raw)("\x1b[0mx")
    stream.flush()
    assert stream.buffer.getvalue() == written  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_real_terminal() -> None:
    import pty

    mine, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        writer(stream)("\x1b]0;title\x07")
        stream.flush()
        assert os.read(mine, 100) == rb"\x1b]0;title\x07"
    os.close(mine)
