"""charrnn eval: how well a model predicts a text, and where it does not."""

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli.arguments import named
from charrnn.cli.given import refuse_if
from charrnn.cli.item_options import InputColumnOption, ItemsOption, LabelColumnOption, TextColumnOption
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption
from charrnn.errors import DataError, UsageError
from charrnn.ui.terminal.output import json_text, put, say

if TYPE_CHECKING:
    from charrnn.model.model import Model
    from charrnn.score.mixture import Mixture
    from charrnn.text.batches import Text


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
    items: ItemsOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    input_column: InputColumnOption = None,
    unknown: Annotated[
        Literal["error", "skip", "nearest"],
        typer.Option(help="How to treat characters that the model does not know."),
    ] = "error",
    per_line: Annotated[
        bool,
        typer.Option(
            "--per-line", help="Rank lines, or items, by surprise: a table on a terminal, else JSON lines."
        ),
    ] = False,
    order: Annotated[
        Literal["surprise", "file"],
        typer.Option(help="With --per-line: order in which lines or items are printed."),
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
    counts: Annotated[
        Literal["off", "static", "adaptive"],
        typer.Option(
            help="Also mix the model with counts of its training text: static ones, or adaptive ones, which also learn "
            "from the text while it is scored."
        ),
    ] = "off",
    adapt: Annotated[
        str | None,
        typer.Option(
            metavar="LR",
            help="Also let a copy of the model go on learning while it reads, in steps of this size; auto chooses it.",
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="The model's training text, where it is not where the model says. May be repeated, if it is several "
            "files.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a text: how well the model predicts it, compared with baselines.

    The text is read in one pass from the zero state. --per-line reads each line on its own, after a newline,
    counts the newline that ends it, and leaves blank lines out. Surprise is what a line costs beyond what
    its length explains among these lines, in standard deviations. --highlight --json gives a JSON line per
    character with its nats and the best guesses, and one for what follows the end.

    A model of items reads a file as it read its training text. Each item is read from the zero state after its
    labels or its input, and its text and its end are scored. The result has a table of the loss per label, and
    --per-line is per item. A FILE needs the label column if the model has labels.

    --counts mixes the model with counts of up to 7 characters before each one, made of the training text. How much
    each is trusted is fitted on the first half of the validation text. So of the validation text itself, the mix and
    the model beside it are reported on the second half alone; of all other texts, on the whole. The model is mixed in
    at its fitted temperature where that helps. With --per-line and --highlight static counts are mixed in too, and the
    loss of the model alone stands beside that of the mix.

    --adapt is dynamic evaluation: each chunk of 20 characters is scored before the model learns from it. The model
    file stays as it is. auto chooses the step size on the first half of the validation text.

    \b
    Examples:
      charrnn eval --split validation
      charrnn eval --split validation --counts adaptive
      charrnn eval letters.txt --highlight
      charrnn eval letters.txt --highlight --json
      charrnn eval letters.txt --per-line --counts static
      charrnn eval server.log --per-line | head
    """
    from charrnn.score import evaluation
    from charrnn.score.adapt import NO_ITEMS

    how = {
        "encoding": encoding,
        "newlines": newlines,
        "items": items,
        "text_column": text_column,
        "label_column": label_column,
        "input_column": input_column,
    }
    refuse_if(
        (
            bool(files) == bool(split),
            "name a FILE to score, or a part of the model's own text with --split, and not both",
        ),
        (per_line and highlight, "--per-line cannot be combined with --highlight"),
        (
            (counts == "adaptive" or adapt) and (per_line or highlight),
            "--counts adaptive and --adapt cannot be combined with --per-line or --highlight; --counts static can",
        ),
        (order != "surprise" and not per_line, "--order needs --per-line"),
        (
            corpus
            and not split
            and counts == "off"
            and not adapt
            and (no_baselines or per_line or highlight),
            "--corpus needs --split, --counts, --adapt or the baselines",
        ),
        (
            split and (any(how.values()) or unknown != "error"),
            "options of reading a FILE, such as --encoding, --items and --unknown, cannot be combined with --split",
        ),
    )
    rate = None if adapt is None else _rate(adapt)
    _, models = open_models(model)
    refuse_if(
        (rate is not None and len(models) > 1, "--adapt reads with one model; name one --model"),
        (rate is not None and models[0].vocab.items is not None, NO_ITEMS),
    )
    compares = not (no_baselines or per_line or highlight)
    parts, why_not = (
        evaluation.splits_of(models[0], corpus or ())
        if split or compares or counts != "off" or adapt
        else (None, "")
    )
    text = _part(split, parts, why_not) if split else _read(models[0], files or [], how, unknown)
    if (counts != "off" or adapt) and parts is None:
        option = "--adapt" if counts == "off" else "--counts"
        raise DataError(
            f"{option} needs the model's training text: {why_not}. Name that text with --corpus FILE"
        )
    if why_not and not no_baselines:
        say(f"no baselines but uniform: {why_not}")
    tempered = not (per_line or highlight) and evaluation.fitted_temperature(models) is not None
    if parts:
        _tell_what_is_not_fair(models, text, split, parts, counts != "off", rate == 0, tempered)
    if per_line or highlight:
        mixture = _mixture(models, parts, text) if counts != "off" and parts else None
        if per_line:
            _show_lines(models, text, order, mixture, as_json)
        elif as_json:
            _give_predictions(models, text, mixture)
        else:
            _paint(models, text, worst, mixture)
    else:
        training = parts["train"] if parts and compares else None
        _compare(models, text, training, parts or {}, _Beside(counts, rate), as_json)


def _tell_what_is_not_fair(
    models: "list[Model]",
    text: "Text",
    split: str | None,
    parts: "dict[str, Text]",
    mixes: bool,
    chooses: bool,
    tempered: bool,
) -> None:
    """Tell if a text has a part in what is reported of it: if counts know it, or something was fitted on it.

    mixes, chooses, tempered : whether counts are mixed in, a step size is chosen, and there is a fitted temperature
    """
    from charrnn.score.evaluation import of_the_same_parts
    from charrnn.score.halves import first_half, skipped_of

    if (split or mixes) and split != "train" and not of_the_same_parts(models):
        say(
            "the models were not all trained on the same part of the same text. One of them may know what the first "
            "one holds out, which is no fair figure then"
        )
    if split == "train" and mixes:
        say("the counts are those of this very text, so the mix is no fair figure: use --split test")
    is_validation = split == "validation" or (not split and skipped_of(text, parts["validation"]) > 0)
    if is_validation and tempered:
        say(
            "the temperature was fitted on this very text, so the loss at it is no fair figure: use --split test"
        )
    if split or is_validation:
        return
    if mixes and (found := _shared(text, parts["train"], "the training text")):
        say(f"{found}: the counts know them, so the mix is no fair figure")
    fitted = [*["the mix was fitted"] * mixes, *["the step size was chosen"] * chooses]
    half = first_half(parts["validation"])
    if fitted and (found := _shared(text, half, "the first half of the validation text")):
        say(f"{found}, on which {' and '.join(fitted)}: no fair figure")
    if tempered and (found := _shared(text, parts["validation"], "the validation text")):
        say(f"{found}, on which the temperature was fitted: the loss at it is no fair figure")


def _shared(text: "Text", other: "Text", name: str) -> str:
    """How much of a text is in another one, in words; empty for nothing."""
    from charrnn.score.overlap import PASSAGE, repeated
    from charrnn.text.batches import size_of
    from charrnn.text.items import Items

    known = repeated(text, other)
    if not known:
        return ""
    if isinstance(text, Items):
        return f"{known:,} of the {len(text):,} items are in {name}"
    return f"{known:,} of the {size_of(text):,} characters are in {name}, {PASSAGE} or more together"


def _mixture(models: "list[Model]", parts: "dict[str, Text]", text: "Text") -> "Mixture":
    """The model mixed with static counts, for the lines and places of a text."""
    from charrnn.score.halves import skipped_of
    from charrnn.score.mixed import counts_of, fitted_mixture

    if skipped_of(text, parts["validation"]):
        say("the mix was fitted on the first half of this text")
    return fitted_mixture(models, parts, counts_of(models, parts))


def _part(split: str, parts: "dict[str, Text] | None", why_not: str) -> "Text":
    """A part of the model's own text."""
    from charrnn.text.batches import size_of

    if parts is None:
        raise DataError(f"--split {split}: {why_not}. Name a FILE to score")
    if not size_of(parts[split]):
        raise DataError(
            f"--split {split}: the model was trained without a {split} text. Name a FILE to score"
        )
    return parts[split]


def _read(model: "Model", files: list[str], how: dict[str, str | None], unknown: str) -> "Text":
    """The text of files, read as the model's training text was unless the options say otherwise."""
    from charrnn.score.evaluation import form_of
    from charrnn.text.corpus import read_corpus

    level = model.vocab.level
    if level == "byte" and (how["encoding"] or how["newlines"]):
        raise UsageError("--encoding and --newlines are for models of characters; this one reads bytes")
    form = form_of(model, files, **how)
    options = ("unknown",) if level == "byte" else ("encoding", "newlines", "unknown")
    corpus = read_corpus(files, **form, vocabulary=model.vocab, unknown=unknown, options=options)
    for note in corpus.notes:
        say(note)
    return corpus.ids if corpus.items is None else corpus.items


@dataclass(frozen=True)
class _Beside:
    """What is shown beside the network alone; the fields are the options of these names, and rate 0 is to be chosen."""

    counts: str
    rate: float | None


def _rate(text: str) -> float:
    """The step size that --adapt names; 0 for auto."""
    try:
        rate = 0.0 if text == "auto" else float(text)
    except ValueError:
        rate = math.nan
    if text != "auto" and not 0 < rate <= 1:
        raise UsageError(f"--adapt is {text!r}; it must be auto, or a step size above 0 and at most 1")
    return rate


def _compare(
    models: list["Model"],
    text: "Text",
    training: "Text | None",
    parts: "dict[str, Text]",
    beside: _Beside,
    as_json: bool,
) -> None:
    """Show the loss on the whole text beside that of simple models fitted on the training text.

    parts : of the model's text
    """
    from charrnn.score import adapt, evaluation, mixed
    from charrnn.text.batches import predictions
    from charrnn.ui.terminal.progress import progress_bar

    with progress_bar(predictions(text)) as progress:
        found = evaluation.evaluate(models, text, training=training, progress=progress)
    answer, words = found.to_json(), [found.in_words()]
    if beside.counts != "off":
        with progress_bar(predictions(text)) as progress:
            adaptive = beside.counts == "adaptive"
            mix = mixed.mixed(models, text, parts, adaptive=adaptive, progress=progress)
        answer, words = answer | {"counts": mix.to_json()}, [*words, mix.in_words()]
    if beside.rate is not None:
        with progress_bar(predictions(text)) as progress:
            learnt = adapt.adapted(models[0], text, parts, beside.rate or None, progress)
        answer, words = answer | {"adapt": learnt.to_json()}, [*words, learnt.in_words()]
    put(json_text(answer) if as_json else "\n\n".join(words))


def _show_lines(
    models: list["Model"], text: "Text", order: str, mixture: "Mixture | None", as_json: bool
) -> None:
    from charrnn.score.lines import RANKED, score_items, score_lines
    from charrnn.text.batches import size_of
    from charrnn.text.items import Items
    from charrnn.ui.terminal.console import Console
    from charrnn.ui.terminal.lines_view import header, row
    from charrnn.ui.terminal.progress import progress_bar

    vocab = models[0].vocab
    ids, unit = (text.ids, "item") if isinstance(text, Items) else (text, "line")
    with progress_bar(size_of(text)) as progress:
        scores = (
            score_items(models, text, progress, mixture)
            if isinstance(text, Items)
            else score_lines(models, text, progress, mixture)
        )
    table = sys.stdout.isatty() and not as_json
    with scores:
        if not scores.lines:
            say("the text has no lines but blank ones, which are not scored")
        elif order == "surprise" and scores.lines > RANKED:
            say(f"the {RANKED:,} most surprising of {scores.lines:,} {unit}s; --order file has them all")
        if table:
            width = Console(file=sys.stdout).width
            put(header(unit, mixture is not None))
        for rank, line in enumerate(scores.ranked() if order == "surprise" else scores.in_order(), 1):
            written = vocab.decode(ids[line.start : line.stop])
            if table:
                put(row(line, written, width))
                continue
            found: dict[str, Any] = {"rank": rank} if order == "surprise" else {}
            found |= {"text": written} | line.to_json(unit)
            if isinstance(text, Items):
                condition = text.of(line.number - 1)[: text.conditions[line.number - 1]]
                found["label"] = vocab.labels_of(condition) or None
                if vocab.pairs:
                    found["input"] = vocab.decode(condition)
            put(_json_line(found))


def _give_predictions(models: list["Model"], text: "Text", mixture: "Mixture | None") -> None:
    from charrnn.score.evaluation import predictions

    vocab = models[0].vocab
    for one in predictions(models, text, mix=mixture.distribution if mixture else None):
        guesses = [named(vocab, symbol) | {"probability": p} for symbol, p in one.guesses]
        item = {} if one.item is None else {"item": one.item + 1}
        found = (
            item | {"place": one.place} | named(vocab, one.symbol) | {"nats": one.nats, "guesses": guesses}
        )
        if mixture:
            found["network_nats"] = one.alone
        put(_json_line(found))


def _paint(models: list["Model"], text: "Text", worst: int, mixture: "Mixture | None") -> None:
    from charrnn.score import evaluation
    from charrnn.score.mixed import mixed_surprises
    from charrnn.text.batches import predictions
    from charrnn.text.items import Items
    from charrnn.text.spool import Spool
    from charrnn.ui.terminal import surprise
    from charrnn.ui.terminal.progress import progress_bar

    with Spool("f4") as losses:
        total, alone = 0.0, list[float]()
        with progress_bar(predictions(text)) as progress:
            windows = (
                evaluation.surprises(models, text, progress)
                if mixture is None
                else mixed_surprises(
                    models,
                    text,
                    mixture,
                    progress,
                    lambda losses: alone.append(float(losses.sum(dtype="f8"))),
                )
            )
            for window in windows:
                total += float(window.sum(dtype="f8"))
                losses.append(window)
        mix = mixture.distribution if mixture else None
        places = evaluation.worst_places(models, text, losses.blocks(), worst, mix)
        count = max(1, predictions(text))
        beside = sum(alone) / count if mixture else None
        ids, first = (text.predicted(), 0) if isinstance(text, Items) else (text, 1)
        surprise.show(models[0].vocab, ids, losses.blocks(), total / count, places, sys.stdout, first, beside)


def _json_line(value: dict[str, Any]) -> str:
    """JSON in the characters of stdout's encoding, the others as JSON escapes."""
    return json_text(value, ascii=not (sys.stdout.encoding or "").lower().startswith("utf"))
