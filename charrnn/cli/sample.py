"""charrnn sample: text from a model, as it is generated."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.arguments import prime_of, stop_of, temperatures
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption, with_settings
from charrnn.errors import UsageError
from charrnn.sampling.sampling_config import NOVELTY_MIN, DrawingConfig, SamplingConfig
from charrnn.ui.terminal.output import json_text, put, say

if TYPE_CHECKING:
    from charrnn.model.model import Model
    from charrnn.novelty.copies import Novelty, TrainingText
    from charrnn.sampling.sampler import SampledText, Sampler

Strings = list[str] | None


@with_settings(Drawing=DrawingConfig)
def sample(
    model: ModelsOption = None,
    prime: Annotated[
        str, typer.Option(help="Text to continue; @FILE reads it from a file, - from stdin.")
    ] = "",
    temp: Annotated[
        str,
        typer.Option(
            help="Temperature: below 1 is safer, above 1 bolder, 0 takes the likeliest. A list (0.5,1) compares."
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
        bool, typer.Option("--interactive", help="Write a text together with the model, taking turns.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print control characters unescaped on a terminal too.")
    ] = False,
    novelty: Annotated[
        bool, typer.Option("--novelty", help="Mark the passages that are copied from the training text.")
    ] = False,
    novelty_min: Annotated[
        int,
        typer.Option(min=1, help="With --novelty: shortest passage, in characters, that counts as copied."),
    ] = NOVELTY_MIN,
    novelty_corpus: Annotated[
        str | None,
        typer.Option(help="With --novelty: the training text, where it is not where the model says."),
    ] = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Generate text. The same seed gives the same text; the prime is neither printed nor counted.

    \b
    Examples:
      charrnn sample --temp 0.8 --length 500 --prime "Once upon a time" --seed 7
      charrnn sample --temp 0.4,0.8,1.2 --top-p 0.95
      charrnn sample --prime @start.txt --clamp 1:137=0.9 --count 64 --json
      charrnn sample --length 2000 --novelty
    """
    from charrnn.ui.terminal.interactive import converse
    from charrnn.ui.terminal.output import writer

    one_text = {"several temperatures": "," in temp, "--count": (settings["count"] or 1) > 1}
    if interactive:
        others = {"--beam": beam, "--json": as_json, "--novelty": novelty}
        _refuse("--interactive", others | {"several temperatures": "," in temp})
    if beam:
        _refuse("--beam", {"--stop": stop} | one_text)
    if not novelty and (novelty_corpus or novelty_min != NOVELTY_MIN):
        raise UsageError("--novelty-min and --novelty-corpus need --novelty")
    compared = temperatures(temp)
    files, models = open_models(model)
    sampler = _sampler(models, prime, compared, stop or (), clamp or (), settings)
    write = writer(sys.stdout, raw=raw)
    if interactive:
        converse(sampler, input, write)
        return
    if settings["seed"] is None and not beam and any(sampler.temperatures):  # at 0 nothing is drawn
        say(f"seed {sampler.seeds[0]}")
    training = _training_text(models[0], novelty_corpus) if novelty else None
    texts = _texts(sampler, beam, _nowhere if as_json or training else write)
    copied = [training.compare(one.text, novelty_min) for one in texts] if training else []
    if as_json:
        name = str(files[0]) if len(files) == 1 else [str(file) for file in files]
        put(json_text({"samples": _as_json(texts, copied, training), "model": name}))
    elif training:
        from charrnn.ui.terminal.novelty_view import show
        from charrnn.ui.terminal.samples import headers

        show(headers(texts), copied, training.held_out_ngrams, novelty_min, sys.stdout)
    elif sys.stdout.isatty() and len(texts) == 1:
        write("\n")


def _refuse(option: str, others: Mapping[str, object]) -> None:
    """Raise UsageError where one of the others, name -> whether it was given, is given beside an option."""
    if given := [name for name, value in others.items() if value]:
        raise UsageError(f"{option} cannot be combined with {', '.join(given)}. Leave one out")


def _sampler(
    models: "list[Model]",
    prime: str,
    compared: Sequence[float],
    stop: Sequence[str],
    clamp: Sequence[str],
    settings: dict[str, Any],
) -> "Sampler":
    """The sampler that the options ask for; what it has to say is said."""
    from charrnn.sampling.sampler import Sampler, parse_clamp

    given = {name: value for name, value in settings.items() if value is not None}
    sampler = Sampler(
        models,
        SamplingConfig(prime=prime_of(prime, models[0]), **given),
        temperatures=compared,
        stop=[stop_of(one, models[0]) for one in stop],
        clamps=[parse_clamp(one, models[0], "--clamp") for one in clamp],
    )
    for note in sampler.notes:
        say(note)
    return sampler


def _texts(sampler: "Sampler", beam: int, write: Callable[[str], None]) -> "list[SampledText]":
    """The texts, drawn or found with beams, and written as they come."""
    from charrnn.sampling.beam import likeliest
    from charrnn.ui.terminal.samples import draw

    if not beam:
        return draw(sampler, write)
    found = likeliest(sampler, beam)
    write(found.text)
    return [found]


def _nowhere(piece: str) -> None:
    pass


def _training_text(model: "Model", file: str | None) -> "TrainingText":
    from charrnn.novelty.copies import TrainingText

    return TrainingText.of(model, file)


def _as_json(
    texts: "Sequence[SampledText]", copied: "Sequence[Novelty]", training: "TrainingText | None"
) -> list[dict[str, Any]]:
    """The samples; a key that has no meaning for one is left out."""
    samples = [{k: v for k, v in asdict(one).items() if v is not None} for one in texts]
    if training:
        for sample, novelty in zip(samples, copied, strict=True):
            sample["novelty"] = novelty.to_json() | {"held_out_new_ngrams": training.held_out_ngrams}
    return samples
