"""An observer that remembers the notes of a run."""

from charrnn.training.observers import Observer


class Notes(Observer):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)
