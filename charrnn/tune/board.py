"""The leaderboard of a search, and its listeners."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from charrnn.tune.tune_config import TuneConfig


@dataclass
class Trial:
    """One line of the leaderboard. state : "running", "done", "stopped early", "failed" or "interrupted"."""

    number: int
    state: str
    settings: dict[str, Any]  # the searched settings, without fixed ones
    val_loss_nats: float | None = None  # the best so far
    rung: int = 0  # ninths of the budget that were used
    steps: int = 0
    seconds: float = 0.0
    why: str = ""


@dataclass
class Board:
    """The current state of a search."""

    folder: Path
    corpus: str
    config: TuneConfig
    total: int | None  # number of trials, if it is known
    trials: list[Trial] = field(default_factory=list)
    seconds: float = 0.0  # including those before a resume

    @property
    def ranking(self) -> list[Trial]:
        """Best first: those trained to the end, then the others by how far they came."""
        return sorted(
            self.trials,
            key=lambda t: (
                t.state != "done",
                0 if t.state == "done" else -t.rung,
                t.val_loss_nats or math.inf,
            ),
        )

    @property
    def best(self) -> Trial | None:
        """The best of the trials that were trained to the end."""
        return self.ranking[0] if self.trials and self.ranking[0].state == "done" else None


class Listener(Protocol):
    """An observer of a search. Its methods are called when the events happen."""

    def begin(self, board: Board) -> None:
        """The search is about to start or continue."""

    def changed(self, board: Board, trial: Trial) -> None:
        """A trial began, was measured or ended."""

    def tick(self, board: Board) -> None:
        """A moment has passed."""

    def note(self, message: str) -> None:
        """Something the user should know."""


@dataclass(frozen=True)
class TuneResult:
    """The result of a search. `best_toml` is a file for `charrnn train --config`."""

    folder: str
    best_toml: str
    best: Trial
    trials: list[Trial]  # best first
    seconds: float
    stopped_because: str  # "trials", "max_minutes", or "exhausted": every setting was tried
