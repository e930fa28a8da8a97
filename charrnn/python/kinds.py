"""Whether arguments are what a signature says: a value of another type is refused by the argument's name.

What means the same is taken as what the signature names: numbers and texts of numpy as Python's, and for a list of
texts anything that has them in order, such as an array, a column of a table or a generator.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from reprlib import Repr
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from charrnn.config import IN_WORDS
from charrnn.errors import UsageError

LISTS = (Sequence, Iterable, list)
NO_LISTS = (str, bytes, os.PathLike, Mapping)  # though they can be iterated, or look like texts
WORDS = IN_WORDS | {str: "a str", bool: "True or False", bytes: "bytes", os.PathLike: "a path"}
SHOWN = Repr()
SHOWN.maxstring = SHOWN.maxother = 40


class Unfit(Exception):
    """A value that is not of a kind; place : where in an argument it stands, such as [3]."""

    def __init__(self, value: object, kind: Any, place: str) -> None:
        super().__init__(value, kind, place)
        self.value, self.kind, self.place = value, kind, place


def arguments_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call as the signature of the function says. Names that it lacks are left to the call.

    Raises UsageError naming an argument of another type.
    """
    parameters = inspect.signature(function).parameters
    by_place = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    own = inspect.unwrap(function).__kwdefaults__ or {}
    first = [_argument(p, value) for p, value in zip(by_place, args, strict=False)]
    rest = dict(kwargs)
    for name, value in kwargs.items():
        p = parameters.get(name)
        is_setting = p is not None and p.kind is p.KEYWORD_ONLY and name not in own
        if p is not None and not (is_setting and value is None):  # a setting that is None is not given
            rest[name] = _argument(p, value)
    return [*first, *args[len(first) :]], rest


def _argument(parameter: inspect.Parameter, value: object) -> Any:
    if parameter.annotation is parameter.empty:
        return value
    try:
        return fitted(value, parameter.annotation)
    except Unfit as unfit:
        shown = " ".join(SHOWN.repr(unfit.value).split())
        name = type(unfit.value).__name__
        what = "" if unfit.value is None else f", which is {'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
        raise UsageError(
            f"{parameter.name}{unfit.place} is {shown}{what}; it must be {in_words(unfit.kind)}"
        ) from None


def fitted(value: Any, kind: Any, place: str = "") -> Any:
    """The value as one of a kind, which is a type as it stands in a signature. Raises Unfit if it is none."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any or isinstance(kind, str):
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # of numpy or of a tensor: what it holds
    if origin in (Union, UnionType):
        return _one_of(value, kind, place)
    if origin is Literal:
        fits = any(type(value) is type(one) and value == one for one in parts)
    elif origin in LISTS:
        return _listed(value, kind, place)
    elif origin is Mapping and isinstance(value, Mapping):
        return {key: fitted(one, parts[1], f"{place}[{key!r}]") for key, one in value.items()}
    elif origin is Callable:
        fits = callable(value)
    elif getattr(kind, "__name__", "") == "ndarray":
        fits = _is_numbers(value)
    else:
        wanted = origin or kind
        fits = isinstance(value, (int, float) if wanted is float else NoneType if wanted is None else wanted)
        fits = fits and (wanted is bool or not isinstance(value, bool))
    if not fits:
        raise Unfit(value, kind, place)
    return value


def _one_of(value: Any, kind: Any, place: str) -> Any:
    """The value as the first kind of a union that it fits; what it lacks is told of the one that it is most like."""
    nearest = Unfit(value, kind, place)
    for one in get_args(kind):
        try:
            return fitted(value, one, place)
        except Unfit as unfit:
            nearest = max(nearest, unfit, key=lambda one: len(one.place))
    raise nearest


def _listed(value: Any, kind: Any, place: str) -> list[Any]:
    """The values in a list, an array (n,) or (n, 1), a column of a table or a generator."""
    shape = getattr(value, "shape", (0,))
    if isinstance(value, NO_LISTS) or not isinstance(value, Iterable) or shape[1:] not in ((), (1,)):
        raise Unfit(value, kind, place)
    if shape[1:]:
        import numpy as np

        value = np.asarray(value)[:, 0]
    (one,) = get_args(kind)
    found = list(value)
    if one is str and all(type(text) is str for text in found):
        return found
    return [fitted(item, one, f"{place}[{k}]") for k, item in enumerate(found)]


def _is_numbers(value: object) -> bool:
    """Whether this can be an array of numbers; what only looks like an array, as tensors do, may be."""
    if isinstance(value, list | tuple):
        return all(_is_numbers(one) or type(one) in (int, float) for one in value)
    kind = getattr(getattr(value, "dtype", None), "kind", "f")
    return hasattr(value, "__array__") and kind in "biuf"


def in_words(kind: Any) -> str:
    """A kind in a message: a str or bytes; a list of str."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        *others, last = dict.fromkeys(in_words(part) for part in parts if part is not NoneType)
        return f"{', '.join(others)} or {last}" if others else last
    if origin is Literal:
        return f"one of: {', '.join(map(str, parts))}"
    if origin in LISTS:
        of = get_args(parts[0]) if get_origin(parts[0]) in (Union, UnionType) else parts
        return f"a list of {' or '.join(one.__name__ for one in of)}"
    if origin in (Mapping, Callable):
        return "a mapping" if origin is Mapping else "a function"
    name = getattr(kind, "__name__", str(kind))
    if name == "ndarray":
        return "an array of numbers"
    if name == "Model":
        return "a model (charrnn.load_model reads one)"
    return WORDS.get(origin or kind, f"{'an' if name[0] in 'AEIOU' else 'a'} {name}")
