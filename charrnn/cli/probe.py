"""charrnn probe: what the state of a model knows of whole texts."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from charrnn.cli.options import JsonOption, ModelOption
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put, say

Unknown = Literal["error", "skip", "nearest"]


def probe(
    labels: Annotated[
        str | None,
        typer.Argument(metavar="[CSV]", help="CSV file of labelled texts to fit the probe on; - is stdin."),
    ] = None,
    model: ModelOption = None,
    text_column: Annotated[
        str | None, typer.Option(help="Name of the CSV column that holds the texts.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Name of the CSV column that holds the labels.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the texts held out to measure accuracy on.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Seed for choosing the held-out texts.")] = 1,
    unknown: Annotated[
        Unknown, typer.Option(help="How to treat characters that the model does not know.")
    ] = "error",
    out: Annotated[
        str | None, typer.Option(help="File to save the probe to. Default: beside the model.")
    ] = None,
    predict: Annotated[
        str | None,
        typer.Option(
            metavar="CSV", help="Predict the labels of the texts in this CSV instead of fitting; - is stdin."
        ),
    ] = None,
    probe_file: Annotated[
        str | None, typer.Option("--probe", help="With --predict: saved probe to use.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the state after each text to FILE.csv or FILE.npz instead of fitting."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find what a model's state knows of whole texts.

    A linear classifier is fitted on the state after each text and measured on held-out texts, beside one of
    character n-grams, the single cell that does best, and the commonest label. The CSV has a text and a label
    per row, under the names text and label, or in its first two columns when it has no header. --predict
    writes CSV, or with --json one JSON object per line. --features writes a row per text: its line in the file,
    its label where --label-column names one, and the state of every cell (c of an LSTM, otherwise h).

    \b
    Examples:
      charrnn probe reviews.csv --label-column sentiment
      charrnn probe reviews.csv --features states.npz
      charrnn probe --predict new.csv --probe runs/tale-1/reviews.probe.safetensors
    """
    from charrnn.model.model import load_model
    from charrnn.model.model_file import read_metadata
    from charrnn.probe import probe as probes
    from charrnn.runs.folder import find_model
    from charrnn.text.table import read_table
    from charrnn.ui.terminal.output import writer
    from charrnn.ui.terminal.probe_view import predictions, report

    if features is not None:
        if labels is None or predict is not None or probe_file is not None:
            raise UsageError("--features takes a CSV with texts, and neither --predict nor --probe")
        ending = Path(features).suffix
        if ending not in (".csv", ".npz"):
            raise UsageError(f"--features is {features}; it must end in .csv or .npz")
        file = find_model(model)
        if model is None:
            say(f"model {file}")
        loaded, rows = load_model(file), read_table(labels, text_column, label_column or "")
        states = probes.features(loaded, probes.encode_rows(rows, loaded.vocab, unknown))
        named = [row.label for row in rows] if label_column else None
        probes.save_features(features, states, [row.line for row in rows], named, loaded.config.hidden)
        say(f"saved {features}: {states.shape[0]:,} texts, {states.shape[1]:,} cells")
        return
    if (labels is None) == (predict is None) or (predict is None) != (probe_file is None):
        raise UsageError("name a CSV with labels to fit on, or --predict CSV with --probe FILE")
    if predict is not None and probe_file is not None:
        fitted = probes.load_probe(probe_file)
        loaded = probes.model_of(fitted, probe_file, None if model is None else find_model(model))
        rows = read_table(predict, text_column, "")
        p = fitted.probabilities(probes.features(loaded, probes.encode_rows(rows, loaded.vocab, unknown)))
        write = writer(sys.stdout)
        for line in predictions(rows, fitted.labels, p, as_json):
            write(line)
        return
    file = find_model(model)
    if model is None:
        say(f"model {file}")
    assert labels is not None
    name = "stdin" if labels == "-" else Path(labels).stem
    saved = Path(out) if out else file.with_name(f"{name}.probe.safetensors")
    if os.path.exists(saved) and saved.samefile(file):
        raise UsageError(f"--out {saved} is the model itself. Name another file")
    loaded = load_model(file)
    rows = read_table(labels, text_column, label_column)
    ids = probes.encode_rows(rows, loaded.vocab, unknown)
    texts, told = [row.text for row in rows], [row.label for row in rows]
    fitted, result = probes.fit(loaded, texts, ids, told, held_out=held_out, seed=seed)
    sha256 = read_metadata(file)["sha256"]
    replace(fitted, model=str(file.absolute()), model_sha256=sha256, report=result.to_json()).save(saved)
    if as_json:
        put(json_text(result.to_json() | {"model": str(file), "probe": str(saved)}))
    else:
        write = writer(sys.stdout)
        write("\n".join([*report(result), f"saved {saved}", ""]))
