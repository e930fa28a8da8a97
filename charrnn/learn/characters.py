"""Characters as the lesson shows them: in words, on one line, alone, and how wide they are."""

import unicodedata


def is_wide(ch: str) -> bool:
    """Whether a character takes two columns."""
    return unicodedata.east_asian_width(ch) in "WF"


def named(ch: str) -> str:
    """A character as the words call it."""
    return {" ": "a space", "\n": "a new line", "\t": "a tab"}.get(ch, ch)


def seen(text: str) -> str:
    """A text on one line: its new lines and tabs are arrows."""
    return text.replace("\n", "↵").replace("\t", "→")


def key(ch: str) -> str:
    """A character that is seen when it stands alone."""
    return seen(ch.replace(" ", "␣"))
