"""charrnn classify: which label a text has, by a model of labelled items."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.item_options import InputColumnOption, ItemsOption, TextColumnOption
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption
from charrnn.ui.terminal.output import json_text, put, say, writer

if TYPE_CHECKING:
    import numpy as np


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
    from charrnn.novelty.known import KnownItems
    from charrnn.score.classify import Classifier, NGramBayes, report
    from charrnn.score.evaluation import form_of, splits_of
    from charrnn.text.item_corpus import read_records
    from charrnn.text.records import TABLES
    from charrnn.text.unknown import must_be_known
    from charrnn.ui.terminal.classify_view import report_lines
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
    if items is None and not any(file.lower().endswith(tuple(TABLES)) for file in files):
        trained = form_of(models[0])["items"]
        items = ("pairs" if trained.pairs else "line") if trained.is_table else None
    form = form_of(
        models[0],
        files,
        items=items,
        text_column=text_column,
        label_column=label_column or "",
        input_column=input_column,
    )
    cut = form.pop("items")
    read = list(read_records(files, cut, **form))
    records = [record for _, record in read]
    must_be_known(((place, record.text) for place, record in read), bayes.vocab, unknown)
    if bayes.vocab.pairs:
        must_be_known(((place, record.input) for place, record in read), bayes.vocab, unknown)
    ngrams = trained_on = None
    if label_column:
        parts, why_not = splits_of(models[0])
        if parts is None:
            say(f"no comparison with n-grams: {why_not}")
        else:
            ngrams = NGramBayes(parts["train"], bayes)
            trained_on = None if bayes.vocab.pairs else KnownItems(bayes.vocab, [parts["train"]])
    told: list[str] = []
    by_ngrams: list[str] | None = None if ngrams is None else []

    def predictions() -> "Iterator[tuple[str, np.ndarray]]":
        for part in bayes.blocks(records):
            texts = bayes.encoded(part)
            p = bayes.probabilities(texts)
            told.extend(bayes.labels[k] for k in p.argmax(axis=1))
            if ngrams is not None and by_ngrams is not None:
                by_ngrams.extend(bayes.labels[k] for k in ngrams.probabilities(texts).argmax(axis=1))
            yield from ((record.text, row) for record, row in zip(part, p, strict=True))

    write = writer(sys.stdout)
    for line in prediction_lines(predictions(), bayes.labels, as_json):
        if not summary:
            write(line)
    if not label_column:
        return
    found = report(bayes, told, [record.labels[0] for record in records], by_ngrams)
    if summary and as_json:
        put(json_text(found.to_json()))
    elif summary:
        write("\n".join([*report_lines(found), ""]))
    else:
        say("\n".join(report_lines(found)))
    if trained_on is not None and (known := sum(record.text in trained_on for record in records)):
        say(f"{known:,} of the {len(records):,} texts are in the training text: measure on others")
