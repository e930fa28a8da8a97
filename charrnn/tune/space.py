"""The settings to search in: a TOML file whose keys are options of `charrnn train`.

    layers = 2                                      a value: fixed
    cell = ["lstm", "gru"]                          a list: one of these
    dropout = { uniform = [0.0, 0.5] }              a number between these limits
    lr = { log_uniform = [0.001, 0.1] }             the same, evenly on a log scale
    hidden = { int = [64, 256], step = 32 }         a whole number, in steps
    batch_size = { log_int = [4, 64] }              a whole number, evenly on a log scale
    lr = { by = "optimizer", adam = 0.002, adagrad = { log_uniform = [0.03, 0.3] } }

`points = 3` in a range is the number of its values in a grid.
"""

import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any

from charrnn.config import ModelConfig, TrainConfig, check_value
from charrnn.errors import UsageError, did_you_mean
from charrnn.files.reading import MOST_SETTINGS, read_file

DEFAULT = Path(__file__).with_name("default_space.toml")
FIELDS = {f.name: f for settings in (ModelConfig, TrainConfig) for f in fields(settings)}
# The search sets these itself: a trial's budget, its validations, its threads.
NOT_HERE = {
    *("epochs", "max_steps", "max_minutes", "patience"),
    *("eval_every", "checkpoint_every", "threads", "snapshots"),
}
RANGES = ("uniform", "log_uniform", "int", "log_int")
FINE = 1 / 3  # share of a range that the fine search covers


@dataclass(frozen=True)
class Choice:
    """One of several values; a single value is fixed."""

    values: tuple[Any, ...]

    def grid(self) -> list[Any]:
        """All values."""
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included. step : between whole numbers; points : number of grid values."""

    low: float
    high: float
    log: bool
    whole: bool
    step: int
    points: int | None

    def grid(self) -> list[float]:
        """`points` values, evenly over the range on its own scale, or without `points` all in steps of `step`."""
        if self.points is None:
            return list(range(int(self.low), int(self.high) + 1, self.step))
        shares = [k / max(1, self.points - 1) for k in range(self.points)]
        values = [min(self.high, max(self.low, self._at(share))) for share in shares]
        return list(dict.fromkeys(self._whole(value) if self.whole else value for value in values))

    def around(self, centre: float) -> "Range":
        """The part of the range near `centre`: a third of it on its own scale, within its limits."""
        middle = self._share(centre)
        start = min(max(middle - FINE / 2, 0.0), 1 - FINE)
        low, high = (max(self.low, min(self.high, self._at(share))) for share in (start, start + FINE))
        if self.whole:
            low, high = min(self._whole(low), int(centre)), max(self._whole(high), int(centre))
        return replace(self, low=low, high=high)

    def _at(self, share: float) -> float:
        if self.log:
            return math.exp(math.log(self.low) + share * math.log(self.high / self.low))
        return self.low + share * (self.high - self.low)

    def _share(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def _whole(self, value: float) -> int:
        low = int(self.low)
        return low + min(round((value - low) / self.step), (int(self.high) - low) // self.step) * self.step


Dimension = Choice | Range


@dataclass(frozen=True)
class By:
    """A setting whose range depends on the value of another."""

    on: str
    cases: Mapping[str, Dimension]


@dataclass(frozen=True)
class Space:
    """Dimensions by setting; one that depends on another comes after it."""

    dimensions: Mapping[str, Dimension | By]

    @property
    def fixed(self) -> dict[str, Any]:
        """The fixed settings."""
        return {
            name: d.values[0]
            for name, d in self.dimensions.items()
            if isinstance(d, Choice) and not _is_open(d)
        }

    def draw(self, value_of: Callable[[str, Dimension], Any]) -> dict[str, Any]:
        """A complete combination of settings; `value_of` is called for each open dimension.

        Its first argument names the dimension: "hidden", or "lr.adam" if it depends on another setting.
        """
        settings: dict[str, Any] = {}
        for name in self.dimensions:
            key, dimension = self._of(name, settings)
            settings[name] = value_of(key, dimension) if _is_open(dimension) else dimension.grid()[0]
        return settings

    def grid(self) -> list[dict[str, Any]]:
        """Every combination, as values by open dimension. Raises UsageError for a range without `points`."""
        return list(self._grid(list(self.dimensions), {}, {}))

    def _grid(
        self, names: list[str], settings: dict[str, Any], values: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        if not names:
            yield values
            return
        name, *rest = names
        key, dimension = self._of(name, settings)
        if (
            isinstance(dimension, Range)
            and dimension.points is None
            and (dimension.log or not dimension.whole)
        ):
            raise UsageError(
                f"a grid needs to know how many values of {key} to try: add points = 3 to its range"
            )
        for value in dimension.grid():
            more = {key: value} if _is_open(dimension) else {}
            yield from self._grid(rest, settings | {name: value}, values | more)

    def _of(self, name: str, settings: Mapping[str, Any]) -> tuple[str, Dimension]:
        """The name and dimension of a setting, given the settings before it."""
        dimension = self.dimensions[name]
        if not isinstance(dimension, By):
            return name, dimension
        case = str(settings[dimension.on])
        return f"{name}.{case}", dimension.cases[case]


def _is_open(dimension: Dimension) -> bool:
    return isinstance(dimension, Range) or len(dimension.values) > 1


# ------------------------------------------------------------------------------------------------
# Reading


def read_space(file: Path | None) -> tuple[str, Space]:
    """The text and the content of a file for `charrnn tune --space`; None is the default space.

    Raises UsageError naming the file, the key and the line of the first fault.
    """
    name = "the default space" if file is None else str(file)
    try:
        text = read_file(file or DEFAULT, MOST_SETTINGS).decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"--space {name} cannot be read: {why}") from error
    return text, parse_space(text, name)


def parse_space(text: str, name: str) -> Space:
    """The space that a TOML text describes; `name` is its name in messages."""
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--space {name} is not TOML: {error}") from error
    found: dict[str, Dimension | By] = {}
    for key, value in content.items():
        where = f"{key} ({name}{_line(text, key)})"
        if key not in FIELDS or key in NOT_HERE:
            why = "is not a setting of charrnn train" + did_you_mean(key, FIELDS.keys() - NOT_HERE, 1)
            if key in NOT_HERE:
                why = "is set by the search itself"
            raise UsageError(f"{where} {why}")
        is_by = isinstance(value, Mapping) and "by" in value
        found[key] = _by(value, FIELDS[key], where) if is_by else _dimension(value, FIELDS[key], where)
    for key, dimension in found.items():
        if isinstance(dimension, By):
            _check_by(f"{key} ({name}{_line(text, key)})", dimension, found)
    space = Space(dict(sorted(found.items(), key=lambda item: isinstance(item[1], By))))
    if space.fixed.keys() == found.keys():
        raise UsageError(f"--space {name} leaves nothing to search: give at least one list or range")
    return space


def _line(text: str, key: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[=.\]]""", line):
            return f", line {number}"
    return ""


def _dimension(value: Any, field: Field[Any], where: str) -> Dimension:
    if isinstance(value, Mapping):
        return _range(value, field, where)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UsageError(f"{where} is an empty list; it must have at least one value")
    for one in values:
        check_value(field, one, where)
    for one in values:
        if values.count(one) > 1:
            raise UsageError(f"{where} has {one!r} more than once")
    return Choice(tuple(values))


def _range(table: Mapping[str, Any], field: Field[Any], where: str) -> Range:
    kinds = [kind for kind in RANGES if kind in table]
    if len(kinds) != 1:
        raise UsageError(f"{where} must have one of {', '.join(RANGES)} = [low, high], or by = a setting")
    kind, limits = kinds[0], table[kinds[0]]
    whole, log = kind.endswith("int"), kind.startswith("log")
    if unknown := table.keys() - {kind, "points"} - ({"step"} if kind == "int" else set()):
        raise UsageError(f"{where} has {sorted(unknown)[0]!r}, which cannot be combined with {kind}")
    low, high = _limits(limits, kind, where)
    for limit in limits:
        check_value(field, limit if whole else float(limit), where)
    for name in ("step", "points"):
        if name in table and (type(table[name]) is not int or table[name] < 1):
            raise UsageError(f"{where}: {name} is {table[name]!r}; it must be a whole number of 1 or more")
    step = table.get("step", 1)
    high = low + (high - low) // step * step if whole else high
    if low == high:
        raise UsageError(f"{where}: a step of {step} does not fit between {low} and {limits[1]}")
    return Range(low, high, log, whole, step, table.get("points"))


def _limits(limits: Any, kind: str, where: str) -> tuple[Any, Any]:
    """The two numbers of a range, the lower one first."""
    numbers, sort = ((int,), "whole numbers") if kind.endswith("int") else ((int, float), "numbers")
    is_pair = isinstance(limits, list) and len(limits) == 2 and all(type(n) in numbers for n in limits)
    if not is_pair or not limits[0] < limits[1]:
        raise UsageError(f"{where}: {kind} is {limits!r}; it must be two {sort}, the lower one first")
    if kind.startswith("log") and limits[0] <= 0:
        raise UsageError(f"{where}: {kind} begins at {limits[0]}; it must be greater than 0")
    return limits[0], limits[1]


def _by(table: Mapping[str, Any], field: Field[Any], where: str) -> By:
    cases = {case: _dimension(d, field, f"{where}, {case}") for case, d in table.items() if case != "by"}
    return By(table["by"], cases)


def _check_by(where: str, by: By, found: Mapping[str, Dimension | By]) -> None:
    on = found.get(by.on) if isinstance(by.on, str) else None
    if not isinstance(on, Choice):
        raise UsageError(
            f"{where}: by is {by.on!r}; it must be a setting of this file with a list or a value"
        )
    if set(by.cases) != set(map(str, on.values)):
        needed = ", ".join(map(str, on.values))
        raise UsageError(f"{where} has {', '.join(by.cases)}; it must have each of {by.on}: {needed}")
