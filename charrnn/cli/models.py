"""The models a command works with: those named, or that of the newest run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.errors import UsageError
from charrnn.ui.terminal.output import say

if TYPE_CHECKING:
    from charrnn.model.model import Model

ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="RUN",
        help="Model file or run folder. Default: the newest run under ./runs. The probabilities of several models, "
        "or of a folder of snapshots (RUN/snapshots), are averaged.",
    ),
]


def open_models(paths: list[str] | None) -> tuple[list[Path], list["Model"]]:
    """The files that --model names, or that of the newest run, told on stderr; and the models in them.

    Raises ModelError when there is none.
    """
    from charrnn.model.model import load_model
    from charrnn.runs.folder import find_models

    files = [file for path in paths for file in find_models(path)] if paths else [model_path(None)]
    return files, [load_model(file) for file in files]


def model_path(path: str | None) -> Path:
    """The file that --model names, or that of the newest run, told on stderr. Raises ModelError when there is none."""
    from charrnn.runs.folder import find_model

    file = find_model(path)
    if path is None:
        say(f"model {file}")
    return file


def must_spare(model: Path, out: Path) -> None:
    """Raise UsageError where --out is the model itself."""
    if os.path.exists(out) and out.samefile(model):
        raise UsageError(f"--out {out} is the model itself. Name another file")
