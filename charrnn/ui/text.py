"""Text of a model or a corpus on a terminal, which it must not be able to drive."""

import time
import unicodedata
from collections.abc import Callable
from typing import TextIO

FLUSH_SECONDS = 0.03  # a reader sees no finer; a flush for each character would cost more than making it

# Categories of characters that show nothing of themselves but may act: control, format (the marks
# that turn writing around), surrogates, private use, unassigned, line and paragraph separators.
_ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def escape(text: str) -> str:
    r"""The text with control characters other than newline and tab written out, ESC as \x1b."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() or not _acts(c) else escaped(c) for c in text)


def escaped(character: str) -> str:
    """A character as Python's string literals write it, without quotes."""
    return character.encode("unicode_escape").decode("ascii")


def _acts(character: str) -> bool:
    return unicodedata.category(character) in _ACTING


def writer(stream: TextIO, *, raw: bool = False) -> Callable[[str], None]:
    """A function that writes pieces of text to a stream as they come, and flushes now and then.

    Control characters are escaped where the stream is a terminal, unless `raw`. What the stream's
    encoding lacks is escaped everywhere.
    """
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
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
