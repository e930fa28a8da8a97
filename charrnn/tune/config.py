"""The settings of a search: apart from study.py so that `--help` needs neither numpy nor Optuna."""

from dataclasses import dataclass

from charrnn.config import LONGEST, check, option
from charrnn.errors import UsageError

SEARCHES = ("coarse-to-fine", "random", "grid")
DEFAULT_TRIALS = 30
DEFAULT_TRIAL_MINUTES = 1.0


@dataclass(frozen=True)
class TuneConfig:
    """What is tried, and for how long."""

    search: str = option(
        "coarse-to-fine", "random: anywhere; coarse-to-fine: then near the best; grid: all.", choices=SEARCHES
    )
    trials: int | None = option(
        None, f"Settings to try; by default {DEFAULT_TRIALS} unless --max-minutes is given.", at_least=1
    )
    max_minutes: float | None = option(
        None, "Stop the whole search after this many minutes.", above=0, at_most=LONGEST
    )
    trial_minutes: float | None = option(
        None, f"Minutes to train each; by default {DEFAULT_TRIAL_MINUTES:g}.", above=0, at_most=LONGEST
    )
    trial_steps: int | None = option(None, "Steps to train each, in place of minutes.", at_least=9)
    jobs: int = option(1, "Trials at once, each a process with one thread.", at_least=1, at_most=256)
    keep: int = option(
        3, "Of the trials at 1/9 and at 1/3 of their budget, go on with one in this many; 1: all.", at_least=1
    )
    seed: int = option(1, "Of the settings drawn.", at_least=0)

    def __post_init__(self) -> None:
        check(self)
        if self.trial_minutes is not None and self.trial_steps is not None:
            raise UsageError("--trial-minutes and --trial-steps exclude each other: give one of them")

    @property
    def trial_limit(self) -> int | None:
        """How many settings are tried, or None when only time ends the search."""
        return DEFAULT_TRIALS if self.trials is None and self.max_minutes is None else self.trials

    @property
    def trial_budget(self) -> dict[str, float]:
        """The budget of one trial, as settings of train."""
        if self.trial_steps is not None:
            return {"max_steps": self.trial_steps}
        return {"max_minutes": self.trial_minutes or DEFAULT_TRIAL_MINUTES}
