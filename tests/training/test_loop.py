"""What the training loop decides: when to validate, what to keep, when to stop, when to go back.

The engine is a script of losses, so that each test says what it meets and can count what is done.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.small_runs import Recorder, run, write_text

from charrnn.config import TrainConfig
from charrnn.engines.backend import Backend
from charrnn.errors import DivergedError
from charrnn.model.model import load_model
from charrnn.runs import checkpoint
from charrnn.runs.card import read_info
from charrnn.runs.records import Progress, Report, Sample
from charrnn.score import scoring
from charrnn.text.batches import Streams, split, spread_part
from charrnn.text.corpus import read_corpus
from charrnn.training import loop, plan
from charrnn.training.loop import Trainer
from charrnn.training.observers import Observer
from charrnn.training.schedules import learning_rate
from charrnn.training.session import train

V = 10
STREAMS = Streams(np.arange(2 * 3 * 20 + 1) % V, 2, 3)  # an epoch is 20 chunks
VALIDATION = np.arange(9)


class FakeBackend(Backend):
    """An engine whose one weight counts its steps; each step's loss is what `losses` says of that weight."""

    def __init__(self, losses: Callable[[int], float] = lambda weight: 2.0) -> None:
        self.losses = losses
        self.weight = np.zeros(1)
        self.calls: list[Any] = []
        self.rates: list[float] = []

    def step(self, x: np.ndarray, y: np.ndarray, lr: float) -> tuple[float, float]:
        loss = self.losses(int(self.weight[0]))
        self.weight += 1
        self.calls.append((x.copy(), y.copy()))
        self.rates.append(lr)
        return loss, 0.5 + loss

    def reset_state(self) -> None:
        self.calls.append("reset")

    def network(self) -> Any:
        return int(self.weight[0])

    def arrays(self) -> dict[str, np.ndarray]:
        return {"weight": self.weight}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.weight[...] = arrays["weight"]


class Log(Observer):
    """All that the loop tells, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def checkpoint(self, arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> None:
        self.events.append(("checkpoint", (int(arrays["weight"][0]), Progress(**progress))))

    def model(self, network: Any, progress: dict[str, Any]) -> None:
        self.events.append(("model", network))

    def report(self, report: Report, is_best: bool) -> None:
        self.events.append(("best" if is_best else "report", report))

    def tick(self, progress: Progress, chars_per_second: float, used: float) -> None:
        self.events.append(("tick", (progress.step, used)))

    def sample(self, sample: Sample) -> None:
        self.events.append(("sample", sample))

    def note(self, message: str) -> None:
        self.events.append(("note", message))

    def of(self, kind: str) -> list[Any]:
        return [what for event, what in self.events if event == kind]

    @property
    def reports(self) -> list[Report]:
        return [what for event, what in self.events if event in ("report", "best")]


class Clock:
    """Time that moves only when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


@pytest.fixture
def validations(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[float]], None]:
    """Sets the losses that the validations to come will find."""

    def script(losses: Iterable[float]) -> None:
        left = iter(losses)
        monkeypatch.setattr(loop, "scoring", SimpleNamespace(mean_loss=lambda network, ids: next(left)))

    script(2.0 + 1 / n for n in range(1, 1000))  # better each time
    return script


Script = Callable[[Iterable[float]], None]


def trainer(backend: FakeBackend, log: Log, validation: np.ndarray = VALIDATION, **settings: Any) -> Trainer:
    config = TrainConfig(**({"lr": 1.0, "warmup_steps": 0} | settings))
    return Trainer(config, backend, STREAMS, validation, V, [log], lambda network: f"text {network}")


def values(reports: Iterable[Report], name: str) -> list[Any]:
    return [getattr(report, name) for report in reports]


# ------------------------------------------------------------------------------------------------
# Chunks, reports, validations


def test_chunks_come_in_order_and_the_state_is_reset_at_each_epoch(validations: Script) -> None:
    backend = FakeBackend()
    trainer(backend, Log(), max_steps=45).run()
    resets = [n for n, call in enumerate(backend.calls) if isinstance(call, str)]
    assert resets == [0, 21, 42]
    chunks = [call for call in backend.calls if not isinstance(call, str)]
    assert len(chunks) == 45
    for number, (x, y) in enumerate(chunks):
        for got, expected in zip((x, y), STREAMS.chunk(number % 20), strict=True):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_steps": 45},
        {"max_steps": 70, "eval_every": 30, "snapshots": 3, "warmup_steps": 10, "schedule": "cosine"},
        {"epochs": 5, "schedule": "step", "decay_every": 1, "decay": 0.5, "eval_every": 1000},
    ],
    ids=lambda settings: "-".join(settings),
)
@pytest.mark.parametrize("explodes", [False, True])
@pytest.mark.parametrize("at_once", [2, 7, 64])
def test_an_engine_may_take_several_chunks_at_once(
    validations: Script, clock: Clock, at_once: int, explodes: bool, settings: dict[str, Any]
) -> None:
    """It gets the same chunks, resets and rates, and all is told of the same steps and weights. If a loss explodes
    among them, the run goes back as with one at a time."""

    def run(most: int) -> tuple[FakeBackend, Trainer, list[tuple[str, Any]]]:
        validations(2.0 + 1 / n for n in range(1, 1000))
        at_37 = iter([1e9] * explodes)
        backend, log = FakeBackend(lambda n: next(at_37, 2.0) if n == 37 else 2 + n / 1000), Log()
        backend.at_once = most
        made = trainer(backend, log, **settings)
        made.run()
        return backend, made, log.events

    (one, expected, told), (several, made, events) = run(1), run(at_once)
    assert events == told
    assert made.progress == expected.progress
    assert any(kind == "note" for kind, _ in told) == explodes
    if not explodes:  # otherwise more chunks were taken than counted
        assert several.rates == one.rates
        assert str(several.calls) == str(one.calls)


def test_the_train_loss_is_the_mean_since_the_last_report(validations: Script) -> None:
    log = Log()
    trainer(FakeBackend(lambda n: 2 + n / 100), log, eval_every=30, max_steps=70).run()
    reports = log.reports
    assert values(reports, "step") == [*range(3, 70, 3), 70]
    means = [2 + (3 * k + 1) / 100 for k in range(23)] + [2.69]
    assert values(reports, "train_loss_nats") == pytest.approx(means)
    assert values(reports, "epoch") == [step / 20 for step in values(reports, "step")]
    assert values(reports, "grad_norm") == pytest.approx(
        [0.5 + 2 + (s - 1) / 100 for s in values(reports, "step")]
    )
    assert [r.step for r in reports if r.val_loss_nats is not None] == [30, 60, 70]
    assert [sample.text for sample in log.of("sample")] == ["text 30", "text 60", "text 70"]


def test_the_smoothed_loss_begins_at_that_of_guessing(validations: Script) -> None:
    made = trainer(FakeBackend(lambda n: 1.0), Log(), max_steps=2)
    made.run()
    assert made.progress.smooth_loss_nats == pytest.approx(1 + (math.log(V) - 1) * 0.99**2)


@pytest.mark.parametrize(
    ("chunks", "settings", "steps"),
    [
        (150, {"epochs": 2}, [150, 300]),
        (20, {"epochs": 12}, [100, 200, 240]),  # an epoch this short is too little between two validations
        (20, {"eval_every": 7, "max_steps": 21}, [7, 14, 21]),
    ],
)
def test_a_validation_is_made_each_epoch_unless_told_otherwise(
    validations: Script, chunks: int, settings: dict[str, Any], steps: list[int]
) -> None:
    log = Log()
    streams = Streams(np.zeros(2 * 3 * chunks + 1, int), 2, 3)
    Trainer(TrainConfig(**settings), FakeBackend(), streams, VALIDATION, V, [log], str).run()
    assert [r.step for r in log.reports if r.val_loss_nats is not None] == steps


def test_speed_leaves_validation_out(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_validation(network: Any, ids: np.ndarray) -> float:
        clock.now += 100
        return 2.0

    def slow_step(n: int) -> float:
        clock.now += 2
        return 2.0

    monkeypatch.setattr(loop, "scoring", SimpleNamespace(mean_loss=slow_validation))
    made = trainer(FakeBackend(slow_step), Log(), eval_every=5, max_steps=12)
    made.run()
    assert made.progress.validation_seconds == 300
    assert made.progress.seconds == 324
    assert made.chars_per_second == pytest.approx(12 * 6 / 24)


def test_observers_look_a_few_times_a_second(clock: Clock, validations: Script) -> None:
    def step(n: int) -> float:
        clock.now += 0.04
        return 2.0

    log = Log()
    trainer(FakeBackend(step), log, max_steps=12).run()
    assert log.of("tick") == [(3, 3 / 12), (6, 6 / 12), (9, 9 / 12), (12, 1.0)]


# ------------------------------------------------------------------------------------------------
# What is kept


def test_the_best_model_by_validation_is_kept(validations: Script) -> None:
    log, losses = Log(), [3.0, 2.0, 2.5, 2.0, 1.9, 1.95]
    validations(losses)
    made = trainer(FakeBackend(), log, eval_every=10, max_steps=60)
    made.run()
    assert log.of("model") == [10, 20, 50]
    assert values(log.of("best"), "step")[-1] == 50
    assert (made.progress.best_val_loss_nats, made.progress.best_step) == (1.9, 50)
    assert made.progress.val_loss_nats == 1.95


def test_the_closing_validation_may_find_the_best(validations: Script) -> None:
    log = Log()
    validations([2.0, 1.5])
    trainer(FakeBackend(), log, eval_every=10, max_steps=15).run()
    assert log.of("model") == [10, 15]
    # The checkpoint is that of a run that goes on, and comes first: a kill in between loses nothing.
    assert [event for event, _ in log.events][-4:] == ["checkpoint", "best", "model", "sample"]
    assert log.of("sample")[-1] == Sample(15, 1.5, "text 15")
    step, progress = log.of("checkpoint")[-1]
    assert (step, progress.best_step, progress.best_val_loss_nats) == (15, 10, 2.0)


def test_without_validation_text_the_newest_model_is_kept() -> None:
    log = Log()
    made = trainer(FakeBackend(), log, VALIDATION[:1], eval_every=10, max_steps=25, patience=1)
    assert made.run() == "max_steps"
    assert log.of("model")[-1] == 25
    assert {10, 20} < set(log.of("model"))
    assert made.progress.best_val_loss_nats is None
    assert set(values(log.reports, "val_loss_nats")) == {None}


def test_a_checkpoint_before_any_validation_brings_a_model(clock: Clock, validations: Script) -> None:
    def step(n: int) -> float:
        clock.now += 1
        return 2.0

    log = Log()
    trainer(FakeBackend(step), log, eval_every=20, max_steps=30, checkpoint_every=9).run()
    assert [step for step, _ in log.of("checkpoint")] == [9, 18, 27, 30]
    assert log.of("model") == [9, 18, 20, 30]
    assert all(step == progress.step for step, progress in log.of("checkpoint"))


# ------------------------------------------------------------------------------------------------
# When it stops


@pytest.mark.parametrize(
    ("settings", "reason", "steps"),
    [
        ({"max_steps": 7}, "max_steps", 7),
        ({"epochs": 2}, "epochs", 40),
        ({"epochs": 0.4}, "epochs", 8),
        ({"epochs": 0.001}, "epochs", 1),
        ({"epochs": 1, "max_steps": 50}, "epochs", 20),
        ({"epochs": 3, "max_steps": 50}, "max_steps", 50),
        ({}, "epochs", 200),
    ],
)
def test_budgets(validations: Script, settings: dict[str, Any], reason: str, steps: int) -> None:
    backend = FakeBackend()
    made = trainer(backend, Log(), **settings)
    assert made.run() == reason == made.stopped_because
    assert made.progress.step == steps == backend.network()
    assert made.used == 1
    assert made.run() == reason  # spent: there is no further step
    assert backend.network() == steps


def test_a_time_budget(clock: Clock, validations: Script) -> None:
    def step(n: int) -> float:
        clock.now += 7
        return 2.0

    made = trainer(FakeBackend(step), Log(), max_minutes=1, schedule="cosine", eval_every=1000)
    assert made.run() == "max_minutes"
    assert made.progress.step == 9  # the ninth ends after 63 seconds
    rates = [(0.01 + 0.99 * (1 + math.cos(math.pi * 7 * n / 60)) / 2) for n in range(9)]
    assert made.backend.rates == pytest.approx(rates)  # type: ignore[attr-defined]


@pytest.mark.parametrize("when", ["step", "validation"])
def test_seconds_in_which_the_process_was_stopped_do_not_count(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A minute of steps of a second, each tenth followed by a validation of two, once stopped for an hour."""
    stops = iter([3600])

    def step(n: int) -> float:
        clock.now += 1 + (next(stops, 0) if when == "step" and n == 35 else 0)
        return 2.0

    def validation(network: int, ids: np.ndarray) -> float:
        clock.now += 2 + (next(stops, 0) if when == "validation" and network == 30 else 0)
        return 2.0

    monkeypatch.setattr(loop, "scoring", SimpleNamespace(mean_loss=validation))
    log = Log()
    made = trainer(
        FakeBackend(step), log, max_minutes=1, schedule="cosine", eval_every=10, checkpoint_every=1e9
    )
    assert made.run() == "max_minutes"
    assert not list(stops)
    assert made.progress.step == 50  # 50 seconds of steps, and 10 of validation
    assert (made.progress.seconds, made.progress.validation_seconds) == (60, 10)
    seconds = [n + 2 * (n // 10) for n in range(50)]
    rates = [(0.01 + 0.99 * (1 + math.cos(math.pi * s / 60)) / 2) for s in seconds]
    assert made.backend.rates == pytest.approx(rates)  # type: ignore[attr-defined]


def test_the_nearest_bound_sets_the_share_that_is_used(clock: Clock) -> None:
    made = trainer(FakeBackend(), Log(), max_minutes=1, max_steps=10)
    made.progress.step, made.progress.seconds = 2, 30
    assert made.used == 0.5
    made.progress.step = 8
    assert made.used == 0.8
    made.progress.seconds = 90
    assert made.used == 1


def test_patience_counts_validations_since_the_best(validations: Script) -> None:
    validations([3.0, 2.0, 2.5, 2.4, 1.9, 2.0, 1.9, 2.0, 0.0])
    log = Log()
    made = trainer(FakeBackend(), log, eval_every=10, epochs=50, patience=3)
    assert made.run() == "patience"
    assert made.progress.step == 80
    assert log.of("model") == [10, 20, 50]


def test_an_interruption_ends_the_step_and_saves(validations: Script) -> None:
    backend, log = FakeBackend(), Log()
    config = TrainConfig(max_steps=100, eval_every=40)
    made = Trainer(config, backend, STREAMS, VALIDATION, V, [log], str, lambda: backend.network() == 13)
    assert made.run() == "interrupted"
    assert [step for step, _ in log.of("checkpoint")] == [13]
    assert log.of("model") == [13]
    assert not log.of("best")


def test_rates_follow_the_schedule(validations: Script) -> None:
    backend = FakeBackend()
    made = trainer(backend, Log(), max_steps=50, schedule="inverse-time", warmup_steps=5)
    made.run()
    assert backend.rates == [learning_rate(made.config, n, n / 20, n / 50) for n in range(50)]
    assert backend.rates[:5] == pytest.approx([(n + 1) / 5 / (1 + 0.5 * n / 20) for n in range(5)])


# ------------------------------------------------------------------------------------------------
# Divergence


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_a_run_that_diverges_goes_back_and_halves_the_rate(validations: Script, bad: float) -> None:
    """Step 27 goes wrong twice; the last good state is that of the validation at 20."""
    wrong = iter([bad, bad])
    backend, log = FakeBackend(lambda n: next(wrong, 2.0) if n == 26 else 2.0), Log()
    made = trainer(backend, log, max_steps=40, eval_every=10)
    assert made.run() == "max_steps"
    assert backend.network() == made.progress.step == 40
    assert backend.rates == [1.0] * 27 + [0.5] * 7 + [0.25] * 20
    assert len(log.of("note")) == 2
    assert log.of("note")[1] == (
        f"the loss exploded at step 26 ({bad:.4g}): back to step 20, learning rate now 0.25 of what was asked"
    )
    assert made.progress.smooth_loss_nats < math.log(V)
    assert [r.step for r in log.reports if r.val_loss_nats is not None] == [10, 20, 30, 40]
    assert made.progress.reports == len(log.reports)


def test_a_loss_that_creeps_up_is_an_explosion(validations: Script) -> None:
    """20 nats a step among 10 symbols: the smoothed loss needs a while to pass 2 ln 10 + 3."""
    backend, log = FakeBackend(lambda n: 20.0 if n >= 15 and len(log.of("note")) < 1 else 2.0), Log()
    trainer(backend, log, max_steps=400, eval_every=500).run()
    assert len(log.of("note")) == 1
    assert "back to step 0" in log.of("note")[0]


def test_a_loss_a_little_above_guessing_is_none(validations: Script) -> None:
    log = Log()
    trainer(FakeBackend(lambda n: 2 * math.log(V)), log, max_steps=300).run()
    assert not log.of("note")


def test_it_gives_up_after_five_tries(validations: Script) -> None:
    backend, log = FakeBackend(lambda n: 2.0 if n < 12 else math.nan), Log()
    with pytest.raises(DivergedError) as failed:
        trainer(backend, log, max_steps=40, eval_every=10).run()
    assert failed.value.exit_code == 5
    assert str(failed.value).startswith(
        "training diverged at step 12 (loss nan) and did not recover in 5 tries"
    )
    assert backend.rates == [1.0] * 13 + [0.5**k for k in range(1, 6) for _ in range(3)]
    assert log.of("model") == [10]


def test_a_new_best_gives_new_tries(validations: Script) -> None:
    """Each part of the run goes wrong four times: eight in all, but never six before a better validation."""
    wrong = {14: 4, 24: 4}

    def losses(n: int) -> float:
        if wrong.get(n):
            wrong[n] -= 1
            return math.nan
        return 2.0

    backend = FakeBackend(losses)
    trainer(backend, Log(), max_steps=40, eval_every=10).run()
    assert backend.rates[-1] == 0.5**8


def test_validations_that_are_no_better_give_no_new_tries(validations: Script) -> None:
    validations([1.0] + [2.0] * 100)
    wrong = {14, 24, 34, 44, 54, 64}

    def losses(n: int) -> float:
        if n in wrong:
            wrong.remove(n)
            return math.nan
        return 2.0

    with pytest.raises(DivergedError, match="at step 64"):
        trainer(FakeBackend(losses), Log(), max_steps=200, eval_every=10).run()


@pytest.mark.parametrize("eval_every", [10, 13])
def test_a_validation_without_a_value_is_a_divergence(validations: Script, eval_every: int) -> None:
    """In the midst of a run and at its end (26 steps): the steps are trained again, none is missing."""
    losses = [2.0, math.nan, 2.0, 2.0] if eval_every == 10 else [2.0, 2.0, math.nan, 2.0]
    steps = 26 if eval_every == 10 else 30
    validations(losses)
    backend, log = FakeBackend(), Log()
    made = trainer(backend, log, max_steps=steps, eval_every=eval_every)
    assert made.run() == "max_steps"
    assert made.progress.step == backend.network() == steps
    assert backend.rates[-1] == 0.5
    assert len(log.of("note")) == 1
    assert [r.val_loss_nats for r in log.reports if r.val_loss_nats] == [2.0] * 3
    assert log.of("checkpoint")[-1][0] == steps


def test_a_validation_that_has_exploded_is_no_state_to_go_back_to(validations: Script) -> None:
    """The step before the validation at 20 goes wrong, which that validation is the first to see."""
    validations([2.0, 1e8, 1.9, 1.8])
    wrong = iter([math.nan])
    backend, log = FakeBackend(lambda n: next(wrong, 2.0) if n == 20 else 2.0), Log()
    trainer(backend, log, max_steps=30, eval_every=10).run()
    assert "back to step 10" in log.of("note")[0]
    assert log.of("model") == [10, 20, 30]


def test_a_run_stopped_while_it_diverges_saves_the_state_to_go_back_to(validations: Script) -> None:
    """The loss of step 25 is far too high, though not yet the smoothed one."""
    log = Log()
    trainer(FakeBackend(lambda n: 20.0 if n == 24 else 2.0), log, max_steps=25, eval_every=10).run()
    assert not log.of("note")
    step, progress = log.of("checkpoint")[-1]
    assert step == progress.step == 20
    assert progress.reports == 20


def test_an_interrupted_run_remembers_its_halved_rate(validations: Script) -> None:
    wrong = iter([math.nan])
    backend, log = FakeBackend(lambda n: next(wrong, 2.0) if n == 14 else 2.0), Log()
    trainer(backend, log, max_steps=25, eval_every=10).run()
    step, progress = log.of("checkpoint")[-1]
    assert (step, progress.lr_factor) == (25, 0.5)
    resumed = FakeBackend()
    again = trainer(resumed, Log(), max_steps=28, eval_every=10)
    again.restore({"weight": np.array([25.0])}, vars(progress))
    again.run()
    assert resumed.rates == [0.5] * 3


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_real_networks_diverge_and_recover(tmp_path: Any, cell: str) -> None:
    """Plain gradient steps without clipping, from a rate far too large to one that works."""
    corpus = write_text(tmp_path / "text.txt")
    settings = {"cell": cell, "optimizer": "sgd", "clip_value": 0.0, "max_steps": 40, "nonlinearity": "relu"}
    recorder = Recorder()
    result = run(corpus, tmp_path / "out", lr=50.0, warmup_steps=0, observers=[recorder], **settings)
    assert result.steps == 40
    halved = sum("the loss exploded" in note for note in recorder.notes)
    assert halved >= 3
    metadata, _ = checkpoint.load(result.checkpoint)  # which holds finite numbers only, or would not load
    assert metadata["progress"]["lr_factor"] == 0.5**halved
    with pytest.raises(DivergedError):
        run(corpus, tmp_path / "lost", lr=1e30, warmup_steps=0, **settings)


# ------------------------------------------------------------------------------------------------
# Long texts


@pytest.mark.parametrize(
    ("chunks", "every"),
    [(20, 100), (160_000, 160_000), (200_000, 100_000), (10_000_000, 172_414)],  # 6 symbols a chunk
)
def test_a_long_text_is_validated_within_an_epoch_by_its_size_alone(chunks: int, every: int) -> None:
    streams = SimpleNamespace(chunks=chunks, symbols=6 * chunks)
    assert loop.default_eval_every(streams) == every
    assert every == 100 or every * 6 <= loop.LONGEST_EVAL + 6


def test_a_run_bounded_by_the_clock_alone_is_validated_at_each_eighth(
    clock: Clock, validations: Script
) -> None:
    def step(n: int) -> float:
        clock.now += 0.5
        return 2.0

    long = Streams(np.zeros(2 * 3 * 1000 + 1, int), 2, 3)

    def validated(**settings: Any) -> list[int]:
        clock.now, log = 0.0, Log()
        Trainer(
            TrainConfig(max_minutes=1, **settings), FakeBackend(step), long, VALIDATION, V, [log], str
        ).run()
        return [r.step for r in log.reports if r.val_loss_nats is not None]

    assert validated() == [15, 30, 45, 60, 75, 90, 105, 120]  # seven, and the closing one
    assert validated(eval_every=50) == [50, 100, 120]
    assert validated(max_steps=110) == [110]


def test_a_long_validation_text_is_read_in_part_and_always_the_same(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[np.ndarray] = []

    def mean_loss(network: Any, ids: np.ndarray) -> float:
        read.append(ids)
        return 2.0

    monkeypatch.setattr(loop, "scoring", SimpleNamespace(mean_loss=mean_loss))
    monkeypatch.setattr(plan, "VALIDATION_PART", 64)
    corpus = write_text(tmp_path / "text.txt", words=1000)
    run(corpus, tmp_path / "out", max_steps=25, eval_every=10)
    part = spread_part(split(read_corpus(corpus).ids, 0.1, 0.0).validation, 64)
    assert [len(ids) for ids in read] == [64] * 3
    assert all(np.array_equal(ids, part) for ids in read)


def test_the_closing_loss_is_of_the_whole_text_as_eval_finds_it(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(plan, "VALIDATION_PART", 64)
    corpus, out = write_text(tmp_path / "text.txt", words=1000), tmp_path / "out"
    recorder = Recorder()
    result = run(corpus, out, max_steps=20, observers=[recorder])
    assert any("losses are on 64 evenly spread symbols" in note for note in recorder.notes)
    model, ids = load_model(result.model), read_corpus(corpus).ids
    _, validation, _ = split(ids, 0.1, 0.0)
    assert (
        result.val_loss_nats
        == scoring.mean_loss(model.network, validation)
        == model.training["val_loss_nats"]
    )
    part = scoring.mean_loss(model.network, spread_part(validation, 64))
    told = model.training[
        "validation_part"
    ]  # by the plain network; a model may be read with compiled kernels
    assert told == {"symbols": 64, "val_loss_nats": pytest.approx(part, rel=1e-6)}
    assert told["val_loss_nats"] in [report.val_loss_nats for report in recorder.reports]
    assert result.val_loss_nats != part
    resumed = train(out=out, resume=True, max_steps=21, lr=30.0)  # worse: the same model is kept
    assert (resumed.val_loss_nats, resumed.best_step) == (result.val_loss_nats, result.best_step)
    assert told["val_loss_nats"] in [r["val_loss_nats"] for r in read_info(out / "model.safetensors").metrics]
