"""charrnn inspect-cells: find the cells that follow a concept, prove it, show it on text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.given import refuse_beside
from charrnn.cli.models import model_path
from charrnn.cli.options import ExpectOption, JsonOption
from charrnn.errors import DataError, UsageError
from charrnn.ui.terminal.output import json_text, put, say

if TYPE_CHECKING:
    from charrnn.interpret.findings import Inspection
    from charrnn.interpret.labels import Concept
    from charrnn.interpret.mechanism import Explanation
    from charrnn.interpret.over_time import Moment
    from charrnn.model.model import Model
    from charrnn.text.items import Items
    from charrnn.ui.terminal.console import Console
    from charrnn.ui.terminal.findings_view import Look

Style = Literal["auto", "colour", "bars", "digits"]


def inspect_cells(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Model file or run folder. Default: the newest run under ./runs. Give two to match their cells.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Text file to read, - for stdin. Default: the text held out in training."),
    ] = None,
    concept: Annotated[
        list[str] | None,
        typer.Option(
            help="Concept to look for: a name from --list, or NAME=between:A..B, span:RE, count:RE;reset=RE, depth:A|B."
        ),
    ] = None,
    expect: ExpectOption = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="L:K",
            help="Show only cell K of layer L; --csv or --json gives its value at each character.",
        ),
    ] = None,
    gates: Annotated[bool, typer.Option("--gates", help="Show only how often gates are saturated.")] = False,
    top: Annotated[int, typer.Option(min=1, help="Cells to report per concept.")] = 1,
    passages: Annotated[int, typer.Option(min=0, help="Number of findings to show on passages of text.")] = 3,
    guesses: Annotated[
        bool, typer.Option("--guesses", help="Show the five most probable next characters in the passages.")
    ] = False,
    style: Annotated[Style, typer.Option(help="How cell values are drawn on the text.")] = "auto",
    no_causal: Annotated[
        bool, typer.Option("--no-causal", help="Skip the causal test, which holds cells at fixed values.")
    ] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Skip the causal test and the comparison with untrained networks."),
    ] = False,
    over_time: Annotated[
        bool,
        typer.Option(
            "--over-time", help="Show the findings in each snapshot of the run too (train --snapshots K)."
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Tell how each found cell does it, as charrnn explain does. --quick leaves out cutting edges.",
        ),
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List the built-in concepts and their rules, and exit.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="The findings, or with --cell its values, as CSV on stdout.")
    ] = False,
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write the result to this file as a web page to explore."),
    ] = None,
) -> None:
    """Find cells for quotations, lengths, nesting, …; prove it.

    A model of items reads each item from the zero state, and no concept reaches across an item's end. ∎ marks the
    end of an item, ▸ what stands before it (an end, labels, the boundary of a pair).

    With two models, each cell of one is paired with a cell of the other so that the correlations of their signals are
    largest in all, and the concepts that are found in both come first.

    \b
    Examples:
      charrnn inspect-cells
      charrnn inspect-cells --concept quote --concept line_pos --guesses
      charrnn inspect-cells --concept 'first=between:\\n.. ' --expect ' =+'
      charrnn inspect-cells --cell 1:137 --text story.txt
      charrnn inspect-cells --cell 1:137 --text story.txt --csv
      charrnn inspect-cells --html report.html --explain --quick
      charrnn inspect-cells --quick --model runs/tale-1 --model runs/harbour-20250101-120000 --html both.html
    """
    from charrnn.interpret import texts
    from charrnn.interpret.user_concepts import parse_concepts
    from charrnn.model.model import load_model
    from charrnn.ui.html.findings_page import check_target
    from charrnn.ui.terminal import findings_view as view

    if as_json + as_csv > 1 or (as_csv and gates) or (cell and gates):
        raise UsageError("--json cannot be combined with --csv, nor --gates with --cell or --csv")
    of_a_search = {"--quick": quick, "--no-causal": no_causal, "--top": top > 1}
    refuse_beside("--cell", cell, of_a_search)
    refuse_beside("--gates", gates, of_a_search)
    if html is not None and (gates or list_):
        raise UsageError("--html cannot be combined with --list, nor with --gates, which its page shows")
    out = _Output("json" if as_json else "csv" if as_csv else "terminal", style, passages, guesses, html)
    if html is not None:
        check_target(html)
    if list_:
        out.console.print(view.concept_list())
        return
    concepts = parse_concepts(concept or (), expect) or None
    others = {"--cell": cell, "--gates": gates, "--csv": as_csv}
    refuse_beside("--over-time", over_time, others)
    refuse_beside("--explain", explain, others)
    if len(model or ()) > 1:
        refuse_beside("a second --model", True, others | {"--over-time": over_time, "--explain": explain})
    if len(model or ()) > 2:
        raise UsageError(f"{len(model or ()):,} models are named; cells are matched between two")
    paths = [model_path(one) for one in model or ()] or [model_path(None)]
    path, *second = paths
    loaded = load_model(path)
    words = texts.to_judge(loaded, text)
    search = _Search(concepts, top, not (no_causal or quick), not quick)
    if second:
        _matched(out, paths, loaded, words, search, told=text is not None)
    elif cell:
        _one_cell(out, path, loaded, words, cell, concepts)
    elif gates:
        _gates(out, path, loaded, words)
    else:
        _findings(out, path, loaded, words, search, over_time, explain)


@dataclass(frozen=True)
class _Output:
    """How a result is given, as the options say."""

    form: Literal["terminal", "json", "csv"]
    style: Style
    passages: int
    guesses: bool
    html: str | None

    @cached_property
    def console(self) -> "Console":
        from charrnn.ui.terminal.findings_view import console_for

        return console_for(self.style)

    @property
    def look(self) -> "Look":
        from charrnn.ui.terminal.findings_view import Look

        return Look.of(self.console, self.style)


def _one_cell(
    out: _Output,
    path: Path,
    model: "Model",
    text: "str | Items",
    cell: str,
    concepts: "Sequence[Concept] | None",
) -> None:
    """Show one cell's value at each character."""
    from charrnn.interpret import passages
    from charrnn.interpret.reading import character_names, reading_of
    from charrnn.text.table import csv_text
    from charrnn.ui.html.findings_page import write_cell
    from charrnn.ui.terminal.findings_view import single_cell

    layer, index = passages.parse_cell(cell, model)
    if out.html is not None:
        _tell_of_page(out.html, write_cell(out.html, path, model, text, (layer, index), concepts))
    length = 2 * passages.PASSAGE * max(1, out.passages) if out.form == "terminal" else None
    reading = reading_of(model, text, length)
    if length is not None:
        shown = passages.of_cell(model, reading, layer, index, length, out.guesses)
        out.console.print(single_cell(shown, layer, index, out.console.width, out.look))
        return
    signal = passages.signal_of(model, reading, layer, index)
    names = character_names(model, reading)
    if out.form == "csv":
        put(csv_text(["character", "value"], zip(names, signal, strict=True)), end="")
    else:
        values = [[c, float(str(value))] for c, value in zip(names, signal, strict=True)]
        put(json_text({"model": str(path), "layer": layer, "cell": index, "values": values}))


def _gates(out: _Output, path: Path, model: "Model", text: "str | Items") -> None:
    """Show how often the gates are saturated."""
    from charrnn.interpret.saturation import gate_saturation
    from charrnn.ui.terminal.saturation_view import gates_view

    found = gate_saturation(model, text)
    if out.form == "json":
        put(json_text({"model": str(path), "gates": found}))
    else:
        out.console.print(gates_view(found, out.console.width, out.look.glyphs))


@dataclass(frozen=True)
class _Search:
    """What is looked for, and how far, as the options say."""

    concepts: "Sequence[Concept] | None"
    top: int
    causal: bool
    untrained: bool

    def inspect(self, model: "Model", text: "str | Items", talk: "Console", name: str = "") -> "Inspection":
        """Find the cells that follow the concepts; tell of each step that begins."""
        from charrnn.interpret.findings import inspect_cells

        with talk.status(f"{name}reading", spinner="line") as step:
            return inspect_cells(
                model,
                text,
                self.concepts,
                top=self.top,
                causal=self.causal,
                untrained=self.untrained,
                begun=lambda what: step.update(f"{name}{what}"),
            )


def _findings(
    out: _Output,
    path: Path,
    model: "Model",
    text: "str | Items",
    search: _Search,
    through_time: bool,
    explained: bool,
) -> None:
    """Find the cells that follow the concepts, and show them."""
    from charrnn.interpret.passages import of_findings
    from charrnn.ui.html.findings_page import write_findings
    from charrnn.ui.html.mechanism_page import mechanism_data
    from charrnn.ui.terminal import findings_view as view
    from charrnn.ui.terminal.mechanism_view import in_words
    from charrnn.ui.terminal.over_time_view import view as over_time_view

    talk = view.console_for(stderr=True)
    snapshots = _snapshots(path, model) if through_time else []
    found = search.inspect(model, text, talk)
    if not search.untrained:
        talk.print("--quick: no cell was held, and none was compared with untrained networks")
    for preview in found.previews:
        if preview.user_defined:
            talk.print(view.preview_line(preview, view.Look.of(talk, "bars")))
    moments = _moments(snapshots, found, talk)
    mechanisms = _mechanisms(model, text, search, found, talk) if explained else []
    if out.html is not None:
        _tell_of_page(
            out.html, write_findings(out.html, path, model, found, out.passages, moments, mechanisms)
        )
    if out.form == "json":
        answer = {"model": str(path), **found.to_json()} | ({"over_time": moments} if moments else {})
        for finding, mechanism in zip(answer["findings"], mechanisms, strict=False):
            finding["mechanism"] = mechanism and mechanism_data(mechanism)
        put(json_text(answer))
    elif out.form == "csv":
        put(found.as_csv(), end="")
    else:
        chosen = of_findings(model, found, out.passages, out.guesses)
        out.console.print(view.report(found, chosen, out.console.width, out.look))
        if moments:
            out.console.print(over_time_view(found.findings, moments, out.console.width, out.look.glyphs))
        for mechanism in filter(None, mechanisms):
            out.console.print(in_words(mechanism, out.console))
    told_above = found.nothing_found and out.form == "terminal"
    talk.print(view.remarks(found, refusals=not told_above))


def _snapshots(path: Path, model: "Model") -> "list[Model]":
    """The models of a run by step: its snapshots and the model itself. Raises DataError where there are too few."""
    from charrnn.model.model import load_model
    from charrnn.runs.folder import RunFolder, snapshot_files

    files = snapshot_files(RunFolder(path.parent).snapshots)
    if len(files) < 2:
        raise DataError(
            f"{path.parent} has {len(files)} snapshots; --over-time needs at least 2. Train with --snapshots K, which "
            "keeps the models of K moments per epoch"
        )
    step = model.training.get("step")  # the newest snapshot may be the model itself
    return [model, *(one for one in map(load_model, files) if one.training.get("step") != step)]


def _moments(snapshots: "list[Model]", found: "Inspection", talk: "Console") -> "list[Moment]":
    from charrnn.interpret.over_time import over_time

    if not snapshots:
        return []
    with talk.status("snapshots", spinner="line") as step:
        return over_time(snapshots, found, begun=step.update)


def _mechanisms(
    model: "Model", text: "str | Items", search: _Search, found: "Inspection", talk: "Console"
) -> "list[Explanation | None]":
    """How each found cell does it; the reasons where that cannot be told are told."""
    from charrnn.interpret.mechanism import explain_findings

    with talk.status("explaining", spinner="line") as step:
        mechanisms, reasons = explain_findings(
            model, text, found, search.concepts, cut=search.causal, begun=step.update
        )
    for reason in reasons:
        say(reason)
    return mechanisms


def _matched(
    out: _Output, paths: Sequence[Path], first: "Model", text: "str | Items", search: _Search, *, told: bool
) -> None:
    """Show which cells of two models do the same, and which concepts are found in both."""
    from charrnn.interpret.matching import match
    from charrnn.model.model import load_model
    from charrnn.text.items import Items
    from charrnn.ui.html.matching_page import write_matching
    from charrnn.ui.terminal.findings_view import console_for
    from charrnn.ui.terminal.matching_view import view

    second = load_model(paths[1])
    if isinstance(text, Items) and first.vocab != second.vocab:
        raise DataError(
            "the two models of items have different symbols; cells are matched on one text of both"
        )
    if not told and any(first.training.get(key) != second.training.get(key) for key in ("corpus", "split")):
        say(
            f"the text was held out from {paths[0]}; {paths[1]} may have been trained on it. --text names another"
        )
    talk = console_for(stderr=True)
    found = [
        search.inspect(model, text, talk, f"{path}: ")
        for path, model in zip(paths, (first, second), strict=True)
    ]
    matching = match(*found)
    if out.html is not None:
        _tell_of_page(out.html, write_matching(out.html, paths, matching))
    if out.form == "json":
        inspections = [{"model": str(path), **one.to_json()} for path, one in zip(paths, found, strict=True)]
        put(json_text({"models": inspections, "matching": matching}))
    else:
        out.console.print(view(matching))


def _tell_of_page(file: str, size: int) -> None:
    say(f"page {file}, {size / 1e6:.1f} MB")
