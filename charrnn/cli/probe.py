"""charrnn probe: what the state of a model knows of whole texts."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.given import refuse_beside, refuse_if
from charrnn.cli.models import model_path, must_spare
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.files.json_value import json_value
from charrnn.ui.terminal.output import json_text, put, say, writer

if TYPE_CHECKING:
    import numpy as np

    from charrnn.model.model import Model
    from charrnn.text.table import Row

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
    beliefs: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Text of a process, with its states file beside it: regress the beliefs about its hidden state.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find what a model's state knows of whole texts, or of a process.

    A linear classifier is fitted on the state after each text and measured on held-out texts, beside one of
    character n-grams, the single cell that does best, and the commonest label. The CSV has a text and a label
    per row, under the names text and label, or in its first two columns when it has no header. --predict
    writes CSV, or with --json one JSON object per line. --features writes a row per text: its line in the file,
    its label where --label-column names one, and the state of every cell (c of an LSTM, otherwise h). A model of
    items reads each text as an item of its own, with labels after the commonest ones; a model of pairs as an input.

    --beliefs takes a text that charrnn corpus process wrote. What a reader can know of the process' hidden state is
    predicted from the model's state after each symbol by ridge regression; R² is measured on the end of the text,
    beside untrained networks of the same shape and a control task.

    \b
    Examples:
      charrnn probe reviews.csv --label-column sentiment
      charrnn probe reviews.csv --features states.npz
      charrnn probe --predict new.csv --probe runs/tale-1/reviews.probe.safetensors
      charrnn probe --beliefs mess3.txt --model runs/mess3-1
    """
    if beliefs is not None:
        others = {
            "a CSV": labels,
            "--predict": predict,
            "--probe": probe_file,
            "--features": features,
            "--out": out,
        }
        refuse_beside("--beliefs", True, others)
        _beliefs(beliefs, model, as_json, held_out=held_out, seed=seed)
        return
    if features is not None:
        alone = labels is None or predict is not None or probe_file is not None
        refuse_if(
            (alone, "--features takes a CSV with texts, and neither --predict nor --probe"),
            (
                Path(features).suffix not in (".csv", ".npz"),
                f"--features is {features}; it must end in .csv or .npz",
            ),
        )
    else:
        one_of_both = (labels is None) != (predict is None) and (predict is None) == (probe_file is None)
        refuse_if((not one_of_both, "name a CSV with labels to fit on, or --predict CSV with --probe FILE"))
    texts = _Texts(predict or labels or "", text_column, label_column, unknown)
    if features is not None:
        _save_features(texts, model, features)
    elif probe_file is not None:
        _predict(texts, model, probe_file, as_json)
    else:
        _fit(texts, model, out, as_json, held_out=held_out, seed=seed)


@dataclass(frozen=True)
class _Texts:
    """A CSV of texts, and how the options say it is to be read."""

    file: str
    text_column: str | None
    label_column: str | None  # "": there are no labels to read
    unknown: Unknown

    def read(self, model: "Model") -> "tuple[list[Row], list[np.ndarray]]":
        """The rows, and the symbols of each row's text."""
        from charrnn.probe.probe import encode_rows
        from charrnn.text.table import read_table

        rows = read_table(self.file, self.text_column, self.label_column)
        return rows, encode_rows(rows, model.vocab, self.unknown)


def _save_features(texts: _Texts, model: str | None, target: str) -> None:
    """Write the state after each text."""
    from charrnn.model.model import load_model
    from charrnn.probe import probe as probes

    loaded = load_model(model_path(model))
    rows, ids = replace(texts, label_column=texts.label_column or "").read(loaded)
    states = probes.features(loaded, ids)
    labels = [row.label for row in rows] if texts.label_column else None
    probes.save_features(target, states, [row.line for row in rows], labels, loaded.config.hidden)
    say(f"saved {target}: {states.shape[0]:,} texts, {states.shape[1]:,} cells")


def _predict(texts: _Texts, model: str | None, probe_file: str, as_json: bool) -> None:
    """Write the label of each text, as a saved probe has it."""
    from charrnn.probe import probe as probes
    from charrnn.runs.folder import find_model
    from charrnn.ui.terminal.probe_view import prediction_lines

    fitted = probes.load_probe(probe_file)
    loaded = probes.model_of(fitted, probe_file, None if model is None else find_model(model))
    rows, ids = replace(texts, label_column="").read(loaded)
    p = fitted.probabilities(probes.features(loaded, ids))
    write = writer(sys.stdout)
    texts_of = [row.text for row in rows]
    for line in prediction_lines(zip(texts_of, p, strict=True), fitted.labels, as_json):
        write(line)


def _beliefs(text: str, model: str | None, as_json: bool, *, held_out: float, seed: int) -> None:
    """Show what the model's state knows of the hidden state of a process."""
    from charrnn.model.model import load_model
    from charrnn.probe.beliefs import fit_beliefs, truth_of
    from charrnn.ui.terminal.probe_view import belief_report

    file = model_path(model)
    result = fit_beliefs(load_model(file), *truth_of(Path(text)), held_out=held_out, seed=seed)
    if as_json:
        put(json_text({"model": str(file), "text": text} | result.to_json()))
    else:
        writer(sys.stdout)("\n".join([*belief_report(result), ""]))


def _fit(
    texts: _Texts, model: str | None, out: str | None, as_json: bool, *, held_out: float, seed: int
) -> None:
    """Fit a probe, save it and show how well it does."""
    from charrnn.model.model import load_model
    from charrnn.model.model_file import read_metadata
    from charrnn.probe import probe as probes
    from charrnn.ui.terminal.probe_view import report

    file = model_path(model)
    name = "stdin" if texts.file == "-" else Path(texts.file).stem
    saved = Path(out) if out else file.with_name(f"{name}.probe.safetensors")
    must_spare(file, saved)
    loaded = load_model(file)
    rows, ids = texts.read(loaded)
    words, labels = [row.text for row in rows], [row.label for row in rows]
    fitted, result = probes.fit(loaded, words, ids, labels, held_out=held_out, seed=seed)
    sha256 = read_metadata(file)["sha256"]
    replace(fitted, model=str(file.absolute()), model_sha256=sha256, report=json_value(result)).save(saved)
    if as_json:
        put(json_text(json_value(result) | {"model": str(file), "probe": str(saved)}))
    else:
        writer(sys.stdout)("\n".join([*report(result), f"saved {saved}", ""]))
