"""What the numbers of a run mean, in plain words, and which option would help.

Everything is judged from metrics.jsonl: the validation losses, and between two of them the mean of the train
losses; and from what simple models make of the validation text. A loss in nats is compared with others relatively:
0.005 of 1.5 nats is 0.0075.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from charrnn.config import DEFAULT_LR, ModelConfig, TrainConfig
from charrnn.runs.records import curve_loss
from charrnn.runs.yardstick import LIKENESS_ORDER, Yardstick

FLAT = 0.005  # a loss that changed by less, relatively, has not moved
GAP = 0.1  # validation loss over train loss, relatively, from which the text is being learnt by heart
FAR = 10  # parameters for each character: "the same order of magnitude" is what char-rnn's readme advises
LATE = 0.75  # the last quarter of a run shows whether it still learns
LOW = 1 / 3  # of the optimiser's default: a learning rate below it may be why little was learnt
ENDED = 0.05  # of the first learning rate: a schedule that has come below it has come to its end
HUGE = 1e300  # no loss, step or second of a run comes near it
EARLY = 0.8  # a best validation before this share of a run was followed by enough to call it overfitting


@dataclass(frozen=True)
class Verdict:
    """How a run went.

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
    """What to say before training when the parameters far exceed the training characters."""
    if parameters <= FAR * characters:
        return None
    return (
        f"{parameters:,} parameters are {parameters / characters:,.0f} times the {characters:,} characters "
        "to train on: the model will soon know them by heart. More text, a smaller --hidden or "
        "--dropout 0.5 help"
    )


def unlike_warning(yardstick: Yardstick) -> str | None:
    """What to say when the validation text is of another kind than the training text, in two sentences."""
    if not yardstick.unlike:
        return None
    return " ".join(_unlike(yardstick))


def _unlike(yardstick: Yardstick) -> tuple[str, str]:
    return (
        "The validation text, the end of the text, is unlike the rest: an "
        f"order-{LIKENESS_ORDER} model fitted to the training text has {yardstick.order_2:.2f} nats on it, and "
        f"{yardstick.held_out:.2f} on parts of the training text that it had not seen.",
        "If the order of the lines does not matter, shuffle them (shuf text.txt > shuffled.txt); otherwise let "
        "the text end with something like the rest. The model that is best on this end may not be the best.",
    )


def judge(
    records: Sequence[Mapping[str, Any]],
    *,
    parameters: int,
    characters: int,
    model: ModelConfig,
    config: TrainConfig,
    yardstick: Yardstick | None = None,
) -> Verdict:
    """The verdict on a run from the records of metrics.jsonl, oldest first.

    characters : of the training text; model, config : what the advice is to change
    yardstick : what simple models make of the validation text, where that is known
    """
    if yardstick is not None and yardstick.unlike:
        return Verdict("unlike validation", *_unlike(yardstick))
    points = validations(records)
    if not points:
        return Verdict(
            "no validation",
            "No validation loss was measured, so nothing is known of texts the model has not seen.",
            "Keep some text for it: --val-fraction 0.1, and --eval-every to measure more often.",
        )
    if len(points) < 3:
        return Verdict(
            "too early",
            f"Too early to tell: {len(points)} validation{'s' * (len(points) > 1)} so far.",
            f"{_go_on(records, config)}, or measure more often with --eval-every.",
        )
    last, best = points[-1], min(points, key=lambda point: point.validation)
    late = LATE * last.step
    until_late = [point for point in points if point.step <= late] or points[:1]
    improved = best.validation < (1 - FLAT) * min(point.validation for point in until_late)
    train_moves = last.train < (1 - FLAT) * until_late[-1].train
    rose = last.validation > (1 + FLAT) * best.validation and best.step <= EARLY * last.step
    gap = last.validation / last.train - 1 if last.train > 0 else float("inf")
    slow = config.learning_rate < LOW * DEFAULT_LR[config.optimizer]
    faster = (
        f"Raise --lr: it is {config.learning_rate:g}, and {config.optimizer} learns at "
        f"{DEFAULT_LR[config.optimizer]:g} by default"
    )

    def reached(loss: float) -> bool:
        """Whether a simple model's loss was undercut, in training or on new text."""
        return min(best.validation, last.train) < (1 - FLAT) * loss

    if yardstick is not None and not reached(yardstick.unigram):
        if slow:
            remedy = f"{faster}."
        elif improved:
            remedy = f"{_go_on(records, config)}."
        else:
            remedy = f"Lower --lr, to {config.learning_rate / 10:g}."
        if not reached(yardstick.uniform):
            return Verdict(
                "learnt nothing",
                f"It has learnt nothing: validation is at {best.validation:.3f} nats, and guessing all symbols alike "
                f"has {yardstick.uniform:.3f}.",
                remedy,
            )
        return Verdict(
            "learnt little",
            f"It has learnt less than how often each symbol occurs: validation is at {best.validation:.3f} nats, "
            f"where a model of that alone has {yardstick.unigram:.3f}.",
            remedy,
        )
    beaten = ""
    if yardstick is not None and best.validation >= yardstick.order_5:
        beaten = f" An order-5 model has {yardstick.order_5:.3f}: there is more to learn."
    if parameters > FAR * characters and gap > GAP and not improved:
        return Verdict(
            "too little data",
            f"Too little text for a model of this size: {parameters:,} parameters for {characters:,} "
            f"characters, and new text costs {last.validation - last.train:.3f} nats more than what it was "
            "trained on.",
            f"Train on more text, or with a smaller model: --hidden {max(8, model.hidden // 2)}"
            + (" --layers 1." if model.layers > 1 else "."),
        )
    if rose and last.train < (1 - FLAT) * best.train:
        return Verdict(
            "overfitting",
            f"Overfitting since step {best.step:,}: validation rose from {best.validation:.3f} to "
            f"{last.validation:.3f} nats while the train loss fell on, from {best.train:.3f} to "
            f"{last.train:.3f}.",
            f"The saved model is that of step {best.step:,}. {_regularise(model, config)} would help; "
            "--patience 3 stops in time.",
        )
    if rose and last.train > (1 + FLAT) * best.train:
        return Verdict(
            "unstable",
            f"Unstable since step {best.step:,}: both losses rose, validation from {best.validation:.3f} to "
            f"{last.validation:.3f} nats.",
            f"The saved model is that of step {best.step:,}. Halve the learning rate: "
            f"--lr {config.learning_rate / 2:g}.",
        )
    if improved:
        return Verdict(
            "still improving",
            f"Still improving: validation fell to {best.validation:.3f} nats, from "
            f"{until_late[-1].validation:.3f} at step {until_late[-1].step:,}.{beaten}",
            f"{_go_on(records, config)}.",
        )
    if beaten and slow and gap < GAP:
        return Verdict(
            "learning slowly",
            f"Learning slowly: validation stays near {best.validation:.3f} nats.{beaten}",
            f"{faster}.",
        )
    if gap < FLAT and not train_moves and parameters < characters:
        remedy = f"--hidden {2 * model.hidden}"
        return Verdict(
            "underfitting",
            f"Underfitting: train and validation loss are level at {last.train:.3f} and "
            f"{last.validation:.3f} nats, so {parameters:,} parameters have learnt what they can of "
            f"{characters:,} characters.{beaten}",
            f"A lower --dropout (it is {config.dropout:g}), then a larger model: {remedy}."
            if config.dropout > 0
            else f"A larger model: {remedy}" + (" --layers 2." if model.layers == 1 else "."),
        )
    if gap > GAP:
        remedy = _regularise(model, config)
    elif config.frozen_layers:
        remedy = "Training all layers (no --freeze-layers)"
    elif config.schedule == "constant":
        remedy = "A falling learning rate (--schedule cosine)"
    else:
        remedy = f"A larger model (--hidden {2 * model.hidden})"
    return Verdict(
        "levelled off",
        f"Levelled off: validation stays near its best, {best.validation:.3f} nats at step {best.step:,}, "
        f"with the train loss at {last.train:.3f}.{beaten}",
        f"{remedy} may gain a little.",
    )


def validations(records: Sequence[Mapping[str, Any]]) -> list[Point]:
    """The points at which validation was measured. A record without a train loss adds none to the mean."""
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
    """What works against learning by heart, beyond what is already on."""
    if config.dropout < 0.5:
        return f"More text or --dropout {0.3 if config.dropout < 0.3 else 0.5}"
    return f"More text or a smaller --hidden, such as {max(8, model.hidden // 2)},"


def _go_on(records: Sequence[Mapping[str, Any]], config: TrainConfig) -> str:
    """How to train for longer: with twice every budget that is spent, by a resume or, after a schedule that has
    come to its end, in a new run. A resume would go on at a rate that no longer moves anything, or jump back up.
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
        return f"Train anew and longer, with {longer}: the learning rate has fallen to its end"
    return " ".join(["Go on with --resume", *doubled])


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value, of a file that anyone may have made, is a finite number that can be reckoned with."""
    return type(value) in (int, float) and -HUGE < value < HUGE


def with_kept(records: Sequence[Mapping[str, Any]], card: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records, and the validation of the kept model where they lack it.

    It may be the closing one of a run that was resumed: that run goes on as if it had not been made, since one
    with the larger budget from the start would not have made it.
    """
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
