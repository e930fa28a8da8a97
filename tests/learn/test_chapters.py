"""The lesson's words: complete, true to the code they name, and every number of them filled in."""

import ast
import re
from pathlib import Path

import pytest

from charrnn.learn.chapter import COURSE, Block, chapters, code_named, filled, parse

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charrnn/learn/chapters"


def names_defined(path: Path) -> set[str]:
    """Functions, classes and methods (as Class.method) of a file."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return found


def test_the_course_is_these_chapters_in_order():
    titles = [chapter.title for chapter in chapters()]
    assert titles == [
        "One-hot and look-up",
        "One step",
        "Unrolling in time",
        "The whole network on one word",
        "The loss",
        "Backward through time",
        "Steps downhill",
        "Vanishing, exploding, clipping",
        "Gates: LSTM and GRU",
        "Streams and mini-batches",
        "A real text: learning and learning by heart",
        "Sampling and temperature",
        "Break it",
        "A cell that counts",
    ]
    assert {path.stem for path in FILES.glob("*.md")} == {name for name, _ in COURSE}


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.name)
def test_a_chapter_names_code_that_exists(chapter):
    named = code_named(chapter.code)
    assert len(named) == len(chapter.code) >= 2
    assert any(file.startswith(("charrnn/nn/", "charrnn/sampling/")) for file, _ in named)
    for file, function in named:
        assert function in names_defined(ROOT / file), f"{file} has no {function}"


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.name)
def test_a_chapter_has_one_question_with_one_right_answer(chapter):
    question = chapter.question
    assert question.text
    if question.options:
        assert sum(option.right for option in question.options) == 1
        assert all(option.text and option.reply for option in question.options)
        assert not question.answer
    else:
        assert question.answer
        assert question.tolerance > 0
        assert question.reply


@pytest.mark.parametrize("name", [name for name, _ in COURSE])
def test_every_line_of_code_the_words_quote_is_in_the_code(name):
    """`dc *= f[t]` and the like: whatever is quoted with an = and is said to be a line."""
    for quoted in re.findall(r"the line `([^`]+)`", (FILES / f"{name}.md").read_text(encoding="utf-8")):
        assert quoted in (ROOT / "charrnn/nn/lstm.py").read_text(encoding="utf-8")


SMALL = """# A title

Two lines
of a `word`.

    an equation = {{ n }}
      and more

{{ picture: bars }}

- one
- two
  goes on

---

Second screen.

## In the code

- `charrnn/nn/loss.py` `cross_entropy`: says it

## Question

How
many?

"""


def test_markdown_becomes_screens_code_and_question():
    chapter = parse(SMALL + "= {{ n }} ± 0.5\n\nSo it\nis.\n", 3, "small", lambda: None)
    assert (chapter.number, chapter.title) == (3, "A title")
    assert chapter.screens == (
        (
            Block("paragraph", "Two lines of a `word`."),
            Block("equation", "an equation = {{ n }}\n  and more"),
            Block("picture", "bars"),
            Block("item", "one"),
            Block("item", "two goes on"),
        ),
        (Block("paragraph", "Second screen."),),
    )
    assert code_named(chapter.code) == [("charrnn/nn/loss.py", "cross_entropy")]
    question = chapter.question
    assert (question.text, question.answer, question.tolerance, question.reply) == (
        "How many?",
        "{{ n }}",
        0.5,
        "So it is.",
    )


def test_a_chapter_is_named_by_its_number():
    words = SMALL.replace("Second screen.", "See chapter {{ chapter: losses }}.") + "= 1 ± 0.5\n\nSo.\n"
    chapter = parse(words, 1, "small", lambda: None)
    assert chapter.screens[1] == (Block("paragraph", "See chapter 5."),)
    assert [one.name for one in chapters()].index("losses") == 4


def test_options_are_read_with_what_is_said_to_them():
    chapter = parse(SMALL + "- [ ] yes\n  No, it\n  is not.\n- [x] no\n  Right.\n", 1, "small", lambda: None)
    assert [(o.text, o.right, o.reply) for o in chapter.question.options] == [
        ("yes", False, "No, it is not."),
        ("no", True, "Right."),
    ]


def test_places_are_filled_and_a_missing_one_is_an_error():
    assert filled("{{ a }} and {{ b }}, {{ a }}", {"a": "1", "b": "2"}) == "1 and 2, 1"
    with pytest.raises(KeyError, match="b"):
        filled("{{ b }}", {"a": "1"})
