"""charrnn explain: how one cell does what it does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli.models import must_spare, open_models
from charrnn.cli.options import ExpectOption, JsonOption, ModelOption
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put, say

if TYPE_CHECKING:
    from charrnn.interpret.labels import Concept
    from charrnn.model.model import Model
    from charrnn.text.items import Items


def explain(
    cell: Annotated[str, typer.Argument(metavar="LAYER:CELL", help="Cell to explain, such as 0:63.")],
    model: ModelOption = None,
    text: Annotated[
        str | None,
        typer.Option(help="Text file to read, - for stdin. Default: the text held out in training."),
    ] = None,
    concept: Annotated[
        str | None,
        typer.Option(
            help="Concept that the cell is scored by: a name or a definition as for inspect-cells. Default: the "
            "built-in one that it follows best."
        ),
    ] = None,
    expect: ExpectOption = None,
    top: Annotated[
        int, typer.Option(min=1, help="Writers to show, and as many readers among cells and predictions.")
    ] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Skip the tests that cut each edge.")] = False,
    cut: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EDGE",
            help="Edge to cut in a copy of the model (--out), written as in the tables: CHAR->GATE, L:K->GATE, "
            "->L:K:GATE or ->head:CHAR. May be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Model file to write with the edges of --cut cut; replaced if it exists."),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write the result to this file as a web page."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a cell: what writes, erases and reads it.

    The change of the state is split exactly: (f - 1) c + i g of an LSTM, (z - 1) h + (1 - z) n of a GRU. Each gate's
    sum is split into characters and cells. An edge's strength is how far it moves the state in one step: its weight
    times how much its source moves on the text, taken through the gate. Then each edge shown is cut, beside edges of
    like weight: does the cell's score fall, and the log-odds of its target? A cut edge passes on its mean.

    \b
    Examples:
      charrnn explain 1:137
      charrnn explain 1:137 --concept line_pos --top 3 --quick
      charrnn explain 1:137 --text story.txt --quick --json
      charrnn explain 1:137 --quick --html cell.html
      charrnn explain 1:137 --cut '->head:e' --out cut.safetensors
    """
    from charrnn.interpret import texts
    from charrnn.interpret.passages import parse_cell
    from charrnn.interpret.user_concepts import parse_concept
    from charrnn.ui.html.mechanism_page import check_target

    if (out is None) != (not cut):
        raise UsageError(
            "--cut EDGE and --out FILE go together: the edges to cut, and the model file to write"
        )
    if html is not None:
        if out is not None:
            raise UsageError("--html cannot be combined with --out, which explains nothing")
        check_target(html)
    [path], [loaded] = open_models([model] if model else None)
    if out is not None:
        must_spare(path, out)
    place = parse_cell(cell, loaded, "LAYER:CELL")
    if expect is not None and concept is None:
        raise UsageError(f"--expect {expect!r} needs a concept of your own (--concept)")
    wanted = None if concept is None else parse_concept(concept, expect)
    words = texts.to_judge(loaded, text)
    if out is not None and cut:
        _cut(path, loaded, words, place, cut, wanted, out, as_json)
    else:
        _explain(path, loaded, words, place, wanted, top, quick, html, as_json)


def _explain(
    path: Path,
    model: "Model",
    text: "str | Items",
    cell: tuple[int, int],
    concept: "Concept | None",
    top: int,
    quick: bool,
    html: str | None,
    as_json: bool,
) -> None:
    """Explain the cell, and show it."""
    from charrnn.interpret.mechanism import explain_cell
    from charrnn.ui.html.mechanism_page import write_mechanism
    from charrnn.ui.terminal.console import Console
    from charrnn.ui.terminal.mechanism_view import summary, view

    talk = Console(highlight=False, markup=False, stderr=True)
    with talk.status("reading", spinner="line") as step:
        found = explain_cell(model, text, cell, concept, top=top, cut=not quick, begun=step.update)
    if quick:
        say("--quick: no edge was cut")
    if html is not None:
        say(f"page {html}, {write_mechanism(html, path, found) / 1e6:.1f} MB")
    if as_json:
        put(json_text({"model": str(path), "summary": summary(found), **found.to_json()}))
    else:
        console = Console(highlight=False, markup=False)
        console.print(view(found, console))


def _cut(
    path: Path,
    model: "Model",
    text: "str | Items",
    cell: tuple[int, int],
    edges: list[str],
    concept: "Concept | None",
    out: Path,
    as_json: bool,
) -> None:
    """Write the model without the edges, and tell what changes."""
    from charrnn.interpret.mechanism import cut_cell
    from charrnn.ui.terminal.mechanism_view import after_cutting

    changed, found = cut_cell(model, text, cell, edges, concept)
    changed.save(out)
    score_after, odds_after = found.together or (None, None)
    if as_json:
        told = {
            "model": str(path),
            "out": str(out),
            "cut": edges,
            "concept": found.concept,
            "score": found.score,
            "score_after": score_after,
            "target": found.target,
            "log_odds": found.log_odds,
            "log_odds_after": odds_after,
        }
        put(json_text(told))
        return
    say(after_cutting(found))
    put(out)
