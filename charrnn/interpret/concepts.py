"""The built-in concepts: each a rule that labels any text in one pass.

Every rule reads the text once from left to right. An opening character already counts as inside, a closing one
as outside. A blank line contains only white space; it ends a paragraph.
"""

import re
from collections.abc import Callable

import numpy as np

from charrnn.interpret.labels import Concept, Marked, as_one, runs
from charrnn.interpret.reading import END
from charrnn.interpret.scanner import BLOCK_COMMENT, CODE, LINE_COMMENT, STRING, guess_language, scan

DEEPEST = 8  # deeper nesting counts as this depth
SEARCHED = 64  # open brackets among which a closer finds its own
_OPEN, _CLOSE, _TOGGLE = 1, 2, 3

# Words that begin with an apostrophe, and words that end in a full stop which ends no sentence.
_ELIDED = re.compile(
    r"(tis|twas|twere|twill|twould|em|til|till|cause|cos|bout|round|n|neath|gainst|ere|un|im|er|\d\w*)\b",
    re.I,
)
_ABBREVIATED = re.compile(
    r"(mr|mrs|ms|dr|st|jr|sr|prof|rev|gen|col|capt|lt|sgt|vs|etc|no|fig|vol|cf|inc|ltd|[^\W\d_])", re.I
)


def ends_paragraph(text: str) -> np.ndarray:
    """Whether ``text[t]`` is the newline of a blank line, for each of N characters."""
    blank = np.zeros(len(text), bool)
    start = 0
    while (end := text.find("\n", start)) >= 0:
        line = text[start:end]
        blank[end] = not line or line.isspace()
        start = end + 1
    return blank


def _context(text: str, t: int) -> int:
    """What a straight quotation mark is by its neighbours: it opens, closes, or might do either."""
    before, after = text[t - 1 : t], text[t + 1 : t + 2]
    has_next = after != "" and not after.isspace()
    if not before or before.isspace() or before in "([{":
        return _OPEN if has_next else _TOGGLE
    return _CLOSE if not after.isalnum() and before not in "—–-" else _TOGGLE


def _paired(text: str, marks: dict[str, int], lone_closers: bool = False) -> Marked:
    """Inside and outside, by characters that open, close or toggle; a blank line forces outside.

    A span that is not closed within its paragraph is masked. A mark that opens inside, or closes outside, shows that
    one is missing or too many: it decides, and what lies between the mark before and itself is masked; after a
    straight mark also what follows, up to the next that stands where it should.

    lone_closers : whether a closing mark outside means nothing
    """
    inside, sure = bytearray(len(text)), bytearray(b"\1" * len(text))
    blank = ends_paragraph(text)
    opened = -1  # start of the open span; -1 outside
    last, doubt = 0, False  # last : the mark before, or the beginning of the paragraph
    for t, ch in enumerate(text):
        if ch == "\n" and blank[t]:
            if opened >= 0:
                sure[opened:t] = bytes(t - opened)
            opened, last, doubt = -1, t, False
        elif ch in marks:
            straight = marks[ch] == _TOGGLE
            says = _context(text, t) if straight else marks[ch]
            opens = opened < 0 if says == _TOGGLE else says == _OPEN
            if opens == (opened < 0):
                doubt &= says == _TOGGLE
            elif opens or not lone_closers:
                sure[last:t] = bytes(t - last)
                doubt = straight
            opened, last = t if opens else -1, t
        inside[t] = opened >= 0
        sure[t] = not doubt
    if opened >= 0:
        sure[opened:] = bytes(len(text) - opened)
    return np.frombuffer(inside, np.uint8), np.frombuffer(sure, np.uint8)


def quote(text: str) -> Marked:
    return _paired(text, {'"': _TOGGLE, "“": _OPEN, "”": _CLOSE})


def squote(text: str) -> Marked:
    n = len(text)
    inside, sure = bytearray(n), bytearray(b"\1" * n)
    blank = ends_paragraph(text)
    opened, doubt = -1, False  # doubt: the last mark may have been an apostrophe, or one is missing
    last = 0  # the mark before, or the beginning of the paragraph
    for t, ch in enumerate(text):
        if ch == "'":
            was_open, was_sure = opened >= 0, not doubt
            opened, doubt = _after_mark(text, t, opened, doubt)
            opens_inside = was_open and was_sure and opened == t
            closes_outside = not was_open and was_sure and opened < 0 and _ends_speech(text, t)
            if opens_inside or closes_outside:
                sure[last:t] = bytes(t - last)
            if opened == t or was_open != (opened >= 0):
                last = t
        elif blank[t]:
            if opened >= 0:
                sure[opened:t] = bytes(t - opened)
            opened, doubt, last = -1, False, t
        inside[t] = opened >= 0
        sure[t] = not doubt
    if opened >= 0:
        sure[opened:] = bytes(n - opened)
    return np.frombuffer(inside, np.uint8), np.frombuffer(sure, np.uint8)


def _ends_speech(text: str, t: int) -> bool:
    """Whether a ' follows a punctuation mark and no letter follows it: it is no apostrophe."""
    return text[t - 1 : t] in tuple(",.!?;:") and not text[t + 1 : t + 2].isalnum()


def _after_mark(text: str, t: int, opened: int, doubt: bool) -> tuple[int, bool]:
    """Where a single quotation is open since (-1: it is not) and whether that is in doubt, after the ' at ``t``."""
    before, after = text[t - 1 : t], text[t + 1 : t + 2]
    starts_word = after != "" and not after.isspace()
    may_open = starts_word and (not before or before.isspace() or before in '([{—-"“')
    may_close = before != "" and not before.isspace() and not after.isalnum()
    within = opened >= 0 or doubt
    if may_close and (within or not may_open):
        # the apostrophe of dogs' may end a quotation or mark a plural
        return -1, within and before in "sS" and not starts_word
    if may_open:
        elided = _ELIDED.match(text, t + 1, t + 9) is not None
        if opened >= 0 and not doubt:  # a mark is missing, unless this is an apostrophe
            return (opened, False) if elided else (t, True)
        return (opened if elided and opened >= 0 else t), elided
    return opened, doubt


def string(text: str) -> Marked:
    states, certain = scan(text)
    return states == STRING, certain


def comment(text: str) -> Marked:
    states, certain = scan(text)
    return states >= LINE_COMMENT, certain


def _comment_end(text: str) -> str:
    states, _ = scan(text)
    return "*" if np.sum(states == BLOCK_COMMENT) > np.sum(states == LINE_COMMENT) else "\n"


def line_pos(text: str) -> Marked:
    t = np.arange(len(text))
    newline = np.fromiter((ch == "\n" for ch in text), bool, len(text))
    last = np.maximum.accumulate(np.where(newline, t, -1))
    return t - last, np.ones(len(text), bool)


def item_pos(text: str) -> Marked:
    return np.arange(1, len(text) + 1), np.ones(len(text), bool)


def usual_line_end(text: str) -> float:
    """The 90th percentile of the lengths of complete lines that are not empty, in characters; or inf."""
    lengths = [len(line) for line in text.split("\n")[:-1] if line]
    return float(np.percentile(lengths, 90)) if lengths else float("inf")


def near_eol(text: str) -> Marked:
    position, sure = line_pos(text)
    return position >= usual_line_end(text), sure


def _nesting(openers: str, closers: str) -> Callable[[str], Marked]:
    """Opened minus closed, outside strings and comments, at least 0 and at most DEEPEST.

    One bracket that is missing must not shift the rest of the text. A closer ends what it fits: the innermost bracket
    of its kind, and where it begins a line of code, the innermost on a line with the same indentation. What
    was opened inside of that was never closed, and is masked, as is the stretch before a closer that fits nothing. A
    paragraph closes everything in prose; in code one that begins at the margin closes all but the braces of C.
    """
    partner = dict(zip(closers, openers, strict=True))

    def mark(text: str) -> Marked:
        n = len(text)
        language = guess_language(text)
        states, certain = scan(text, language)
        in_code = (states == CODE).tobytes()
        depths, sure = bytearray(n), bytearray(certain.tobytes())
        paragraphs = ends_paragraph(text)
        opened: list[tuple[int, int]] = []  # place and indentation of each bracket that is open
        width, begun = 0, False  # indentation of the line, and whether it has more than that
        last = 0  # the bracket before
        for t, ch in enumerate(text):
            if in_code[t]:
                if ch in openers:
                    opened.append((t, width))
                    last = t
                elif ch in closers:
                    k = _fitting(text, opened, partner[ch], -1 if begun or language == "prose" else width)
                    since = last if k < 0 else opened[k + 1][0] if k + 1 < len(opened) else t
                    sure[since:t] = bytes(t - since)
                    if k >= 0:
                        del opened[k:]
                    last = t
                elif ch == "\n" and paragraphs[t]:
                    k = _left_open(text, t, opened, language)
                    if k < len(opened):
                        sure[opened[k][0] : t] = bytes(t - opened[k][0])
                        del opened[k:]
                    last = t
            if ch == "\n":
                width, begun = 0, False
            elif not begun:
                begun = not ch.isspace()
                width += not begun
            depths[t] = min(len(opened), DEEPEST)
        if language == "prose" and opened:
            sure[opened[0][0] :] = bytes(n - opened[0][0])
        return np.frombuffer(depths, np.uint8), np.frombuffer(sure, np.uint8)

    return mark


def _fitting(text: str, opened: list[tuple[int, int]], opener: str, width: int) -> int:
    """Which open bracket a closer ends; -1 for none. width : indentation of a closer that begins its line, or -1."""
    innermost = -1
    for k in range(len(opened) - 1, max(-1, len(opened) - 1 - SEARCHED), -1):
        if text[opened[k][0]] == opener:
            if width < 0 or opened[k][1] == width:
                return k
            innermost = max(innermost, k)
    return innermost


def _left_open(text: str, t: int, opened: list[tuple[int, int]], language: str) -> int:
    """The first of the open brackets that the blank line at ``t`` closes; their number for none."""
    if language == "prose":
        return 0
    after = text[t + 1 : t + 2]
    if not opened or not after or after.isspace() or after in ")]}":
        return len(opened)
    stays = "{" if language == "c" else ""
    return next((k for k, (place, _) in enumerate(opened) if text[place] not in stays), len(opened))


def indent(text: str) -> Marked:
    widths, sure = np.zeros(len(text), np.int32), bytearray(len(text))
    width, begun = 0, False
    for t, ch in enumerate(text):
        if ch == "\n":
            width, begun = 0, False
        elif not begun:
            if ch == "\t":
                width += 8 - width % 8
            elif ch.isspace():
                width += 1
            else:
                begun = True
        widths[t] = width
        sure[t] = begun
    return widths, np.frombuffer(sure, np.uint8)


def word_pos(text: str) -> Marked:
    positions, sure = np.zeros(len(text), np.int32), bytearray(b"\1" * len(text))
    position = 0
    for t, ch in enumerate(text):
        if ch.isalpha():
            position += 1
        elif ch in "'’" and position:
            position += 1  # don't is one word, but dogs' may have ended
            sure[t] = 0
        else:
            position = 0
        positions[t] = position
    return positions, np.frombuffer(sure, np.uint8)


def caps_line(text: str) -> Marked:
    inside = bytearray(len(text))
    upper = lower = False
    for t, ch in enumerate(text):
        if ch == "\n":
            upper = lower = False
        else:
            upper, lower = upper or ch.isupper(), lower or ch.islower()
        inside[t] = upper and not lower
    return np.frombuffer(inside, np.uint8), np.ones(len(text), bool)


_URL = re.compile(r"(?<![^\W_])(https?://|www\.)\S*")


def url(text: str) -> Marked:
    inside = np.zeros(len(text), bool)
    for match in _URL.finditer(text):
        inside[match.end(1) - 1 : match.end()] = True
    return inside, np.ones(len(text), bool)


def tag(text: str) -> Marked:
    inside, sure = _paired(text, {"<": _OPEN, ">": _CLOSE}, lone_closers=True)
    sure = sure.copy()
    opened = np.cumsum([ch == "<" for ch in text])  # in "a <<b>" the second < opens a tag, the first does not
    starts, lengths = runs(inside, opened)
    for start, length in zip(starts, lengths, strict=True):
        after = text[start + 1 : start + 2]
        if inside[start] and not (after.isalpha() or after in {"/", "!", "?"}):
            sure[start : start + length] = 0  # a < b opens no tag
    return inside, sure


def sent_pos(text: str) -> Marked:
    positions, sure = np.zeros(len(text), np.int32), bytearray(len(text))
    blank = ends_paragraph(text)
    position, word = 0, 0  # word: start of the current run of letters
    marked = known = resting = doubtful = False
    for t, ch in enumerate(text):
        if ch.isspace():
            paragraph = ch == "\n" and blank[t]
            if marked or paragraph:
                position, resting, known = 0, True, bool(paragraph or not doubtful)
            elif not resting:
                position += 1
            marked, word = False, t + 1
        else:
            if resting and ch.islower():
                known = False  # in "What?" he said, no sentence ends at the question mark
            resting = False
            position += 1
            if ch in ".!?…":
                short = ch == "." and _ABBREVIATED.fullmatch(text, word, t)
                doubtful = bool(short) or ch == "…" or text[t - 1 : t] == "."
                marked = True
            elif ch not in "\"'”’)]":
                marked = False
            if not ch.isalpha():
                word = t + 1
        positions[t] = position
        sure[t] = known
    return positions, np.frombuffer(sure, np.uint8)


def telegraph(text: str, seed: int = 0) -> Marked:
    """Random on and off, with the run lengths of ``quote`` in this text: a control that no cell can know."""
    inside, _ = quote(text)
    starts, lengths = runs(inside)
    on, off = lengths[inside[starts] == 1], lengths[inside[starts] == 0]
    rng = np.random.default_rng(seed)
    if len(on) == 0 or len(off) == 0:  # no quotations to imitate
        on, off = rng.geometric(1 / 60, 1000), rng.geometric(1 / 120, 1000)
    starts_on = bool(rng.integers(2))
    turns = (on, off) if starts_on else (off, on)
    drawn = np.zeros(0, int)
    while drawn.sum() < len(text):
        pairs = int(len(text) / (on.mean() + off.mean())) + 16
        drawn = np.append(drawn, np.stack([rng.choice(turn, pairs) for turn in turns], axis=1))
    values = np.repeat((np.arange(len(drawn)) % 2 == 0) == starts_on, drawn)[: len(text)]
    return values, np.ones(len(text), bool)


def _character(is_in_class: Callable[[str], bool]) -> Callable[[str], Marked]:
    """The class of the current character."""

    def mark(text: str) -> Marked:
        return np.fromiter(map(is_in_class, text), bool, len(text)), np.ones(len(text), bool)

    return mark


def _capitals(text: str) -> str:
    return "".join(sorted(filter(str.isupper, set(text))))


def _is_digit(ch: str) -> bool:
    return ch in "0123456789"


BUILT_IN: dict[str, Concept] = {
    c.name: c
    for c in (
        Concept("quote", "bool", 'inside "…" or “…”, within a paragraph', quote, '"”'),
        Concept(
            "squote",
            "bool",
            "inside '…', apostrophes apart; looks one word ahead",
            squote,
            "'",
            predictive=True,
        ),
        Concept("string", "bool", "inside a string of C-like or Python code", string, "\"'"),
        Concept("comment", "bool", "inside //…, /*…*/ or #… of C-like or Python code", comment, _comment_end),
        Concept("line_pos", "count", "characters since the last newline", line_pos, "\n"),
        Concept("near_eol", "bool", "in the last tenth of usual line lengths, or beyond", near_eol, "\n"),
        Concept("paren", "count", "( opened minus ) closed, 0 to 8, in code", _nesting("(", ")"), ")"),
        Concept("bracket", "count", "[ opened minus ] closed, 0 to 8, in code", _nesting("[", "]"), "]"),
        Concept("brace", "count", "{ opened minus } closed, 0 to 8, in code", _nesting("{", "}"), "}"),
        Concept(
            "depth", "count", "([{ opened minus )]} closed, 0 to 8, in code", _nesting("([{", ")]}"), ")]}"
        ),
        Concept(
            "indent", "count", "width of the white space that begins the line", indent, " \t", after="\n"
        ),
        Concept(
            "item_pos",
            "count",
            "characters since the item began, in texts of items",
            item_pos,
            END,
            of_items=True,
        ),
        Concept("word_pos", "count", "index within a word, 1 at its first letter", word_pos, " "),
        Concept("number", "bool", "inside digits", _character(_is_digit), "0123456789"),
        Concept("caps_run", "bool", "inside capitals", _character(str.isupper), _capitals),
        Concept(
            "caps_line",
            "bool",
            "a line all in capitals so far",
            caps_line,
            lambda text: ":" + _capitals(text),
        ),
        Concept("url", "bool", "from http(s):// or www. to white space", url, " ", direction=-1),
        Concept("tag", "bool", "from < to >, within a paragraph", tag, ">"),
        Concept("sent_pos", "count", "characters since a sentence ended", sent_pos, _capitals, direction=-1),
        Concept(
            "space", "bool", "the current character is white space", _character(str.isspace), control=True
        ),
        Concept(
            "vowel",
            "bool",
            "the current character is a vowel",
            _character("aeiouAEIOU".__contains__),
            control=True,
        ),
        Concept(
            "punctuation",
            "bool",
            "the current character is neither letter, digit nor white space",
            _character(lambda ch: not ch.isalnum() and not ch.isspace()),
            control=True,
        ),
        Concept(
            "telegraph",
            "bool",
            "random on and off, as long as quotations",
            telegraph,
            control=True,
            together=as_one(telegraph),
        ),
    )
}
