"""Command line options made from the fields of the settings classes, and options several commands share."""

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Annotated, Any, Literal, get_args

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
ModelOption = Annotated[
    str | None, typer.Option(help="A model file or run folder; by default the newest run under ./runs.")
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

        def run(**given: Any) -> None:
            command(**given)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = signature.replace(parameters=[*own, *made])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*own, *made]}
        return run

    return decorate


def _option(f: Field[Any], panel: str) -> Any:
    choices = f.metadata["choices"]
    kind: Any = (
        Literal[choices] if choices else next(t for t in (*get_args(f.type), f.type) if t is not type(None))
    )
    default = f"{f.default:g}" if isinstance(f.default, float) else f.default
    shown = "" if default in (None, "") else f"  [default: {default}]"
    return Annotated[kind | None, typer.Option(help=f.metadata["help"] + shown, rich_help_panel=panel)]
