"""charrnn train: a text in, a model out."""

import json
import shlex
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from charrnn.cli.options import JsonOption, with_settings
from charrnn.config import PRESETS, ModelConfig, TrainConfig


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
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what goes wrong.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Train a model on a text. Ctrl-C saves and stops; --resume goes on, bit for bit.

    \b
    Examples:
      charrnn train corpora/harbour.txt
      charrnn train corpora/harbour.txt --preset quick --max-minutes 1
      charrnn train --resume --epochs 20
    """
    from charrnn.train import session
    from charrnn.ui.training import training_listener

    with training_listener(quiet=quiet) as listener:
        result = session.train(
            corpus or (),
            preset=preset,
            out=out,
            resume=resume,
            force=force,
            listener=listener,
            command_line=["charrnn", *sys.argv[1:]],
            **settings,
        )
        listener.end(result)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    elif not quiet:
        typer.echo(f"charrnn sample --model {shlex.quote(result.model)}", err=True)
