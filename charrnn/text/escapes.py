"""Backslash escapes for characters that are hard to type in a shell."""

import re

_MEANT = {"n": "\n", "t": "\t", "\\": "\\"}


def unescape(text: str) -> str:
    r"""Replace \n, \t and \\ by newline, tab and backslash; other backslashes stay."""
    return re.sub(r"\\([nt\\])", lambda match: _MEANT[match[1]], text)


def one_line(text: str) -> str:
    r"""A text on one line: its line ends written as \n and \r. (Other backslashes stay: SMILES has them.)"""
    return text.replace("\r", "\\r").replace("\n", "\\n")
