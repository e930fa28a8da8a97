"""What a shell makes hard to type, written with a backslash."""

import re

_MEANT = {"n": "\n", "t": "\t", "\\": "\\"}


def unescape(text: str) -> str:
    r"""The text with \n, \t and \\ turned into what they stand for; any other backslash stays."""
    return re.sub(r"\\([nt\\])", lambda match: _MEANT[match[1]], text)
