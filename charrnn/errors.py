"""Errors that a user can act on, each with its exit code."""

import difflib
from collections.abc import Callable, Iterable


class CharRNNError(Exception):
    """A problem reported in one message: what was wrong, where, and what to do.

    Any other exception that leaves a command is a bug in charrnn.
    """

    exit_code = 1


class UsageError(CharRNNError):
    """The options or arguments make no sense (exit 2)."""

    exit_code = 2


class DataError(CharRNNError):
    """The text is missing, empty, too short or in another format than stated (exit 3)."""

    exit_code = 3


class ModelError(CharRNNError):
    """A model or checkpoint is missing, damaged, forged or written by a newer version (exit 4)."""

    exit_code = 4


class DivergedError(CharRNNError):
    """Training diverged and did not recover (exit 5)."""

    exit_code = 5


class Interrupted(CharRNNError):
    """A signal stopped the command after its work was saved (exit 128 + signal number)."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.exit_code = 128 + signal_number


def did_you_mean(
    name: str, known: Iterable[str], most: int = 3, key: Callable[[str], str] = lambda name: name
) -> str:
    """The end of a message on an unknown name: those that are spelled like it, or nothing.

    key : of a name, what is compared; of several with the same one, the most alike as a whole comes first
    """
    names: dict[str, list[str]] = {}
    for one in sorted(known):
        names.setdefault(key(one), []).append(one)
    alike = difflib.get_close_matches(key(name), names, most)
    near = [one for it in alike for one in difflib.get_close_matches(name, names[it], most, 0.0)][:most]
    return f". Did you mean {' or '.join(map(repr, near))}?" if near else ""
