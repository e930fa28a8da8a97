"""charrnn classify: which label a text has, by a model of labelled items."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.item_options import InputColumnOption, ItemsOption, TextColumnOption
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption
from charrnn.ui.terminal.output import json_text, put, say, writer

if TYPE_CHECKING:
    import numpy as np

    from charrnn.model.model import Model
    from charrnn.novelty.known import KnownItems
    from charrnn.score.classify import Classifier, NGramBayes
    from charrnn.text.records import Record


def classify(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files with the texts to classify; - is stdin.")
    ],
    model: ModelsOption = None,
    items: ItemsOption = None,
    text_column: TextColumnOption = None,
    input_column: InputColumnOption = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of a table that holds the right labels, to measure how many are found.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which labels to tell, where the model has several columns of them. Default: those of --label-column.",
        ),
    ] = None,
    prior: Annotated[
        Literal["training", "uniform"],
        typer.Option(
            help="Probability of each label before a text is read: its share of the training text, or the same for all."
        ),
    ] = "training",
    unknown: Annotated[
        Literal["error", "skip", "nearest"],
        typer.Option(help="How to treat characters that the model does not know."),
    ] = "error",
    summary: Annotated[
        bool,
        typer.Option(
            "--summary", help="With --label-column: print how many labels are right, not each text."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell which label each text has, with a model that was trained on labelled items (--label-column).

    By Bayes' rule: p(label | text) is proportional to p(text | label) p(label), where the model reads the text once
    after each label. The result is CSV, or with --json one JSON object per line: text, likeliest label and the
    probability of each, in the order of the files. A file that ends with .csv, .tsv or .jsonl is read as a table
    with the column names of the training text; any other has a text per line. With --label-column, accuracy, macro
    F1 and confusions follow on stderr, beside an n-gram model for each label and the commonest label.

    It is good for short texts whose labels differ in spelling and sound, such as names by language, also for labels
    with few texts, and where the same model is to write texts by label. charrnn probe is better where there is much
    text without labels and little with, and where labels are about what a long text says.

    \b
    Examples:
      charrnn classify names.txt --model runs/places-1
      charrnn classify corpora/place-names.csv --model runs/places-1 --label-column region --summary
    """
    from charrnn.cli.given import refuse_if
    from charrnn.score.classify import Classifier
    from charrnn.ui.terminal.probe_view import prediction_lines

    refuse_if(
        (summary and not label_column, "--summary needs --label-column"),
        (
            "," in (label_column or ""),
            f"--label-column is {label_column!r}; one column is told at a time, so name one",
        ),
    )
    _, models = open_models(model)
    if column is None and label_column in dict(models[0].vocab.labels):
        column = label_column
    bayes = Classifier(models, column, prior, unknown)
    how = {
        "items": items,
        "text_column": text_column,
        "label_column": label_column or "",
        "input_column": input_column,
    }
    records = _read(models[0], files, how, unknown)
    told = _Told(bayes, records, *(_training(bayes, models[0]) if label_column else (None, None)))
    write = writer(sys.stdout)
    for line in prediction_lines(told.predictions(), bayes.labels, as_json):
        if not summary:
            write(line)
    if label_column:
        _report(told, summary, as_json)


def _read(model: "Model", files: list[str], how: dict[str, str | None], unknown: str) -> "list[Record]":
    """The texts of files, read as the model's training text was unless the options say otherwise.

    Unknown characters are refused with their place, before anything is written.
    """
    from charrnn.score.evaluation import form_of
    from charrnn.text.item_corpus import read_records
    from charrnn.text.records import TABLES
    from charrnn.text.unknown import must_be_known

    if how["items"] is None and not any(file.lower().endswith(tuple(TABLES)) for file in files):
        trained = form_of(model)["items"]
        how = {**how, "items": ("pairs" if trained.pairs else "line") if trained.is_table else None}
    form = form_of(model, files, **how)
    cut = form.pop("items")
    read = list(read_records(files, cut, **form))
    must_be_known(((place, record.text) for place, record in read), model.vocab, unknown)
    if model.vocab.pairs:
        must_be_known(((place, record.input) for place, record in read), model.vocab, unknown)
    return [record for _, record in read]


def _training(bayes: "Classifier", model: "Model") -> "tuple[NGramBayes | None, KnownItems | None]":
    """N-grams of the training text, and its items to look texts up in, where it is at hand."""
    from charrnn.novelty.known import KnownItems
    from charrnn.score.classify import NGramBayes
    from charrnn.score.evaluation import splits_of

    parts, why_not = splits_of(model)
    if parts is None:
        say(f"no comparison with n-grams: {why_not}")
        return None, None
    known = None if bayes.vocab.pairs else KnownItems(bayes.vocab, [parts["train"]])
    return NGramBayes(parts["train"], bayes), known


@dataclass
class _Told:
    """The labels of texts, by the model and by n-grams, as they are found."""

    bayes: "Classifier"
    records: "list[Record]"
    ngrams: "NGramBayes | None"
    trained_on: "KnownItems | None"
    labels: list[str] = field(default_factory=list)
    by_ngrams: list[str] = field(default_factory=list)

    def predictions(self) -> "Iterator[tuple[str, np.ndarray]]":
        """Each text with the probabilities of its labels."""
        bayes = self.bayes
        for part in bayes.blocks(self.records):
            texts = bayes.encoded(part)
            p = bayes.probabilities(texts)
            self.labels += [bayes.labels[k] for k in p.argmax(axis=1)]
            if self.ngrams is not None:
                self.by_ngrams += [bayes.labels[k] for k in self.ngrams.probabilities(texts).argmax(axis=1)]
            yield from ((record.text, row) for record, row in zip(part, p, strict=True))


def _report(told: _Told, summary: bool, as_json: bool) -> None:
    """How many labels are right: on stdout in place of the labels, or on stderr."""
    from charrnn.score.classify import report
    from charrnn.ui.terminal.classify_view import report_lines

    right = [record.labels[0] for record in told.records]
    found = report(told.bayes, told.labels, right, told.by_ngrams if told.ngrams is not None else None)
    if summary and as_json:
        put(json_text(found.to_json()))
    elif summary:
        writer(sys.stdout)("\n".join([*report_lines(found), ""]))
    else:
        say("\n".join(report_lines(found)))
    trained_on = told.trained_on
    if trained_on is not None and (known := sum(record.text in trained_on for record in told.records)):
        say(f"{known:,} of the {len(told.records):,} texts are in the training text: measure on others")
