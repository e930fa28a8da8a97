"""Finite automata over characters, in which a state says what may come next.

    δ(state, character) = next state        for the characters that the state allows, and for no other

Two states are alike if they allow the same texts, however long; two machines are equal if they do from their starts.
Of a language written one string per line, the states that allow the newline are the accepting ones.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.errors import UsageError
from charrnn.text.process import Process


@dataclass(frozen=True, eq=False)
class Machine:
    """symbols : V characters; following : (S, V), δ, and -1 where a character is not allowed; start : a state"""

    symbols: str
    following: np.ndarray
    start: int

    @property
    def allowed(self) -> np.ndarray:
        """(S, V)"""
        return self.following >= 0

    def __len__(self) -> int:
        return len(self.following)

    def edges(self) -> list[tuple[int, int, str]]:
        """State, next state and the characters that lead there, in the order of the states."""
        found: dict[tuple[int, int], str] = {}
        for state, v in np.argwhere(self.allowed).tolist():
            key = state, int(self.following[state, v])
            found[key] = found.get(key, "") + self.symbols[v]
        return [(*key, characters) for key, characters in found.items()]

    def to_json(self) -> dict[str, Any]:
        return {
            "start": self.start,
            "states": [
                {self.symbols[v]: int(other) for v, other in enumerate(row) if other >= 0}
                for row in self.following
            ],
        }


def reached(machine: Machine) -> list[int]:
    """The states that can be reached from the start, nearest first."""
    order = [machine.start]
    for state in order:  # grows while it is read
        order += sorted({int(s) for s in machine.following[state] if s >= 0}.difference(order))
    return order


def minimal(machine: Machine) -> tuple[Machine, np.ndarray]:
    """The smallest machine that allows the same texts, and which of its states is like each old one, -1 if none is.

    Its states are numbered by their distance from the start, which is 0. Moore's partition refinement: states are told
    apart that allow other characters, then those from which a character leads to states that are told apart, and so on.
    """
    following = machine.following
    classes, count = _numbered(machine.allowed), 0
    while classes.max() >= count:
        count = int(classes.max()) + 1
        after = np.where(machine.allowed, classes[following], -1)
        classes = _numbered(np.column_stack([classes, after]))
    _, members = np.unique(classes, return_index=True)
    whole = Machine(
        machine.symbols, np.where(following >= 0, classes[following], -1)[members], classes[machine.start]
    )
    order = reached(whole)
    became = np.full(count + 1, -1)  # the last stands for -1
    became[order] = np.arange(len(order))
    return Machine(machine.symbols, became[whole.following[order]], 0), became[classes]


def _numbered(rows: np.ndarray) -> np.ndarray:
    """A number (N,) for each row (N, K), the same for equal rows."""
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel()


@dataclass(frozen=True)
class Difference:
    """A shortest text after which two machines disagree, and the character that only one of them allows."""

    text: str
    character: str
    allowed_by_first: bool


def difference(first: Machine, second: Machine) -> Difference | None:
    """Where two machines disagree, or None if they are equal: a search of their product from the pair of starts."""
    symbols = sorted(set(first.symbols) | set(second.symbols))

    def after(machine: Machine, state: int, character: str) -> int:
        v = machine.symbols.find(character)
        return int(machine.following[state, v]) if v >= 0 else -1

    pair = first.start, second.start
    seen, waiting = {pair}, deque([(pair, "")])
    while waiting:
        (a, b), text = waiting.popleft()
        for character in symbols:
            to = after(first, a, character), after(second, b, character)
            if (to[0] < 0) != (to[1] < 0):
                return Difference(text, character, to[0] >= 0)
            if to[0] >= 0 and to not in seen:
                seen.add(to)
                waiting.append((to, text + character))
    return None


def machine_of(process: Process) -> Machine:
    """A process as a machine: its states, and the symbols that can come there.

    Raises UsageError where state and symbol do not tell the next state.
    """
    if not process.unifilar:
        raise UsageError(
            f"{process.name} is no finite machine: its state and the next symbol do not tell the next state. "
            "charrnn probe --beliefs compares a model with it"
        )
    allowed = (process.transitions > 0).any(axis=2)  # (V, S)
    following = np.where(allowed, process.transitions.argmax(axis=2), -1).T
    return Machine(process.symbols, following, int(process.start.argmax()))
