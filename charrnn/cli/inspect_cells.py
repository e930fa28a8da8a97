"""charrnn inspect-cells: find the cells that follow a concept, prove it, show it on text."""

import csv
import json
import sys
from typing import Annotated, Any

import typer

from charrnn.cli.options import JsonOption, ModelOption
from charrnn.errors import UsageError


def inspect_cells(
    model: ModelOption = None,
    text: Annotated[
        str | None, typer.Option(help="A text file, or -; by default what was held out in training.")
    ] = None,
    concept: Annotated[
        list[str] | None,
        typer.Option(help="A name from --list, or NAME=between:A..B, span:RE, count:RE;reset=RE, depth:A|B."),
    ] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="CHAR=+|-", help="What NAME should make more or less likely.")
    ] = None,
    cell: Annotated[str | None, typer.Option(metavar="L:K", help="Only show cell K of layer L.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Cells to report for a concept.")] = 1,
    passages: Annotated[int, typer.Option(min=0, help="Findings to show on text.")] = 3,
    guesses: Annotated[bool, typer.Option("--guesses", help="Five most probable next characters.")] = False,
    style: Annotated[str, typer.Option(help="auto, colour, bars or digits.")] = "auto",
    no_causal: Annotated[bool, typer.Option("--no-causal", help="Do not hold cells.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Name the concepts and their rules.")] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The findings as CSV on stdout.")] = False,
) -> None:
    """Find the single cells that follow quotations, line lengths, nesting, …, and prove it.

    \b
    Examples:
      charrnn inspect-cells
      charrnn inspect-cells --concept quote --concept line_pos --guesses
      charrnn inspect-cells --concept 'aside=between:(..)' --expect ')=+'
      charrnn inspect-cells --cell 1:137 --text story.txt
    """
    from rich.console import Console

    from charrnn.ui import findings as view

    out = Console(highlight=False, markup=False)
    if style not in ("auto", "colour", "bars", "digits"):
        raise UsageError(f"--style is {style!r}; it must be one of: auto, colour, bars, digits")
    look = view.Look.of(out, style)  # type: ignore[arg-type]
    if list_:
        out.print(view.concept_list())
        return

    from charrnn.interpret import findings, texts
    from charrnn.interpret import passages as pieces
    from charrnn.interpret.user_concepts import parse_concept
    from charrnn.model import load_model
    from charrnn.train.run_folder import find_model

    path = find_model(model)
    if model is None:
        typer.echo(f"model: {path}", err=True)
    loaded = load_model(path)
    words = texts.held_out_text(loaded) if text is None else texts.text_of(loaded, [text])
    if cell is not None:
        layer, index = place(cell)
        shown = pieces.of_cell(loaded, words, layer, index, 2 * pieces.PASSAGE * max(1, passages), guesses)
        out.print(view.single_cell(shown, layer, index, out.width, look))
        return
    concepts = [parse_concept(one, expect) for one in concept] if concept else None
    found = findings.inspect_cells(loaded, words, concepts, top=top, causal=not no_causal)
    if concepts and any(one.user_defined for one in concepts):
        talk = Console(stderr=True, highlight=False)
        for preview in found.previews:
            talk.print(view.preview_line(preview, view.Look.of(talk, "bars")))
    if as_json:
        typer.echo(json.dumps({"model": str(path), **found.as_dict()}))
    elif as_csv:
        write_csv([finding.as_dict() for finding in found.findings])
    else:
        out.print(view.report(found, pieces.of_findings(loaded, found, passages, guesses), out.width, look))


def place(cell: str) -> tuple[int, int]:
    """Layer and cell of ``1:137``."""
    layer, _, index = cell.partition(":")
    if not (layer.isdecimal() and index.isdecimal()):
        raise UsageError(f"--cell is {cell!r}; write LAYER:CELL, both from 0, such as 1:137")
    return int(layer), int(index)


def write_csv(rows: list[dict[str, Any]]) -> None:
    """One row a finding; what is a list in JSON is left out."""
    flat = [{k: v for k, v in row.items() if not isinstance(v, list | dict)} for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
