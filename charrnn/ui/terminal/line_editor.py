"""Asking for a line: with a line editor where the terminal and the installation have one, as `input` does otherwise."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress


def asker() -> Callable[[str], str]:
    """A function that asks a question and returns the answer; it raises EOFError at the end of stdin.

    With the extra `interactive`, Alt-Enter begins a new line in the answer, and the arrow keys go through former ones.
    """
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if on_terminal:
        with suppress(ImportError):
            return _editor()
        with suppress(ImportError):  # not on Windows
            import readline  # noqa: F401  input() then edits lines, and keeps the former ones
    return input


def _editor() -> Callable[[str], str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    session: PromptSession[str] = PromptSession(
        multiline=True, key_bindings=keys, prompt_continuation="", enable_open_in_editor=False
    )
    return lambda question: session.prompt(question)
