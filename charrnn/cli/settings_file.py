"""--config: the options that a TOML file gives, checked before Click takes them."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from charrnn.cli.origin import LINES, commands_of, options
from charrnn.cli.toml_types import alternatives, fits, in_words
from charrnn.errors import UsageError
from charrnn.files.reading import MOST_SETTINGS, read_file

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=lambda ctx, value: _use_file(ctx, value),
        help="TOML file of options. Precedence: command line > CHARRNN_ variable > --config > preset > default.",
    ),
]


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
        text = read_file(file, MOST_SETTINGS).decode()
        content = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"--config {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--config {file} is not TOML: {error}") from error
    commands, name = commands_of(ctx), str(ctx.info_name)
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
                kinds = alternatives(hints[param.name])
                if str in kinds and type(value) in (int, float):  # temp = 0.8, though several fit a text only
                    value = str(value)
                if not fits(value, kinds):
                    raise UsageError(f"{where} is {value!r}; it must be {in_words(kinds)}")
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
