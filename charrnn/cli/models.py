"""The models a command works with: those named, or that of the newest run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.ui.terminal.output import say

if TYPE_CHECKING:
    from charrnn.model.model import Model

ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Model file or run folder. Default: the newest run under ./runs. The probabilities of several models, "
        "or of a folder of snapshots (RUN/snapshots), are averaged.",
    ),
]


def open_models(paths: list[str] | None) -> tuple[list[Path], list["Model"]]:
    """The files that --model names, or that of the newest run, told on stderr; and the models in them.

    Raises ModelError when there is none.
    """
    from charrnn.model.model import load_model
    from charrnn.runs.folder import find_model, find_models

    if not paths:
        files = [find_model()]
        say(f"model {files[0]}")
    else:
        files = [file for path in paths for file in find_models(path)]
    return files, [load_model(file) for file in files]
