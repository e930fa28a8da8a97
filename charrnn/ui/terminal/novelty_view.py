"""A sampled text with its copied runs marked, and a report below it."""

from collections.abc import Sequence
from typing import TextIO

from rich.text import Text

from charrnn.novelty.copies import Copy, Novelty, longest_first
from charrnn.novelty.nearest import ItemNovelty
from charrnn.sampling.sampler import SampledText
from charrnn.text.escapes import one_line
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.colours import COPIED
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import glyphs_of
from charrnn.ui.terminal.letters import plain, shown
from charrnn.ui.terminal.output import writer
from charrnn.ui.terminal.samples import head, show_prime

LISTED = 5  # copied runs, one by one
CHARACTERS_SHOWN = 50  # characters of each


def show(
    drawn: Sequence[SampledText],
    texts: Sequence[Novelty | ItemNovelty],
    held_out: dict[int, float],
    least: int,
    stream: TextIO,
    prime: str = "",
) -> None:
    """Write each text, painted or with brackets, and its report; each item with what is said of it on one line.

    prime : that is none of the text, to be shown ahead of it
    """
    console = Console(file=stream, highlight=False)
    coloured = console.color_system is not None and not console.no_color
    for k, (one, found) in enumerate(zip(drawn, texts, strict=True)):
        if isinstance(found, ItemNovelty):
            writer(stream)(f"{one_line(one.text)}\t{_of_item(found)}\n")
            continue
        if k:
            console.print()
        head(one, drawn)
        show_prime(prime)
        console.print(painted(found, console, coloured), soft_wrap=True)
        console.print()  # the report is not the text
        for line in report(found, held_out, least):
            console.print(Text(plain(line, console)), soft_wrap=True)


def _of_item(found: ItemNovelty) -> str:
    if found.known:
        return "known"
    if found.nearest is None:
        return "new"
    nearest, distance = found.nearest
    return f"new\t{distance}\t{one_line(nearest)}"


def painted(found: Novelty, console: Console, coloured: bool) -> Text:
    """The text with its copied runs marked; where two overlap, the first one is marked."""
    opening, closing = glyphs_of(console).copied
    text, done = Text(), 0
    for k, copy in enumerate(found.copies):
        begin = max(done, copy.start)
        text.append(shown(found.text[done:begin], console))
        run = shown(found.text[begin : copy.stop], console)
        text.append(run, COPIED[k % 2]) if coloured else text.append(opening + run + closing)
        done = copy.stop
    return text.append(shown(found.text[done:], console))


def report(found: Novelty, held_out: dict[int, float], least: int) -> list[str]:
    """The copied runs with their places, and the share of new n-grams."""
    copies = longest_first(found.copies)
    if not copies:
        lines = [f"copied: no run of {least} characters or more is in the training text"]
    else:
        runs = "1 run" if len(copies) == 1 else f"{len(copies):,} runs"
        share = f"{found.copied_share:.1%} of the text"
        lines = [f"copied: {runs} of at least {least} characters, {share}; the longest has {len(copies[0])}"]
        lines += [_where(copy, found.text) for copy in copies[:LISTED]]
        if len(copies) > LISTED:
            lines.append(f"  … {len(copies) - LISTED:,} more")
    if found.new_ngrams:
        rows = [("n-grams", *(f"n = {n}" for n in found.new_ngrams))]
        rows.append(("new here", *(f"{share:.1%}" for share in found.new_ngrams.values())))
        if held_out:
            shares = (f"{held_out[n]:.1%}" if n in held_out else "-" for n in found.new_ngrams)
            rows.append(("new in held-out text", *shares))
        lines += tables.lines(rows)
    return lines


def _where(copy: Copy, text: str) -> str:
    run = text[copy.start : copy.stop]
    quoted = run if len(run) <= CHARACTERS_SHOWN else f"{run[: CHARACTERS_SHOWN - 1]}…"
    quoted = quoted.replace("\n", "↵").replace("\t", " ")
    place = copy.place
    where = f"{place.file}, line {place.line:,}, offset {place.offset:,}" if place else ""
    times = f" (the first of {copy.times:,})" if copy.times > 1 else ""
    return f"{len(copy):>6} at {copy.start:,}: “{quoted}”  {where}{times}"
