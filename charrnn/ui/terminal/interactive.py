"""Writing a text in turn with a model."""

import math
import os
import re
from collections.abc import Callable

from charrnn.engines.threads import blas_threads
from charrnn.errors import CharRNNError, DataError
from charrnn.files.writing import atomic_write_named
from charrnn.sampling.sampler import Sampler, next_distribution, reader
from charrnn.text.escapes import unescape
from charrnn.ui.terminal.output import escape, escaped

CHOICES = 9
LEAST_OFFERED = 0.005  # probability: less would be shown as 0 %
TAIL = 40  # characters of the text in the prompt

HELP = r"""Type the text that comes next (\n is a newline), or:
  (empty line)  let the model continue   /1 … /9    take one of its next characters
  /undo         undo the last addition   /temp 0.5  let it write at another temperature
  /text         show the whole text      /save FILE write the text to a file
  /quit         end (or Ctrl-D)
"""


@blas_threads()
def converse(sampler: Sampler, ask: Callable[[str], str], write: Callable[[str], None]) -> str:
    """Let a person and the model of `sampler` continue its prime in turn; returns the text.

    Only what is new is shown; each question begins with the end of the text so far.

    ask : gives the answer to a question, as `input` does; write : shows text
    """
    talk = _Conversation(sampler, write)
    write(f"{HELP}\n")
    if talk.text:
        write(f"{talk.text}\n")
    while True:
        talk.offer()
        try:
            answer = ask(f"{escape(talk.text.rpartition(chr(10))[2][-TAIL:])}|")
        except EOFError:
            return talk.text
        if answer.rstrip() == "/quit":
            return talk.text
        try:
            talk.take(answer)
        except CharRNNError as error:
            write(f"{error}\n")


class _Conversation:
    """A text and who goes on with it."""

    def __init__(self, sampler: Sampler, write: Callable[[str], None]) -> None:
        self._sampler, self._write = sampler, write
        self._added = [sampler.config.prime]
        self._drawn = 0  # continuations so far: each has a seed of its own
        self._choices: list[str] = []
        self._offered: str | None = None  # the text that they continue
        self._saved: set[str] = set()
        self._next = self._going_on()

    @property
    def text(self) -> str:
        return "".join(self._added)

    def _going_on(self) -> Sampler:
        return self._sampler.going_on(self.text, self._sampler.seeds[0] + self._drawn)

    def offer(self) -> None:
        """Show the likeliest next characters, at temperature 1, if the text is another; and be ready to go on."""
        now = self._next = self._going_on()
        if self._offered == self.text:
            return
        self._offered = self.text
        *before, last = now.begins()
        logits = reader(now.models, before, 1, now.clamps)(last)
        p = next_distribution(logits)[: len(now.vocab.symbols)]  # an item's end is no character to choose
        best, *others = (-p).argsort(kind="stable")[:CHOICES].tolist()
        likeliest = [best, *(symbol for symbol in others if p[symbol] >= LEAST_OFFERED)]
        self._choices = [now.vocab.decode([symbol]) for symbol in likeliest]
        shares = [
            f"/{k} {_shown(c)} {p[s]:.0%}"
            for k, (s, c) in enumerate(zip(likeliest, self._choices, strict=True), 1)
        ]
        self._write("  ".join(shares) + "\n")

    def take(self, answer: str) -> None:
        """Do what the answer says. Raises CharRNNError where that cannot be done."""
        command, _, value = answer.partition(" ")
        word = answer.rstrip()
        if not answer:
            self._continue()
        elif word == "/undo":
            del self._added[max(1, len(self._added) - 1) :]
        elif word == "/text":
            self._write(f"{self.text}\n")
        elif command == "/temp":
            self._cool(value)
        elif command == "/save":
            self._save(value.strip())
        elif word.startswith("/") and word[1:] in map(str, range(1, len(self._choices) + 1)):
            self._added.append(self._choices[int(word[1:]) - 1])
        elif re.fullmatch(r"/(\d+|[a-z]+)", word):
            raise DataError(
                f"{word} is no command, and no choice offered now; with a space before it, it is text"
            )
        else:
            more = unescape(answer)
            self._sampler.going_on(self.text + more, 0)  # raises for characters that the model does not know
            self._added.append(more)

    def _continue(self) -> None:
        pieces = []
        for _, piece in self._next:
            self._write(piece)
            pieces.append(piece)
        self._write("\n")
        self._added.append("".join(pieces))
        self._drawn += 1

    def _cool(self, value: str) -> None:
        try:
            temperature = float(value)
        except ValueError:
            temperature = math.nan
        if not 0 <= temperature < math.inf:
            now = f"{self._sampler.temperatures[0]:g}"
            raise DataError(f"/temp needs a finite number of at least 0, such as /temp 0.5; it is {now} now")
        self._sampler = self._sampler.of(self._sampler.seeds[:1], [temperature])

    def _save(self, name: str) -> None:
        if not name:
            raise DataError("/save needs the name of a file: /save story.txt")
        if not self.text:
            raise DataError("there is no text to save yet")
        if os.path.lexists(name) and name not in self._saved:
            raise DataError(f"/save {name}: the file exists already; name another one")
        content = self.text.encode("utf-8", "surrogateescape")
        with atomic_write_named(name) as file:
            file.write(content)
        self._saved.add(name)
        self._write(f"saved {name}, {len(content):,} bytes\n")


def _shown(character: str) -> str:
    return "space" if character == " " else escaped(character)
