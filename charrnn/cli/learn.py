"""charrnn learn: how a recurrent network works, in short chapters that compute before your eyes."""

import shlex
import sys
from typing import Annotated

import typer

from charrnn.errors import UsageError


def learn(
    chapter: Annotated[int | None, typer.Option(metavar="N", help="Show only chapter N, 1 to 14.")] = None,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A text of your own for all chapters, in UTF-8, of 173 characters or more; the first 8,000 are read.",
        ),
    ] = None,
    questions: Annotated[
        bool, typer.Option("--questions", help="Print the questions of the chapters as a sheet for a class.")
    ] = False,
    answers: Annotated[
        bool, typer.Option("--answers", help="With --questions: print the answers too.")
    ] = False,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Print everything at once and ask nothing.")
    ] = False,
) -> None:
    """A lesson in fourteen short chapters that compute as you read.

    From one-hot vectors to a cell that counts: each chapter trains or measures something small, shows its
    numbers and a picture, asks a question, and names the functions that do it. A question has a second try.
    With --text all of it is about a text of yours, the questions too.
    q, Ctrl-D or Ctrl-C ends it. Into a pipe it asks nothing.

    \b
    Examples:
      charrnn learn
      charrnn learn --chapter 6
      charrnn learn --text corpora/harbour.txt
      charrnn learn --questions --answers
      charrnn learn --no-input
    """
    from charrnn.cli.given import refuse_if
    from charrnn.engines.threads import blas_threads
    from charrnn.learn.chapter import chapters
    from charrnn.learn.lesson_text import READ, TWISTER, LessonText
    from charrnn.text.corpus import read_corpus
    from charrnn.ui.lesson.screens import Lesson
    from charrnn.ui.terminal.console import Console

    course = chapters()
    if chapter is not None and not 1 <= chapter <= len(course):
        raise UsageError(f"--chapter is {chapter}; the lesson has chapters 1 to {len(course)}")
    refuse_if((answers and not questions, "--answers needs --questions"))
    about, command = TWISTER, "charrnn learn"
    if text is not None:
        corpus = read_corpus([text], newlines="lf", options=())
        read = corpus.vocabulary.decode(corpus.ids[:READ])
        about = LessonText(corpus.name, read, len(corpus.ids), len(corpus.vocabulary))
        command += f" --text {shlex.quote(text)}"
    chosen = course if chapter is None else course[chapter - 1 : chapter]
    nobody_sees = sys.stdin.isatty() and not sys.stdout.isatty()  # the questions, in charrnn learn | less
    ask = None if no_input or nobody_sees else input
    lesson = Lesson(Console(highlight=False), chosen, about, ask, command)
    with blas_threads():
        if questions:
            lesson.sheet(answers)
            return
        try:
            lesson.run(len(course))
        except EOFError:
            lesson.farewell()
        except KeyboardInterrupt:
            lesson.farewell()
            raise typer.Exit(130) from None
