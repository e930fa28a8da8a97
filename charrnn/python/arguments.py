"""The names of settings as a Python program knows them: in signatures, in docstrings and in errors.

Messages name an option of the command line, such as --val-fraction. A program that called a function gave it the
argument val_fraction, and its error says so.
"""

import inspect
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from functools import wraps
from typing import Any, TypeVar, cast

from charrnn.config import UNKNOWN, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.python.kinds import arguments_of

OTHER_NAMES = {"temp": "temperature", "concept": "concepts", "clamp": "clamps"}  # option -> argument
ITEMS = ("line", "blank-line", "file", "pairs", "csv", "tsv", "jsonl")
SWITCHES = {
    "resume",
    "force",
    "progress",
}  # options without a value, beside the settings that are true or false

_SETTINGS = {f.name: f for settings in (ModelConfig, TrainConfig) for f in fields(settings)}
_SWITCHES = SWITCHES | {name for name, f in _SETTINGS.items() if f.type is bool}
_WORDS = {
    *ITEMS,
    *UNKNOWN,
    *(choice for f in _SETTINGS.values() if f.metadata for choice in f.metadata["choices"]),
}
# An option and what may be its value: a number, something in quotes or in capitals, or a word that is a choice.
_OPTION = re.compile(
    r"(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)"
    r"(?:[ =](-?\d[\d.]*(?:e[-+]?\d+)?(?![\w-])|'[^'\n]*'|[A-Z]{2,}\b(?!\w)|sep:\w+|[a-z]+-\d[\w-]*|"
    rf"(?:{'|'.join(sorted(map(re.escape, _WORDS), key=len, reverse=True))})(?![\w-])))?"
)
_COMMAND = re.compile(r"charrnn train((?: (?:'[^']*'|[^\s,;`]*[^\s,;.:`]))*)")

F = TypeVar("F", bound=Callable[..., Any])


def as_arguments(message: str) -> str:
    """The message with `val_fraction=0.1` for --val-fraction 0.1, and a call for a command that trains."""
    message, parts, end = _COMMAND.sub(_call, message), [], 0
    for found in _OPTION.finditer(message):
        between = message[end : found.start()]
        parts += [", " if end and between == " " else between, _argument(*found.groups())]
        end = found.end()
    return "".join([*parts, message[end:]])


def _argument(option: str, value: str | None) -> str:
    name = OTHER_NAMES.get(option, option.replace("-", "_"))
    if name in _SWITCHES:
        return f"{name}=True"
    if value is None:
        return name
    is_text = not re.fullmatch(r"-?\d.*|'.*'|[A-Z]+", value)
    return f"{name}={value!r}" if is_text else f"{name}={value}"


def _call(found: re.Match[str]) -> str:
    """charrnn.train(…) for a command that trains; it stays as it is where it cannot be told apart."""
    try:
        words = shlex.split(found[1])
    except ValueError:
        return found[0]
    given, k = [], 0
    while k < len(words):
        word, k = words[k], k + 1
        if not word.startswith("--"):
            given.append(_value(word))
            continue
        name = word[2:].replace("-", "_")
        if name in _SWITCHES:
            given.append(f"{name}=True")
        elif k < len(words):
            given.append(f"{name}={_value(words[k])}")
            k += 1
        else:
            return found[0]
    return f"charrnn.train({', '.join(given)})"


def _value(word: str) -> str:
    return word if re.fullmatch(r"[A-Z]{2,}…?|-?\d+(\.\d+)?", word) else repr(word)


def naming_arguments(function: F) -> F:
    """The function, with arguments of the right types, and errors that name arguments in place of options."""

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            found, named = arguments_of(function, args, kwargs)
            return function(*found, **named)
        except CharRNNError as error:
            error.args = (as_arguments(str(error)), *error.args[1:])
            raise

    return cast(F, called)


def taking(*settings: type, without: Sequence[str] = (), unset: bool = False) -> Callable[[F], F]:
    """For a function that takes `**settings`: show the fields of some settings classes in its signature, with their
    defaults, and in its docstring with what they mean.

    without : fields that it does not take; unset : whether the default of all is None, which means not given
    """
    made = [f for one in settings for f in fields(one) if f.name not in without]

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {p.name for p in own}
        shown = [f for f in made if f.name not in names]
        others = [
            inspect.Parameter(
                f.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None if unset else f.default,
                annotation=f.type | None if unset else f.type,  # type: ignore[operator]
            )
            for f in shown
        ]
        function.__signature__ = signature.replace(parameters=[*own, *others])  # type: ignore[attr-defined]
        lines = [f"{f.name} : {_meaning(f)}" for f in shown if f.metadata]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Settings:", "", *lines])
        return function

    return decorate


def _meaning(f: Field[Any]) -> str:
    """What a setting means, and its choices."""
    choices = f.metadata["choices"]
    return as_arguments(f.metadata["help"]) + (f" One of: {', '.join(choices)}." if choices else "")
