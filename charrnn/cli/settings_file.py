"""--config: the options that a TOML file gives, checked before Click takes them."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from charrnn.cli.origin import LINES, commands_of, options
from charrnn.cli.toml_types import alternatives, fits, in_words
from charrnn.errors import UsageError, did_you_mean
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
    text, content = _parsed(file)
    tables = {key: table for key, table in content.items() if isinstance(table, Mapping)}
    plain = {key: value for key, value in content.items() if key not in tables}
    tables = {name: values for name, values in tables.items() if not _is_record(name, values)}
    of_table = {name: options(command) for name, command in commands_of(ctx).items()}
    any_option = {key for known in of_table.values() for key in known}
    of_table["model"] = of_table.get("train", {})  # a run's config.toml has its model apart
    for table in tables:
        _must_be_known(table, of_table, f"{file}{_line(text, table, None)}: no command is called {table!r}")
    used = ("", "train", "model") if ctx.info_name == "train" else ("", ctx.info_name)
    mine, hints = options(ctx.command), get_type_hints(ctx.command.callback)
    for table, values, known in [("", plain, any_option), *((t, v, of_table[t]) for t, v in tables.items())]:
        command = f"charrnn {'train' if table == 'model' else table}" if table else "any command"
        for key, value in values.items():
            option = key.replace("-", "_")
            where = f"{key} ({file}{_line(text, table, key)})"
            _must_be_known(option, known, f"{where} is not an option of {command}")
            if table in used and option in mine:
                param = mine[option]
                yield param.name, (_checked(value, alternatives(hints[param.name]), where), where)


def _parsed(file: Path) -> tuple[str, dict[str, Any]]:
    """A TOML file's text and content. Raises UsageError."""
    try:
        text = read_file(file, MOST_SETTINGS).decode()
        return text, tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"--config {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--config {file} is not TOML: {error}") from error


def _is_record(table: str, values: Mapping[str, Any]) -> bool:
    """Whether a table of a run's config.toml only records what it was trained on or began from."""
    return table in ("corpus", "init_from") and "sha256" in values


def _checked(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    """A value, if an option of these types takes it. Raises UsageError."""
    if str in kinds and type(value) in (int, float):  # temp = 0.8, though several fit a text only
        value = str(value)
    if not fits(value, kinds):
        raise UsageError(f"{where} is {value!r}; it must be {in_words(kinds)}")
    return value


def _must_be_known(name: str, known: Any, problem: str) -> None:
    if name not in known:
        raise UsageError(problem + did_you_mean(name, known, 1))


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
