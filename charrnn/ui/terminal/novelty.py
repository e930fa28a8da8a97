"""A sampled text with what is copied in it marked, and a report beneath."""

from collections.abc import Sequence
from typing import TextIO

from rich.text import Text

from charrnn.novelty.copies import Copy, Novelty, longest_first
from charrnn.ui.terminal.colours import COPIED
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import glyphs_of
from charrnn.ui.terminal.letters import plain, shown

LISTED = 5  # copied runs, one by one
SHOWN = 50  # characters of each


def show(
    headers: Sequence[str],
    texts: Sequence[Novelty],
    held_out: dict[int, float],
    least: int,
    stream: TextIO,
) -> None:
    """Write each text below its header, painted or with brackets, and its report."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    console = Console(file=stream, highlight=False)
    coloured = console.color_system is not None and not console.no_color
    for header, found in zip(headers, texts, strict=True):
        console.print(Text(header), painted(found, console, coloured), Text(), soft_wrap=True, sep="")
        for line in report(found, held_out, least):
            console.print(Text(plain(line, console)), soft_wrap=True)


def painted(found: Novelty, console: Console, coloured: bool) -> Text:
    """The text with its copied runs marked; of runs that overlap the later one is marked from where it is alone."""
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
    """What is copied and from where, and how much is new."""
    copies = longest_first(found.copies)
    if not copies:
        lines = [f"copied: no run of {least} characters or more stands in the training text"]
    else:
        runs = "1 run" if len(copies) == 1 else f"{len(copies):,} runs"
        share = f"{found.copied_share:.1%} of the text"
        lines = [f"copied: {runs} of at least {least} characters, {share}; the longest has {len(copies[0])}"]
        lines += [_where(copy, found.text) for copy in copies[:LISTED]]
        if len(copies) > LISTED:
            lines.append(f"  … {len(copies) - LISTED:,} more")
    rows = [("n-grams", {n: f"n = {n}" for n in found.new_ngrams})]
    rows.append(("new here", {n: f"{share:.1%}" for n, share in found.new_ngrams.items()}))
    if held_out:
        rows.append(("new in held-out text", {n: f"{share:.1%}" for n, share in held_out.items()}))
    if found.new_ngrams:
        lines += [
            f"{name:<20}" + "".join(f"{cells.get(n, '-'):>8}" for n in found.new_ngrams)
            for name, cells in rows
        ]
    return lines


def _where(copy: Copy, text: str) -> str:
    run = text[copy.start : copy.stop]
    quoted = run if len(run) <= SHOWN else f"{run[: SHOWN - 1]}…"
    quoted = quoted.replace("\n", "↵").replace("\t", " ")
    place = copy.place
    where = f"{place.file}, line {place.line:,}, offset {place.offset:,}" if place else ""
    times = f" (the first of {copy.times:,})" if copy.times > 1 else ""
    return f"{len(copy):>6} at {copy.start:,}: “{quoted}”  {where}{times}"
