"""Command line options made from the fields of the settings classes, and options several commands share."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import Field, fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

import typer
from typer.core import TyperGroup
from typer.models import ArgumentInfo

from charrnn.cli.help import write_commands, write_options
from charrnn.cli.origin import Command, origin
from charrnn.cli.settings_file import ConfigOption
from charrnn.config import check_value
from charrnn.errors import UsageError
from charrnn.fast import waiting
from charrnn.ui.terminal.output import say

COMPILING = "compiling for this network"
KEPT = "; later commands will find it compiled"

RunArgument = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Run folder or model file to work on, like --model.")
]
ThemeOption = Annotated[
    Literal["auto", "light", "dark"],
    typer.Option(
        "--theme",
        callback=lambda value: _use_theme(value),
        help="Colours for a light or a dark background; auto asks the terminal.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")]
ExpectOption = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR=+|-",
        help="Characters that your own concept should make more (+) or less (-) likely.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Model file or run folder. Default: the newest run under ./runs."),
]


def with_settings(*classes: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes `**settings` an option for every field of some dataclasses.

    An option that is not given is None.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(f))
            for settings in classes
            for f in fields(settings)
        ]
        return _with_parameters(command, lambda **given: command(**given), [*own, *made])

    return decorate


class Group(TyperGroup):
    """The commands, in groups, and above them no more than how to call one."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_commands(self, ctx, formatter)
        write_options(self, ctx, formatter)


class App(typer.Typer):
    """Typer, with --config, --theme and CHARRNN_ variables for every command.

    What a command works on is its argument: its text, its table or its cell, or else the run. So a command that has
    --model and no argument of its own takes RUN as one.
    """

    def command(self, name: str | None = None, **rest: Any) -> Callable[..., Any]:
        def add(command: Callable[..., None]) -> Callable[..., None]:
            hints = get_type_hints(command, include_extras=True)
            has_argument = any(isinstance(m, ArgumentInfo) for h in hints.values() for m in get_args(h)[1:])
            added = {"ctx": typer.Context, "config": ConfigOption, "theme": ThemeOption}
            if "model" in hints and not has_argument:
                added["run"] = RunArgument

            def run(
                ctx: typer.Context, config: str | None, theme: str, run: str | None = None, **given: Any
            ) -> None:
                if run is not None:
                    several = list[str] in get_args(get_args(hints["model"])[0])
                    given["model"] = _named(ctx, run, given["model"], several)
                with _telling_of_compilers(quiet=bool(given.get("quiet"))):
                    command(**({"ctx": ctx} if "ctx" in hints else {}), **given)

            own = [p for p in inspect.signature(command).parameters.values() if p.name != "ctx"]
            parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own]
            for key, annotation in added.items():
                default = {"ctx": inspect.Parameter.empty, "theme": "auto"}.get(key)
                parameters.append(
                    inspect.Parameter(
                        key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
                    )
                )
            super(App, self).command(name, cls=Command, **rest)(_with_parameters(command, run, parameters))
            return command

        return add


@contextmanager
def _telling_of_compilers(*, quiet: bool) -> Iterator[None]:
    """Say it on a terminal where kernels take a while to compile, once in a command."""
    shown = sys.stderr is not None and sys.stderr.isatty() and not quiet
    before = waiting.tell.set(cache(lambda kept: say(COMPILING + KEPT * kept)) if shown else None)
    try:
        yield
    finally:
        waiting.tell.reset(before)


def _use_theme(theme: str) -> str:
    from charrnn.ui.terminal.background import name_theme

    name_theme(theme)
    return theme


def _named(ctx: typer.Context, run: str, model: Any, several: bool) -> Any:
    """The model that RUN names, which comes before that of a variable or a file."""
    if model and origin(ctx, "model").kind == "command line":
        raise UsageError(f"the model is named twice: {run} and --model. Leave one out")
    if "prime" in ctx.params and not os.path.exists(run):
        raise UsageError(
            f"{run!r} is neither a run folder nor a model file. To continue a text, give it with --prime"
        )
    return [run] if several else run


def _with_parameters(
    command: Callable[..., None], run: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """`run` under the name and help of `command`, with other parameters for Typer to see."""
    hints = get_type_hints(command, include_extras=True)
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: hints.get(p.name, p.annotation) for p in parameters}
    return run


def _option(f: Field[Any]) -> Any:
    choices = f.metadata["choices"]
    kind: Any = (
        Literal[choices] if choices else next(t for t in (*get_args(f.type), f.type) if t is not type(None))
    )
    default = f"{f.default:g}" if isinstance(f.default, float) else f.default
    shown = "" if default in (None, "") or default is False else f"  [default: {default}]"

    def within_limits(ctx: typer.Context, value: Any) -> Any:
        if value is not None and not ctx.resilient_parsing:
            check_value(f, value, origin(ctx, f.name).name)
        return value

    return Annotated[
        kind | None,
        typer.Option(help=f.metadata["help"] + shown, callback=within_limits),
    ]
