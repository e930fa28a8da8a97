"""Which of the options given count, by where they came from."""

from collections.abc import Collection
from typing import Any

import typer

from charrnn.cli.origin import origin
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import say


def of_a_resume(ctx: typer.Context, given: dict[str, Any], limits: Collection[str]) -> dict[str, Any]:
    """What of the options given may change a run that goes on; the others become None.

    Only the command line and a file that it names do: a variable is set for all runs, and must not change one
    that began without it. Of the file, a place to start from is past, and its limits give way to those of the
    command line.
    """
    origins = {name: origin(ctx, name) for name, value in given.items() if value is not None}
    counts = {"command line"} | ({"file"} if origin(ctx, "config").kind == "command line" else set())
    kept = {name for name, where in origins.items() if where.kind in counts}
    past = {"preset", "init_from", "space"}
    if any(origins[name].kind == "command line" for name in kept & set(limits)):
        past |= set(limits)
    kept -= {name for name in kept & past if origins[name].kind == "file"}
    if left := sorted(where.name for where in origins.values() if where.kind == "environment"):
        say(f"--resume ignores {', '.join(left)}: the run keeps its own settings")
    return {name: value if name in kept else None for name, value in given.items()}


def refuse(ctx: typer.Context, options: Collection[str], why: str) -> None:
    """Raise UsageError where one of these options is given, by whatever name: it does not go with another."""
    for name in options:
        if (where := origin(ctx, name)).kind != "default":
            raise UsageError(f"{where.name} {why}. Leave one out")
