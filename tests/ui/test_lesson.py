"""The lesson on a terminal: it fits 80 by 24, works without colours and Unicode, and answers what one answers."""

import io
import math
import re
from itertools import pairwise

import pytest
from helpers.lesson import BY_NAME, TEXTS, computed
from rich.cells import cell_len
from rich.console import Console

from charrnn.learn.chapter import chapters, filled
from charrnn.learn.lesson_text import TWISTER
from charrnn.ui.lesson.pictures import PICTURES, Pen
from charrnn.ui.lesson.screens import Lesson, _number

COURSE = chapters()
READS = "colour", "plain", "ascii"


class Kept:
    """A chapter that computes once for all tests."""

    def __init__(self, chapter):
        self.__dict__.update(chapter.__dict__)
        self.compute = lambda text: computed(chapter.name, text)


def lesson(name, answers=None, *, width=80, kind="plain", about=TWISTER):
    """The text shown by a chapter, the lesson, and the prompts it put."""
    encoding = "ascii" if kind == "ascii" else "utf-8"
    buffer = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    colour = {"force_terminal": True, "color_system": "256"} if kind == "colour" else {"color_system": None}
    console = Console(file=buffer, width=width, height=24, highlight=False, **colour)
    prompts = []
    given = iter(answers or ())

    def ask(prompt):
        prompts.append(prompt)
        console.print(prompt, markup=False)  # where a reader's Enter ends the line
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    shown = Lesson(console, [Kept(BY_NAME[name])], about, None if answers is None else ask)
    try:
        shown.run(len(COURSE))
    except EOFError:
        shown.farewell()
    buffer.seek(0)
    return buffer.read(), shown, prompts


NAMES = [chapter.name for chapter in COURSE]
QUICK = ("one_hot", "one_step", "unrolling", "hello", "backwards", "streams")
SHOWN = [("twister", name) for name in NAMES] + [
    pytest.param(text, name, marks=[] if name in QUICK else [pytest.mark.slow])
    for text in TEXTS
    for name in NAMES
    if text != "twister"
]


def escapes_removed(text):
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_its_place_and_every_picture_its_drawing(name):
    chapter, facts = BY_NAME[name], computed(name).facts
    words = [block.text for screen in (*chapter.screens, chapter.code) for block in screen]
    question = chapter.question
    words += [question.text, question.answer, question.reply]
    words += [piece for option in question.options for piece in (option.text, option.reply)]
    used = set()
    for text in words:
        assert "{{" not in filled(text, facts)
        used |= set(re.findall(r"\{\{ (?:if )?(\w+) \}\}", text)) - {"else", "end"}
    assert used == set(facts)  # nothing is worked out for nobody
    drawn = {block.text for screen in chapter.screens for block in screen if block.kind == "picture"}
    assert drawn == {picture for of, picture in PICTURES if of == name}
    assert drawn
    assert not any(set(value) & set("`{}") for value in facts.values())


@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize(("about", "name"), SHOWN)
def test_it_fits_the_width_in_every_terminal(about, name, width, kind):
    text, _, _ = lesson(name, width=width, kind=kind, about=TEXTS[about])
    plain = escapes_removed(text)
    assert max(map(cell_len, plain.splitlines())) <= width
    assert ("\x1b[" in text) == (kind == "colour")
    assert "computing" not in plain.split("\n", 1)[0] or kind == "colour"
    if kind == "ascii":
        assert plain.isascii()
        assert about != "twister" or not re.search(r"\\[ux]", plain)  # every letter of ours has a stand-in


@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize(("about", "name"), SHOWN)
def test_every_screen_fits_24_rows(about, name, kind):
    """From one prompt to the next, with the row of the prompt itself."""
    screens = len(BY_NAME[name].screens)
    text, _, prompts = lesson(name, [""] * 10, kind=kind, about=TEXTS[about])
    lines = [line for line in escapes_removed(text).splitlines() if "computing" not in line]
    at = [n for n, line in enumerate(lines) if any(line.startswith(prompt.rstrip()) for prompt in prompts)]
    assert len(at) == len(prompts) == screens + 1
    assert all(stop - start <= 24 for start, stop in zip([0, *at], [*at, len(lines)], strict=True))


def shown_numbers(name, *patterns):
    text = " ".join(lesson(name)[0].split())
    for pattern in patterns:
        assert re.search(pattern, text), pattern


def test_what_is_shown_are_the_numbers_that_were_worked_out():
    facts = {name: computed(name).facts for name in NAMES}
    shown_numbers("one_hot", r"4·20 = 80 multiplications", "differ by 0")
    shown_numbers("one_step", re.escape(f"{facts['one_step']['parts0']} = {facts['one_step']['a0']}"))
    shown_numbers(
        "losses", f"they take {facts['losses']['loss_trained']} nats per character where they took 3.01"
    )
    shown_numbers(
        "hello", f"p {' '.join(f'{p:.2f}' for p in computed('hello').fresh.p_targets)} of the target"
    )
    shown_numbers("optimisers", re.escape(f"1 {computed('optimisers').by_hand[0].g:+.4f}"))
    shown_numbers("streams", f"B = 1 █+ {facts['streams']['one']}", r"b = 0 she␣sells␣sea␣│shells␣by␣the␣│")
    best = computed("overfitting").best
    shown_numbers("overfitting", f"{best.passes} █+ {best.train:.2f} █+ {best.validation:.2f} best")
    shown_numbers("break_it", f"a gradient zeroed 1.00 head.bias {facts['break_it']['zeroed']}")
    shown_numbers("vanishing", f"at 1.3 by {facts['vanishing']['left_high']}", r"burst burst")
    shown_numbers("counter", f"Right up to n = {facts['counter']['reach']}")
    gaps = computed("unrolling").gaps
    shown_numbers("unrolling", f"s █+ {gaps[0]:.5f} h █+ {gaps[1]:.5f}")
    p = computed("temperature").p
    best = computed("temperature").likeliest[0]
    shown_numbers("temperature", " ".join(f"█+ {q:.2f}" for q in p[:, best]))


def test_bars_are_as_long_as_what_they_show():
    text, _, _ = lesson("losses")
    row = next(line for line in text.splitlines() if line.rstrip().endswith("what came"))
    fresh, trained = (len(bar) for bar in re.findall("█+", row))
    data = computed("losses")
    h = data.symbols.index("h")
    assert h == data.next
    assert (fresh, trained) == (round(20 * data.fresh[h]), round(20 * data.trained[h]))


def test_a_target_is_the_character_that_comes_next():
    read, target = (
        re.search(rf"^ *{name} (.*)$", lesson("losses")[0], re.MULTILINE)[1].split()
        for name in ("read", "target")
    )
    assert "".join(read).startswith("she␣sells")
    assert target[:-1] == read[1:]


def test_gates_and_counts_are_drawn_from_zero():
    text = lesson("gates")[0]
    f = computed("gates").rows["f"]
    wanted = "".join("▁▂▃▄▅▆▇█"[round(7 * value)] for value in f)
    assert f"f {wanted}" in text
    assert "i f o 0 ▁" in text
    counted = computed("counter").counted
    bars = ["▁▂▃▄▅▆▇█"[round(7 * max(0, value) / counted.max())] * 3 for value in counted]
    assert "".join(bars) in lesson("counter")[0]


def test_nothing_in_a_readers_text_is_markup():
    console = Console(file=io.StringIO(), width=80, color_system=None)
    facts = {"a": "`x` *y* {{ b }} [red]", "b": "no"}
    text = Lesson(console, COURSE, TWISTER, None)._inline('`sh` read "{{ a }}", *or* `{{ a }}`', facts)
    assert text.plain == 'sh read "`x` *y* {{ b }} [red]", or `x` *y* {{ b }} [red]'
    assert [text.plain[span.start : span.end] for span in text.spans if span.style == "cyan"] == [
        "sh",
        facts["a"],
    ]
    assert [text.plain[span.start : span.end] for span in text.spans if "bold" in str(span.style)] == ["or"]


def test_a_letter_of_two_columns_is_over_two_of_a_heat_map():
    pen = Pen.of(Console(file=io.StringIO(), color_system=None))
    assert pen.columns("ab月") == 2
    assert pen.reading("a月b", 2) == "a 月b "
    lines = lesson("unrolling", about=TEXTS["chinese"])[0].splitlines()
    letters, heat = next((a, b) for a, b in pairwise(lines) if "床前明月光，疑" in a)
    assert cell_len(letters.rstrip()) == cell_len(heat.rstrip()) == 8 + 2 * 24


def test_a_heat_map_goes_from_low_to_high():
    plain = Pen.of(Console(file=io.StringIO(), color_system=None))
    assert plain.heat([-2, -1, 0, 1, 2], 1.0).plain == "▁▁▅██"
    assert plain.heat([-1, 0, 0.5, 1, 2], 1.0, low=0.0).plain == "▁▁▅██"  # bars from zero
    assert plain.legend(1.0, low=0.0).plain == "0 ▁▂▃▄▅▆▇█ 1"
    colour = Pen.of(Console(file=io.StringIO(), force_terminal=True, color_system="256"))
    spans = colour.heat([-1, 1], 1.0).spans
    assert [span.style for span in spans] == ["cold4", "warm4"]


# ------------------------------------------------------------------------------------------------
# Answers


def answered(name, *answers):
    screens = [""] * len(BY_NAME[name].screens)
    text, shown, prompts = lesson(name, [*screens, *answers])
    return " ".join(text.split("In the code")[1].split()), shown, prompts


@pytest.mark.parametrize("name", NAMES)
def test_the_right_answer_is_taken_and_explained_with_live_numbers(name):
    question, facts = BY_NAME[name].question, computed(name).facts
    if question.options:
        right = next(k for k, option in enumerate(question.options) if option.right)
        answer, reply = "abc"[right], question.options[right].reply
    else:
        answer, reply = filled(question.answer, facts), question.reply
    text, shown, _ = answered(name, answer)
    plain_reply = " ".join(filled(reply, facts).replace("`", "").split())
    assert f"Right. {plain_reply}" in text
    assert (shown.right, shown.asked) == (1, 1)
    assert "1 of 1 answered right." in text


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_answer_is_told_why_and_enter_shows_the_right_one(name):
    question, facts = BY_NAME[name].question, computed(name).facts
    if question.options:
        right = next(k for k, option in enumerate(question.options) if option.right)
        for wrong in set(range(len(question.options))) - {right}:
            text, shown, _ = answered(name, "abc"[wrong], "abc"[wrong])
            reply = " ".join(filled(question.options[wrong].reply, facts).replace("`", "").split())
            assert f"Not quite. {reply} Try once more." in text
            assert f"Not quite. {reply} The answer is {'abc'[right]}." in text
            assert (shown.right, shown.second, shown.asked) == (0, 0, 1)
        assert f"It is {'abc'[right]}." in answered(name, "")[0]
    else:
        true = filled(question.answer, facts)
        wrong = float(true) + 2.1 * question.tolerance
        text, shown, _ = answered(name, f"{wrong:g}", f"{wrong:g}")
        assert f"{wrong:g} is too large. Try once more." in text
        assert f"You said {wrong:g}; it is {true}." in text
        assert (shown.right, shown.second) == (0, 0)
        assert f"It is {true}." in answered(name, "")[0]


@pytest.mark.parametrize("name", [name for name in NAMES if not BY_NAME[name].question.options])
def test_the_written_answer_is_the_one_that_was_computed(name):
    """Worked out here once more, from the question's words and the text alone."""
    text = TWISTER.text
    m, g = (float(computed("optimisers").facts[fact]) for fact in ("m", "g_next"))
    expected = {
        "one_hot": 4 * 1000,
        "optimisers": 0.1 * abs(g) / math.sqrt(m + g * g),
        "streams": 999_999 // 50 // 100,
        "break_it": 2,
        "unrolling": 8 * 8 + 8 * len(set(text)),
        "losses": -math.log(text.count("s") / len(text)),
        "vanishing": 100 * 0.9 ** (len(text.splitlines()[0]) - 1),
        "gates": 2 ** (-1 / max(map(len, text.split()))),
    }[name]
    assert answered(name, f"{expected:.4f}")[1].right == 1


def test_a_second_try_counts_apart():
    text, shown, _ = answered("one_step", "a", "b")
    assert "Try once more." in text
    assert text.count("Right. ") == 1
    assert (shown.right, shown.second) == (0, 1)
    assert "0 of 1 answered right, 1 more at the second try." in text
    text, shown, _ = answered("one_hot", "80", "4000")
    assert "80 is too small. Try once more. " in text
    assert (shown.right, shown.second) == (0, 1)
    assert "It is b." in answered("one_step", "a", "")[0]


@pytest.mark.parametrize("answers", [False, True])
def test_a_sheet_has_every_question_and_answers_when_they_are_wanted(answers):
    buffer = io.StringIO()
    console = Console(file=buffer, width=80, color_system=None, highlight=False)
    Lesson(console, [Kept(chapter) for chapter in COURSE], TWISTER, None).sheet(answers)
    text = buffer.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    plain = " ".join(text.split())
    for chapter in COURSE:
        facts, question = computed(chapter.name).facts, chapter.question
        shown = [f"{chapter.number}. {chapter.title}", filled(question.text, facts)]
        shown += [f"{'abc'[k]}) {filled(option.text, facts)}" for k, option in enumerate(question.options)]
        for words in shown:
            assert " ".join(words.replace("`", "").split()) in plain
        right = [option.reply for option in question.options if option.right] or [question.reply]
        reply = " ".join(filled(right[0], facts).replace("`", "").replace("*", "").split())
        assert (reply in plain) == answers
    assert plain.count("Answer: ____") == (0 if answers else sum(not c.question.options for c in COURSE))


def test_what_is_no_answer_is_asked_again():
    text, shown, prompts = answered("one_step", "d", "perhaps", "b)")
    assert text.count("That is none of a, b, c.") == 2
    assert shown.right == 1
    assert prompts.count("a, b or c (Enter shows the answer): ") == 3
    text, shown, _ = answered("losses", "much", computed("losses").facts["answer"])
    assert "That is no number" in text
    assert shown.right == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("4000", 4000), ("4,000", 4000), ("0.693", 0.693), (".5", 0.5), ("7.2 %", 7.2), ("1/8", 0.125)],
        *[("1e-3", 1e-3), ("-2", -2), ("", None), ("x", None), ("1/0", None), ("1..2", None), ("nan", None)],
    ],
)
def test_numbers_as_people_write_them(text, value):
    assert _number(text) == value


@pytest.mark.parametrize("answers", [["q"], ["", "quit"], [], [""], ["", ""]])
def test_it_ends_politely_wherever_one_leaves(answers):
    text, _, _ = lesson("one_step", answers)
    assert text.rstrip().endswith("Until next time. This chapter again: charrnn learn --chapter 2")


def test_the_farewell_comes_after_the_last_question():
    text, _, _ = answered(NAMES[-1], "b")
    assert text.index("answered right.") < text.index("That is the whole lesson.")


def test_without_input_nothing_is_asked():
    text, shown, prompts = lesson("one_step")
    assert prompts == []
    assert shown.asked == 0
    assert BY_NAME["one_step"].question.text.split("{{")[0] not in text


def test_the_last_chapter_names_the_page_that_writes():
    last, _, _ = lesson(NAMES[-1])
    assert "charrnn train, then charrnn play" in " ".join(last.split())
    first, _, _ = lesson(NAMES[0])
    assert "charrnn play" not in first
