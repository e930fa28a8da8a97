"""charrnn sample: text from a model, as it is generated."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.arguments import prime_of, stop_of, temperatures
from charrnn.cli.given import refuse_beside, refuse_if
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption, with_settings
from charrnn.sampling.sampling_config import NOVELTY_MIN, DrawingConfig, SamplingConfig
from charrnn.ui.terminal.output import json_text, put, say, writer

if TYPE_CHECKING:
    from charrnn.model.model import Model
    from charrnn.novelty.copies import Novelty
    from charrnn.sampling.sampler import SampledText, Sampler

Strings = list[str] | None


@with_settings(Drawing=DrawingConfig)
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
    """Generate text. The same seed gives the same text; the prime is not counted.

    Only the texts are printed on stdout. A model of items writes whole items, one a line, or with the separator of its
    training text between them; an item of a file or a table stands on one line too, with its line ends written as \\n
    and \\r (--json has them as they are). With --json, each text has its prime, its label, how it ended (end: of the
    item, stop: before a stop text, length: cut) and its log-probability under the model at temperature 1, its end
    included.

    \b
    Examples:
      charrnn sample --temp 0.8 --length 500 --prime "Once upon a time" --seed 7
      charrnn sample --temp 0.4,0.8,1.2 --top-p 0.95
      charrnn sample --prime @start.txt --clamp 1:137=0.9 --count 64 --json
      charrnn sample --length 2000 --novelty
      charrnn sample --prime "The " --stop "." --count 3 --with-prime
    """
    from charrnn.novelty.copies import TrainingText
    from charrnn.ui.terminal.interactive import converse

    several = {"several temperatures": "," in temp}
    many = {**several, "--count": settings["count"] not in (None, 1)}
    others = {"--beam": beam, "--json": as_json, "--novelty": novelty}
    refuse_beside("--interactive", interactive, {**others, **several})
    refuse_beside("--beam", beam, {"--stop": stop, **many})
    tuned = novelty_corpus or novelty_min != NOVELTY_MIN
    refuse_if((tuned and not novelty, "--novelty-min and --novelty-corpus need --novelty"))
    compared = temperatures(temp)
    files, models = open_models(model)
    sampler = _sampler(
        models,
        prime,
        compared,
        stop or (),
        clamp or (),
        label or (),
        input_text,
        {**settings, "with_prime": with_prime},
    )
    write = writer(sys.stdout, raw=raw)
    if interactive:
        converse(sampler, input, write)
        return
    if settings["seed"] is None and not beam and any(sampler.temperatures):  # at 0 nothing is drawn
        say(f"seed {sampler.seeds[0]}")
    training = TrainingText.of(models[0], novelty_corpus) if novelty else None
    texts = _texts(sampler, beam, _nowhere if as_json or novelty else write)
    copied = [training.compare(one.text, novelty_min) for one in texts] if training else []
    _show(_Samples(texts, copied, training.held_out_ngrams if training else {}), files, as_json, novelty_min)


@dataclass(frozen=True)
class _Samples:
    """Texts, and with --novelty what of each is copied; held_out : the share of new n-grams in held-out text."""

    texts: "Sequence[SampledText]"
    copied: "Sequence[Novelty]"
    held_out: dict[int, float]

    def to_json(self) -> list[dict[str, Any]]:
        """An object per text."""
        samples = [one.to_json() for one in self.texts]
        for sample, novelty in zip(samples, self.copied, strict=bool(self.copied)):
            sample["novelty"] = novelty.to_json() | {"held_out_new_ngrams": self.held_out}
        return samples


def _show(found: _Samples, files: Sequence[Path], as_json: bool, novelty_min: int) -> None:
    """Show the texts; without JSON and novelty they are there already, since they are written as they come."""
    if as_json:
        name = str(files[0]) if len(files) == 1 else [str(file) for file in files]
        put(json_text({"samples": found.to_json(), "model": name}))
    elif found.copied:
        from charrnn.ui.terminal.novelty_view import show

        show(found.texts, found.copied, found.held_out, novelty_min, sys.stdout)
    elif sys.stdout.isatty() and len(found.texts) == 1 and found.texts[0].text[-1:] != "\n":
        put("")


def _sampler(
    models: "list[Model]",
    prime: str,
    compared: Sequence[float],
    stop: Sequence[str],
    clamp: Sequence[str],
    label: Sequence[str],
    input_text: str | None,
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
        label=label,
        input=input_text,
    )
    for note in sampler.notes:
        say(note)
    return sampler


def _texts(sampler: "Sampler", beam: int, write: Callable[[str], None]) -> "list[SampledText]":
    """The texts, drawn or found with beams, and written as they come."""
    from charrnn.sampling.beam import likeliest
    from charrnn.score.evaluation import form_of
    from charrnn.ui.terminal.samples import Layout, draw, write_all

    layout = Layout(form_of(sampler.models[0])["items"], len(set(sampler.temperatures)) > 1)
    texts = write_all([likeliest(sampler, beam)], write, layout) if beam else draw(sampler, write, layout)
    cut = sum(one.ended == "length" for one in texts)
    if cut and sampler.vocab.items is not None:
        say(f"{cut:,} of {len(texts):,} are cut at {sampler.length:,} characters: --length allows more")
    return texts


def _nowhere(piece: str) -> None:
    pass
