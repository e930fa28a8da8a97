"""Labels: the truth about a text, character by character, that a cell may or may not know."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["bool", "count"]
Marked = tuple[np.ndarray, np.ndarray]  # values and mask of a Label


@dataclass(frozen=True)
class Label:
    """One concept on one text of N characters.

    ``values[t]`` describes the state after reading ``text[t]``, which predicts ``text[t+1]``. It depends on
    ``text[:t+1]`` only, unless ``predictive`` says that it may look ahead. (Constants of
    a whole text, such as its language and usual line length, do not count as looking ahead.)

    values : ndarray of shape (N,), bool or int32
    mask : ndarray of shape (N,), bool; False at ambiguous places, which are ignored
    target : characters that a model should expect more (``direction`` 1) or less (-1) where the value is
        high; empty if nothing is expected
    after : characters after which the expectation holds; empty means everywhere
    """

    name: str
    kind: Kind
    values: np.ndarray
    mask: np.ndarray
    target: str
    direction: int
    after: str = ""
    predictive: bool = False


@dataclass(frozen=True)
class Concept:
    """A rule that labels any text, and the character that a cell following it should predict."""

    name: str
    kind: Kind
    rule: str
    mark: Callable[[str], Marked]
    target: str | Callable[[str], str] = ""
    direction: int = 1
    after: str = ""
    predictive: bool = False
    control: bool = False
    user_defined: bool = False

    def label(self, text: str) -> Label:
        """The label of ``text``. Built-in concepts never raise, whatever the text."""
        values, mask = self.mark(text)
        target = self.target if isinstance(self.target, str) else self.target(text)
        return Label(
            self.name,
            self.kind,
            values.astype(bool if self.kind == "bool" else np.int32),
            mask.astype(bool),
            target,
            self.direction,
            self.after,
            self.predictive,
        )


def runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of the stretches over which ``values`` (N,) stays the same."""
    if len(values) == 0:
        return np.zeros(0, int), np.zeros(0, int)
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    return starts, np.diff(np.r_[starts, len(values)])


def examples(label: Label, text: str, count: int = 3, width: int = 40) -> list[str]:
    """The first ``count`` pieces of ``text`` where a label is on (bool) or has just risen (count)."""
    counted = np.where(label.mask, label.values, 0).astype(np.int64)
    rises = np.flatnonzero(np.diff(counted, prepend=0) > 0)
    pieces = []
    for start in rises[:count]:
        on = counted[start : start + width] > 0
        length = int(np.argmin(on)) if label.kind == "bool" and not on.all() else width
        pieces.append(text[start : start + length])
    return pieces
