"""Where an option's value comes from: the command line, a CHARRNN_ variable, a TOML file, or its default.

Click and Typer look the values up (`envvar`, `default_map`); here are the names they look for, and the words
for a value's origin.
"""

import difflib
import os
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand

from charrnn.cli.help import name_of, write_options
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import say

PREFIX = "CHARRNN_"
OTHERS = {"CHARRNN_CACHE", "CHARRNN_DEBUG"}  # variables that stand for no option of a command
LINES = "charrnn.lines"  # in ctx.meta: option -> where in the file it is
SHORT = {"--model": "-m", "--out": "-o", "--count": "-n", "--prime": "-p", "--temp": "-t", "--quiet": "-q"}


@dataclass(frozen=True)
class Origin:
    """Where a value came from. kind : "command line", "environment", "file" or "default"."""

    kind: str
    name: str  # the option, the variable, or the key with its file and line


def origin(ctx: typer.Context, option: str) -> Origin:
    """Where the value of an option (by its parameter's name) came from."""
    source = ctx.get_parameter_source(option)
    by_name = {param.name: param for param in ctx.command.params}
    param = by_name[option]
    match source.name if source is not None else "DEFAULT":
        case "COMMANDLINE":
            return Origin("command line", _flag(param))
        case "ENVIRONMENT":
            return Origin("environment", str(param.envvar))
        case "DEFAULT_MAP":
            return Origin("file", ctx.meta[LINES][option])
    return Origin("default", _flag(param))


class Command(TyperCommand):
    """A command whose every option can be given by a variable or a file too, and the usual ones by one letter."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        param: Any
        for param in self.params:
            if param.param_type_name == "option":
                param.envvar, param.show_envvar = PREFIX + _key(param).upper(), False
                param.opts += [SHORT[name] for name in param.opts if name in SHORT]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            _tell_of_misspelt_variables(ctx)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = getattr(error.param, "name", None)
            where = origin(ctx, name) if name else None
            if where is None or where.kind not in ("environment", "file"):
                raise
            value = f" is {os.environ[where.name]!r}" if where.kind == "environment" else ""
            raise UsageError(f"{where.name}{value}: {error.message}") from error


def options(command: Any) -> dict[str, Any]:
    """The options of a command by their key in a file, which cannot name another file."""
    named = {_key(param): param for param in command.params if param.param_type_name == "option"}
    return {key: param for key, param in named.items() if key != "config"}


def _flag(param: Any) -> str:
    return max(param.opts, key=len)


def _key(param: Any) -> str:
    return name_of(param).replace("-", "_")


def _tell_of_misspelt_variables(ctx: Any) -> None:
    """A variable that is no option's is ignored; one that nearly is, is told of."""
    known = {PREFIX + key.upper() for command in commands_of(ctx).values() for key in options(command)}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known | OTHERS:
            for near in difflib.get_close_matches(name, known, 1, cutoff=0.9):
                say(f"Ignoring unknown {name}; did you mean {near}?")


def commands_of(ctx: Any) -> dict[str, Any]:
    """Every command beside the one of this context, by name."""
    return ctx.parent.command.commands if ctx.parent is not None else {ctx.info_name: ctx.command}
