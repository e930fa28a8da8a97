"""How a command cuts the files that it reads into items; the words are those of the settings of training."""

from typing import Annotated

import typer

_AS_TRAINED = "Default: as in the model's training."

ItemsOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="How a file is cut into items: line, blank-line, file, sep:TEXT, pairs, csv, tsv or jsonl. "
        f"{_AS_TRAINED}",
    ),
]
TextColumnOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"Column of a table that holds the texts. {_AS_TRAINED}"),
]
LabelColumnOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"Column of a table that holds the labels; several with commas. {_AS_TRAINED}"
    ),
]
InputColumnOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"Column of a table that holds the inputs of pairs. {_AS_TRAINED}"),
]
