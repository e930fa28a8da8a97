"""Texts shown as they are drawn: on stdout nothing but the texts, on stderr what tells them apart."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from charrnn.sampling.sampler import SampledText, Sampler
from charrnn.text.escapes import one_line
from charrnn.text.records import ItemForm
from charrnn.ui.terminal.output import say

PRIME_SHOWN = 400  # characters at the end of a prime; it may be a whole book


@dataclass(frozen=True)
class Layout:
    """How texts are written one after the other.

    Items stand as they do in the training text, with its separator between them; those of tables, files and pairs
    stand on one line each, in which line ends are written as \\n and \\r. Other texts have a line end between them.
    """

    form: ItemForm | None = None
    compares: bool = False  # whether there are several temperatures
    prime: str = ""  # shown ahead of each text on a terminal, dim, since it is none of the text

    def within(self, piece: str) -> str:
        """A piece of a text as it is written."""
        if self.form is None or self.form.kind == "blank-line" or self.form.kind.startswith("sep:"):
            return piece
        return one_line(piece)

    @property
    def between(self) -> str:
        return "\n" if self.form is None else self.form.separator

    def after(self, texts: int) -> str:
        """What follows the last text."""
        return "\n" if texts > 1 or (texts and self.form is not None) else ""

    def heading(self, one: SampledText, before: SampledText | None, several: bool) -> str:
        """What stderr says ahead of a text: of an item only where the temperature changes."""
        if not several or one.seed is None:
            return ""
        if self.form is None:
            return f"--- seed {one.seed}, temperature {one.temperature:g}"
        changes = self.compares and (before is None or before.temperature != one.temperature)
        return f"--- temperature {one.temperature:g}" if changes else ""


def show_prime(prime: str) -> None:
    """Show a prime ahead of its text on stdout, where it can be told from it: dim, on a terminal."""
    if not prime or not sys.stdout.isatty():
        return
    from rich.text import Text  # for this alone: the first character need not wait for it

    from charrnn.ui.terminal.console import Console
    from charrnn.ui.terminal.letters import shown

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_dumb_terminal:
        start = len(prime) - PRIME_SHOWN
        end = prime if start <= 0 else f"…{prime[start:]}"
        console.print(Text(shown(end, console), "dim"), end="", soft_wrap=True)


def draw(
    sampler: Sampler, write: Callable[[str], None], layout: Layout, *, scored: bool
) -> list[SampledText]:
    """Draw the texts; the first is written as it is drawn, the others, drawn at the same time, after it.

    scored : whether with their log-probabilities
    """
    several = len(sampler.seeds) > 1
    found: list[SampledText] = []
    _say(layout.heading(sampler.unwritten[0], None, several))
    show_prime(layout.prime)
    for texts in sampler.rounds(
        lambda k, piece: write(layout.within(piece)) if k == 0 else None, scored=scored
    ):
        for one in texts:
            if found:
                write(layout.between)
                _say(layout.heading(one, found[-1], several))
                show_prime(layout.prime)
                write(layout.within(one.text))
            found.append(one)
    write(layout.after(len(found)))
    return found


def write_all(
    texts: Iterable[SampledText], write: Callable[[str], None], layout: Layout
) -> list[SampledText]:
    """Write texts that come one by one."""
    found: list[SampledText] = []
    for one in texts:
        write(layout.between if found else "")
        show_prime(layout.prime)
        write(layout.within(one.text))
        found.append(one)
    write(layout.after(len(found)))
    return found


def head(one: SampledText, texts: Sequence[SampledText]) -> None:
    """Say on stderr which text comes next, where there are several."""
    _say(Layout().heading(one, None, len(texts) > 1))


def _say(heading: str) -> None:
    if heading:
        sys.stdout.flush()  # so that on a terminal the heading stands above its text
        say(heading)
