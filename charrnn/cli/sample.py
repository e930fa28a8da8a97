"""charrnn sample: text from a model, as it is generated."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli.arguments import FITTED, fitted_temperature, prime_of, stop_of, temperatures
from charrnn.cli.given import refuse_beside, refuse_if
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption, with_settings
from charrnn.errors import DataError
from charrnn.sampling.sampling_config import NOVELTY_MIN, DrawingConfig, SamplingConfig
from charrnn.ui.terminal.output import json_text, put, say, writer

if TYPE_CHECKING:
    from charrnn.model.model import Model
    from charrnn.novelty.check import Judgement
    from charrnn.novelty.copies import Novelty
    from charrnn.novelty.known import TrainingParts
    from charrnn.novelty.nearest import ItemNovelty
    from charrnn.sampling.collect import Collection
    from charrnn.sampling.mixing import Mix
    from charrnn.sampling.sampler import SampledText, Sampler
    from charrnn.text.records import ItemForm

Strings = list[str] | None


@with_settings(DrawingConfig)
def sample(
    model: ModelsOption = None,
    prime: Annotated[
        str, typer.Option(help="Text to continue; @FILE reads it from a file, - from stdin.")
    ] = "",
    with_prime: Annotated[
        bool | None,
        typer.Option(
            "--with-prime/--no-prime", help="Whether the prime is part of the text. Default: of items only."
        ),
    ] = None,
    label: Annotated[
        Strings,
        typer.Option(
            help="Label of the items to draw, as VALUE or COLUMN=VALUE. May be repeated for several columns. Labels "
            "not given are drawn as often as in the training text."
        ),
    ] = None,
    input_text: Annotated[
        str | None,
        typer.Option("--input", help="Of a model of pairs: the input whose outputs are to be drawn."),
    ] = None,
    temp: Annotated[
        str,
        typer.Option(
            help="Temperature: below 1 is safer, above 1 bolder, 0 takes the likeliest. A list (0.5,1) compares; "
            "fitted is the one that fits the model's validation text."
        ),
    ] = str(SamplingConfig.temperature),
    stop: Annotated[
        Strings,
        typer.Option(help=r"Stop before this text (\n is a newline) or the text in @FILE. May be repeated."),
    ] = None,
    clamp: Annotated[
        Strings,
        typer.Option(
            help="Hold the signal of a cell at a value, given as layer:cell=value. May be repeated."
        ),
    ] = None,
    beam: Annotated[
        int,
        typer.Option(
            min=0, max=10_000, help="Search for the likeliest text with this many beams; 0 samples instead."
        ),
    ] = 0,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Write a text together with the model, in turns.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print control characters unescaped on a terminal too.")
    ] = False,
    unique: Annotated[
        bool, typer.Option("--unique", help="Leave out texts that came before, and draw others.")
    ] = False,
    new: Annotated[
        bool,
        typer.Option(
            "--new", help="Leave out items of the training and the validation text, and draw others."
        ),
    ] = False,
    novelty: Annotated[
        bool,
        typer.Option(
            "--novelty",
            help="Mark the passages that are copied from the training text; of an item tell whether it is there as a "
            "whole, and otherwise the nearest one.",
        ),
    ] = False,
    novelty_min: Annotated[
        int,
        typer.Option(min=1, help="With --novelty: shortest passage, in characters, that counts as copied."),
    ] = NOVELTY_MIN,
    novelty_corpus: Annotated[
        str | None,
        typer.Option(
            help="With --novelty, --new and --counts: the training text, where it is not where the model says."
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Pipe the texts, one a line, through this command of the shell, which writes a verdict per line: 1 or "
            "0, true or false, valid or invalid.",
        ),
    ] = None,
    counts: Annotated[
        Literal["off", "static"],
        typer.Option(
            help="Draw from the model mixed with counts of its training text, as eval --counts static scores it; "
            "--temp is that of the mixture, and fitted means 1."
        ),
    ] = "off",
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Generate text. The same seed gives the same text; the prime is not counted.

    Only the texts are printed on stdout. A model of items writes whole items, one a line, or with the separator of its
    training text between them; an item of a file or a table stands on one line too, with its line ends written as \\n
    and \\r (--json has them as they are). With --json, each text has its prime, its label, how it ended (end: of the
    item, stop: before a stop text, length: cut) and its log-probability under the model at temperature 1, its end
    included.

    --unique and --new draw until there are --count texts that are whole, or too many draws were in vain; stderr tells
    how many were repeated, known or cut. --check tells the shares of valid texts, of different ones among these, and
    of those among them that are not in the training text.

    \b
    Examples:
      charrnn sample --temp 0.8 --length 500 --prime "Once upon a time" --seed 7
      charrnn sample --temp 0.4,0.8,1.2 --top-p 0.95
      charrnn sample --prime @start.txt --clamp 1:137=0.9 --count 64 --json
      charrnn sample --length 2000 --novelty
      charrnn sample --prime "The " --stop "." --count 3 --with-prime --unique
    """
    wanted = _Wanted(beam, unique, new, novelty, novelty_min, novelty_corpus, check, counts, as_json)
    several = {"several temperatures": "," in temp}
    _refuse(wanted, interactive, stop or (), several, {"--count": settings["count"] not in (None, 1)})
    compared = [] if temp == FITTED else temperatures(temp)
    files, models = open_models(model)
    compared = compared or [fitted_temperature(models)]
    if temp == FITTED and counts == "static":  # of the model, and it is at it in the mixture
        compared = [1.0]
    has_end = models[0].vocab.items is not None or stop
    refuse_if((unique and not has_end, "--unique needs a model of items, or --stop"))
    given = {**settings, "with_prime": with_prime}
    mix = _mix(models, novelty, novelty_corpus) if counts == "static" else None
    sampler = _sampler(models, prime, compared, stop or (), clamp or (), label or (), input_text, given, mix)
    write = writer(sys.stdout, raw=raw)
    if interactive:
        from charrnn.ui.terminal.interactive import converse
        from charrnn.ui.terminal.line_editor import asker

        converse(sampler, asker(), write)
        return
    if settings["seed"] is None and not beam and any(sampler.temperatures):  # at 0 nothing is drawn
        say(f"seed {sampler.seeds[0]}")
    _show(_found(sampler, wanted, write), files, wanted)


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of the texts beside their drawing; the fields are the options of these names."""

    beam: int
    unique: bool
    new: bool
    novelty: bool
    novelty_min: int
    novelty_corpus: str | None
    check: str | None
    counts: str
    as_json: bool


def _refuse(
    wanted: _Wanted, interactive: bool, stop: Sequence[str], several: dict[str, bool], count: dict[str, bool]
) -> None:
    """Refuse options that cannot be combined."""
    mixes = {"--counts": wanted.counts != "off"}
    collects = {"--unique": wanted.unique, "--new": wanted.new}
    others = {
        "--beam": wanted.beam,
        "--json": wanted.as_json,
        "--novelty": wanted.novelty,
        "--check": wanted.check,
    }
    refuse_beside("--interactive", interactive, {**others, **collects, **several})
    refuse_beside("--beam", wanted.beam, {"--stop": stop, **several, **count, **collects, **mixes})
    refuse_beside("--unique or --new", wanted.unique or wanted.new, several)
    uses_corpus = wanted.novelty or wanted.new or wanted.check or wanted.counts != "off"
    refuse_if(
        (wanted.novelty_min != NOVELTY_MIN and not wanted.novelty, "--novelty-min needs --novelty"),
        (
            wanted.novelty_corpus and not uses_corpus,
            "--novelty-corpus needs --novelty, --new, --check or --counts",
        ),
    )


def _found(sampler: "Sampler", wanted: _Wanted, write: Callable[[str], None]) -> "_Samples":
    """The texts, and what is known of them. Unless they are shown later, they are written as they come."""
    is_items = sampler.vocab.items is not None
    items = _items(sampler.models[0], wanted) if is_items or wanted.new else None
    compare, held_out = _comparison(sampler.models[0], items, wanted) if wanted.novelty else (None, {})
    collection = _collection(sampler, wanted, items)
    shown_later = wanted.as_json or wanted.novelty
    texts = _texts(
        sampler, wanted.beam, collection, _nowhere if shown_later else write, scored=wanted.as_json
    )
    whole = [sampler.whole(one) for one in texts]
    novelty = (
        [compare(one) for one in (whole if is_items else [one.text for one in texts])] if compare else []
    )
    judged = _judged(wanted.check, whole, items) if wanted.check else None
    return _Samples(texts, novelty, held_out, collection, judged, _ahead(sampler))


def _judged(command: str, texts: Sequence[str], items: "TrainingParts | None") -> "Judgement":
    """What the command of --check says of the texts."""
    from charrnn.novelty.check import judge
    from charrnn.novelty.known import KnownItems

    return judge(command, texts, KnownItems(*items.of_parts("train")) if items else None)


@dataclass(frozen=True)
class _Samples:
    """Texts, and what is known of them.

    novelty : of each, with --novelty; held_out : the share of new n-grams in held-out text
    collection : how often was drawn in vain; judged : with --check
    ahead : the prime, where it is none of the text
    """

    texts: "Sequence[SampledText]"
    novelty: "Sequence[Novelty | ItemNovelty]"
    held_out: dict[int, float]
    collection: "Collection | None"
    judged: "Judgement | None"
    ahead: str

    def to_json(self) -> dict[str, Any]:
        samples = [one.to_json() for one in self.texts]
        for sample, novelty in zip(samples, self.novelty, strict=bool(self.novelty)):
            sample["novelty"] = novelty.to_json()
            if self.held_out:
                sample["novelty"]["held_out_new_ngrams"] = self.held_out
        found: dict[str, Any] = {"samples": samples}
        if self.collection is not None:
            found["draws"] = self.collection.to_json()
        if self.judged is not None:
            found["check"] = self.judged.to_json()
            for sample, is_valid in zip(samples, self.judged.verdicts, strict=True):
                sample["valid"] = is_valid
        return found


def _show(found: _Samples, files: Sequence[Path], wanted: _Wanted) -> None:
    """Show the texts; without JSON and novelty they are there already, since they are written as they come."""
    if found.judged is not None:
        say(found.judged.in_words())
    if wanted.as_json:
        name = str(files[0]) if len(files) == 1 else [str(file) for file in files]
        put(json_text(found.to_json() | {"model": name}))
    elif found.novelty:
        from charrnn.ui.terminal.novelty_view import show

        show(found.texts, found.novelty, found.held_out, wanted.novelty_min, sys.stdout, found.ahead)
    elif sys.stdout.isatty() and len(found.texts) == 1 and found.texts[0].text[-1:] != "\n":
        put("")


def _items(model: "Model", wanted: _Wanted) -> "TrainingParts | None":
    """The items of the training text, if they are needed; None, which is said, where only --check could use them."""
    needs = "--new" if wanted.new else "--novelty" if wanted.novelty else ""
    if not needs and not wanted.check:
        return None
    from charrnn.novelty.known import TrainingParts

    try:
        return TrainingParts.of(model, needs or "--check", wanted.novelty_corpus)
    except DataError as problem:
        if needs:
            raise
        say(f"the share of novel texts is not known: {problem}")
        return None


def _collection(sampler: "Sampler", wanted: _Wanted, items: "TrainingParts | None") -> "Collection | None":
    """The drawing of different or new texts, if it is wanted."""
    if not (wanted.unique or wanted.new):
        return None
    from charrnn.novelty.known import KnownItems
    from charrnn.sampling.collect import Collection

    known = KnownItems(*items.of_parts("train", "validation")) if wanted.new and items else None
    return Collection(sampler, wanted.unique, known)


def _comparison(
    model: "Model", items: "TrainingParts | None", wanted: _Wanted
) -> "tuple[Callable[[str], Novelty | ItemNovelty], dict[int, float]]":
    """A function from a text to what of it is in the training text, and the share of new n-grams in held-out text."""
    from charrnn.novelty.copies import TrainingText
    from charrnn.novelty.nearest import TrainingItems

    if items is not None:
        return TrainingItems(*items.of_parts("train")).compare, {}
    training = TrainingText.of(model, wanted.novelty_corpus)
    return lambda text: training.compare(text, wanted.novelty_min), training.held_out_ngrams


def _sampler(
    models: "list[Model]",
    prime: str,
    compared: Sequence[float],
    stop: Sequence[str],
    clamp: Sequence[str],
    label: Sequence[str],
    input_text: str | None,
    settings: dict[str, Any],
    mix: "Mix | None",
) -> "Sampler":
    """The sampler that the options ask for; what it has to say is said."""
    from charrnn.sampling.sampler import Sampler, parse_clamp

    given = {name: value for name, value in settings.items() if value is not None}
    sampler = Sampler(
        models,
        SamplingConfig(prime=prime_of(prime, models[0]), **given),
        temperatures=compared,
        stop=[stop_of(one, models[0]) for one in stop],
        clamps=[parse_clamp(one, models[0]) for one in clamp],
        label=label,
        input=input_text,
        mix=mix,
    )
    for note in sampler.notes:
        say(note)
    if sampler.config.weights == "half":
        from charrnn.score.half_weights import rounding_cost

        cost, text = rounding_cost(sampler)
        say(f"the large weight matrices are rounded to bfloat16: {cost:+.1g} nats per character on {text}")
    return sampler


def _mix(models: "list[Model]", novelty: bool, corpus: str | None) -> "Mix":
    """The mixture with counts of the training text; whoever does not look for copies is told that there may be some."""
    from charrnn.score.evaluation import splits_of
    from charrnn.score.mixed import counts_of, fitted_mixture

    parts, why_not = splits_of(models[0], [corpus] if corpus else ())
    if parts is None:
        raise DataError(
            f"--counts needs the model's training text: {why_not}. Name that text with --novelty-corpus FILE"
        )
    mixture = fitted_mixture(models, parts, counts_of(models, parts))
    if not novelty:
        say("counts copy more of the training text than the model alone: --novelty marks what is copied")
    return mixture.distribution


def _texts(
    sampler: "Sampler",
    beam: int,
    collection: "Collection | None",
    write: Callable[[str], None],
    *,
    scored: bool,
) -> "list[SampledText]":
    """The texts, drawn or found with beams, and written as they come."""
    from charrnn.ui.terminal.samples import Layout, draw, write_all

    ahead = "" if write is _nowhere else _ahead(sampler)
    layout = Layout(_form(sampler), len(set(sampler.temperatures)) > 1, ahead)
    if collection is not None:
        texts = write_all(collection, write, layout)
        say(collection.in_words())
        if len(texts) < len(sampler.seeds):
            say(f"only {len(texts):,} of {len(sampler.seeds):,} were found: a higher --temp finds more")
        return texts
    if beam:
        from charrnn.sampling.beam import likeliest

        texts = write_all([likeliest(sampler, beam)], write, layout)
    else:
        texts = draw(sampler, write, layout, scored=scored)
    cut = sum(one.ended == "length" for one in texts)
    if cut and sampler.vocab.items is not None:
        say(f"{cut:,} of {len(texts):,} are cut at {sampler.length:,} characters: --length allows more")
    return texts


def _form(sampler: "Sampler") -> "ItemForm | None":
    """The form of a model's items in its training text; None of a model of a stream."""
    if sampler.vocab.items is None:
        return None
    from charrnn.score.evaluation import form_of

    form: ItemForm | None = form_of(sampler.models[0])["items"]
    return form


def _ahead(sampler: "Sampler") -> str:
    """The prime, where it is none of the text."""
    return "" if sampler.config.with_prime else sampler.prime


def _nowhere(piece: str) -> None:
    pass
