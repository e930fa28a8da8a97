"""The options of `charrnn sample --novelty`, and what it adds to the samples."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from charrnn.novelty.copies import TrainingText

NoveltyOption = Annotated[
    bool, typer.Option("--novelty", help="Mark what stands verbatim in the training text.")
]
LeastOption = Annotated[
    int, typer.Option(min=1, help="With --novelty: characters from which a run counts as copied.")
]
CorpusOption = Annotated[
    str | None, typer.Option(help="With --novelty: the training text, where the model's is not at hand.")
]


def add_novelty(
    samples: Sequence[dict[str, Any]],
    titles: Sequence[str],
    training: "TrainingText",
    least: int,
    quiet: bool,
) -> None:
    """Compare the samples with the training text; show them, marked, unless `quiet`."""
    from charrnn.ui.terminal.novelty import show

    found = [training.compare(sample["text"], least) for sample in samples]
    for sample, novelty in zip(samples, found, strict=True):
        sample["novelty"] = novelty.to_json() | {"held_out_new_ngrams": training.held_out_ngrams}
    if not quiet:
        show(titles, found, training.held_out_ngrams, least, sys.stdout)
