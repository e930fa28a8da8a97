"""Where strings and comments are, in C-like and Python code. Never raises, one pass, any text."""

import re
from typing import Literal

import numpy as np

Language = Literal["c", "python", "prose"]
CODE, STRING, LINE_COMMENT, BLOCK_COMMENT = range(4)

_PYTHON_LINE = re.compile(
    r"(?:(?:async )?def|class) \w+.*:$|(?:import|from|return|raise|assert|del|yield) \S"
    r"|@\w|(?:if|elif|for|while|with|except)\b.*:$|(?:else|try|finally):$|[\w.\[\], ]{1,80}[-+*/|]?= \S"
)
_C_LINE = re.compile(r"#\s*(?:include|define|if|ifdef|ifndef|endif|else|undef|pragma)\b|//|/\*|\*/")


def guess_language(text: str) -> Language:
    """Which rules a text asks for, by the share of its lines that only code would have.

    A line of C ends in ``{``, ``}``, ``);`` or is an assignment that ends in ``;``; a line of Python starts a
    block or a statement or assigns. Prose has neither strings nor comments: its apostrophes hide nothing.
    """
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    like_c = like_python = 0
    for line in lines:
        if (
            line.endswith(("{", "}", ");", "};"))
            or (line.endswith(";") and "=" in line)
            or _C_LINE.match(line)
        ):
            like_c += 1
        elif not line.endswith((".", ",", ";")) and _PYTHON_LINE.match(line):
            like_python += 1
    if max(like_c, like_python) < 0.1 * len(lines) or not lines:
        return "prose"
    return "c" if like_c > like_python else "python"


def scan(text: str, language: Language | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The lexical state after each of N characters, and where it is certain.

    An opening delimiter is inside once it is complete (``/`` of ``//`` is still code), a closing one is
    outside once it is complete. A string is closed by its own delimiter, skipping what a backslash escapes,
    or by the end of its line unless it is triple-quoted. Uncertain: a string that its line ends, a string or
    block comment that the text ends, and the second of two quotes in Python, which may become a triple one.

    Returns
    states : ndarray of shape (N,), uint8, one of CODE, STRING, LINE_COMMENT, BLOCK_COMMENT
    certain : ndarray of shape (N,), bool
    """
    language = language or guess_language(text)
    n = len(text)
    states, certain = np.full(n, CODE, np.uint8), np.ones(n, bool)
    if language == "prose":
        return states, certain
    python = language == "python"
    state, opened, delimiter, t = CODE, 0, "", 0
    while t < n:
        ch, step = text[t], 1
        if state == CODE:
            opened = t
            if ch in "\"'":
                state, delimiter = STRING, ch
                if python and text.startswith(ch, t + 1):
                    states[t], certain[t + 1] = STRING, False
                    if text.startswith(ch, t + 2):
                        delimiter, step = ch * 3, 3
                    else:
                        state, step = CODE, 2
            elif python and ch == "#":
                state = LINE_COMMENT
            elif not python and text.startswith(("//", "/*"), t):
                state, step = (LINE_COMMENT if text[t + 1] == "/" else BLOCK_COMMENT), 2
        elif state == STRING:
            if ch == "\\":
                step = 2
                states[t : t + 1] = STRING
            elif text.startswith(delimiter, t):
                step = len(delimiter)
                states[t : t + step] = STRING
                state = CODE
            elif ch == "\n" and len(delimiter) == 1:
                state = CODE
                certain[opened:t] = False
        elif state == LINE_COMMENT:
            if not python and text.startswith("\\\n", t):
                step = 2
                states[t] = LINE_COMMENT
            elif ch == "\n":
                state = CODE
        elif text.startswith("*/", t):
            step = 2
            states[t] = BLOCK_COMMENT
            state = CODE
        t += step
        if t <= n:
            states[t - 1] = state
    if state in (STRING, BLOCK_COMMENT):
        certain[opened:] = False
    return states, certain
