"""A result as JSON has it."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any


def json_value(value: Any) -> Any:
    """Dataclasses and mappings as objects, arrays, tuples and lists as lists, paths as strings; others stay.

    A class with fields that JSON shows in another form has a method ``to_json``.
    """
    if hasattr(value, "to_json"):
        return json_value(value.to_json())
    if is_dataclass(value):
        return {field.name: json_value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: json_value(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(one) for one in value]
    if hasattr(value, "tolist"):  # numpy's arrays and numbers, without importing numpy
        return value.tolist()
    return str(value) if isinstance(value, PurePath) else value


def known(value: Any) -> Any:
    """Plain values with None in place of numbers that are not finite, which JSON has not."""
    if isinstance(value, dict):
        return {name: known(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
