"""Backslash escapes for characters that are hard to type in a shell."""

import re

_MEANT = {"n": "\n", "t": "\t", "\\": "\\"}


def unescape(text: str) -> str:
    r"""Replace \n, \t and \\ by newline, tab and backslash; other backslashes stay."""
    return re.sub(r"\\([nt\\])", lambda match: _MEANT[match[1]], text)
