"""A listener that remembers the notes of a run."""

from charrnn.training.session import Quiet


class Notes(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)
