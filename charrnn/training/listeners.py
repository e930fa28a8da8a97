"""Who is told how a run goes, from the reading of its text on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from charrnn.config import ModelConfig, TrainConfig
from charrnn.runs.records import Progress, Report
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.loop import Listener


@dataclass(frozen=True)
class About:
    """What a run is, told before it starts."""

    folder: Path
    corpus: str
    characters: int
    training_characters: int
    validation_characters: int
    vocabulary: int
    parameters: int
    model: ModelConfig
    config: TrainConfig
    batch_size: int
    threads: int
    chunks: int  # in an epoch
    resumed_at: int | None  # step
    engine: str  # what computes and how, in words
    why: str = ""  # it does, where the user may want to know


class RunListener(Listener, Protocol):
    """A Listener that is also told how its text is read, and when a run begins."""

    def reading(self, done: int, total: int) -> None:
        """Bytes of the text read so far, and to be read in all (0 while that is not known)."""

    def begin(self, about: About, vocabulary: Vocabulary) -> None:
        """The run is about to start."""


class Quiet:
    """A listener that says nothing."""

    def reading(self, done: int, total: int) -> None: ...

    def begin(self, about: About, vocabulary: Vocabulary) -> None: ...

    def tick(self, progress: Progress, chars_per_second: float, used: float) -> None: ...

    def report(self, report: Report, is_best: bool) -> None: ...

    def sample(self, text: str) -> None: ...

    def note(self, message: str) -> None: ...
