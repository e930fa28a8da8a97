"""--help in groups: which commands and options belong together, under headings, in the terminal's width.

A command that is not in OPTIONS shows all its own options under one heading.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import typer

WIDEST = 120  # columns; longer lines are hard to read
LONGEST_SENTENCE = 200  # characters of what a command is for: it is wrapped, not cut
WIDEST_USAGE = 30  # columns of an option and its value; what is longer has a line of its own
GENERAL = "config theme help"  # options of every command, last
KINDS = {  # in place of typer's words for types
    "<list[str]>": "TEXT",
    "<str>": "TEXT",
    "<Path>": "PATH",
    "<path>": "PATH",
    "<int>": "N",
    "<int range>": "N",
    "<float>": "X",
    "<float range>": "X",
}

COMMANDS = {
    "Make a model": "train tune corpus",
    "Use it": "sample transform classify score eval play",
    "Look inside": "info report inspect-cells explain why automaton fixed-points probe gradient-flow",
    "Learn how it works": "learn gradcheck",
    "Exchange": "export import",
}

_NETWORK = "cell layers hidden embedding nonlinearity"
OPTIONS = {
    "train": {
        "Run": "out preset resume init-from freeze-layers force dry-run show-config tensorboard quiet json seed",
        "Model": f"{_NETWORK} init",
        "Optimiser": "optimizer lr schedule warmup-steps decay decay-every final-lr clip-value clip-norm seq-length "
        "batch-size jitter",
        "Regularisation": "dropout dropout-kind weight-drop embedding-dropout input-dropout ar tar label-smoothing l1 "
        "l2 weight-decay average",
        "Budget": "epochs max-steps max-minutes patience",
        "Text": "level encoding newlines min-count items text-column label-column input-column",
        "Validation and saving": "val test val-fraction test-fraction eval-every checkpoint-every snapshots",
        "Engine": "backend device precision threads",
    },
    "tune": {
        "Search": "space search trials keep seed show-space",
        "Budget": "max-minutes trial-minutes trial-steps jobs",
        "Run": "out resume quiet json",
    },
    "sample": {
        "What to write": "model prime with-prime label input length count stop unknown interactive",
        "How to draw": "temp top-k top-p min-p repetition-penalty seed beam clamp counts weights",
        "Copies and checks": "unique new novelty novelty-min novelty-corpus check",
        "Output": "raw json",
    },
    "eval": {
        "What to score": "model split corpus unknown encoding newlines items text-column label-column input-column",
        "What to show": "per-line order highlight worst no-baselines json",
        "Beside the model": "counts adapt",
    },
    "inspect-cells": {
        "What to look for": "model text concept expect cell gates list",
        "Tests": "top quick no-causal over-time",
        "Output": "passages guesses style json csv html",
    },
    "gradcheck": {
        "Network": f"model vocab {_NETWORK}",
        "Check": "seq-length batch-size samples seed json",
    },
}


def grouped(names: Sequence[str], groups: dict[str, str], rest: str) -> Iterator[tuple[str, list[str]]]:
    """The names under their headings; those of no group under `rest`."""
    placed = {name for group in groups.values() for name in group.split()}
    others = [name for name in names if name not in placed]
    for heading, group in [*groups.items(), (rest, " ".join(others))]:
        if found := [name for name in group.split() if name in names]:
            yield heading, found


def write_options(command: Any, ctx: Any, formatter: Any) -> None:
    """The arguments and options of a command, each under its heading."""
    rows: dict[str, dict[str, tuple[str, str]]] = {"argument": {}, "option": {}}
    for param in command.get_params(ctx):
        if record := param.get_help_record(ctx):
            usage, kind = record[0], param.param_type_name
            for theirs, ours in KINDS.items():
                usage = usage.replace(theirs, ours if kind == "option" else "").rstrip()
            rows[kind][name_of(param)] = usage, record[1]
    options = rows["option"]
    _section(formatter, "Arguments", list(rows["argument"].values()))
    general = [name for name in GENERAL.split() if name in options and "config" in options]
    own = [name for name in options if name not in general]
    width = max(len(usage) for usage, _ in options.values() if len(usage) <= WIDEST_USAGE)
    for heading, names in [*grouped(own, OPTIONS.get(command.name, {}), "Options"), ("General", general)]:
        _section(formatter, heading, [(f"{options[name][0]:<{width}}", options[name][1]) for name in names])


def write_commands(group: Any, ctx: Any, formatter: Any) -> None:
    """The commands, each under its heading."""
    commands = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    width = max(map(len, commands))
    for heading, names in grouped(list(commands), COMMANDS, "Other commands"):
        rows = [(f"{name:<{width}}", commands[name].get_short_help_str(LONGEST_SENTENCE)) for name in names]
        _section(formatter, heading, rows)


def name_of(param: Any) -> str:
    """The name of an option as it is typed, without dashes; of an argument its own."""
    return max(param.opts, key=len).lstrip("-")


def _section(formatter: Any, heading: str, rows: Sequence[tuple[str, str]]) -> None:
    """Rows under a heading, which is bold on a terminal."""
    if rows:
        with formatter.section(
            heading if os.environ.get("TERM") == "dumb" else typer.style(heading, bold=True)
        ):
            formatter.write_dl(rows, col_max=WIDEST_USAGE)
