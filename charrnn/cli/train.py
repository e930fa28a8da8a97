"""charrnn train: a text in, a model out."""

import shlex
import sys
from typing import Annotated, Any

import typer

from charrnn.cli.dry_run import dry_run as measure
from charrnn.cli.given import of_a_resume, resumed
from charrnn.cli.options import JsonOption, with_settings
from charrnn.cli.show_config import show_config as settings_of
from charrnn.config import PRESETS, ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put, say


@with_settings(ModelConfig, TrainConfig)
def train(
    ctx: typer.Context,
    corpus: Annotated[
        list[str] | None, typer.Argument(help="Text files, folders, patterns, or - for stdin.")
    ] = None,
    *,
    out: Annotated[
        str | None, typer.Option(help="Run folder to write. Default: runs/<corpus>-<time>.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"Named settings to start from: {', '.join(PRESETS)}.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue a run from where it stopped: --resume RUN, or the newest."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a run, or resume with another corpus or settings.")
    ] = False,
    init_from: Annotated[
        str | None, typer.Option(help="Model file or run folder whose weights training starts from.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show sizes, memory and time of the run; train and save nothing."),
    ] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the settings and where each came from, as TOML.")
    ] = False,
    as_scalars: Annotated[
        bool, typer.Option("--tensorboard", help="Follow metrics.jsonl for TensorBoard, in RUN/tensorboard.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only warnings and errors.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Train a model on a text. Ctrl-C saves and stops; --resume goes on, bit for bit.

    \b
    Examples:
      charrnn train corpora/harbour.txt
      charrnn train corpora/harbour.txt --preset quick --max-minutes 1
      charrnn train corpora/harbour.txt --hidden 512 --dry-run
      charrnn train --resume runs/harbour-20250101-120000 --epochs 20
      charrnn train corpora/harbour.txt --preset quick --show-config > mine.toml
      charrnn train corpora/harbour.txt --config mine.toml --max-steps 100
      charrnn train letters.txt --init-from runs/harbour-20250101-120000 --freeze-layers 0
    """
    if show_config:
        settings_of(ctx, as_json, preset, init_from, settings)
        return
    if dry_run:
        if resume:
            raise UsageError("--dry-run cannot be given with --resume: it shows what a new run would be")
        measure(corpus or (), as_json, quiet, preset=preset, init_from=init_from, **settings)
        return
    from charrnn.engines.ranks import follows
    from charrnn.model.model import config_of
    from charrnn.model.model_file import read_metadata
    from charrnn.runs.folder import can_go_on
    from charrnn.training import session
    from charrnn.training.plan import LIMITS
    from charrnn.training.tensorboard import tensorboard
    from charrnn.ui.terminal.training_view import training_view

    if resume:
        corpus, out = resumed(corpus or (), out, can_go_on)
        settings = of_a_resume(ctx, {"preset": preset, "init_from": init_from, **settings}, LIMITS)
        preset, init_from = settings.pop("preset"), settings.pop("init_from")
    with training_view(quiet=quiet or follows()) as shown, tensorboard(shown.note, as_scalars) as more:
        result = session.train(
            corpus or (),
            preset=preset,
            out=out,
            resume=resume,
            force=force,
            init_from=init_from,
            observers=[shown, *more],
            command_line=["charrnn", *sys.argv[1:]],
            **settings,
        )
    if as_json:
        put(json_text(result))
    elif not (quiet or follows()):
        _, vocab, _ = config_of(read_metadata(result.model))
        command = "transform FILE" if vocab.pairs else "sample"
        say(f"charrnn {command} --model {shlex.quote(result.model)}")
