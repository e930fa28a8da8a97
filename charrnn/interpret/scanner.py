"""Finds strings and comments in C-like and Python code: one pass, any text, never raises."""

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

# A string or comment, as far as it reaches. Possessive repeats (*+) keep nothing to go back to: memory stays bounded.
# A string of three quotes ends before a line that begins a function or a class, a comment of C before another one:
# there its end is missing. `stray` is an end without a beginning.
_TOKEN = {
    "python": re.compile(
        r"""
        (?P<stray> (?<=[^\s(\[{=,:+%rRbBuUfF]) (?: \"{3} | '{3} ) )
        | (?P<quote> (?P<triple> \"{3} | '{3} ) | ["'] )
            (?: (?! (?P=quote) )
                (?(triple) (?! \n [ \t]*+ (?: (?: async[ ] )? def | class ) [ ] \w++ [ (:] ) [^\\] | [^\\\n] )
                | \\.? )*+
            (?P<closed> (?P=quote) )?
        | \# [^\n]*
        """,
        re.X | re.S,
    ),
    "c": re.compile(
        r"""
        (?P<stray> \*/ )
        | (?: (?P<quote> ["'] ) (?: (?! (?P=quote) ) [^\\\n] | \\.? )*+
            | (?P<triple> /\* ) (?: (?! \*/ | /\* ) . )*+ )
            (?P<closed> (?(quote) (?P=quote) | \*/ ) )?
        | // (?: [^\\\n] | \\\n? )*+
        """,
        re.X | re.S,
    ),
}
_MARGIN = re.compile(
    r"^(?:(?:async )?def|class|import|from|@) ?\w", re.M
)  # no string of three quotes is open here


def guess_language(text: str) -> Language:
    """The language of a text, by the share of its lines that look like code.

    A line of C ends in ``{``, ``}`` or ``);``, or is an assignment that ends in ``;``; a line of Python starts a
    block or a statement, or assigns. Prose has neither strings nor comments, so its apostrophes open nothing.
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
    """The lexical state after each of N characters, and whether it is certain.

    An opening delimiter counts as inside once it is complete (the first ``/`` of ``//`` is still code), a closing
    one as outside once it is complete. A string is closed by its own delimiter, unless escaped by a backslash,
    or by the end of its line unless it is triple-quoted.

    Uncertain: a string closed by the end of its line; one of three quotes or a block comment whose end is missing, or
    whose beginning is, since the one before; after such quotes, what follows up to the next that stand where they
    should, or to a definition at the margin; and the second of two quotes in Python, which may become a triple quote.

    Returns
    states : ndarray of shape (N,), uint8, one of CODE, STRING, LINE_COMMENT, BLOCK_COMMENT
    certain : ndarray of shape (N,), bool
    """
    language = language or guess_language(text)
    states, certain = np.full(len(text), CODE, np.uint8), np.ones(len(text), bool)
    # what is masked if a mark is missing begins at `last`: the same quotes open and close, so they may be what is wrong
    last, doubtful = 0, -1  # doubtful : where doubt begins, or -1
    for token in _TOKEN[language].finditer(text) if language != "prose" else ():
        begin, end = token.span()
        if token["stray"]:
            certain[last:end] = False
            last = end
            doubtful = end if language == "python" else -1
            continue
        first, state = _state_of(token[0])
        states[begin + first : end] = state
        if state == LINE_COMMENT:
            continue
        if token["closed"]:
            states[end - 1] = CODE
        else:
            certain[begin:end] = False
        if token["triple"]:
            if doubtful >= 0:
                certain[doubtful : _end_of_doubt(text, doubtful, begin)] = False
            whole = bool(token["closed"]) or end == len(text)
            if not whole and language == "python":  # perhaps the end of one that began before
                certain[last:begin] = False
            doubtful = end if language == "python" and not whole else -1
            last = begin if language == "python" else end
        if language == "python" and token[0][1:2] == token[0][0]:
            states[begin + 1], certain[begin + 1] = CODE, False
    if doubtful >= 0:
        certain[doubtful : _end_of_doubt(text, doubtful, len(text))] = False
    return states, certain


def _end_of_doubt(text: str, start: int, stop: int) -> int:
    margin = _MARGIN.search(text, start, stop)
    return margin.start() if margin else stop


def _state_of(token: str) -> tuple[int, int]:
    """At which character of a string or comment its inside begins, and the state there."""
    if token[0] in "\"'":
        return 0, STRING
    if token[0] == "#":
        return 0, LINE_COMMENT
    return 1, LINE_COMMENT if token[1] == "/" else BLOCK_COMMENT
