"""The program's messages and results: no character in them can drive the terminal.

All that goes to stderr or stdout passes through here, or through the console of `ui/terminal/console.py`.
"""

import json
import sys
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from charrnn.files.json_value import json_value

FLUSH_SECONDS = 0.03  # a reader sees no finer; a flush for each character would cost more than making it

# Categories of characters that are invisible but may act: control, format (including marks that reverse the
# direction of text), surrogates, private use, unassigned, line and paragraph separators.
_ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Of the format characters those that only join or part their neighbours: Persian and Hindi words, emoji.
_JOINERS = "\u200c\u200d"


def escape(text: str) -> str:
    r"""The text with control characters other than newline and tab written out, ESC as \x1b."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() or not _acts(c) else escaped(c) for c in text)


def escaped(character: str) -> str:
    """A character as Python's string literals write it, without quotes."""
    return character.encode("unicode_escape").decode("ascii")


def _acts(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _ACTING


def say(message: str) -> None:
    """Write a message to the user on stderr. If that fails, the program continues."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(escape(message), file=sys.stderr, flush=True)


def put(result: object, end: str = "\n") -> None:
    """Write a result to stdout, which is data: unchanged, but escaped if stdout is a terminal."""
    if sys.stdout is not None:
        text = f"{result}{end}"
        sys.stdout.write(escape(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()


def json_text(value: Any, *, ascii: bool = True) -> str:
    """JSON in which characters that could act are written as JSON writes them: still JSON on a terminal."""
    text = json.dumps(json_value(value), ensure_ascii=ascii)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or not _acts(c) else _json_escaped(c) for c in text)


def _json_escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character > "\x7f" else f"\\u{ord(character):04x}"


def writer(stream: TextIO, *, raw: bool = False) -> Callable[[str], None]:
    """A function that writes pieces of text to a stream as they arrive, and flushes now and then.

    Control characters are escaped where the stream is a terminal, unless `raw`.
    """
    safe = raw or not stream.isatty()
    flushed = 0.0

    def write(piece: str) -> None:
        nonlocal flushed
        stream.write(piece if safe else escape(piece))
        now = time.monotonic()
        if now - flushed >= FLUSH_SECONDS:
            stream.flush()
            flushed = now

    return write
