"""charrnn sample: text from a model, as it is generated."""

import sys
from typing import Annotated, Any

import typer

from charrnn.cli.arguments import prime_of, stop_of, temperatures
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.novelty import CorpusOption, LeastOption, NoveltyOption, add_novelty
from charrnn.cli.options import JsonOption, with_settings
from charrnn.errors import UsageError
from charrnn.sampling.config import NOVELTY_MIN, DrawingConfig, SamplingConfig
from charrnn.ui.terminal.text import json_text, put, say

Strings = list[str] | None


@with_settings(Drawing=DrawingConfig)
def sample(
    model: ModelsOption = None,
    prime: Annotated[
        str, typer.Option(help="Text to continue; @FILE takes it from a file, - from stdin.")
    ] = "",
    temp: Annotated[
        str,
        typer.Option(help="Temperature: below 1 is safer, above 1 bolder; 0 the likeliest. A list compares."),
    ] = str(SamplingConfig.temperature),
    stop: Annotated[
        Strings,
        typer.Option(help=r"End before this text (\n is a newline) or that of @FILE. May be repeated."),
    ] = None,
    clamp: Annotated[
        Strings, typer.Option(help="Hold a cell's signal: layer:cell=value. May be repeated.")
    ] = None,
    beam: Annotated[
        int, typer.Option(min=0, max=10_000, help="Search the likeliest text with this many beams.")
    ] = 0,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Write together with the model.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Control characters as they are, on a terminal too.")
    ] = False,
    novelty: NoveltyOption = False,
    novelty_min: LeastOption = NOVELTY_MIN,
    novelty_corpus: CorpusOption = None,
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
    from charrnn.sampling.beam import beam_search
    from charrnn.sampling.sampler import Sampler, parse_clamp
    from charrnn.ui.terminal.interactive import converse
    from charrnn.ui.terminal.samples import draw, headers
    from charrnn.ui.terminal.text import writer

    if interactive and (beam or as_json or novelty or "," in temp):
        raise UsageError("--interactive goes with neither --beam, --json, --novelty nor several temperatures")
    if beam and (stop or (settings["count"] or 1) > 1 or "," in temp):
        raise UsageError(
            "--beam finds one text: it goes with neither --stop, --count nor several temperatures"
        )
    if not novelty and (novelty_corpus or novelty_min != NOVELTY_MIN):
        raise UsageError("--novelty-min and --novelty-corpus go with --novelty")
    compared = temperatures(temp)
    files, models = open_models(model)
    config = SamplingConfig(
        prime=prime_of(prime, models[0]), **{k: v for k, v in settings.items() if v is not None}
    )
    before = [stop_of(one, models[0]) for one in stop or ()]
    held = [parse_clamp(one, models[0], "--clamp") for one in clamp or ()]
    sampler = Sampler(models, config, temperatures=compared, stop=before, clamps=held)
    for note in sampler.notes:
        say(note)
    if interactive:
        converse(sampler, input, writer(sys.stdout, raw=raw))
        return
    if config.seed is None and not beam and any(sampler.temperatures):  # at 0 nothing is drawn
        say(f"seed {sampler.seeds[0]}")
    if novelty:
        from charrnn.novelty.copies import TrainingText

        training = TrainingText.of(models[0], novelty_corpus)
    write = (lambda piece: None) if as_json or novelty else writer(sys.stdout, raw=raw)
    if beam:
        ids, log_p = beam_search(models, sampler.prime_ids, config.length, beam, sampler.clamps)
        write(text := sampler.vocab.decode(ids))
        samples = [{"text": text, "log_probability_nats": log_p}]
    else:
        samples = draw(sampler, write)
    if novelty:
        add_novelty(samples, headers(sampler) if not beam else [""], training, novelty_min, as_json)
    if as_json:
        name = str(files[0]) if len(files) == 1 else [str(file) for file in files]
        put(json_text({"samples": samples, "model": name}))
    elif sys.stdout.isatty() and len(samples) == 1 and not novelty:
        write("\n")
