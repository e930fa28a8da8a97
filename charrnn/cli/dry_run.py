"""charrnn train --dry-run: what a run would be."""

import math
from collections.abc import Sequence
from typing import Any

from charrnn.ui.terminal.output import json_text, put, say


def dry_run(corpus: Sequence[str], as_json: bool, quiet: bool, **settings: Any) -> None:
    """Print what the run would be."""
    from charrnn.training.dry_run import dry_run as measure
    from charrnn.ui.terminal.console import Console
    from charrnn.ui.terminal.dry_run_view import view
    from charrnn.ui.terminal.training_view import training_view

    if not quiet:
        say("measuring a few seconds of training")
    with training_view(quiet=quiet) as shown:
        run = measure(corpus, reading=shown.reading, **settings)
    if as_json:
        put(json_text(run.to_json() | {"seconds": run.seconds if math.isfinite(run.seconds) else None}))
    else:
        console = Console(highlight=False)
        console.print(view(run, console))
