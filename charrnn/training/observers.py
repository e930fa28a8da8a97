"""Who is told how a run goes: the run folder, TensorBoard, a display, a test."""

from typing import Any

import numpy as np

from charrnn.nn.network import Network
from charrnn.runs.records import Progress, Report, Sample
from charrnn.training.plan import Plan
from charrnn.training.result import TrainResult


class Observer:
    """Does nothing with what it is told. Each observer answers the events that concern it.

    Of several observers each event goes to the first one first: the run folder, which keeps what must not be lost.
    An observer that raises a CharRNNError ends the run, but not before the checkpoint is safe.
    """

    def reading(self, done: int, total: int) -> None:
        """Bytes of the text read so far, and to be read in all (0 while that is not known)."""

    def note(self, message: str) -> None:
        """Something the user should know."""

    def begin(self, plan: Plan, engine: str) -> None:
        """The run is about to start or to go on; `engine` says what computes and how."""

    def tick(self, progress: Progress, chars_per_second: float, used: float) -> None:
        """The progress, a few times per second; `used` is the share of the budget, 0 to 1."""

    def report(self, report: Report, is_best: bool) -> None:
        """A line for the metrics; `is_best` when a validation found the best loss so far."""

    def model(self, network: Network, progress: dict[str, Any]) -> None:
        """The best model so far, or without validation the newest."""

    def snapshot(self, network: Network, progress: dict[str, Any]) -> None:
        """A model of some moment, for an ensemble."""

    def sample(self, sample: Sample) -> None:
        """A short text drawn from the model after a validation."""

    def checkpoint(self, arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> None:
        """Everything an exact resume needs."""

    def end(self, result: TrainResult) -> None:
        """The run ended as its settings say."""
