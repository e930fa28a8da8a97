"""charrnn eval: how well a model predicts a text, and where it does not."""

import sys
from typing import Annotated, Literal

import typer

from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption
from charrnn.cli.pipes import until_nobody_reads
from charrnn.errors import DataError, UsageError
from charrnn.ui.terminal.text import json_text, put, say


def evaluate(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Text to score; - is stdin. Several are one text."),
    ] = None,
    model: ModelsOption = None,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option(help="In place of files: a part of the text the model was trained on."),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of the text.")] = "utf-8",
    per_line: Annotated[
        bool, typer.Option("--per-line", help="Rank the lines, each read on its own, by surprise: JSONL.")
    ] = False,
    highlight: Annotated[
        bool, typer.Option("--highlight", help="Show the text painted by surprise.")
    ] = False,
    worst: Annotated[
        int, typer.Option(min=0, help="With --highlight: places to show the best guesses at.")
    ] = 5,
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Fit no simple models beside.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Score a text: how well it is predicted, beside baselines.

    The text is read in one pass from the zero state. With --per-line each line is read on its own, after a
    newline, and its score covers the newline that ends it; the most surprising line comes first.

    \b
    Examples:
      charrnn eval --split validation
      charrnn eval letters.txt --highlight
      charrnn eval server.log --per-line | head
    """
    from charrnn.score import evaluation
    from charrnn.text.corpus import read_corpus
    from charrnn.ui.terminal import surprise
    from charrnn.ui.terminal.progress import progress_bar

    if bool(files) == bool(split):
        raise UsageError("name a FILE to score, or a part of the model's own text with --split, and not both")
    if per_line + highlight + as_json > 1:
        raise UsageError(
            "--per-line, --highlight and --json exclude each other (--per-line writes JSON lines)"
        )
    _, models = open_models(model)
    vocab = models[0].vocab
    wanted = split is not None or not (no_baselines or per_line or highlight)
    parts, why_not = evaluation.splits_of(models[0]) if wanted else (None, "")
    if split:
        if parts is None:
            raise DataError(f"--split {split}: {why_not}. Name a FILE to score")
        ids = parts[split]
    else:
        corpus = read_corpus(files or [], encoding=encoding, vocabulary=vocab)
        ids = corpus.ids
        for note in corpus.notes:
            say(note)
    if why_not and not no_baselines:
        say(f"no baselines but uniform: {why_not}")
    with progress_bar(len(ids) - 1) as progress:
        if per_line:
            lines = evaluation.score_lines(models, ids, progress)
        elif highlight:
            losses = evaluation.surprises(models, ids, progress)
        else:
            training = None if parts is None or no_baselines else parts["train"]
            found = evaluation.evaluate(models, ids, training=training, progress=progress)
    with until_nobody_reads():
        if per_line:
            for rank, line in enumerate(lines, 1):
                text = vocab.decode(ids[line.start : line.stop])
                put(json_text({"rank": rank, "text": text} | line.to_json(), ascii=False))
        elif highlight:
            places = evaluation.worst_places(models, ids, losses, worst)
            surprise.show(vocab, ids, losses, places, sys.stdout)
        elif as_json:
            put(json_text(found.to_json()))
        else:
            put(found.in_words())
