"""Which of the options given count, and which cannot be given together."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import typer

from charrnn.cli.origin import origin
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import say

PAST = {"preset", "init_from", "space"}  # where a run began: a file that is used again may still name it
KINDS = ("command line", "environment", "file", "default")


def of_a_resume(ctx: typer.Context, given: dict[str, Any], limits: Collection[str]) -> dict[str, Any]:
    """What of the options given may change a run that goes on; the others become None.

    Only the command line and a file that it names do: a variable is set for all runs, and must not change one
    that began without it. Of the file, a place to start from is past, and its limits give way to those of the
    command line.
    """
    origins = {name: origin(ctx, name) for name, value in given.items() if value is not None}
    by_kind = {kind: {n for n, where in origins.items() if where.kind == kind} for kind in KINDS}
    typed, in_file = by_kind["command line"], by_kind["file"] - PAST
    if origin(ctx, "config").kind != "command line":
        in_file = set()
    elif typed & set(limits):
        in_file -= set(limits)
    if left := sorted(origins[name].name for name in by_kind["environment"]):
        say(f"--resume ignores {', '.join(left)}: the run keeps its own settings")
    return {name: value if name in typed | in_file else None for name, value in given.items()}


def resumed(
    paths: Sequence[str], out: str | None, is_run: Callable[[str], bool], kind: str = "run"
) -> tuple[list[str], str | None]:
    """The text and the run that `--resume RUN` names: the path that is a run is the one to go on with.

    paths : the arguments; out : of --out, which names the run too; kind : what messages call it
    """
    runs = [path for path in paths if is_run(path)]
    if not runs:
        for path in paths:
            if path != "-" and not os.path.lexists(path) and not set(path) & set("*?["):
                raise UsageError(f"--resume: {path} is neither a {kind} nor a text")
        return list(paths), out
    if len(runs) > 1:
        raise UsageError(f"--resume names more than one {kind}: {', '.join(runs)}. Name one")
    if out is not None and not (os.path.exists(out) and os.path.samefile(out, runs[0])):
        raise UsageError(
            f"--resume {runs[0]} and --out {out} name two {'searches' if kind == 'search' else 'runs'}. Leave one out"
        )
    return [path for path in paths if path != runs[0]], runs[0]


def refuse(ctx: typer.Context, options: Collection[str], why: str) -> None:
    """Raise UsageError where one of these options is given, by whatever name: it does not go with another."""
    for name in options:
        if (where := origin(ctx, name)).kind != "default":
            raise UsageError(f"{where.name} {why}. Leave one out")


def refuse_if(*rules: tuple[object, str]) -> None:
    """Raise UsageError with the message of the first rule that is broken. rules : (whether it is, message)"""
    for broken, message in rules:
        if broken:
            raise UsageError(message)


def refuse_beside(option: str, given: object, others: Mapping[str, object]) -> None:
    """Raise UsageError where an option is given together with others. others : name -> whether it is given"""
    names = ", ".join(name for name, value in others.items() if value)
    refuse_if((given and names, f"{option} cannot be combined with {names}. Leave one out"))
