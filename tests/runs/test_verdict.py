"""The verdict, on made curves whose meaning is known."""

import math
import re
from collections.abc import Callable

import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.runs.verdict import Verdict, judge, size_warning, unlike_warning, with_kept
from charrnn.runs.yardstick import Yardstick

MODEL = ModelConfig(layers=2, hidden=128)


def records(
    train: Callable[[float], float], validation: Callable[[float], float] | None, epochs: int = 10
) -> list[dict]:
    """Ten reports an epoch of 100 steps, a validation at the end of each; losses as functions of the epoch."""
    made = []
    for k in range(1, 10 * epochs + 1):
        epoch = k / 10
        measured = validation(epoch) if validation and k % 10 == 0 else None
        made.append(
            {
                "step": 10 * k,
                "epoch": epoch,
                "train_loss_nats": train(epoch),
                "val_loss_nats": measured,
                "seconds": 6.0 * epoch,
            }
        )
    return made


def verdict_on(
    curves: list[dict],
    parameters: int = 200_000,
    characters: int = 500_000,
    yardstick: Yardstick | None = None,
    **train,
) -> Verdict:
    about = {
        "parameters": parameters,
        "characters": characters,
        "model": MODEL,
        "config": TrainConfig(**train),
        "yardstick": yardstick,
    }
    told = judge(curves, **about)
    same_in_bits(told, judge(curves, **about, unit="bits"))
    return told


def same_in_bits(nats: Verdict, bits: Verdict) -> None:
    """The same verdict, with each loss of its sentence in bits."""
    assert (bits.kind, bits.advice) == (nats.kind, nats.advice)
    loss = re.compile(r"(?<![\d,.])-?\d+\.(?:\d{3}|\d\d)(?!\d)")
    in_nats, in_bits = (list(map(float, loss.findall(one.sentence))) for one in (nats, bits))
    assert in_bits == pytest.approx([value / math.log(2) for value in in_nats], abs=0.02)
    assert loss.sub("#", bits.sentence) == loss.sub("#", nats.sentence).replace(" nats", " bits")


def falling(start: float, end: float, rate: float) -> Callable[[float], float]:
    return lambda epoch: end + (start - end) * math.exp(-rate * epoch)


def valley(bottom: float, at: float, steepness: float) -> Callable[[float], float]:
    return lambda epoch: bottom + steepness * (epoch - at) ** 2


def test_overfitting_names_the_step_the_losses_and_dropout() -> None:
    verdict = verdict_on(records(lambda e: 2.0 - 0.1 * e, valley(1.6, 4, 0.01)))
    assert verdict.kind == "overfitting"
    assert "since step 400" in verdict.sentence
    assert "1.600 to 1.960" in verdict.sentence  # 1.6 + 0.01·6²
    assert "--dropout 0.3" in verdict.advice
    stronger = verdict_on(records(lambda e: 2.0 - 0.1 * e, valley(1.6, 4, 0.01)), dropout=0.5)
    assert "--hidden, such as 64" in stronger.advice


def test_train_loss_of_the_sentence_is_the_mean_since_the_last_validation() -> None:
    verdict = verdict_on(records(lambda e: 2.0 - 0.1 * e, valley(1.6, 4, 0.01)))
    # epochs 3.1 … 4.0 and 9.1 … 10.0: the means of 2 - e/10 over them
    assert "from 1.645 to 1.045" in verdict.sentence


@pytest.mark.parametrize(
    ("budget", "advice"),
    [
        ({}, "--resume --epochs 20"),
        ({"epochs": 10}, "--resume --epochs 20"),
        ({"max_steps": 1000, "epochs": 500}, "--resume --max-steps 2000"),
        ({"max_minutes": 1.0}, "--resume --max-minutes 2"),
        ({"epochs": 50}, "Continue with:\n  charrnn train --resume"),
    ],
)
def test_still_improving_doubles_the_budget_that_is_spent(budget: dict, advice: str) -> None:
    verdict = verdict_on(records(falling(3, 1.4, 0.2), falling(3.1, 1.5, 0.2)), **budget)
    assert verdict.kind == "still improving"
    assert verdict.advice.endswith(advice)


def test_millions_of_steps_are_advised_as_a_whole_number() -> None:
    curves = [
        record | {"step": 1234 * record["step"]}
        for record in records(falling(3, 1.4, 0.2), falling(3.1, 1.5, 0.2))
    ]
    assert "--resume --max-steps 2468000" in verdict_on(curves, max_steps=1_234_000).advice


def test_underfitting_when_both_are_level_and_the_model_is_small() -> None:
    curves = records(falling(3, 1.9, 2), falling(3, 1.9, 2))
    verdict = verdict_on(curves, parameters=20_000)
    assert (verdict.kind, "--hidden 256" in verdict.advice) == ("underfitting", True)
    assert "--dropout (it is 0.4)" in verdict_on(curves, parameters=20_000, dropout=0.4).advice
    assert verdict_on(curves, parameters=600_000).kind == "levelled off"  # larger than its text: not small


def test_too_little_data_needs_both_too_many_parameters_and_a_gap() -> None:
    curves = records(lambda e: 2.0 - 0.1 * e, valley(1.6, 4, 0.01))
    verdict = verdict_on(curves, parameters=3_000_000, characters=100_000)
    assert verdict.kind == "too little data"
    assert "0.915 nats more" in verdict.sentence  # 1.96 - 1.045
    assert "--hidden 64 --layers 1" in verdict.advice
    level = records(falling(3, 1.9, 2), falling(3, 1.9, 2))
    assert verdict_on(level, parameters=3_000_000, characters=100_000).kind == "levelled off"
    assert verdict_on(curves, parameters=1_000_000, characters=100_000).kind == "overfitting"


def test_levelled_off_suggests_what_is_not_on_yet() -> None:
    curves = records(falling(3, 1.7, 2), falling(3, 1.8, 2))
    assert "--schedule cosine" in verdict_on(curves).advice
    assert "--hidden 256" in verdict_on(curves, schedule="cosine").advice
    assert "no --freeze-layers" in verdict_on(curves, freeze_layers="0").advice
    far_apart = records(falling(3, 1.2, 2), falling(3, 1.8, 2))
    assert verdict_on(far_apart).kind == "levelled off"
    assert "--dropout 0.3" in verdict_on(far_apart).advice


def test_unstable_when_both_losses_rise() -> None:
    verdict = verdict_on(records(valley(1.6, 4, 0.02), valley(1.7, 4, 0.02)), lr=0.2)
    assert verdict.kind == "unstable"
    assert "--lr 0.1" in verdict.advice


def test_a_late_or_tiny_rise_is_not_overfitting() -> None:
    late = verdict_on(records(lambda e: 2.0 - 0.05 * e, valley(1.6, 9, 0.01)))
    assert late.kind == "still improving"
    tiny = verdict_on(records(falling(3, 1.5, 2), lambda e: 1.6 if e < 3 else 1.601))
    assert tiny.kind == "levelled off"


def test_without_validations_or_with_two_it_says_so() -> None:
    assert verdict_on([]).kind == "no validation"
    assert "--val-fraction" in verdict_on(records(falling(3, 1, 1), None)).advice
    early = verdict_on(records(falling(3, 1, 1), falling(3, 1, 1), epochs=2), epochs=2)
    assert early.kind == "too early"
    assert "--resume --epochs 4" in early.advice


def test_records_without_a_train_loss_are_passed_over() -> None:
    curves = records(lambda e: 2.0 - 0.1 * e, valley(1.6, 4, 0.01))
    for record in curves[::3]:
        record["train_loss_nats"] = None
    assert verdict_on(curves).kind == "overfitting"


# ------------------------------------------------------------------------------------------------
# Beside simple models

SIMPLE = Yardstick(uniform=4.317, unigram=3.3, order_5=1.9, order_2=2.1, held_out=2.0)


@pytest.mark.parametrize(
    ("level", "train", "kind", "words", "advice"),
    [
        (4.324, {"lr": 1e-4}, "learnt nothing", ("4.324", "4.317"), "Raise --lr: it is 0.0001"),
        (4.31, {"lr": 1e-4}, "learnt nothing", ("4.310", "4.317"), "adagrad learns at 0.1 by default"),
        (4.324, {"lr": 5.0}, "learnt nothing", ("4.324",), "Lower --lr, to 0.5."),
        (3.4, {"lr": 0.01}, "learnt little", ("3.400", "3.300"), "Raise --lr: it is 0.01"),
        (3.4, {}, "learnt little", ("3.400", "3.300"), "Lower --lr, to 0.01."),
        (2.5, {"lr": 0.01}, "learning slowly", ("2.500", "1.900"), "Raise --lr: it is 0.01"),
        (2.5, {}, "underfitting", ("An order-5 model has 1.900: there is more to learn",), "--hidden 256"),
        (1.85, {"lr": 0.01}, "underfitting", ("have learnt what they can",), "--hidden 256"),
    ],
)
def test_a_run_that_is_level_is_compared_with_simple_models(
    level: float, train: dict, kind: str, words: tuple[str, ...], advice: str
) -> None:
    """The train loss is level with that of validation, from the first epoch on."""
    verdict = verdict_on(records(lambda e: level, lambda e: level), 20_000, yardstick=SIMPLE, **train)
    assert verdict.kind == kind
    assert all(word in verdict.sentence for word in words)
    assert advice in verdict.advice
    assert ("order-5" in verdict.sentence) == (1.9 < level < 3.3)


def test_a_run_that_falls_but_knows_less_than_the_frequencies_is_told_to_learn_faster_or_go_on() -> None:
    curves = records(falling(4.3, 3.4, 0.3), falling(4.3, 3.4, 0.3))
    assert "Raise --lr" in verdict_on(curves, yardstick=SIMPLE, lr=0.001).advice
    assert "--resume --epochs 20" in verdict_on(curves, yardstick=SIMPLE).advice


def test_a_run_that_improves_is_told_what_an_order_5_model_has() -> None:
    curves = records(falling(3, 1.4, 0.2), falling(3.1, 1.5, 0.2))
    verdict = verdict_on(curves, yardstick=Yardstick(4.3, 3.3, 1.5))
    assert verdict.kind == "still improving"
    assert verdict.sentence.endswith("An order-5 model has 1.500: there is more to learn.")
    assert "order-5" not in verdict_on(curves, yardstick=SIMPLE).sentence  # 1.717 is better than 1.9


def test_a_text_learnt_by_heart_is_not_nothing() -> None:
    verdict = verdict_on(records(lambda e: 2 - 0.1 * e, lambda e: 5 + 0.2 * e), yardstick=SIMPLE)
    assert verdict.kind == "overfitting"


def test_a_validation_text_unlike_the_training_text_comes_first() -> None:
    unlike = Yardstick(3.64, 3.82, 4.82, order_2=4.141, held_out=2.006)
    for curves in (records(falling(3, 1.7, 2), falling(3, 2.9, 2)), [], records(falling(3, 1, 1), None)):
        verdict = verdict_on(curves, yardstick=unlike)
        assert verdict.kind == "unlike validation"
        assert "4.14 nats on it, and 2.01 on parts of the training text" in verdict.sentence
        assert "--items line (of a table: --text-column NAME)" in verdict.advice
        assert "shuffle them" in verdict.advice
        assert unlike_warning(unlike, TrainConfig()) == f"{verdict.sentence} {verdict.advice}"
    assert unlike_warning(SIMPLE, TrainConfig()) is None
    assert unlike_warning(Yardstick(3.64, 3.82, 4.82), TrainConfig()) is None
    named = unlike_warning(unlike, TrainConfig(val="/held.txt"))
    assert "is unlike the training text" in named
    assert "shuffle" not in named
    assert "end" not in named.split(":")[0]


@pytest.mark.parametrize(
    ("last_rate", "train", "advice"),
    [
        (
            0.001,
            {"schedule": "cosine", "max_minutes": 1.0},
            "Train a new run for longer, with --max-minutes 2:",
        ),
        (0.004, {"schedule": "step"}, "Train a new run for longer, with --epochs 20:"),
        (0.006, {"schedule": "step"}, "--resume --epochs 20"),
        (0.001, {"schedule": "constant"}, "--resume --epochs 20"),  # halved after divergences
        (0.05, {"schedule": "cosine", "epochs": 20}, "Continue with:\n  charrnn train --resume"),
    ],
)
def test_after_a_schedule_that_has_ended_a_resume_is_not_advised(
    last_rate: float, train: dict, advice: str
) -> None:
    curves = records(falling(3, 1.4, 0.2), falling(3.1, 1.5, 0.2))
    for record in curves:
        record["lr"] = 0.1
    curves[-1]["lr"] = last_rate
    verdict = verdict_on(curves, **train)
    assert verdict.kind == "still improving"
    assert advice in verdict.advice
    assert ("--resume" in verdict.advice) != ("Train a new run" in verdict.advice)


# ------------------------------------------------------------------------------------------------
# The kept model


def test_the_validation_of_the_kept_model_is_put_in_its_place() -> None:
    curves = records(falling(3, 1.4, 0.2), falling(3.1, 1.5, 0.2), epochs=4)
    card = {"step": 255, "val_loss_nats": 1.25, "train_loss_nats": 1.5}
    told = with_kept(curves, card)
    assert [record["step"] for record in told][24:28] == [250, 255, 260, 270]
    assert told[25] == {
        "step": 255,
        "epoch": pytest.approx(2.55),
        "train_loss_nats": 1.5,
        "val_loss_nats": 1.25,
        "seconds": 15.0,
    }
    assert told[:25] + told[26:] == curves
    at_a_report = with_kept(curves, card | {"step": 250})  # which told no validation
    assert [r["val_loss_nats"] for r in at_a_report if r["step"] == 250] == [None, 1.25]
    assert with_kept(curves, card | {"step": 300}) == curves  # known
    for damaged in (
        {},
        {"step": 5},
        card | {"step": "5"},
        card | {"val_loss_nats": 10**400},
        card | {"step": 1},
    ):
        assert with_kept(curves, damaged) == curves
    assert with_kept([], card) == []


def test_the_size_warning_begins_beyond_ten_parameters_a_character() -> None:
    assert size_warning(1_000_000, 100_000) is None
    warning = size_warning(1_000_001, 100_000)
    assert warning is not None
    assert "1,000,001 parameters are 10 times the 100,000 characters" in warning
