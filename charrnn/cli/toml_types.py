"""Whether a TOML value is what an option takes, by the option's type."""

from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of `int | str | None`, without None."""
    kinds = (hint,) if get_origin(hint) in (None, list, Literal) else get_args(hint)
    return tuple(kind for kind in kinds if kind is not NoneType)


def fits(value: object, kinds: tuple[Any, ...]) -> bool:
    """Whether a TOML value is of one of the types that an option takes."""
    if isinstance(value, list):
        lists = [get_args(kind) for kind in kinds if get_origin(kind) is list]
        return any(all(fits(item, of) for item in value) for of in lists)
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    names = {float: (int, float), Path: (str,)}
    return value in choices or any(type(value) in names.get(kind, (kind,)) for kind in kinds)


def in_words(kinds: tuple[Any, ...]) -> str:
    """What to call a type."""
    kind = kinds[0]
    if get_origin(kind) is Literal:
        return "one of: " + ", ".join(get_args(kind))
    if get_origin(kind) is list:
        return f"a list, each {in_words(get_args(kind))}"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text in quotes")
