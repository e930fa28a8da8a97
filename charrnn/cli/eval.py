"""charrnn eval: how well a model predicts a text, and where it does not."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli.given import refuse_if
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption
from charrnn.errors import DataError, UsageError
from charrnn.ui.terminal.output import json_text, put, say

if TYPE_CHECKING:
    import numpy as np

    from charrnn.model.model import Model


def evaluate(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Files to score, joined into one text; - is stdin."),
    ] = None,
    model: ModelsOption = None,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option(help="Score this part of the model's own training corpus instead of files."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of the text. Default: the encoding of the model's training text."),
    ] = None,
    newlines: Annotated[
        Literal["keep", "lf"] | None,
        typer.Option(
            help="Line ends: keep them, or turn CR LF and CR into LF. Default: as in the model's training."
        ),
    ] = None,
    unknown: Annotated[
        Literal["error", "skip", "nearest"],
        typer.Option(help="How to treat characters that the model does not know."),
    ] = "error",
    per_line: Annotated[
        bool,
        typer.Option("--per-line", help="Rank lines by surprise: a table on a terminal, else JSON lines."),
    ] = False,
    order: Annotated[
        Literal["surprise", "file"], typer.Option(help="With --per-line: order in which lines are printed.")
    ] = "surprise",
    highlight: Annotated[
        bool,
        typer.Option(
            "--highlight", help="Colour the text by surprise; with --json, print the probabilities instead."
        ),
    ] = False,
    worst: Annotated[
        int,
        typer.Option(
            min=0, help="With --highlight: number of most surprising places listed with the best guesses."
        ),
    ] = 5,
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Do not fit simple models for comparison.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Score a text: how well the model predicts it, compared with baselines.

    The text is read in one pass from the zero state. --per-line reads each line on its own, after a newline,
    counts the newline that ends it, and leaves blank lines out. Surprise is what a line costs beyond what
    its length explains among these lines, in standard deviations. --highlight --json gives a JSON line per
    character with its nats and the best guesses, and one for what follows the end.

    \b
    Examples:
      charrnn eval --split validation
      charrnn eval letters.txt --highlight
      charrnn eval letters.txt --highlight --json
      charrnn eval server.log --per-line | head
    """
    from charrnn.score import evaluation

    refuse_if(
        (
            bool(files) == bool(split),
            "name a FILE to score, or a part of the model's own text with --split, and not both",
        ),
        (per_line and highlight, "--per-line cannot be combined with --highlight"),
        (order != "surprise" and not per_line, "--order needs --per-line"),
        (
            split and (encoding or newlines or unknown != "error"),
            "--encoding, --newlines and --unknown need a FILE; they cannot be combined with --split",
        ),
    )
    _, models = open_models(model)
    compares = not (no_baselines or per_line or highlight)
    parts, why_not = evaluation.splits_of(models[0]) if split or compares else (None, "")
    ids = (
        _part(split, parts, why_not) if split else _read(models[0], files or [], encoding, newlines, unknown)
    )
    if why_not and not no_baselines:
        say(f"no baselines but uniform: {why_not}")
    if per_line:
        _show_lines(models, ids, order, as_json)
    elif highlight:
        _give_predictions(models, ids) if as_json else _paint(models, ids, worst)
    else:
        _compare(models, ids, parts["train"] if parts and compares else None, as_json)


def _part(split: str, parts: "dict[str, np.ndarray] | None", why_not: str) -> "np.ndarray":
    """A part of the model's own text."""
    if parts is None:
        raise DataError(f"--split {split}: {why_not}. Name a FILE to score")
    return parts[split]


def _read(
    model: "Model", files: list[str], encoding: str | None, newlines: str | None, unknown: str
) -> "np.ndarray":
    """The text of files, read as the model's training text was unless the options say otherwise."""
    from charrnn.score.evaluation import form_of
    from charrnn.text.corpus import read_corpus

    form = form_of(model)
    given = {name: value for name, value in (("encoding", encoding), ("newlines", newlines)) if value}
    if form["level"] == "byte" and given:
        raise UsageError("--encoding and --newlines are for models of characters; this one reads bytes")
    options = ("unknown",) if form["level"] == "byte" else ("encoding", "newlines", "unknown")
    corpus = read_corpus(files, **form | given, vocabulary=model.vocab, unknown=unknown, options=options)
    for note in corpus.notes:
        say(note)
    return corpus.ids


def _compare(models: list["Model"], ids: "np.ndarray", training: "np.ndarray | None", as_json: bool) -> None:
    """Show the loss on the whole text beside that of simple models fitted on the training text."""
    from charrnn.score import evaluation
    from charrnn.ui.terminal.progress import progress_bar

    with progress_bar(len(ids) - 1) as progress:
        found = evaluation.evaluate(models, ids, training=training, progress=progress)
    put(json_text(found.to_json()) if as_json else found.in_words())


def _show_lines(models: list["Model"], ids: "np.ndarray", order: str, as_json: bool) -> None:
    from charrnn.score.lines import RANKED, score_lines
    from charrnn.ui.terminal.console import Console
    from charrnn.ui.terminal.lines_view import HEADER, row
    from charrnn.ui.terminal.progress import progress_bar

    vocab = models[0].vocab
    with progress_bar(len(ids)) as progress:
        scores = score_lines(models, ids, progress)
    table = sys.stdout.isatty() and not as_json
    with scores:
        if not scores.lines:
            say("the text has no lines but blank ones, which are not scored")
        elif order == "surprise" and scores.lines > RANKED:
            say(f"the {RANKED:,} most surprising of {scores.lines:,} lines; --order file has them all")
        if table:
            width = Console(file=sys.stdout).width
            put(HEADER)
        for rank, line in enumerate(scores.ranked() if order == "surprise" else scores.in_order(), 1):
            text = vocab.decode(ids[line.start : line.stop])
            if table:
                put(row(line, text, width))
            else:
                ranked = {"rank": rank} if order == "surprise" else {}
                put(_json_line(ranked | {"text": text} | line.to_json()))


def _give_predictions(models: list["Model"], ids: "np.ndarray") -> None:
    from charrnn.score.evaluation import predictions

    vocab = models[0].vocab

    def named(symbol: int | None) -> dict[str, Any]:
        value = None if symbol is None else vocab.symbols[symbol]
        return {"character" if vocab.level == "char" else "byte": value}

    for place, one in enumerate(predictions(models, ids)):
        guesses = [named(symbol) | {"probability": p} for symbol, p in one.guesses]
        put(_json_line({"place": place} | named(one.symbol) | {"nats": one.nats, "guesses": guesses}))


def _paint(models: list["Model"], ids: "np.ndarray", worst: int) -> None:
    from charrnn.score import evaluation
    from charrnn.text.spool import Spool
    from charrnn.ui.terminal import surprise
    from charrnn.ui.terminal.progress import progress_bar

    with Spool("f4") as losses:
        total = 0.0
        with progress_bar(len(ids) - 1) as progress:
            for window in evaluation.surprises(models, ids, progress):
                total += float(window.sum(dtype="f8"))
                losses.append(window)
        places = evaluation.worst_places(models, ids, losses.blocks(), worst)
        mean = total / max(1, len(ids) - 1)
        surprise.show(models[0].vocab, ids, losses.blocks(), mean, places, sys.stdout)


def _json_line(value: dict[str, Any]) -> str:
    """JSON in the characters of stdout's encoding, the others as JSON escapes."""
    return json_text(value, ascii=not (sys.stdout.encoding or "").lower().startswith("utf"))
