"""What a search has found so far, and who is told of it."""

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
    settings: dict[str, Any]  # what was searched, without what is fixed
    val_loss_nats: float | None = None  # the best so far
    rung: int = 0  # ninths of the budget that were trained
    steps: int = 0
    seconds: float = 0.0
    why: str = ""


@dataclass
class Board:
    """The search as it stands."""

    folder: Path
    corpus: str
    config: TuneConfig
    total: int | None  # settings to try, where that is known
    trials: list[Trial] = field(default_factory=list)
    seconds: float = 0.0  # of all starts together

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
    """Someone who is told how the search goes."""

    def begin(self, board: Board) -> None:
        """The search is about to start or to go on."""

    def changed(self, board: Board, trial: Trial) -> None:
        """A trial began, was measured or ended."""

    def tick(self, board: Board) -> None:
        """A moment has passed."""

    def note(self, message: str) -> None:
        """Something the user should know."""


@dataclass(frozen=True)
class TuneResult:
    """What a search came to. `best_toml` is a file for `charrnn train --config`."""

    folder: str
    best_toml: str
    best: Trial
    trials: list[Trial]  # best first
    seconds: float
    stopped_because: str  # "trials", "max_minutes", or "exhausted": every setting was tried
