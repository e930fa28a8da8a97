"""Where an option's value comes from: the command line, a CHARRNN_ variable, a TOML file, or its default.

Click and Typer look the values up (`envvar`, `default_map`); here are the names they look for, what a file
must be, and the words for a value's origin.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from charrnn.errors import UsageError

PREFIX = "CHARRNN_"
OTHERS = {"CHARRNN_CACHE", "CHARRNN_DEBUG"}  # variables that stand for no option of a command
LINES = "charrnn.lines"  # in ctx.meta: option -> where in the file it is

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=lambda ctx, value: _use_file(ctx, value),
        help="A TOML file of options; the command line and CHARRNN_ variables go over it.",
    ),
]


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
    """A command whose every option can be given by a variable or a file too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        param: Any
        for param in self.params:
            if param.param_type_name == "option":
                param.envvar, param.show_envvar = PREFIX + _key(param).upper(), False

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
    return _flag(param)[2:].replace("-", "_")


def _tell_of_misspelt_variables(ctx: Any) -> None:
    """A variable that is no option's is ignored; one that nearly is, is told of."""
    known = {PREFIX + key.upper() for command in _commands(ctx).values() for key in options(command)}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known | OTHERS:
            for near in difflib.get_close_matches(name, known, 1, cutoff=0.9):
                typer.echo(f"{name} is no option's variable and has no effect; {near} is one", err=True)


def _commands(ctx: Any) -> dict[str, Any]:
    """Every command beside the one of this context, by name."""
    return ctx.parent.command.commands if ctx.parent is not None else {ctx.info_name: ctx.command}


# ------------------------------------------------------------------------------------------------
# The file


def _use_file(ctx: typer.Context, file: str | None) -> str | None:
    """Let Click take the options that follow from the file, which is checked first."""
    if file is not None and not ctx.resilient_parsing:
        found = dict(_read(Path(file), ctx))
        ctx.default_map = {name: value for name, (value, _) in found.items()}
        ctx.meta[LINES] = {name: where for name, (_, where) in found.items()}
    return file


def _read(file: Path, ctx: typer.Context) -> Iterator[tuple[str, tuple[Any, str]]]:
    """The options of this command: (parameter's name, (value, where it stands)), the ones that win last."""
    try:
        text = file.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"--config {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--config {file} is not TOML: {error}") from error
    commands, name = _commands(ctx), str(ctx.info_name)
    all_keys = {key for command in commands.values() for key in options(command)}
    mine = options(ctx.command)
    hints = get_type_hints(ctx.command.callback)
    tables = {key: table for key, table in content.items() if isinstance(table, Mapping)}
    plain = {key: value for key, value in content.items() if key not in tables}
    # A run's config.toml has its model apart, and tells what it was trained on and began from.
    tables = {
        t: values for t, values in tables.items() if not (t in ("corpus", "init_from") and "sha256" in values)
    }
    of_table = {t: options(command) for t, command in commands.items()}
    of_table["model"] = of_table.get("train", {})
    for table in tables:
        _must_be_known(table, of_table, f"{file}{_line(text, table, None)}: no command is called {table!r}")
    for table, values, known in [("", plain, all_keys), *((t, v, of_table[t]) for t, v in tables.items())]:
        for key, value in values.items():
            option = key.replace("-", "_")
            where = f"{key} ({file}{_line(text, table, key)})"
            command = f"charrnn {'train' if table == 'model' else table}" if table else "any command"
            _must_be_known(option, known, f"{where} is not an option of {command}")
            if option in mine and table in ("", name, *(("model",) if name == "train" else ())):
                param = mine[option]
                kinds = _alternatives(hints[param.name])
                if str in kinds and type(value) in (int, float):  # temp = 0.8, though several fit a text only
                    value = str(value)
                if not _fits(value, kinds):
                    raise UsageError(f"{where} is {value!r}; it must be {_words(kinds)}")
                yield param.name, (value, where)


def _must_be_known(name: str, known: Any, problem: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise UsageError(problem + (f". Did you mean {near[0]!r}?" if near else ""))


def _line(text: str, table: str, key: str | None) -> str:
    """ ", line N" of a key in a table (None: of the table's heading); "" where it is written in another way."""
    current, quote = "", r"""["']?"""
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(rf"""\s*\[\s*{quote}([^"'\]]+?){quote}\s*\]""", line):
            current = heading[1]
        here = heading if key is None else re.match(rf"\s*{quote}{re.escape(key)}{quote}\s*=", line)
        if here and current == table:
            return f", line {number}"
    return ""


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of `int | str | None`, without None."""
    kinds = (hint,) if get_origin(hint) in (None, list, Literal) else get_args(hint)
    return tuple(kind for kind in kinds if kind is not NoneType)


def _fits(value: object, kinds: tuple[Any, ...]) -> bool:
    """Whether a TOML value is of one of the types that an option takes."""
    if isinstance(value, list):
        lists = [get_args(kind) for kind in kinds if get_origin(kind) is list]
        return any(all(_fits(item, of) for item in value) for of in lists)
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    names = {float: (int, float), Path: (str,)}
    return value in choices or any(type(value) in names.get(kind, (kind,)) for kind in kinds)


def _words(kinds: tuple[Any, ...]) -> str:
    """What to call a type."""
    kind = kinds[0]
    if get_origin(kind) is Literal:
        return "one of: " + ", ".join(get_args(kind))
    if get_origin(kind) is list:
        return f"a list, each {_words(get_args(kind))}"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text in quotes")
