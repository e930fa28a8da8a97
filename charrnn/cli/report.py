"""charrnn report: a run as one web page."""

from typing import Annotated

import typer

from charrnn.cli.options import JsonOption, ModelOption
from charrnn.ui.terminal.output import json_text, put, say

STAGES = {
    "evaluation": "scoring the text",
    "surprises": "reading a passage",
    "gates": "reading the gates",
    "flow": "following gradients back",
    "cells": "looking for cells",
}


def report(
    model: ModelOption = None,
    html: Annotated[str, typer.Option(metavar="FILE", help="File to write the web page to.")] = "report.html",
    text: Annotated[
        str | None, typer.Option(help="Text file to measure on. Default: the text held out in training.")
    ] = None,
    causal: Annotated[
        bool,
        typer.Option(
            "--causal", help="Also run the causal test, which holds cells at fixed values; takes longer."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a run as one web page.

    It has curves, samples, surprise on a passage, gates, gradients, cells and a verdict, needs no network and
    is below 5 MB. Losses are in bits per character, with nats beside them. --json prints what was measured, too.

    \b
    Examples:
      charrnn report
      charrnn report runs/harbour-20250101-120000 --html page.html
      charrnn report --causal --html harbour.html
      charrnn report --json | jq .evaluation
    """
    from charrnn.interpret.run_report import gather
    from charrnn.model.model import load_model
    from charrnn.runs.folder import MODEL, RunFolder, find_model
    from charrnn.ui.html.run_page import as_json as told_of
    from charrnn.ui.html.run_page import check_target, write_run

    check_target(html)
    folder = RunFolder.newest(holding=MODEL) if model is None else RunFolder.find(model)
    if model is None:
        say(f"run {folder.path}")
    loaded = load_model(find_model(folder.path))

    def begun(part: str) -> None:
        say(STAGES[part])

    found = gather(folder, loaded, text, causal=causal, begun=begun)
    for why in dict.fromkeys(found.missing.values()):
        parts = ", ".join(part for part, reason in found.missing.items() if reason == why)
        say(f"without {parts}: {why}")
    size = write_run(html, found)
    say(f"page {html}, {size / 1e6:.1f} MB")
    if as_json:
        put(json_text({"page": html, "page_bytes": size} | told_of(found)))
