"""The lesson on a terminal: words and pictures a screen at a time, questions, and what is said to an answer."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.padding import Padding
from rich.text import Text

from charrnn.learn.chapter import Block, Chapter, Question, chosen, filled
from charrnn.learn.lesson_text import LessonText
from charrnn.ui.lesson.pictures import PICTURES, Pen
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.letters import spelled

WIDEST_SCREEN = 78
QUIT = ("q", "quit")
LETTERS = "abcdefgh"
Ask = Callable[[str], str]
Facts = Mapping[str, str]
NO_FACTS: Facts = {}


class Stop(Exception):
    """The reader has had enough for today."""


class Lesson:
    """Shows chapters about a text. `ask` puts a question and gives the answer, as `input` does; None asks nothing.
    `command` is what the reader types for this lesson, to go on with.

    `right` counts the questions answered right at once, `second` those at the second try, `asked` those asked.
    """

    def __init__(
        self,
        console: Console,
        chapters: Sequence[Chapter],
        text: LessonText,
        ask: Ask | None,
        command: str = "charrnn learn",
    ) -> None:
        self.console, self.chapters, self.text, self._ask = console, chapters, text, ask
        self._command = command
        self.pen = Pen.of(console)
        self.width = min(WIDEST_SCREEN, console.width)
        self.right = self.second = self.asked = 0
        self.reading = chapters[0]

    def run(self, of: int) -> None:
        """All chapters, of `of` in the whole lesson. Raises EOFError and KeyboardInterrupt as `ask` does."""
        try:
            for chapter in self.chapters:
                self.reading = chapter
                self.chapter(chapter, of)
                if self._ask and chapter is not self.chapters[-1]:
                    self._print()
                    self._wait(f"Enter for chapter {chapter.number + 1}, q to stop: ")
        except Stop:
            self.farewell()
            return
        if self.asked:
            second = f", {self.second} more at the second try" if self.second else ""
            self._say(f"{self.right} of {self.asked} answered right{second}.", "bold")
        if self.reading.number < of:
            self._say(f"To go on: {self._command} --chapter {self.reading.number + 1}", "dim")
        else:
            self._say("That is the whole lesson. Thank you for reading along!")
            self._say(
                "To write with a model of your own and watch its cells: charrnn train, then charrnn play"
            )

    def sheet(self, answers: bool) -> None:
        """The questions of all chapters on paper, with their answers if these are wanted."""
        for chapter in self.chapters:
            facts, question = chapter.compute(self.text).facts, chapter.question
            self._print()
            self._say(f"{chapter.number}. {chapter.title}", "bold")
            self._put_question(question, facts)
            if not answers:
                if not question.options:
                    self._say("  Answer: ____________")
            elif question.options:
                letter, best = next(
                    (letter, option)
                    for letter, option in zip(LETTERS, question.options, strict=False)
                    if option.right
                )
                self._print(self._wrapped(f"Answer: {letter}. {best.reply}", facts))
            else:
                self._print(self._wrapped(f"Answer: {question.answer}. {question.reply}", facts))

    def farewell(self) -> None:
        """What to say when the reader goes."""
        self._print()
        self._say(f"Until next time. This chapter again: {self._command} --chapter {self.reading.number}")

    def chapter(self, chapter: Chapter, of: int) -> None:
        """One chapter, whole."""
        if self.console.is_terminal:
            with self.console.status("computing", spinner="line"):
                data = chapter.compute(self.text)
        else:
            data = chapter.compute(self.text)
        facts: Facts = data.facts
        title = f" {chapter.number} of {of} · {chapter.title} "
        line = self.pen.look.glyphs.horizontal
        self._print()
        self._print(Text(spelled(f"{line * 2}{title}".ljust(self.width, line), self.console), "bold cyan"))
        for number, screen in enumerate(chapter.screens, 1):
            for block in screen:
                self._print()
                self._block(block, chapter, data, facts)
            if self._ask:
                self._print()
                self._wait("Enter goes on, q stops: " if number == 1 else "Enter goes on: ")
        self._print()
        self._print(self._inline("In the code", style="bold"))
        for block in chapter.code:
            self._block(block, chapter, data, facts)
        if self._ask:
            self._print()
            self._question(chapter.question, facts)

    def _block(self, block: Block, chapter: Chapter, data: Any, facts: Facts) -> None:
        if block.kind == "picture":
            self._print(Padding(PICTURES[chapter.name, block.text](data, self.pen), (0, 0, 0, 1)))
            return
        if block.kind == "equation":
            text = filled(block.text, facts)
            lines = Text(spelled(text, self.console), "bold", no_wrap=True, overflow="crop")
            self._print(Padding(lines, (0, 0, 0, 4)))
        elif block.kind == "item":
            self._print(self._wrapped(block.text, facts, first="- ", then="  "))
        else:
            self._print(self._wrapped(block.text, facts))

    def _question(self, question: Question, facts: Facts) -> None:
        assert self._ask is not None
        self._put_question(question, facts)
        self.asked += 1
        if question.options:
            self._choice(question, LETTERS[: len(question.options)], facts)
        else:
            self._number(question, facts)

    def _put_question(self, question: Question, facts: Facts) -> None:
        self._print(self._wrapped(question.text, facts, style="bold"))
        for letter, option in zip(LETTERS, question.options, strict=False):
            self._print(self._wrapped(option.text, facts, first=f"  {letter})  ", then="      "))

    def _choice(self, question: Question, letters: str, facts: Facts) -> None:
        replies = [option.reply for option in question.options]
        best = next(k for k, option in enumerate(question.options) if option.right)
        prompt = f"{', '.join(letters[:-1])} or {letters[-1]} (Enter shows the answer): "
        for is_first in (True, False):
            while (answer := self._answer(prompt)) and answer.rstrip(")") not in letters:
                self._say(f"That is none of {', '.join(letters)}.")
            self._print()
            if not answer:
                self._reply(f"It is {letters[best]}.", "bold", replies[best], facts)
                return
            if (picked := letters.index(answer.rstrip(")"))) == best:
                self._count(is_first)
                self._reply("Right.", "bold green", replies[best], facts)
                return
            hint = " Try once more." if is_first else f" The answer is {letters[best]}."
            self._reply("Not quite.", "bold yellow", replies[picked] + hint, facts)

    def _count(self, is_first: bool) -> None:
        if is_first:
            self.right += 1
        else:
            self.second += 1

    def _number(self, question: Question, facts: Facts) -> None:
        true = filled(question.answer, facts)
        for is_first in (True, False):
            while (answer := self._answer("a number (Enter shows the answer): ")) and _number(answer) is None:
                self._say("That is no number; write it as 12.5 or 1/8.")
            self._print()
            given = _number(answer)
            if given is None:
                self._reply(f"It is {true}.", "bold", question.reply, facts)
                return
            if abs(given - float(true)) <= question.tolerance:
                self._count(is_first)
                self._reply("Right.", "bold green", question.reply, facts)
                return
            if is_first:
                side = "large" if given > float(true) else "small"
                self._reply(f"{given:g} is too {side}.", "bold yellow", "Try once more.")
            else:
                self._reply(f"You said {given:g}; it is {true}.", "bold yellow", question.reply, facts)

    def _reply(self, verdict: str, style: str, reply: str, facts: Facts = NO_FACTS) -> None:
        text = self._inline(f"{verdict} {reply}", facts)
        text.stylize(style, 0, len(verdict))
        self._print(self._fold(text))

    def _answer(self, prompt: str) -> str:
        assert self._ask is not None
        answer = self._ask(spelled(prompt, self.console)).strip().lower()
        if answer in QUIT:
            raise Stop
        return answer

    def _wait(self, prompt: str) -> None:
        self._answer(prompt)

    def _say(self, text: str, style: str = "") -> None:
        self._print(self._wrapped(text, style=style))

    def _print(self, what: Any = "") -> None:
        self.console.print(what, markup=False, highlight=False)

    def _wrapped(
        self, text: str, facts: Facts = NO_FACTS, *, style: str = "", first: str = "", then: str = ""
    ) -> Text:
        return self._fold(self._inline(text, facts, style), first, then)

    def _fold(self, text: Text, first: str = "", then: str = "") -> Text:
        """Wrapped to the width of the lesson, with something before the first line and before the others."""
        lines = text.wrap(self.console, max(20, self.width - len(first)))
        for line in lines:
            line.rstrip()
        return Text("\n").join(Text(then if k else first) + line for k, line in enumerate(lines))

    def _inline(self, text: str, facts: Facts = NO_FACTS, style: str = "") -> Text:
        """`code` and *emphasis* of the chapter's own words; nothing in a fact is markup."""
        shown = Text(style=style)
        for piece in re.split(r"(`[^`]+`|(?<![\w*])\*[^*\s][^*]*\*(?![\w*]))", chosen(text, facts)):
            inner, its_style = piece, ""
            if piece[:1] in "`*" and len(piece) > 2:
                inner, its_style = piece[1:-1], "cyan" if piece[0] == "`" else "italic bold"
            shown.append(spelled(filled(inner, facts), self.console), its_style)
        return shown


def _number(text: str) -> float | None:
    """A number as people write it: 12.5, 12,000, 93 %, 1/8."""
    match = re.fullmatch(r"([-+]?[\d.,]*\d[\d.,]*(?:e[-+]?\d+)?)\s*(?:/\s*([\d.]+))?\s*%?", text)
    if match is None:
        return None
    try:
        return float(match[1].replace(",", "")) / (float(match[2]) if match[2] else 1.0)
    except (ValueError, ZeroDivisionError):
        return None
