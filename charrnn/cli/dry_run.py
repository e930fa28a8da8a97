"""charrnn train --dry-run: what a run would be."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer


def dry_run(corpus: Sequence[str], as_json: bool, quiet: bool, **settings: Any) -> None:
    """Print what the run would be."""
    from charrnn.train.dry_run import dry_run as measure
    from charrnn.ui.card import stdout_console
    from charrnn.ui.dry_run import view
    from charrnn.ui.training import training_listener

    if not quiet:
        typer.echo("measuring a few seconds of training", err=True)
    with training_listener(quiet=quiet) as listener:
        run = measure(corpus, listener=listener, **settings)
    if as_json:
        typer.echo(json.dumps(asdict(run) | {"seconds": run.seconds if math.isfinite(run.seconds) else None}))
    else:
        console = stdout_console()
        console.print(view(run, console))
