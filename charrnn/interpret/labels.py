"""Labels: the truth about a text, character by character, that a cell may or may not know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from charrnn.interpret.reading import END, MARKS, Reading

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
    stretches : of a text of items, as in Reading: nothing here depends on another stretch; None for a stream
    target_is_hint : whether other characters may do, if the text shows that they come more or less often
    """

    name: str
    kind: Kind
    values: np.ndarray
    mask: np.ndarray
    target: str
    direction: int
    after: str = ""
    predictive: bool = False
    stretches: np.ndarray | None = None
    target_is_hint: bool = True


@dataclass(frozen=True)
class Concept:
    """A rule that labels any text, and the character that a cell following it should predict.

    together : the rule for several texts at once, where that is not `mark` of each
    of_items : whether it makes sense of items alone; the input of a pair is none
    expectation_given : whether the user has named the target
    """

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
    together: Callable[[Sequence[str]], Sequence[Marked]] | None = None
    of_items: bool = False
    expectation_given: bool = False

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
            target_is_hint=self.has_hint,
        )

    @property
    def has_hint(self) -> bool:
        """Whether the target is a hint alone. A control expects nothing else, and a user's expectation stands."""
        return not self.control and not self.expectation_given

    def label_of(self, reading: Reading) -> Label:
        """The label of a text as it is read: each item is labelled as if it were alone, and marks are ignored.

        Where white space is expected, which ends words and lines, the end of an item is too.
        """
        stretches = reading.stretches
        if stretches is None:
            return self.label(reading.text)
        places = np.flatnonzero(stretches >= 0)
        firsts = places[np.flatnonzero(np.diff(stretches[places], prepend=-1))]
        lasts = firsts + np.bincount(stretches[places])
        texts = [reading.text[a:b] for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True)]
        marked = self.together(texts) if self.together is not None else map(self.mark, texts)
        values, mask = np.zeros(len(stretches), np.int32), np.zeros(len(stretches), bool)
        for a, b, (its_values, its_mask) in zip(firsts.tolist(), lasts.tolist(), marked, strict=True):
            values[a:b], mask[a:b] = its_values, its_mask
        if self.of_items:
            mask &= ~reading.inputs
        target = self.target if isinstance(self.target, str) else self.target("\n".join(texts))
        if any(map(str.isspace, target)) and not self.after and not self.user_defined:
            target += END
        values = values.astype(bool) if self.kind == "bool" else values
        return Label(
            *(self.name, self.kind, values, mask, target, self.direction, self.after, self.predictive),
            *(stretches, self.has_hint),
        )


def as_one(mark: Callable[[str], Marked]) -> Callable[[Sequence[str]], list[Marked]]:
    """A rule for several texts at once that marks them as one."""

    def together(texts: Sequence[str]) -> list[Marked]:
        cuts = np.cumsum([len(text) for text in texts])[:-1]
        values, mask = mark("".join(texts))
        return list(zip(np.split(values, cuts), np.split(mask, cuts), strict=True))

    return together


def runs(values: np.ndarray, stretches: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of the runs over which ``values`` (N,) stays the same, and ``stretches`` (N,) too."""
    if len(values) == 0:
        return np.zeros(0, int), np.zeros(0, int)
    changes = np.r_[True, values[1:] != values[:-1]]
    if stretches is not None:
        changes[1:] |= stretches[1:] != stretches[:-1]
    starts = np.flatnonzero(changes)
    return starts, np.diff(np.r_[starts, len(values)])


def examples(label: Label, text: str, count: int = 3, width: int = 40) -> list[str]:
    """The first ``count`` pieces of ``text`` where a label is on (bool) or has just risen (count)."""
    counted = np.where(label.mask, label.values, 0).astype(np.int64)
    rises = np.flatnonzero(np.diff(counted, prepend=0) > 0)
    pieces = []
    for start in rises[:count]:
        on = counted[start : start + width] > 0
        length = int(np.argmin(on)) if label.kind == "bool" and not on.all() else width
        piece = text[start : start + length]
        pieces.append(piece[: next((k for k, ch in enumerate(piece) if ch in MARKS), len(piece))])
    return pieces
