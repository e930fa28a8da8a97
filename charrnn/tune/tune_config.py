"""The settings of a search. Separate from study.py so that `--help` imports neither numpy nor Optuna."""

from dataclasses import dataclass

from charrnn.config import LONGEST_TIME, check, option
from charrnn.errors import UsageError

SEARCHES = ("coarse-to-fine", "random", "grid")
DEFAULT_TRIALS = 30
DEFAULT_TRIAL_MINUTES = 1.0


@dataclass(frozen=True)
class TuneConfig:
    """The number, order and length of the trials."""

    search: str = option(
        "coarse-to-fine",
        "Search strategy: random draws settings; coarse-to-fine then draws near the best; grid tries all combinations.",
        choices=SEARCHES,
    )
    trials: int | None = option(
        None, f"Number of trials; {DEFAULT_TRIALS} if --max-minutes is not given either.", at_least=1
    )
    max_minutes: float | None = option(
        None, "Stop the whole search after this many minutes.", above=0, at_most=LONGEST_TIME
    )
    trial_minutes: float | None = option(
        None,
        f"Training minutes per trial; by default {DEFAULT_TRIAL_MINUTES:g}.",
        above=0,
        at_most=LONGEST_TIME,
    )
    trial_steps: int | None = option(
        None, "Training steps per trial, instead of --trial-minutes.", at_least=9
    )
    jobs: int = option(
        1, "Trials run in parallel, each in a process with one thread.", at_least=1, at_most=256
    )
    keep: int = option(
        3,
        "Continue the best 1 of this many trials at 1/9 and again at 1/3 of their budget; 1 continues all.",
        at_least=1,
    )
    seed: int = option(1, "Random seed for drawing settings.", at_least=0)

    def __post_init__(self) -> None:
        check(self)
        if self.trial_minutes is not None and self.trial_steps is not None:
            raise UsageError("--trial-minutes and --trial-steps cannot be combined: give one of them")

    @property
    def trial_limit(self) -> int | None:
        """The number of trials, or None if only time ends the search."""
        return DEFAULT_TRIALS if self.trials is None and self.max_minutes is None else self.trials

    @property
    def trial_budget(self) -> dict[str, float]:
        """The budget of one trial, as settings for train."""
        if self.trial_steps is not None:
            return {"max_steps": self.trial_steps}
        return {"max_minutes": self.trial_minutes or DEFAULT_TRIAL_MINUTES}
