"""The line editor of charrnn sample --interactive, and what takes its place."""

import sys

import pytest
from helpers.command_line import Stream

from charrnn.ui.terminal import line_editor


def test_lines_are_edited_and_may_hold_newlines() -> None:
    pytest.importorskip("prompt_toolkit")
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    up, left, backspace, alt_enter, enter = "\x1b[A", "\x1b[D", "\x7f", "\x1b\r", "\r"
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        ask = line_editor._editor()
        keys.send_text(f"calx{backspace}m{left}l{enter}")
        assert ask("The sea was |") == "callm"
        keys.send_text(f"a{alt_enter}b{enter}")
        assert ask("|") == "a\nb"
        keys.send_text(f"{up}{up}{enter}")
        assert ask("|") == "a\nb"
        keys.send_text(enter)
        assert ask("|") == ""
        keys.send_text("\x04")  # Ctrl-D
        with pytest.raises(EOFError):
            ask("|")


@pytest.mark.parametrize(("terminal", "kind"), [(True, "xterm"), (True, "dumb"), (False, "xterm")])
@pytest.mark.parametrize("installed", [True, False])
def test_an_editor_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, kind: str, installed: bool
) -> None:
    def editor() -> object:
        if not installed:
            raise ImportError
        return "editor"

    monkeypatch.setattr(line_editor, "_editor", editor)
    monkeypatch.setattr(sys, "stdin", Stream(terminal=terminal))
    monkeypatch.setattr(sys, "stdout", Stream(terminal=terminal))
    monkeypatch.setenv("TERM", kind)
    expected = "editor" if terminal and kind == "xterm" and installed else input
    assert line_editor.asker() == expected
