"""Texts that a Python program hands over instead of naming files: one stream, or a list of items."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn.errors import DataError, UsageError
from charrnn.text.sources import Source, in_memory, with_spaces
from charrnn.text.vocabulary import listing

Files = str | Path | Source | Sequence[str | Path | Source]
Labels = Iterable[str] | Mapping[str, Iterable[str]]

TEXT, LABEL, INPUT = "text", "label", "input"  # the columns of texts that are handed over
LOOKED_FOR = 100  # names at most, to see that a list is one of texts and not of files


def named(corpus: Files) -> list[str | Source]:
    """The files of a corpus, in the form that `train` takes.

    Raises UsageError or DataError for a text, or texts, in place of names.
    """
    sources = [corpus] if isinstance(corpus, str | Path | Source) else corpus
    names = [source if isinstance(source, Source) else str(source) for source in sources]
    for name in names:
        if isinstance(name, str) and (len(name) > 4096 or "\n" in name) and not os.path.lexists(name):
            raise UsageError(
                f"{name[:40]!r}… has {len(name):,} characters and is no file name. From Python, "
                "charrnn.train(text=…) trains on a text itself"
            )
    first = [name for name in names[:LOOKED_FOR] if isinstance(name, str)]
    if len(first) > 1 and not any(
        name == "-" or os.path.lexists(name) or set(name) & set("*?[") for name in first
    ):
        raise DataError(
            f"none of the {len(names):,} files exists: {listing([name[:40] for name in first], 3)} (current folder: "
            f"{os.getcwd()}). Name text files, folders, patterns, or - for stdin; from Python, "
            f"charrnn.train(texts=[…]) trains on texts themselves{with_spaces(first)}"
        )
    return names


def given(
    corpus: Files,
    text: str | None,
    texts: Iterable[str] | None,
    labels: Labels | None,
    inputs: Iterable[str] | None,
    settings: Mapping[str, Any],
) -> tuple[list[str | Source], dict[str, Any]]:
    """The sources of a run, and its settings: those of `settings` that are not None, and for `texts` how they are read.

    labels : of each text, or for several columns of labels {column: of each text}; inputs : of each text, for pairs

    Raises UsageError for contradictions, and for lists of different lengths.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    files = named(corpus)
    if bool(files) + (text is not None) + (texts is not None) > 1:
        raise UsageError("give one of: names of files, text=…, texts=[…]")
    if texts is None:
        if labels is not None or inputs is not None:
            raise UsageError("labels and inputs belong to texts=[…]; for files name the columns instead")
        return ([in_memory(text)] if text is not None else files), chosen
    if clash := {"items", "text_column", "label_column", "input_column"} & chosen.keys():
        raise UsageError(f"texts=[…] are items already: leave out {', '.join(sorted(clash))}")
    of_labels = labels if isinstance(labels, Mapping) else {} if labels is None else {LABEL: labels}
    columns = {TEXT: list(texts)} | ({} if inputs is None else {INPUT: list(inputs)})
    for column, values in of_labels.items():
        if column in columns or column != column.strip() or "," in column or not column:
            raise UsageError(f"{column!r} cannot be a column of labels: choose another name, without commas")
        columns[column] = list(values)
    for column, values in columns.items():
        if len(values) != len(columns[TEXT]):
            raise UsageError(
                f"{column} has {len(values):,} values for {len(columns[TEXT]):,} texts; it must have one for each"
            )
    rows = zip(*columns.values(), strict=True)
    lines = "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    form = {"items": "jsonl", "text_column": TEXT, "label_column": ",".join(of_labels)}
    return [in_memory(lines)], {**chosen, **form, "input_column": "" if inputs is None else INPUT}
