"""charrnn train: a text in, a model out."""

import json
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from charrnn.cli.options import JsonOption, with_settings
from charrnn.config import PRESETS, ModelConfig, TrainConfig
from charrnn.errors import UsageError


@with_settings(Model=ModelConfig, Training=TrainConfig)
def train(
    corpus: Annotated[
        list[str] | None, typer.Argument(help="Text files, folders, patterns, or - for stdin.")
    ] = None,
    *,
    out: Annotated[str | None, typer.Option(help="Run folder; by default runs/<corpus>-<time>.")] = None,
    preset: Annotated[str | None, typer.Option(help=f"Settings to begin from: {', '.join(PRESETS)}.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the newest run, or the one in --out, where it stopped."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a run, or resume with another corpus or settings.")
    ] = False,
    init_from: Annotated[
        str | None, typer.Option(help="A model file or run folder whose weights to start from.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show sizes, memory and time of the run; train and save nothing."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what goes wrong.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Train a model on a text. Ctrl-C saves and stops; --resume goes on, bit for bit.

    \b
    Examples:
      charrnn train corpora/harbour.txt
      charrnn train corpora/harbour.txt --preset quick --max-minutes 1
      charrnn train corpora/harbour.txt --hidden 512 --dry-run
      charrnn train --resume --epochs 20
      charrnn train letters.txt --init-from runs/harbour-20250101-120000 --freeze-layers 0
    """
    if dry_run:
        if resume:
            raise UsageError("--dry-run cannot be given with --resume: it shows what a new run would be")
        if not quiet:
            typer.echo("measuring a few seconds of training", err=True)
        _dry_run(corpus or (), as_json, preset=preset, init_from=init_from, **settings)
        return
    from charrnn.train import session
    from charrnn.ui.training import training_listener

    with training_listener(quiet=quiet) as listener:
        result = session.train(
            corpus or (),
            preset=preset,
            out=out,
            resume=resume,
            force=force,
            init_from=init_from,
            listener=listener,
            command_line=["charrnn", *sys.argv[1:]],
            **settings,
        )
        listener.end(result)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    elif not quiet:
        typer.echo(f"charrnn sample --model {shlex.quote(result.model)}", err=True)


def _dry_run(corpus: Sequence[str], as_json: bool, **settings: Any) -> None:
    from charrnn.train.dry_run import dry_run
    from charrnn.ui.card import stdout_console
    from charrnn.ui.dry_run import view

    run = dry_run(corpus, **settings)
    if as_json:
        typer.echo(json.dumps(asdict(run) | {"seconds": run.seconds if math.isfinite(run.seconds) else None}))
    else:
        console = stdout_console()
        console.print(view(run, console))
