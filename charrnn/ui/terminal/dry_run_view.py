"""The estimates of a dry run, on a terminal."""

import math
from collections.abc import Iterator

from rich.console import Group
from rich.text import Text

from charrnn.text.batches import size_of
from charrnn.training.dry_run import DryRun
from charrnn.ui.terminal.card_view import card
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.letters import plain
from charrnn.ui.terminal.training_view import duration, side_by_side


def view(run: DryRun, console: Console) -> Group:
    """Sizes, memory and pace, then notes for the user."""
    notes = [Text(plain(f"note: {note}", console), "yellow") for note in run.notes]
    return Group(card(rows(run), console), *notes, Text("dry run: nothing was trained or saved", "dim"))


def rows(run: DryRun) -> Iterator[tuple[str, str]]:
    """The estimates, named."""
    plan, config = run.plan, run.plan.config
    training = size_of(plan.parts.training)
    symbols = "bytes" if config.level == "byte" else "characters"
    split = f"{training:,} train · {size_of(plan.parts.validation):,} validation"
    if plan.corpus.items is None:
        yield "text", f"{plan.corpus.name}: {len(plan.corpus.ids):,} {symbols}"
        yield "split", split
        yield "vocabulary", f"{len(plan.corpus.vocabulary):,}"
    else:
        yield "text", f"{plan.corpus.name}: {len(plan.corpus.items):,} items"
        yield "split", f"{split} {symbols}, ends included"
        yield "vocabulary", f"{len(plan.corpus.vocabulary):,}: {plan.corpus.vocabulary.in_words}"
    yield "model", plan.model.in_words
    yield "parameters", f"{plan.parameters:,}, {plan.parameters / training:,.2f} per character"
    yield "memory", f"about {memory(run.memory_bytes)}"
    yield (
        "speed",
        (
            f"{run.chars_per_second:,.0f} characters/s: {side_by_side(plan)}, "
            f"{plan.threads} thread{'s' * (plan.threads > 1)}"
        ),
    )
    if plan.padding is not None:
        yield "padding", f"{plan.padding:.1%} of the places in batches"
    yield "an epoch", f"{plan.streams().chunks:,} steps, about {duration(run.seconds_per_epoch)}"
    if math.isfinite(run.seconds):
        steps = "" if run.steps is None else f"at most {run.steps:,} steps, "
        yield "the run", f"{steps}about {duration(run.seconds)}"


def memory(size: int) -> str:
    """Bytes in a suitable unit."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
