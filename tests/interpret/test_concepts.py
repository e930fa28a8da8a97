"""Every concept against an oracle that rereads the text from its beginning for each character."""

import re
import textwrap
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.interpret.concepts import BUILT_IN, quote, telegraph
from charrnn.interpret.labels import examples, runs
from charrnn.interpret.scanner import BLOCK_COMMENT, CODE, LINE_COMMENT, STRING, guess_language, scan

PROSE = (
    '"No," she said. "Nor five (I slept)." He didn\'t.\n\n"An open one that Mr. Oxley\nnever closed [see (1)]'
    ".\n  \nROMEO:\n'Tis he. 'Good day,' said the dogs' master, 'and—' “curly “twice” done.”\n"
    "\tSee http://a.b/c?d or www.x.y soon... yes! It cost 1,250 (no :( joke.\n\nA <b>bold</b> 2 < 3 tag"
    " <i\nopen.\n\nWHO? 'I said \"no\".' The end."
)
C = textwrap.dedent(
    r"""
    #include <stdio.h>
    /* a "block" of (text) */ int f(char *s) { // it's [odd]
        char c = '\''; char *q = "a \" b (";
        if (s[0] == '{') { return g((x), y[1]); } /*/ still */
    \t  puts("open at the line's end
        x = 1; // goes on \
        here }
    }
    /* never closed { (
    """
)
PYTHON = textwrap.dedent(
    '''
    def f(a, b=[1, (2)]):
        """Doc 'string' with "quotes" and # no comment."""
        x = {'k': "it's", "": ''}  # a comment (with "marks")
    \tif a // b > 'open:
            return r"\\" + 'a\\'b'
    s = \'\'\'never "closed
    '''
)
NESTED = "([{([{([{ x }])}])}]) ((((((((((a)))))))))) ))) ((\n" * 2
TEXTS = [PROSE, C, PYTHON, NESTED, "", "\n", "'", '"', "a\r\n\r\nb'", "\\", "'\\", "/*/", "\n\n \n(\n\n)"]

ODD = st.text(alphabet="ab Zs\n\n\"\"'''“”<>/*#\\()[]{}.:!1\t—", max_size=60)


# --- oracles: value(text, t) rereads text[:t+1]; sure(text, values) may read everything


def paragraph(prefix: str) -> str:
    """What follows the last blank line of the prefix."""
    lines = prefix.split("\n")
    blanks = [i for i, line in enumerate(lines[:-1]) if line.strip() == ""]
    return "\n".join(lines[blanks[-1] + 1 :]) if blanks else prefix


def same_paragraph(text: str, t: int, u: int) -> bool:
    """No blank line ends in text[t+1..u]."""
    return not any(text[k] == "\n" and text[:k].split("\n")[-1].strip() == "" for k in range(t + 1, u + 1))


def mark_says(text, t, openers, closers):
    """open, close or either, for the mark at t: by itself, or a straight one by its neighbours."""
    if text[t] in openers:
        return "open"
    if text[t] in closers:
        return "close"
    if re.search(r"(?:^|[\s(\[{])\Z", text[:t]):
        return "open" if re.match(r"\S", text[t + 1 :]) else "either"
    return "either" if re.search("[—–-]\\Z", text[:t]) or text[t + 1 : t + 2].isalnum() else "close"


def paragraphs(text):
    """(start, stop) of each, after the newline of a blank line."""
    ends = [t for t in range(len(text)) if text[t] == "\n" and not text[:t].split("\n")[-1].strip()]
    return [(a, b) for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


def folded(text, openers, closers, toggles, lone_closers=False):
    """Values and which are sure: the marks of each paragraph are folded one after the other."""
    values, sure = [False] * len(text), [True] * len(text)
    for start, stop in paragraphs(text):
        state, doubt, last = False, False, start
        marks = [t for t in range(start, stop) if text[t] in openers + closers + toggles]
        for t, after in zip(marks, [*marks[1:], stop], strict=False):
            says = mark_says(text, t, openers, closers)
            before, state = state, (not state if says == "either" else says == "open")
            if before != state:
                doubt = doubt and says == "either"
            elif state or not lone_closers:
                sure[last:t] = [False] * (t - last)
                doubt = text[t] in toggles
            values[t:after] = [state] * (after - t)
            if doubt or (state and after == stop):
                sure[t:after] = [False] * (after - t)
            last = t
    return values, sure


def always(text, values):
    return [True] * len(text)


def line(text, t):
    return text[: t + 1].split("\n")[-1]


def near_eol(text, t):
    lengths = [len(x) for x in re.findall(r"[^\n]+(?=\n)", text)]
    return bool(lengths) and len(line(text, t)) >= np.percentile(lengths, 90)


def indent(text, t):
    width = 0
    for ch in re.match(r"\s*", line(text, t))[0]:
        width = (width // 8 + 1) * 8 if ch == "\t" else width + 1
    return width


def word_pos(text, t):
    start = t + 1
    while start > 0 and (text[start - 1].isalpha() or text[start - 1] in "'’"):
        start -= 1
    return len(text[start : t + 1].lstrip("'’"))


def caps_line(text, t):
    so_far = line(text, t)
    return so_far.upper() == so_far and so_far.lower() != so_far


def url(text, t):
    token = re.split(r"\s", text[: t + 1])[-1]
    return re.search(r"(?:^|[\W_])(?:https?://|www\.)", token) is not None


def quote_oracle(text):
    return folded(text, "“", "”", '"')


def tag_oracle(text):
    values, sure = folded(text, "<", ">", "", lone_closers=True)
    for t in range(len(text)):
        if values[t]:
            start = max(u for u in range(t + 1) if text[u] == "<")
            sure[t] = sure[t] and re.match(r"<(?:[^\W\d_]|[/!?])", text[start:]) is not None
    return values, sure


@pytest.mark.parametrize("text", [PROSE, C, PYTHON, NESTED])
@pytest.mark.parametrize(("name", "oracle"), [("quote", quote_oracle), ("tag", tag_oracle)])
def test_paired_marks_equal_the_oracle(name, oracle, text):
    check_pairs(name, oracle, text)


@settings(max_examples=60, deadline=None)
@given(text=ODD)
@example(text="<<Z>")
@pytest.mark.parametrize(("name", "oracle"), [("quote", quote_oracle), ("tag", tag_oracle)])
def test_paired_marks_equal_the_oracle_on_odd_text(name, oracle, text):
    check_pairs(name, oracle, text)


def check_pairs(name, oracle, text):
    label = BUILT_IN[name].label(text)
    values, sure = oracle(text)
    np.testing.assert_array_equal(label.values, np.array(values, bool), err_msg=repr(text))
    np.testing.assert_array_equal(label.mask, np.array(sure, bool), err_msg=repr(text))


ORACLES = {
    "line_pos": (lambda text, t: len(line(text, t)), always),
    "near_eol": (near_eol, always),
    "indent": (indent, lambda text, _: [line(text, t).strip() != "" for t in range(len(text))]),
    "word_pos": (
        word_pos,
        lambda text, _: [not (ch in "'’" and word_pos(text, t)) for t, ch in enumerate(text)],
    ),
    "number": (lambda text, t: re.match("[0-9]", text[t]) is not None, always),
    "caps_run": (lambda text, t: text[t] != text[t].lower() and text[t].isupper(), always),
    "caps_line": (caps_line, always),
    "url": (url, always),
    "space": (lambda text, t: text[t].strip() == "", always),
    "vowel": (lambda text, t: text[t].lower() in set("aeiou") and text[t].isascii(), always),
    "punctuation": (lambda text, t: re.match(r"[^\w\s]|_", text[t]) is not None, always),
}


def check(name, text):
    value, sure = ORACLES[name]
    label = BUILT_IN[name].label(text)
    values = [value(text, t) for t in range(len(text))]
    np.testing.assert_array_equal(label.values, np.array(values, label.values.dtype), err_msg=repr(text))
    np.testing.assert_array_equal(label.mask, np.array(sure(text, values), bool), err_msg=repr(text))


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("text", TEXTS)
def test_equals_the_oracle(name, text):
    check(name, text)


@settings(max_examples=20, deadline=None)
@given(text=ODD)
@pytest.mark.parametrize("name", ORACLES)
def test_equals_the_oracle_on_odd_text(name, text):
    check(name, text)


# --- strings and comments: a regular expression of whole tokens, matched on each prefix, is the second road

ESCAPED = r"\\(?:[\s\S]|\Z)"
C_TOKEN = rf"""(?P<stray>\*/)|(?P<string>"(?:{ESCAPED}|[^"\\\n])*(?P<end>")?|'(?:{ESCAPED}|[^'\\\n])*(?P<end2>')?)
    |(?P<line>//(?:\\\n|[^\n])*)|(?P<block>/\*(?:(?!\*/|/\*)[\s\S])*(?P<end3>\*/)?)|[\s\S]"""
DEF = r"\n[ \t]*(?:async[ ])?(?:def|class)[ ]\w+[ (:]"
PYTHON_TOKEN = rf"""(?P<stray>(?<=[^\s(\[{{=,:+%rRbBuUfF])(?:\"\"\"|\'\'\'))
    |(?P<string>(?P<block>\"\"\"(?:{ESCAPED}|(?!\"\"\"|{DEF})[^\\])*(?P<end>\"\"\")?
    |\'\'\'(?:{ESCAPED}|(?!\'\'\'|{DEF})[^\\])*(?P<end2>\'\'\')?)
    |"(?!"")(?:{ESCAPED}|[^"\\\n])*(?P<end3>")?|'(?!\'\')(?:{ESCAPED}|[^'\\\n])*(?P<end4>')?)
    |(?P<line>\#[^\n]*)|[\s\S]"""
TOKENS = {"c": re.compile(C_TOKEN, re.X), "python": re.compile(PYTHON_TOKEN, re.X)}


def ended(groups):
    return any(groups.get(end) for end in ("end", "end2", "end3", "end4"))


def last_state(prefix, language):
    state = CODE
    for token in TOKENS[language].finditer(prefix):
        groups = token.groupdict()
        if groups["line"]:
            state = LINE_COMMENT
        elif (groups["string"] or groups["block"]) and not ended(groups):
            state = STRING if groups["string"] else BLOCK_COMMENT
        else:
            state = CODE
    return state


def doubtful(text, language):
    places, last, since = set(), 0, None  # since: an end of three quotes was missing, or a beginning
    for token in TOKENS[language].finditer(text):
        groups = token.groupdict()
        begin, end = token.span()
        missing = (groups["string"] or groups["block"]) and not ended(groups)
        if missing:
            places.update(range(begin, end))
        if language == "python" and groups["string"] and re.match(r"\"\"|''", token[0]):
            places.add(begin + 1)
        if groups["stray"] or groups["block"]:
            if since is not None and not groups["stray"]:
                places.update(until_margin(text, since, begin))
                since = None
            if groups["stray"] or (missing and language == "python" and end < len(text)):
                places.update(range(last, end))
                since = end if language == "python" else None
            last = begin if language == "python" and not groups["stray"] else end
    if since is not None:
        places.update(until_margin(text, since, len(text)))
    return places


def until_margin(text, start, stop):
    sure = re.compile(r"^(?:async def|def|class|import|from|@) ?\w", re.M).search(text, start, stop)
    return range(start, sure.start() if sure else stop)


def check_scan(text, language):
    states, certain = scan(text, language)
    expected = [last_state(text[: t + 1], language) for t in range(len(text))]
    unsure = doubtful(text, language)
    known = [t for t in range(len(text)) if t not in unsure]
    np.testing.assert_array_equal(states[known], np.array(expected, np.uint8)[known], err_msg=repr(text))
    np.testing.assert_array_equal(certain, [t not in unsure for t in range(len(text))], err_msg=repr(text))


@pytest.mark.parametrize("language", ["c", "python"])
@pytest.mark.parametrize("text", TEXTS)
def test_scanner_equals_the_token_grammar(language, text):
    check_scan(text, language)


@settings(max_examples=150, deadline=None)
@given(text=ODD)
@pytest.mark.parametrize("language", ["c", "python"])
def test_scanner_equals_the_token_grammar_on_odd_text(language, text):
    check_scan(text, language)


CODE_IN_C = "int f(int a) {\n  /* one */\n  g(a[0]);\n}\n\n" * 4
CODE_IN_PYTHON = 'def f(a):\n    """One\n\n    two."""\n    g(a[0])\n\n' * 4


@pytest.mark.parametrize(
    ("name", "text", "stray", "place"),
    [
        ("comment", CODE_IN_C, "/* ", 44),
        ("comment", CODE_IN_C, " */", 44),
        ("string", CODE_IN_PYTHON, '\n"""\n', 57),
        ("brace", CODE_IN_C, "{ ", 17),
        ("brace", CODE_IN_C, "} ", 17),
        ("paren", CODE_IN_C, "( ", 31),
        ("bracket", CODE_IN_C, "] ", 31),
        ("depth", CODE_IN_C, "( ", 31),
        ("depth", CODE_IN_PYTHON, ") ", 34),
    ],
)
def test_one_stray_mark_costs_a_stretch(name, text, stray, place):
    """Where it is sure, the label is that of the text without it; some of the text is masked, most is not."""
    right = BUILT_IN[name].label(text)
    found = BUILT_IN[name].label(text[:place] + stray + text[place:])
    values = np.delete(found.values, np.s_[place : place + len(stray)])
    sure = np.delete(found.mask, np.s_[place : place + len(stray)])
    assert 0.5 < sure.mean() < 1
    both = sure & right.mask
    np.testing.assert_array_equal(values[both], right.values[both])


@pytest.mark.parametrize(
    ("name", "beginning"),
    [("quote", 'was said" and '), ("squote", "was said,' and "), ("comment", "one */\n")],
)
def test_a_text_may_begin_inside(name, beginning):
    text = {"comment": CODE_IN_C}.get(name, "one 'two,' three \"four\" five " * 9)
    right, found = BUILT_IN[name].label(text), BUILT_IN[name].label(beginning + text)
    sure = found.mask[len(beginning) :]
    assert not found.mask[: len(beginning) - 6].any()
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(found.values[len(beginning) :][sure], right.values[sure])


@pytest.mark.parametrize(
    ("text", "language"), [(PROSE, "prose"), (C, "c"), (PYTHON, "python"), ("", "prose")]
)
def test_language_is_recognised(text, language):
    assert guess_language(text) == language


def test_strings_and_comments_of_real_code():
    label, comment = BUILT_IN["string"].label(PYTHON), BUILT_IN["comment"].label(PYTHON)
    assert (
        "".join(ch for ch, on in zip(PYTHON, comment.values, strict=True) if on)
        == '# a comment (with "marks")'
    )
    assert label.target == "\"'"
    assert comment.target == "\n"
    assert BUILT_IN["comment"].label(C).target == "*"


def depths(text, openers, closers):
    """Opened minus closed, of brackets that fit; of prose within each paragraph."""
    states, _ = scan(text)
    values, depth = [], 0
    for t, ch in enumerate(text):
        if ch == "\n" and not text[:t].split("\n")[-1].strip() and guess_language(text) == "prose":
            depth = 0
        elif states[t] == CODE and ch in openers + closers:
            depth += 1 if ch in openers else -1
        values.append(min(depth, 8))
    return values


# Without blank lines, and without indentation that contradicts the nesting.
BALANCED = st.recursive(
    st.text(alphabet="ab \n", max_size=6),
    lambda inner: st.tuples(st.sampled_from(["()", "[]", "{}"]), st.lists(inner, max_size=4)).map(
        lambda made: made[0][0] + "".join(made[1]) + made[0][1]
    ),
    max_leaves=12,
).map(lambda text: re.sub(r"\n\s+", "\n", text))


@pytest.mark.parametrize(
    ("name", "pair"), [("paren", "()"), ("bracket", "[]"), ("brace", "{}"), ("depth", ("([{", ")]}"))]
)
@settings(max_examples=40, deadline=None)
@given(text=BALANCED)
def test_nesting_that_fits_is_counted(name, pair, text):
    label = BUILT_IN[name].label(text)
    np.testing.assert_array_equal(label.values, depths(text, *pair), err_msg=repr(text))
    assert label.mask.all()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("paren", ":( sad ((x) y\n\n(ok)", "0?????????????01110"),
        ("paren", "a) b (c)", "?0000110"),
        ("paren", "((((((((((a))))))))))", "123456788888876543210"),
        ("depth", "(a [b) c", "111??000"),
        ("depth", "{\n  ( [\n}\nx", "1111????000"),
        ("bracket", "x [y", "00??"),
    ],
)
def test_nesting_drawn_by_hand(name, text, expected):
    label = BUILT_IN[name].label(text)
    drawn = "".join("?" if not m else str(v) for v, m in zip(label.values, label.mask, strict=True))
    assert drawn == expected, drawn


# --- single quotes: each mark is classified first, then the paragraph's marks are folded


ELIDED = {"tis", "twas", "em", "til", "cause", "n", "round"}


def mark_kind(text, t):
    before, after = text[:t][-1:], text[t + 1 :][:1]
    if before.isalnum() and after.isalnum():
        return "apostrophe"
    opens = (not before or before.isspace() or before in '([{—-"“') and bool(after.strip())
    closes = bool(before.strip()) and not after.isalnum()
    word = re.match(r"\w*", text[t + 1 :])[0].lower()
    if opens and closes:
        return "either"
    if opens:
        return "maybe open" if word in ELIDED or word[:1].isdigit() else "open"
    if closes:
        return "maybe close" if before in "sS" and not after.strip() else "close"
    return "apostrophe"


def squote_states(text):
    """(inside, in doubt) after each character, and the stretches before a mark that shows that one is missing."""
    states, inside, doubt = [], False, False
    last, missing = 0, set()
    for t, ch in enumerate(text):
        before = inside
        if ch == "\n" and text[:t].split("\n")[-1].strip() == "":
            inside = doubt = False
            last = t
        elif ch == "'":
            kind = mark_kind(text, t)
            if kind == "either":
                kind = "close" if inside or doubt else "open"
            if kind == "open" and inside and not doubt:
                missing.update(range(last, t))
                doubt, last = True, t
            elif kind == "open":
                inside, doubt, last = True, False, t
            elif kind == "maybe open" and (not inside or doubt):
                last = last if inside else t
                inside, doubt = True, True
            elif kind == "close":
                if not inside and not doubt and re.search(r"[,.!?;:]\Z", text[:t]):
                    missing.update(range(last, t))
                inside, doubt = False, False
            elif kind == "maybe close" and (inside or doubt):
                inside, doubt = False, True
            if before and not inside:
                last = t
        states.append((inside, doubt))
    return states, missing


def check_squote(text):
    label = BUILT_IN["squote"].label(text)
    states, missing = squote_states(text)
    values, doubts = [inside for inside, _ in states], [doubt for _, doubt in states]
    sure = [not doubt and t not in missing for t, doubt in enumerate(doubts)]
    for t in range(len(text)):  # where a paragraph ends inside, its last stretch inside is unsure
        if values[t] and (t + 1 == len(text) or not same_paragraph(text, t, t + 1)):
            u = t
            while u >= 0 and values[u]:
                sure[u] = False
                u -= 1
    np.testing.assert_array_equal(label.values, np.array(values, bool), err_msg=repr(text))
    np.testing.assert_array_equal(label.mask, np.array(sure, bool), err_msg=repr(text))


@pytest.mark.parametrize("text", TEXTS)
def test_squote_equals_the_oracle(text):
    check_squote(text)


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=["'", "'", "'", "a", "s", " ", "\n", ".", "—", "9"], max_size=40))
def test_squote_equals_the_oracle_on_odd_text(text):
    check_squote(text)


def drawn(name, text):
    """# inside, . outside, ? masked."""
    label = BUILT_IN[name].label(text)
    return "".join("?" if not m else "#" if v else "." for v, m in zip(label.values, label.mask, strict=True))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("squote", "a 'b c' d", "..####..."),
        ("squote", "don't 'go.' x", "......####..."),
        ("squote", "('a,' b)", ".###...."),
        ("squote", "'tis so. 'Go,' x", "?????????####..."),
        ("squote", "the dogs' ears 'a.' b", "...............###..."),
        ("squote", "'the dogs' ears,' b", "#########???????..."),
        ("squote", "'open\n\n'a.' b", "??????.###..."),
        ("squote", "'90s 'a.' b", "?????###..."),
        ("squote", "x 'a", "..??"),
        ("squote", "'a 'b c,' d", "????????..."),
        ("quote", '"a" "b', "##..??"),
        ("quote", '“a" ”b', "##??.."),
        ("quote", 'a "b\n\nc" d', "..????????"),
        ("quote", 'a "b" c "d e "f" g "h" i', "..##....???????....##..."),
        ("quote", 'a 5" pipe "b" c', "??????????##..."),
        ("tag", "a <b>c</b> 2 < 3 > <x", "..##..###....????..??"),
        ("url", "x http://a.b c www.d awww.e", "........####......##......."),
        ("caps_line", "KING: Go\nA b", "#######..##."),
    ],
)
def test_spans_drawn_by_hand(name, text, expected):
    assert drawn(name, text) == expected


# --- sentences


def sent_pos_oracle(text):
    values, sure = [], []
    for t in range(len(text)):
        prefix = text[: t + 1]
        ends = [(m.end() - 1, m[1]) for m in re.finditer(r"([.!?…])[\"'”’)\]]*\s", prefix)]
        ends += [
            (u, "\n") for u in range(t + 1) if text[u] == "\n" and text[:u].split("\n")[-1].strip() == ""
        ]
        if not ends:
            values.append(t + 1)
            sure.append(False)
            continue
        end, mark = max(ends, key=lambda pair: (pair[0], pair[1] == "\n"))
        rest = prefix[end + 1 :].lstrip()
        values.append(len(rest))
        doubtful = rest[:1].islower() or mark == "…"
        if mark in ".!?":
            sentence = re.sub(r"[\"'”’)\]]*\s\Z", "", text[: end + 1])[:-1]
            word = re.search(r"[a-zA-Z]*\Z", sentence)[0].lower()
            doubtful |= sentence.endswith(".") or (mark == "." and (word in {"mr", "etc"} or len(word) == 1))
        sure.append(not doubtful)
    return values, sure


def check_sentences(text):
    label = BUILT_IN["sent_pos"].label(text)
    values, sure = sent_pos_oracle(text)
    np.testing.assert_array_equal(label.values, np.array(values, np.int32), err_msg=repr(text))
    np.testing.assert_array_equal(label.mask, np.array(sure, bool), err_msg=repr(text))


@pytest.mark.parametrize(
    "text", [*TEXTS, 'Over. Mr. X went... and (etc.) so. No? "Yes!" he said.\nThen? A. B']
)
def test_sentences_equal_the_oracle(text):
    check_sentences(text)


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet="Ma r..!…\"'\n", max_size=40))
def test_sentences_equal_the_oracle_on_odd_text(text):
    check_sentences(text)


# --- all concepts


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=80))
@pytest.mark.parametrize("name", BUILT_IN)
def test_no_text_raises(name, text):
    label = BUILT_IN[name].label(text)
    assert label.values.shape == label.mask.shape == (len(text),)
    assert label.values.dtype == (bool if label.kind == "bool" else np.int32)
    assert label.values.min(initial=0) >= 0


@pytest.mark.parametrize("name", [n for n, c in BUILT_IN.items() if not c.predictive and n != "telegraph"])
@pytest.mark.parametrize("text", [PROSE, C, PYTHON])
def test_the_future_changes_no_value(name, text):
    whole = BUILT_IN[name].label(text).values
    for t in range(100, len(text) - 60, 37):
        # the whole text follows again: its language stays, and so do its line lengths but for one
        again = BUILT_IN[name].label(text[:t] + "\n" + text).values[:t]
        if name != "near_eol":
            np.testing.assert_array_equal(again, whole[:t])


def cpu_seconds(function, argument):
    start = time.process_time()
    function(argument)
    return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_time_is_linear(name):
    for piece in [
        "'",
        '"',
        "(",
        "<",
        "\n",
        " ",
        "\\",
        "/*",
        "a",
        "1 ",
        ".",
        "= ",
        "www.",
        "'\n",
        "(\n\n",
        " = ;",
    ]:
        short, long = (piece * (n // len(piece)) for n in (25_000, 200_000))
        # 8 times when linear, 64 when quadratic; a busy machine may slow one of the two, but not each time
        assert any(
            cpu_seconds(BUILT_IN[name].label, long) < 24 * cpu_seconds(BUILT_IN[name].label, short) + 0.1
            for _ in range(5)
        ), piece


def test_telegraph_has_the_run_lengths_of_quote_and_nothing_else():
    text = (PROSE[:60] + " ") * 400
    values, mask = telegraph(text, seed=3)
    truth, _ = quote(text)
    assert mask.all()
    for state in (0, 1):
        made, real = ((lengths[v[starts] == state]) for v in (values, truth) for starts, lengths in [runs(v)])
        assert set(made[:-1]) <= set(real)
    assert abs(np.corrcoef(values, truth)[0, 1]) < 0.3
    assert not np.array_equal(values, telegraph(text, seed=4)[0])


def test_only_controls_expect_nothing():
    for concept in BUILT_IN.values():
        assert (concept.label(PROSE + C).target == "") == concept.control


def test_examples_are_the_first_pieces_that_are_on():
    text = 'a "b c" d "e" f'
    assert examples(BUILT_IN["quote"].label(text), text) == ['"b c', '"e']
    assert examples(BUILT_IN["paren"].label("x (y) z"), "x (y) z", width=3) == ["(y)"]
