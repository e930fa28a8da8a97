"""What a training run would be, on a terminal."""

import math
from collections.abc import Iterator

from rich.console import Group
from rich.text import Text

from charrnn.training.dry_run import DryRun
from charrnn.ui.terminal.card import card
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.letters import plain
from charrnn.ui.terminal.training import architecture, duration


def view(run: DryRun, console: Console) -> Group:
    """Sizes, memory and pace, then what a user should know."""
    notes = [Text(plain(f"note: {note}", console), "yellow") for note in run.notes]
    return Group(card(rows(run), console), *notes, Text("dry run: nothing was trained or saved", "dim"))


def rows(run: DryRun) -> Iterator[tuple[str, str]]:
    """The estimates, named."""
    config = run.config
    symbols = "bytes" if config.level == "byte" else "characters"
    yield "text", f"{run.corpus}: {run.characters:,} {symbols}"
    yield "split", f"{run.training_characters:,} train · {run.validation_characters:,} validation"
    yield "vocabulary", f"{run.vocabulary:,}"
    yield "model", architecture(run.model)
    yield "parameters", f"{run.parameters:,}, {run.parameters / run.training_characters:,.2f} per character"
    yield "memory", f"about {memory(run.memory_bytes)}"
    yield (
        "speed",
        (
            f"{run.chars_per_second:,.0f} characters/s: {run.batch_size} streams × {config.seq_length} characters, "
            f"{run.threads} thread{'s' * (run.threads > 1)}"
        ),
    )
    yield "an epoch", f"{run.chunks:,} steps, about {duration(run.seconds_per_epoch)}"
    if math.isfinite(run.seconds):
        steps = "" if run.steps is None else f"at most {run.steps:,} steps, "
        yield "the run", f"{steps}about {duration(run.seconds)}"


def memory(size: int) -> str:
    """Bytes in the unit that suits."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
