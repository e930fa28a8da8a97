"""The records of a run: its progress, and the lines of metrics.jsonl and samples.jsonl."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Progress:
    """The progress of a run: everything that changes while it runs, besides the arrays of its backend."""

    step: int = 0
    seconds: float = 0.0  # of training and validation, without time in which the process was stopped
    validation_seconds: float = 0.0
    smooth_loss_nats: float = 0.0
    report_loss_sum: float = 0.0  # since the last report
    report_steps: float = 0.0  # of whole chunks: one of items counts by its share of targets
    train_loss_nats: float | None = None  # mean between the last two reports
    val_loss_nats: float | None = None
    best_val_loss_nats: float | None = None
    best_step: int = 0
    validations_since_best: int = 0
    lr_factor: float = 1.0  # halved at each recovery from divergence
    recoveries: int = 0  # since the best validation
    lr: float = 0.0  # of the last step
    grad_norm: float = 0.0
    reports: int = 0  # lines of metrics.jsonl
    samples: int = 0  # lines of samples.jsonl


@dataclass(frozen=True)
class Kept:
    """The validation of the kept model.

    It may be the closing validation of a run that was then resumed, which `Progress` does not know: the run goes
    on as if it had not been made, since a run with the larger budget from the start would not have made it.
    """

    step: int
    val_loss_nats: float
    train_loss_nats: float | None = None


@dataclass(frozen=True)
class Report:
    """One line of metrics.jsonl."""

    step: int
    epoch: float
    train_loss_nats: float
    val_loss_nats: float | None
    lr: float
    grad_norm: float
    chars_per_second: float
    seconds: float


@dataclass(frozen=True)
class Sample:
    """One line of samples.jsonl: a text drawn from the model after a validation."""

    step: int
    val_loss_nats: float | None
    text: str


def curve_loss(card: Mapping[str, Any]) -> Any:
    """The validation loss in a model's card as in metrics.jsonl; for a long text, that on a part of it."""
    part = card.get("validation_part")
    return part.get("val_loss_nats") if isinstance(part, Mapping) else card.get("val_loss_nats")
