"""Writing a text in turn with a model."""

from collections.abc import Callable

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.sampling.sampler import Sampler, next_distribution, reader
from charrnn.ui.terminal.output import escaped

CHOICES = 9

HELP = """Type the text that comes next, or:
  (empty line)  let the model continue  /1 … /9  take one of its next characters
  /undo         undo the last addition  /quit    end (or Ctrl-D)
"""


@blas_threads()
def converse(sampler: Sampler, ask: Callable[[str], str], write: Callable[[str], None]) -> str:
    """Let a person and the model of `sampler` continue its prime in turn; returns the text.

    ask : gives the answer to a question, as `input` does; write : shows text
    """
    added = [sampler.config.prime]
    drawn = 0  # continuations so far: each has a seed of its own
    write(HELP)
    while True:
        text = "".join(added)
        now = sampler.going_on(text, sampler.seeds[0] + drawn)
        *before, last = now.begins()
        logits = reader(now.models, before, 1, now.clamps)(last)
        p = next_distribution(logits)[: len(now.vocab.symbols)]  # an item's end is no character to choose
        likeliest = [(now.vocab.decode([s]), p[s]) for s in (-p).argsort(kind="stable")[:CHOICES].tolist()]
        shown = "  ".join(f"/{k} {_shown(c)} {q:.0%}" for k, (c, q) in enumerate(likeliest, 1))
        write(f"\n{text}\n\n{shown}\n")
        try:
            answer = ask("> ")
        except EOFError:
            return text
        if answer == "/quit":
            return text
        if answer == "/undo":
            del added[max(1, len(added) - 1) :]
        elif answer.startswith("/") and answer[1:] in map(str, range(1, len(likeliest) + 1)):
            added.append(likeliest[int(answer[1:]) - 1][0])
        elif answer:
            try:
                sampler.going_on(text + answer, 0)
            except DataError as error:
                write(f"{error}\n")
            else:
                added.append(answer)
        else:
            added.append("".join(piece for _, piece in now))
            drawn += 1


def _shown(character: str) -> str:
    return "space" if character == " " else escaped(character)
