"""Errors a user can act on, each with the exit code its command ends with."""


class CharRNNError(Exception):
    """A problem to be told in one message: what was wrong, where, and what to do.

    Anything else that escapes a command is a defect of ours.
    """

    exit_code = 1


class UsageError(CharRNNError):
    """The command was asked for something it cannot mean (exit 2)."""

    exit_code = 2


class DataError(CharRNNError):
    """The text given is missing, empty, too short or not what it was said to be (exit 3)."""

    exit_code = 3


class ModelError(CharRNNError):
    """A model or checkpoint is missing, damaged, forged or from a newer version (exit 4)."""

    exit_code = 4


class DivergedError(CharRNNError):
    """Training diverged and did not recover (exit 5)."""

    exit_code = 5


class Interrupted(CharRNNError):
    """A signal ended the work after it was saved (exit 128 + signal number)."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.exit_code = 128 + signal_number
