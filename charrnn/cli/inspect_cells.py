"""charrnn inspect-cells: find the cells that follow a concept, prove it, show it on text."""

from typing import Annotated, Literal

import typer

from charrnn.cli.models import open_models
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.errors import UsageError
from charrnn.ui.terminal.text import json_text, put, say


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
        str | None, typer.Option(metavar="CHAR=+|-", help="What your NAME should make more or less likely.")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="L:K",
            help="Only show cell K of layer L; --csv or --json gives its value at each character.",
        ),
    ] = None,
    gates: Annotated[bool, typer.Option("--gates", help="Only show how often gates are saturated.")] = False,
    top: Annotated[int, typer.Option(min=1, help="Cells to report for a concept.")] = 1,
    passages: Annotated[int, typer.Option(min=0, help="Findings to show on text.")] = 3,
    guesses: Annotated[bool, typer.Option("--guesses", help="Five most probable next characters.")] = False,
    style: Annotated[
        Literal["auto", "colour", "bars", "digits"], typer.Option(help="How a cell's value is shown.")
    ] = "auto",
    no_causal: Annotated[bool, typer.Option("--no-causal", help="Do not hold cells.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Name the concepts and their rules.")] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="The findings, or with --cell its values, as CSV on stdout.")
    ] = False,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write a web page to explore.")
    ] = None,
) -> None:
    """Find cells for quotations, lengths, nesting, …; prove it.

    \b
    Examples:
      charrnn inspect-cells
      charrnn inspect-cells --concept quote --concept line_pos --guesses
      charrnn inspect-cells --concept 'first=between:\\n.. ' --expect ' =+'
      charrnn inspect-cells --cell 1:137 --text story.txt
      charrnn inspect-cells --cell 1:137 --text story.txt --csv
      charrnn inspect-cells --html report.html
    """
    from charrnn.interpret import findings, texts
    from charrnn.interpret import passages as pieces
    from charrnn.interpret.gates import gate_saturation
    from charrnn.interpret.user_concepts import parse_concepts
    from charrnn.ui.html import findings as web
    from charrnn.ui.terminal import findings as view
    from charrnn.ui.terminal.gates import gates_view

    out, talk = view.console_for(style), view.console_for(stderr=True)
    look = view.Look.of(out, style)
    if as_json + as_csv > 1 or (as_csv and gates) or (cell and gates):
        raise UsageError("--json and --csv exclude each other, and --gates excludes --cell and --csv")
    if html is not None and (gates or list_):
        raise UsageError("--html excludes --gates, which its page shows, and --list")
    if html is not None:
        web.check_target(html)
    if list_:
        out.print(view.concept_list())
        return
    concepts = parse_concepts(concept or (), expect) or None
    [path], [loaded] = open_models([model] if model else None)
    words = texts.held_out_text(loaded) if text is None else texts.text_of(loaded, [text])
    if cell:
        length = 2 * pieces.PASSAGE * max(1, passages)
        layer, index = pieces.parse_cell(cell, loaded)
        if html is not None:
            size = web.write_cell(html, path, loaded, words, (layer, index), concepts)
            say(f"page {html}, {size / 1e6:.1f} MB")
        if as_json or as_csv:
            signal = pieces.signal_of(loaded, words, layer, index)
            if as_json:
                values = [[c, float(str(value))] for c, value in zip(words, signal, strict=True)]
                put(json_text({"model": str(path), "layer": layer, "cell": index, "values": values}))
            else:
                from charrnn.text.table import csv_text

                put(csv_text(["character", "value"], zip(words, signal, strict=True)), end="")
            return
        shown = pieces.of_cell(loaded, words, layer, index, length, guesses)
        out.print(view.single_cell(shown, layer, index, out.width, look))
        return
    if gates:
        saturation = gate_saturation(loaded, words)
        if as_json:
            put(json_text({"model": str(path), "gates": [gate.as_dict() for gate in saturation]}))
        else:
            out.print(gates_view(saturation, out.width, look.ascii_only))
        return
    found = findings.inspect_cells(loaded, words, concepts, top=top, causal=not no_causal)
    for preview in found.previews:
        if preview.user_defined:
            talk.print(view.preview_line(preview, view.Look.of(talk, "bars")))
    if html is not None:
        size = web.write_findings(html, path, loaded, found, passages)
        say(f"page {html}, {size / 1e6:.1f} MB")
    if as_json:
        put(json_text({"model": str(path), **found.as_dict()}))
    elif as_csv:
        put(found.as_csv(), end="")
    else:
        chosen = pieces.of_findings(loaded, found, passages, guesses)
        out.print(view.report(found, chosen, out.width, look))
    told_above = found.nothing_found and not (as_json or as_csv)
    talk.print(view.remarks(found, refusals=not told_above))
