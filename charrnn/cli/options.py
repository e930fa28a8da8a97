"""Command line options made from the fields of the settings classes, and options several commands share."""

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Annotated, Any, Literal, get_args, get_type_hints

import typer

from charrnn.cli.origin import Command, origin
from charrnn.cli.settings_file import ConfigOption
from charrnn.config import check_value

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")]
ModelOption = Annotated[
    str | None, typer.Option(help="Model file or run folder. Default: the newest run under ./runs.")
]


def with_settings(**panels: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes `**settings` an option for every field of some settings classes.

    panels : heading in --help -> dataclass. An option that is not given is None.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [
            inspect.Parameter(
                f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(f, panel)
            )
            for panel, settings in panels.items()
            for f in fields(settings)
        ]
        return _with_parameters(command, lambda **given: command(**given), [*own, *made])

    return decorate


class App(typer.Typer):
    """Typer, with --config and CHARRNN_ variables for every command."""

    def command(self, name: str | None = None, **rest: Any) -> Callable[..., Any]:
        def add(command: Callable[..., None]) -> Callable[..., None]:
            def run(config: str | None, **given: Any) -> None:
                command(**given)

            parameters = inspect.signature(command).parameters.values()
            config = inspect.Parameter(
                "config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigOption
            )
            super(App, self).command(name, cls=Command, **rest)(
                _with_parameters(command, run, [*parameters, config])
            )
            return command

        return add


def _with_parameters(
    command: Callable[..., None], run: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """`run` under the name and help of `command`, with other parameters for Typer to see."""
    hints = get_type_hints(command, include_extras=True)
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: hints.get(p.name, p.annotation) for p in parameters}
    return run


def _option(f: Field[Any], panel: str) -> Any:
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
        typer.Option(help=f.metadata["help"] + shown, rich_help_panel=panel, callback=within_limits),
    ]
