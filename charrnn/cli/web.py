"""What `export --to web` and `play` share: options, findings for the page, what is told of precisions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.errors import CharRNNError, DataError
from charrnn.files.reading import parse_json, read_file, read_stdin
from charrnn.ui.terminal.output import say

if TYPE_CHECKING:
    from charrnn.model.model import Model
    from charrnn.score.rounding import RoundingLosses

PRECISION = "float16"
MOST_BYTES = 1 << 24  # of a file of findings

PrecisionOption = Annotated[
    Literal["float16", "int8", "float32"] | None,
    typer.Option(help=f"Number type of the weights on the web page.  [default: {PRECISION}]"),
]
FindingsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Result of charrnn inspect-cells --json (- is stdin): the cells that it names are lamps on the page.",
    ),
]
InspectOption = Annotated[
    bool,
    typer.Option(
        "--inspect", help="Look for cells with a name in the held-out text first, for the page to show."
    ),
]


def findings_for(model: "Model", file: str | None, inspect: bool) -> list[dict[str, Any]]:
    """The cells with a name that the page is to show. Raises DataError where their file cannot be used."""
    from charrnn.interpret.findings import inspect_cells
    from charrnn.interpret.texts import from_paragraph, held_out_text
    from charrnn.ui.html.play_page import usable

    if inspect:
        say("looking for cells")
        text = from_paragraph(held_out_text(model))
        found = {"findings": [one.to_json() for one in inspect_cells(model, text).findings]}
        return usable(found, model, "inspect-cells")
    if file is None:
        return []
    try:
        content = read_stdin(MOST_BYTES) if file == "-" else read_file(file, MOST_BYTES)
        parsed = parse_json(content)
    except (OSError, ValueError) as error:
        raise DataError(
            f"--findings {file} cannot be read as JSON: {getattr(error, 'strerror', None) or error}"
        ) from error
    return usable(parsed, model, f"--findings {file}")


def write_module(folder: Path, model: "Model", precision: str) -> list[Path]:
    """Write model.js and model.bin into a folder, which is made if only it is missing; returns the two files."""
    from charrnn.exchange.to_web import module
    from charrnn.files.writing import atomic_write_named
    from charrnn.ui.html.play_page import model_bytes

    contents = {"model.js": module().encode("utf-8"), "model.bin": model_bytes(model, precision)}
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise CharRNNError(f"--out {folder} cannot be used as a folder: {error.strerror}") from error
    for name, content in contents.items():
        with atomic_write_named(folder / name) as file:
            file.write(content)
    return [folder / name for name in contents]


def losses_in_words(losses: "RoundingLosses", chosen: str) -> str:
    """What each precision costs; the chosen one is marked."""
    if losses.why_not:
        return f"what the precisions cost is not known: {losses.why_not}"
    each = ", ".join(
        f"{precision} {loss - losses.trained:+.4f}{' (chosen)' if precision == chosen else ''}"
        for precision, loss in losses.rounded.items()
    )
    return f"loss on {losses.symbols:,} symbols of the validation text: {losses.trained:.4f} nats per symbol; {each}"
