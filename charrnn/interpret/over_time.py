"""When cells come to follow their concepts: the findings of a trained model, in the models of its run before it.

Each snapshot reads the text that the findings were made on. Two scores on CONFIRM are told: that of the finding's own
cell, and that of the cell which follows the concept best in the snapshot, chosen on SELECT.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.errors import ModelError
from charrnn.files.json_value import known
from charrnn.interpret.findings import CHANCE, Finding, Inspection
from charrnn.interpret.recording import Recording, record
from charrnn.interpret.scores import excess, score_cells
from charrnn.model.model import Model


@dataclass(frozen=True)
class AtStep:
    """One finding in one snapshot: AUC or ρ of its cell, along its sign, and of the best cell (layer, cell) there."""

    score: float
    best: tuple[int, int]
    best_score: float

    def to_json(self) -> dict[str, Any]:
        """For JSON; unknown numbers are None."""
        best = {"layer": self.best[0], "cell": self.best[1], "score": self.best_score}
        return dict(known({"score": self.score, "best": best}))


@dataclass(frozen=True)
class Moment:
    """A snapshot: its step, the losses when it was made (None where not known), and each finding in it."""

    step: int
    train_loss_nats: float | None
    val_loss_nats: float | None
    findings: tuple[AtStep, ...]


def over_time(
    snapshots: Sequence[Model], inspection: Inspection, begun: Callable[[str], None] = lambda what: None
) -> list[Moment]:
    """The findings in each snapshot, by step.

    snapshots : models of one run, of the same shape and symbols; begun : called with the name of each step that begins

    Raises ModelError where a snapshot does not say of which step it is, or is of another shape.
    """
    moments = []
    for model in snapshots:
        step = model.training.get("step")
        if not isinstance(step, int):
            raise ModelError(
                "a snapshot does not say of which step it is: it is not of a run of charrnn train"
            )
        begun(f"step {step:,}")
        recording = record(model, inspection.recording)
        if recording.signals.shape != inspection.recording.signals.shape:
            raise ModelError(f"the snapshot of step {step:,} has other layers than the model")
        train, validation = (
            _number(model.training.get(name)) for name in ("train_loss_nats", "val_loss_nats")
        )
        moments.append(Moment(step, train, validation, tuple(_scores(recording, inspection))))
    return sorted(moments, key=lambda moment: moment.step)


def _scores(recording: Recording, inspection: Inspection) -> list[AtStep]:
    findings = inspection.findings
    if not findings:
        return []
    labels = [inspection.labels[finding.concept] for finding in findings]
    select, confirm = (
        score_cells(
            recording.signals[:, part],
            [(label.values[part], label.mask[part], label.kind) for label in labels],
        )
        for part in (recording.select, recording.confirm)
    )
    found = []
    for finding, chosen, scores in zip(findings, select, confirm, strict=True):
        strength = excess(chosen, finding.kind)
        best = int(np.argmax(np.nan_to_num(np.abs(strength), nan=-1.0)))
        sign = 1 if np.nan_to_num(strength)[best] >= 0 else -1
        own = finding.layer * recording.hidden + finding.cell
        found.append(
            AtStep(
                _along(finding, finding.sign, scores[own]),
                recording.place(best),
                _along(finding, sign, scores[best]),
            )
        )
    return found


def _along(finding: Finding, sign: int, score: float) -> float:
    """The score of sign·signal."""
    half = CHANCE[finding.kind]
    return float(half + (1 - half) * sign * excess(score, finding.kind))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
