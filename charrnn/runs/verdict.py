"""The verdict on a run: the meaning of its numbers in plain words, and options that would help.

It is based on metrics.jsonl (the validation losses, and the mean train loss between two of them) and on
the losses of simple models on the validation text. Losses are compared relatively: 0.005 of 1.5 nats is 0.0075.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from charrnn.config import DEFAULT_LR, ModelConfig, TrainConfig
from charrnn.model.scores import in_bits
from charrnn.runs.records import curve_loss
from charrnn.runs.yardstick import LIKENESS_ORDER, Yardstick

Unit = Literal["nats", "bits"]

UNMOVED = 0.005  # relative change of a loss below which it has not moved
LEARNT_BY_HEART = 0.1  # relative excess of the validation over the train loss from which this is suspected
FAR = 10  # parameters per character; char-rnn's readme advises "the same order of magnitude"
LATE = 0.75  # the last quarter of a run shows whether it still learns
LOW = 1 / 3  # share of the optimiser's default; a lower learning rate may explain learning little
ENDED = 0.05  # share of the first learning rate below which a schedule has ended
HUGE = 1e300  # larger than any loss, step or second of a run
EARLY = 0.8  # if the best validation came before this share of a run, enough followed to call it overfitting


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run.

    kind : "unlike validation", "no validation", "too early", "learnt nothing", "learnt little", "too little data",
        "overfitting", "unstable", "still improving", "learning slowly", "underfitting" or "levelled off"
    """

    kind: str
    sentence: str
    advice: str


@dataclass(frozen=True)
class Point:
    """A validation: its loss, and the mean train loss since the one before."""

    step: int
    train: float
    validation: float


def size_warning(parameters: int, characters: int) -> str | None:
    """A warning before training if there are far more parameters than training characters."""
    if parameters <= FAR * characters:
        return None
    return (
        f"{parameters:,} parameters are {parameters / characters:,.0f} times the {characters:,} characters "
        "to train on: the model will soon know them by heart. More text, a smaller --hidden or "
        "--dropout 0.5 would help"
    )


def unlike_warning(yardstick: Yardstick, config: TrainConfig) -> str | None:
    """A warning and its remedy if the validation text is of another kind than the training text."""
    if not yardstick.unlike:
        return None
    return " ".join(_unlike(yardstick, config, "nats"))


def _unlike(yardstick: Yardstick, config: TrainConfig, unit: Unit) -> tuple[str, str]:
    is_end = not config.val and not config.items
    what = ", the end of the text, is unlike the rest" if is_end else " is unlike the training text"
    return (
        f"The validation text{what}: an "
        f"order-{LIKENESS_ORDER} model fitted to the training text has {yardstick.order_2:.2f} {unit} on it, and "
        f"{yardstick.held_out:.2f} on parts of the training text that it had not seen.",
        "If it is a list, train on its items with --items line (of a table: --text-column NAME); if only the order of "
        "the lines does not matter, shuffle them (shuf text.txt > shuffled.txt); otherwise let the text end with "
        "something like the rest. The best model on this end may not be the best overall."
        if is_end
        else "The best model on it may not be the best on text like that of training. Without --val, a part of the "
        "corpus is held out.",
    )


def judge(
    records: Sequence[Mapping[str, Any]],
    *,
    parameters: int,
    characters: int,
    model: ModelConfig,
    config: TrainConfig,
    yardstick: Yardstick | None = None,
    unit: Unit = "nats",
    resume: str = "charrnn train --resume",
) -> Verdict:
    """The verdict on a run from the records of metrics.jsonl, oldest first; the first rule that applies decides.

    characters : of the training text; model, config : the settings that the advice refers to
    yardstick : losses of simple models on the validation text, if they are known
    unit : of the losses in the sentence; no rule depends on it, since they compare losses relatively
    resume : the command that resumes this run
    """
    points = validations(records)
    if unit == "bits":
        points = [Point(p.step, in_bits(p.train), in_bits(p.validation)) for p in points]
        yardstick = yardstick and yardstick.in_bits
    run = _Run(records, points, parameters, characters, model, config, yardstick, unit, resume)
    return next(filter(None, (rule(run) for rule in VERDICT_RULES)))


@dataclass(frozen=True)
class _Run:
    """The course of a run, for the rules. Everything but the fields needs at least one point."""

    records: Sequence[Mapping[str, Any]]
    points: Sequence[Point]
    parameters: int
    characters: int
    model: ModelConfig
    config: TrainConfig
    yardstick: Yardstick | None
    unit: Unit  # of the losses of points and yardstick
    resume: str

    @property
    def last(self) -> Point:
        return self.points[-1]

    @property
    def best(self) -> Point:
        return min(self.points, key=lambda point: point.validation)

    @property
    def until_late(self) -> Sequence[Point]:
        """The points before the last quarter of the run, or the first one."""
        return [point for point in self.points if point.step <= LATE * self.last.step] or self.points[:1]

    @property
    def improved(self) -> bool:
        """Whether the best validation loss fell in the last quarter."""
        return self.best.validation < (1 - UNMOVED) * min(point.validation for point in self.until_late)

    @property
    def train_moves(self) -> bool:
        """Whether the train loss fell in the last quarter."""
        return self.last.train < (1 - UNMOVED) * self.until_late[-1].train

    @property
    def rose(self) -> bool:
        """Whether validation has risen since its best, and for long enough."""
        risen = self.last.validation > (1 + UNMOVED) * self.best.validation
        return risen and self.best.step <= EARLY * self.last.step

    @property
    def gap(self) -> float:
        """The relative excess of the validation loss over the train loss."""
        return self.last.validation / self.last.train - 1 if self.last.train > 0 else float("inf")

    def reached(self, loss: float) -> bool:
        """Whether training or validation loss went below `loss`, that of a simple model."""
        return min(self.best.validation, self.last.train) < (1 - UNMOVED) * loss

    @property
    def beaten(self) -> str:
        """A sentence if a model of order 5 is as good on the validation text, otherwise empty."""
        if self.yardstick is None or not self.best.validation >= self.yardstick.order_5:
            return ""
        return f" An order-5 model has {self.yardstick.order_5:.3f}: there is more to learn."

    @property
    def slow(self) -> bool:
        """Whether the learning rate is far below the optimiser's default."""
        return self.config.learning_rate < LOW * DEFAULT_LR[self.config.optimizer]

    @property
    def faster(self) -> str:
        return (
            f"Raise --lr: it is {self.config.learning_rate:g}, and {self.config.optimizer} learns at "
            f"{DEFAULT_LR[self.config.optimizer]:g} by default"
        )

    @property
    def longer(self) -> str:
        return _go_on(self.records, self.config, self.resume)


def _unlike_validation(run: _Run) -> Verdict | None:
    if run.yardstick is None or not run.yardstick.unlike:
        return None
    return Verdict("unlike validation", *_unlike(run.yardstick, run.config, run.unit))


def _no_validation(run: _Run) -> Verdict | None:
    if run.points:
        return None
    return Verdict(
        "no validation",
        "No validation loss was measured, so nothing is known about text that the model has not seen.",
        "Keep some text for it: --val-fraction 0.1, and --eval-every to measure more often.",
    )


def _too_early(run: _Run) -> Verdict | None:
    if len(run.points) >= 3:
        return None
    return Verdict(
        "too early",
        f"Too early to tell: {len(run.points)} validation{'s' * (len(run.points) > 1)} so far.",
        f"Measure more often with --eval-every, or train for longer. {run.longer}",
    )


def _learnt_nothing(run: _Run) -> Verdict | None:
    """If uniform guessing, or guessing by symbol frequency, is as good."""
    if run.yardstick is None or run.reached(run.yardstick.unigram):
        return None
    if run.slow:
        remedy = f"{run.faster}."
    elif run.improved:
        remedy = run.longer
    else:
        remedy = f"Lower --lr, to {run.config.learning_rate / 10:g}."
    if not run.reached(run.yardstick.uniform):
        return Verdict(
            "learnt nothing",
            f"It has learnt nothing: validation is at {run.best.validation:.3f} {run.unit}, and guessing all symbols "
            f"alike gives {run.yardstick.uniform:.3f}.",
            remedy,
        )
    return Verdict(
        "learnt little",
        f"It has learnt less than how often each symbol occurs: validation is at {run.best.validation:.3f} {run.unit}, "
        f"and a model of these frequencies alone has {run.yardstick.unigram:.3f}.",
        remedy,
    )


def _too_little_data(run: _Run) -> Verdict | None:
    if not (run.parameters > FAR * run.characters and run.gap > LEARNT_BY_HEART and not run.improved):
        return None
    return Verdict(
        "too little data",
        f"Too little text for a model of this size: {run.parameters:,} parameters for {run.characters:,} "
        f"characters, and new text costs {run.last.validation - run.last.train:.3f} {run.unit} more than what it was "
        "trained on.",
        f"Train on more text, or with a smaller model: --hidden {max(8, run.model.hidden // 2)}"
        + (" --layers 1." if run.model.layers > 1 else "."),
    )


def _overfitting(run: _Run) -> Verdict | None:
    if not (run.rose and run.last.train < (1 - UNMOVED) * run.best.train):
        return None
    return Verdict(
        "overfitting",
        f"Overfitting since step {run.best.step:,}: validation rose from {run.best.validation:.3f} to "
        f"{run.last.validation:.3f} {run.unit} while the train loss fell on, from {run.best.train:.3f} to "
        f"{run.last.train:.3f}.",
        f"The saved model is that of step {run.best.step:,}. {_regularise(run.model, run.config)} would help; "
        "--patience 3 stops in time.",
    )


def _unstable(run: _Run) -> Verdict | None:
    if not (run.rose and run.last.train > (1 + UNMOVED) * run.best.train):
        return None
    return Verdict(
        "unstable",
        f"Unstable since step {run.best.step:,}: both losses rose, validation from {run.best.validation:.3f} to "
        f"{run.last.validation:.3f} {run.unit}.",
        f"The saved model is that of step {run.best.step:,}. Halve the learning rate: "
        f"--lr {run.config.learning_rate / 2:g}.",
    )


def _still_improving(run: _Run) -> Verdict | None:
    if not run.improved:
        return None
    return Verdict(
        "still improving",
        f"Still improving: validation fell to {run.best.validation:.3f} {run.unit}, from "
        f"{run.until_late[-1].validation:.3f} at step {run.until_late[-1].step:,}.{run.beaten}",
        run.longer,
    )


def _learning_slowly(run: _Run) -> Verdict | None:
    if not (run.beaten and run.slow and run.gap < LEARNT_BY_HEART):
        return None
    return Verdict(
        "learning slowly",
        f"Learning slowly: validation stays near {run.best.validation:.3f} {run.unit}.{run.beaten}",
        f"{run.faster}.",
    )


def _underfitting(run: _Run) -> Verdict | None:
    if not (run.gap < UNMOVED and not run.train_moves and run.parameters < run.characters):
        return None
    larger = f"--hidden {2 * run.model.hidden}"
    return Verdict(
        "underfitting",
        f"Underfitting: train and validation loss are level at {run.last.train:.3f} and "
        f"{run.last.validation:.3f} {run.unit}, so {run.parameters:,} parameters have learnt what they can of "
        f"{run.characters:,} characters.{run.beaten}",
        f"A lower --dropout (it is {run.config.dropout:g}), then a larger model: {larger}."
        if run.config.dropout > 0
        else f"A larger model: {larger}" + (" --layers 2." if run.model.layers == 1 else "."),
    )


def _levelled_off(run: _Run) -> Verdict:
    if run.gap > LEARNT_BY_HEART:
        remedy = _regularise(run.model, run.config)
    elif run.config.frozen_layers:
        remedy = "Training all layers (no --freeze-layers)"
    elif run.config.schedule == "constant":
        remedy = "A falling learning rate (--schedule cosine)"
    else:
        remedy = f"A larger model (--hidden {2 * run.model.hidden})"
    return Verdict(
        "levelled off",
        f"Levelled off: validation stays near its best, {run.best.validation:.3f} {run.unit} at step "
        f"{run.best.step:,}, with the train loss at {run.last.train:.3f}.{run.beaten}",
        f"{remedy} may gain a little.",
    )


VERDICT_RULES: tuple[Callable[[_Run], Verdict | None], ...] = (
    _unlike_validation,
    _no_validation,
    _too_early,
    _learnt_nothing,
    _too_little_data,
    _overfitting,
    _unstable,
    _still_improving,
    _learning_slowly,
    _underfitting,
    _levelled_off,  # of all others
)


def validations(records: Sequence[Mapping[str, Any]]) -> list[Point]:
    """The points at which validation was measured. A record without a train loss does not count in the mean."""
    points: list[Point] = []
    trains: list[float] = []
    for record in records:
        if record.get("train_loss_nats") is not None:
            trains.append(record["train_loss_nats"])
        if record.get("val_loss_nats") is not None and trains:
            points.append(Point(record["step"], sum(trains) / len(trains), record["val_loss_nats"]))
            trains = []
    return points


def _regularise(model: ModelConfig, config: TrainConfig) -> str:
    """Advice against learning by heart, beyond the settings in use."""
    if config.dropout < 0.5:
        return f"More text or --dropout {0.3 if config.dropout < 0.3 else 0.5}"
    return f"More text or a smaller --hidden, such as {max(8, model.hidden // 2)},"


def _go_on(records: Sequence[Mapping[str, Any]], config: TrainConfig, resume: str) -> str:
    """How to train for longer: with every spent budget doubled, by a resume, whose command has a line of its own to
    be copied, or, if the schedule has ended, in a new run (a resume would go on at a negligible rate, or jump back
    up).
    """
    last = records[-1]
    spent = {
        "--epochs": (config.epoch_budget, last["epoch"]),
        "--max-steps": (config.max_steps, last["step"]),
        "--max-minutes": (config.max_minutes, last["seconds"] / 60),
    }
    doubled = [
        f"{name} {2 * budget if isinstance(budget, int) else f'{2 * budget:g}'}"
        for name, (budget, used) in spent.items()
        if budget and used > 0.98 * budget
    ]
    rate = last.get("lr")
    if config.schedule != "constant" and is_number(rate) and rate < ENDED * config.learning_rate:
        longer = " ".join(doubled) or "a larger budget"
        return f"Train a new run for longer, with {longer}: the learning rate has fallen to its end."
    return " ".join([f"Continue with:\n  {resume}", *doubled])


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value from an untrusted file is a finite number of a usable size."""
    return type(value) in (int, float) and -HUGE < value < HUGE


def with_kept(records: Sequence[Mapping[str, Any]], card: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records, and the validation of the kept model if they lack it (see `Kept`)."""
    step, loss, train = card.get("step"), curve_loss(card), card.get("train_loss_nats")
    if not is_number(step) or not is_number(loss):
        return list(records)
    known = any(record["step"] == step and record["val_loss_nats"] is not None for record in records)
    before = [record for record in records if 0 < record["step"] <= step]
    if known or not before:
        return list(records)
    epoch = step * before[-1]["epoch"] / before[-1]["step"]
    kept = {
        **before[-1],
        "step": step,
        "epoch": epoch,
        "train_loss_nats": train if is_number(train) else None,
        "val_loss_nats": loss,
    }
    place = records.index(before[-1]) + 1
    return [*records[:place], kept, *records[place:]]
