"""The words of a chapter: a Markdown file with placeholders for pictures and for numbers computed live.

# Title
paragraphs, - items, and four-space-indented equations      {{ name }}: one of the chapter's facts
{{ if name }}words{{ else }}others{{ end }}             the first where that fact is not empty
{{ picture: name }}      on a line of its own               {{ chapter: name }}: the number of a chapter
---                      the end of a screen
## In the code           items that name files and functions
## Question              then either options, the right one ticked, each with its reply:
    - [ ] an option
      the reply
  or a number, the tolerance, and the reply:
    = {{ name }} ± 0.1
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from charrnn.learn import (
    backwards,
    break_it,
    counter,
    gates,
    hello,
    losses,
    one_hot,
    one_step,
    optimisers,
    overfitting,
    streams,
    temperature,
    unrolling,
    vanishing,
)
from charrnn.learn.lesson_text import LessonText

# Name (of the Markdown file too) and computation of each chapter, in order.
COURSE: tuple[tuple[str, Callable[[LessonText], Any]], ...] = (
    ("one_hot", one_hot.compute),
    ("one_step", one_step.compute),
    ("unrolling", unrolling.compute),
    ("hello", hello.compute),
    ("losses", losses.compute),
    ("backwards", backwards.compute),
    ("optimisers", optimisers.compute),
    ("vanishing", vanishing.compute),
    ("gates", gates.compute),
    ("streams", streams.compute),
    ("overfitting", overfitting.compute),
    ("temperature", temperature.compute),
    ("break_it", break_it.compute),
    ("counter", counter.compute),
)


@dataclass(frozen=True)
class Block:
    """A piece of a screen. kind : "paragraph", "item", "equation" or "picture" (text is its name)"""

    kind: str
    text: str


@dataclass(frozen=True)
class Option:
    """An answer to choose, and the reply to it."""

    text: str
    right: bool
    reply: str


@dataclass(frozen=True)
class Question:
    """A question with options, or with a number as its answer.

    answer : the number, or the name of the fact that holds it, as in the file; reply : the reply to any answer
    """

    text: str
    options: tuple[Option, ...] = ()
    answer: str = ""
    tolerance: float = 0.0
    reply: str = ""


@dataclass(frozen=True)
class Chapter:
    """A chapter's words. `compute` gives, of a text, what has `facts` to fill the places and data for the pictures."""

    number: int
    name: str
    title: str
    screens: tuple[tuple[Block, ...], ...]
    code: tuple[Block, ...]
    question: Question
    compute: Callable[[LessonText], Any]


def chosen(text: str, facts: Mapping[str, str]) -> str:
    """The text with every {{ if name }} decided."""
    return re.sub(
        r"\{\{ if (\w+) \}\}(.*?)(?:\{\{ else \}\}(.*?))?\{\{ end \}\}",
        lambda place: place[2] if facts[place[1]] else place[3] or "",
        text,
    )


def filled(text: str, facts: Mapping[str, str]) -> str:
    """The text with every {{ if name }} decided and every {{ name }} replaced."""
    return re.sub(r"\{\{ (\w+) \}\}", lambda place: facts[place[1]], chosen(text, facts))


@cache
def chapters() -> tuple[Chapter, ...]:
    """The whole course."""
    folder = files("charrnn.learn") / "chapters"
    return tuple(
        parse((folder / f"{name}.md").read_text(encoding="utf-8"), number, name, compute)
        for number, (name, compute) in enumerate(COURSE, 1)
    )


def parse(markdown: str, number: int, name: str, compute: Callable[[LessonText], Any]) -> Chapter:
    """A chapter from its file."""
    numbers = {other: str(k) for k, (other, _) in enumerate(COURSE, 1)}
    markdown = re.sub(r"\{\{ chapter: (\w+) \}\}", lambda place: numbers[place[1]], markdown)
    head, code, question = re.split(r"^## (?:In the code|Question)$", markdown, flags=re.MULTILINE)
    title, _, body = head.strip().partition("\n")
    screens = tuple(tuple(blocks(screen)) for screen in re.split(r"^---$", body, flags=re.MULTILINE))
    return Chapter(
        number,
        name,
        title.removeprefix("# "),
        screens,
        tuple(blocks(code)),
        _question(question.strip()),
        compute,
    )


def blocks(markdown: str) -> list[Block]:
    """Paragraphs, items, equations and pictures."""
    found = []
    for part in re.split(r"\n\s*\n", markdown.strip("\n")):
        if picture := re.fullmatch(r"\{\{ picture: (\w+) \}\}", part.strip()):
            found.append(Block("picture", picture[1]))
        elif part.startswith("    "):
            found.append(Block("equation", "\n".join(line[4:] for line in part.split("\n"))))
        elif part.lstrip("\n").startswith("- "):
            items = re.split(r"^- ", part.strip(), flags=re.MULTILINE)[1:]
            found += [Block("item", _joined(item)) for item in items]
        elif part.strip():
            found.append(Block("paragraph", _joined(part)))
    return found


def _question(markdown: str) -> Question:
    if number := re.search(r"^= (.+?) ± (\S+)$", markdown, flags=re.MULTILINE):
        text, reply = markdown[: number.start()], markdown[number.end() :]
        return Question(_joined(text), (), number[1], float(number[2]), _joined(reply))
    text, *options = re.split(r"^- (?=\[)", markdown, flags=re.MULTILINE)
    return Question(_joined(text), tuple(map(_option, options)))


def _option(markdown: str) -> Option:
    first, _, reply = markdown.partition("\n")
    return Option(first[4:], first.startswith("[x]"), _joined(reply))


def _joined(lines: str) -> str:
    return " ".join(lines.split())


def code_named(blocks: Sequence[Block]) -> list[tuple[str, str]]:
    """(file, function) of every pair that items such as "`charrnn/nn/lstm.py` `forward`: …" name."""
    return [pair for block in blocks for pair in re.findall(r"`(charrnn/[\w/]+\.py)` `([\w.]+)`", block.text)]
