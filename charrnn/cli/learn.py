"""charrnn learn: how a recurrent network works, in nine short chapters that compute before your eyes."""

import sys
from typing import Annotated

import typer

from charrnn.errors import UsageError


def learn(
    chapter: Annotated[int | None, typer.Option(metavar="N", help="Show only chapter N, 1 to 9.")] = None,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Print everything at once and ask nothing.")
    ] = False,
) -> None:
    """A lesson in nine short chapters that compute as you read.

    From one-hot vectors to a cell that counts: each chapter trains or measures something small, shows its
    numbers and a picture, asks a question, and names the functions that do it. q, Ctrl-D or Ctrl-C ends it.
    Into a pipe it asks nothing.

    \b
    Examples:
      charrnn learn
      charrnn learn --chapter 6
      charrnn learn --no-input
    """
    from charrnn.engines.threads import blas_threads
    from charrnn.learn.chapter import chapters
    from charrnn.ui.lesson.screens import Lesson
    from charrnn.ui.terminal.console import Console

    course = chapters()
    if chapter is not None and not 1 <= chapter <= len(course):
        raise UsageError(f"--chapter is {chapter}; the lesson has chapters 1 to {len(course)}")
    chosen = course if chapter is None else course[chapter - 1 : chapter]
    nobody_sees = sys.stdin.isatty() and not sys.stdout.isatty()  # the questions, in charrnn learn | less
    lesson = Lesson(Console(highlight=False), chosen, None if no_input or nobody_sees else input)
    with blas_threads():
        try:
            lesson.run(len(course))
        except EOFError:
            lesson.farewell()
        except KeyboardInterrupt:
            lesson.farewell()
            raise typer.Exit(130) from None
