"""The training loop: chunks in, a better model out, and nothing lost on the way.

What becomes of models, checkpoints and reports (files, a display, nothing) is for its observers to say.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from charrnn.config import TrainConfig
from charrnn.engines.backend import Backend
from charrnn.errors import CharRNNError, DivergedError
from charrnn.nn.network import Network
from charrnn.runs.records import Kept, Progress, Report, Sample
from charrnn.score import scoring
from charrnn.text.batches import Chunks, predictions
from charrnn.text.items import Items
from charrnn.training.observers import Observer
from charrnn.training.schedules import learning_rate
from charrnn.training.stopwatch import Stopwatch

SMOOTHING = 0.99  # of the running train loss, per step
TICK_SECONDS = 0.1  # between two looks of the observers at the progress
MAX_RECOVERIES = 5
SHORTEST_EVAL = 100  # steps between validations by default, where an epoch has fewer
LONGEST_EVAL = 2**20  # training symbols between them by default, about, where an epoch has more
EVALS_BY_THE_CLOCK = 8  # at least, by default, where the clock alone bounds a run


def default_eval_every(streams: Chunks) -> int:
    """Steps between validations: an epoch, or of a long text an equal part of it, by its size alone.

    The budget must not matter, or a run with a larger one would not be the resume of this one.
    """
    parts = math.ceil(streams.symbols / LONGEST_EVAL)
    return max(math.ceil(streams.chunks / parts), SHORTEST_EVAL)


class Trainer:
    """Runs chunks through a backend until a budget is spent.

    validation : (N,) ids or N items, perhaps none
    observers : are told of each event, one after the other
    draw : makes a short text with a network, for the observers to show
    interrupted : tells after each step whether to stop at once
    """

    def __init__(
        self,
        config: TrainConfig,
        backend: Backend,
        streams: Chunks,
        validation: np.ndarray | Items,
        vocab_size: int,
        observers: Sequence[Observer],
        draw: Callable[[Network], str] = lambda network: "",
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config = config
        self.backend = backend
        self.streams = streams
        self.validation = validation
        self.observers = observers
        self.draw = draw
        self.interrupted = interrupted
        self.progress = Progress(smooth_loss_nats=math.log(vocab_size))
        self.kept: Kept | None = None
        self.eval_every = config.eval_every or default_eval_every(streams)
        self.report_every = max(1, self.eval_every // 10)
        self.snapshot_every = max(1, streams.chunks // max(1, config.snapshots))
        # Twice the loss of guessing blindly, and some room for texts of few symbols.
        self._loss_limit = 2 * math.log(vocab_size) + 3
        self._good: tuple[dict[str, np.ndarray], Progress] | None = None
        self._last_loss = 0.0
        self._used_at_validation = 0.0
        self._watch = Stopwatch(lambda: time.perf_counter())
        self._failure: CharRNNError | None = None  # what could not be written, told after the checkpoint
        self.stopped_because = ""

    @property
    def total_steps(self) -> int | None:
        """Steps the budget allows, or None when only the clock bounds the run."""
        bounds = []
        if self.config.max_steps is not None:
            bounds.append(self.config.max_steps)
        if self.config.epoch_budget is not None:
            bounds.append(max(1, round(self.config.epoch_budget * self.streams.chunks)))
        return min(bounds, default=None)

    @property
    def used(self) -> float:
        """Share of the budget that is used, 0 to 1: of whichever bound is nearest."""
        return self._place(self.progress.step)[1]

    @property
    def epoch(self) -> float:
        """Passes over the training text so far."""
        return self._place(self.progress.step)[0]

    def _place(self, step: int) -> tuple[float, float]:
        """The epoch and the used share of the budget after so many steps."""
        shares = [0.0]
        if self.config.max_minutes is not None:
            shares.append(self.progress.seconds / (60 * self.config.max_minutes))
        if self.total_steps is not None:
            shares.append(step / self.total_steps)
        return step / self.streams.chunks, min(1.0, max(shares))

    @property
    def chars_per_second(self) -> float:
        """Training characters over the time of the loop without validation."""
        seconds = self.progress.seconds - self.progress.validation_seconds
        characters = self.progress.step / self.streams.chunks * self.streams.symbols
        return characters / seconds if seconds > 0 else 0.0

    def restore(
        self, arrays: dict[str, np.ndarray], progress: dict[str, Any], kept: Kept | None = None
    ) -> None:
        """Go on from a checkpoint, with a model that is kept until there is a better one."""
        self.backend.restore(arrays)
        self.progress = Progress(**progress)
        self.kept = kept

    @np.errstate(over="ignore", invalid="ignore")  # a diverging loss is dealt with here
    def run(self) -> str:
        """Train until a budget is spent; returns which: "epochs", "max_steps", "max_minutes",
        "patience", or "interrupted".

        Raises DivergedError when the loss exploded and going back with a lower rate did not help.
        """
        self.stopped_because = self._run()
        return self.stopped_because

    def _run(self) -> str:
        self._remember_good()
        reason = self._train()
        # The closing validation comes after the checkpoint, since a run with a larger budget would not have
        # made it. Should it find that the model has diverged, there are steps to train again.
        while reason != "interrupted" and self.progress.step % self.eval_every and not self.validate():
            reason = self._train()
        if self.config.average and reason != "interrupted":
            self._tell_of_average()
        return reason

    def _train(self) -> str:
        """Take the steps that the budget allows and save a checkpoint; returns why it stopped."""
        if (reason := self._spent()) is not None:
            return reason
        self._watch.restart()
        self._used_at_validation = self.used
        last_tick = last_checkpoint = self._watch.last
        while (reason := self._spent()) is None:
            validation_due = self._step()
            self.progress.seconds += self._watch.lap("step")
            if validation_due or self._long_not_validated():
                self._validate()
                self.progress.seconds += self._watch.lap("keeping what was validated")
            if self._failure is not None or self.interrupted():
                reason = "interrupted"
                break
            now = self._watch.last
            if now - last_checkpoint >= self.config.checkpoint_every:
                self._checkpoint()
                self.progress.seconds += self._watch.lap("checkpoint")
                last_checkpoint = self._watch.last
            if now - last_tick >= TICK_SECONDS:
                self._tell(lambda observer: observer.tick(self._shown(), self.chars_per_second, self.used))
                last_tick = now
        self._checkpoint()
        self._tell_failure()
        return reason

    def _shown(self) -> Progress:
        """The progress, its best that of the kept model."""
        if self.kept is None:
            return self.progress
        return replace(self.progress, best_val_loss_nats=self.kept.val_loss_nats, best_step=self.kept.step)

    def _spent(self) -> str | None:
        config, progress = self.config, self.progress
        if config.patience and progress.validations_since_best >= config.patience:
            return "patience"
        if config.max_minutes is not None and progress.seconds >= 60 * config.max_minutes:
            return "max_minutes"
        if self.total_steps is not None and progress.step >= self.total_steps:
            return "max_steps" if self.total_steps == config.max_steps else "epochs"
        return None

    def _long_not_validated(self) -> bool:
        """Whether a run that the clock alone bounds should be validated, however slow the machine.

        Such a run is never twice the same; elsewhere the steps of validations follow from sizes and settings.
        """
        if self.config.eval_every is not None or self.total_steps is not None:
            return False
        return 1 > self.used >= self._used_at_validation + 1 / EVALS_BY_THE_CLOCK

    def _step(self) -> bool:
        """Train on the next chunk, or on several if the engine takes them and nothing comes between; true when a
        validation is due."""
        first = self.progress.step
        if self.streams.begins(first):
            self.backend.reset_state()
        chunks, rates = [], []
        for step in range(first, first + self._until_next_event()):
            chunks.append(self.streams.chunk(step))
            rates.append(self.progress.lr_factor * learning_rate(self.config, step, *self._place(step)))
        for (loss, grad_norm), lr in zip(self.backend.steps(chunks, rates), rates, strict=True):
            if not self._went_well(loss, grad_norm):
                self._recover(loss)
                return False
            self.progress.lr, self.progress.grad_norm = lr, grad_norm
        self._keep_snapshot()
        if self.progress.step % self.eval_every == 0:
            return True
        if self.progress.step % self.report_every == 0:
            self._report(None, False)
        return False

    def _until_next_event(self) -> int:
        """The steps that the engine takes at once until something is done with the weights or told of them."""
        step, streams = self.progress.step, self.streams
        most = self.backend.at_once
        if most == 1:
            return 1
        if self.total_steps is not None:
            most = min(most, self.total_steps - step)
        snapshots = [self.snapshot_every] if self.config.snapshots else []
        most = min(most, *(n - step % n for n in (self.eval_every, self.report_every, *snapshots)))
        return next((n for n in range(1, most) if streams.begins(step + n)), most)

    def _went_well(self, loss: float, grad_norm: float) -> bool:
        """Count a step, unless it diverged."""
        progress = self.progress
        self._last_loss = loss
        # A chunk of items weighs as much as it has targets; where there are none, it says nothing of the loss.
        share = self.streams.targets(progress.step) / (self.streams.seq_length * self.streams.batch_size)
        if share:
            progress.smooth_loss_nats = SMOOTHING * progress.smooth_loss_nats + (1 - SMOOTHING) * loss
        if not (math.isfinite(grad_norm) and progress.smooth_loss_nats < self._loss_limit):
            return False
        progress.step += 1
        progress.report_loss_sum += share * loss
        progress.report_steps += share
        return True

    def _keep_snapshot(self) -> None:
        """Keep the model when its moment has come, K times an epoch, unless the newest validation was not the best.

        A model knows best what it has read last: those of different places of the text differ, which is what an
        ensemble gains from (benchmarks/LOG.md).
        """
        due = self.config.snapshots and self.progress.step % self.snapshot_every == 0
        if due and not self.progress.validations_since_best and self._last_loss < self._loss_limit:
            progress = asdict(self.progress) | {"val_loss_nats": None}
            network = self.backend.network()
            self._tell(lambda observer: observer.snapshot(network, progress))

    def _tell(self, event: Callable[[Observer], None]) -> bool:
        """Tell all observers of something that is less than the checkpoint; false when one could not write it.

        That ends the run, but not before the checkpoint is safe.
        """
        failures = []
        for observer in self.observers:
            try:
                event(observer)
            except CharRNNError as failure:
                failures.append(failure)
        if failures and self._failure is None:
            self._failure = failures[0]
        return not failures

    def _tell_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def validate(self) -> bool:
        """Measure the model, and keep it when it is the best; false when it had diverged."""
        fine = self._validate()
        self._tell_failure()
        return fine

    def _validate(self) -> bool:
        progress = self.progress
        self._watch.restart()
        network = self.backend.network()
        loss = scoring.mean_loss(network, self.validation) if predictions(self.validation) else None
        if loss is not None and not math.isfinite(loss):
            self._recover(loss)
            return False
        progress.val_loss_nats = loss
        best_before = progress.best_val_loss_nats, progress.best_step
        is_best = loss is None or progress.best_val_loss_nats is None or loss < progress.best_val_loss_nats
        if is_best:
            progress.best_val_loss_nats, progress.best_step = loss, progress.step
            progress.validations_since_best = progress.recoveries = 0
        else:
            progress.validations_since_best += 1
        took = self._watch.lap("validation")
        progress.validation_seconds += took
        progress.seconds += took
        is_kept = is_best and (self.kept is None or loss is None or loss <= self.kept.val_loss_nats)
        self._used_at_validation = self.used
        self._report(loss, is_kept)
        if is_kept:
            if self._tell(lambda observer: observer.model(network, asdict(progress))):
                self.kept = None if loss is None else Kept(progress.step, loss, progress.train_loss_nats)
            else:  # so that a later one is kept
                progress.best_val_loss_nats, progress.best_step = best_before
        if self.observers:
            self._sample(self.draw(network))
        # The last step may have gone wrong: then there is no state to go back to.
        if loss is None or loss < self._loss_limit:
            self._remember_good()
        return True

    def _tell_of_average(self) -> None:
        """Tell the loss of the last average that was validated beside that of the last weights themselves."""
        of_average = self.progress.val_loss_nats
        if of_average is None:
            return
        of_last = scoring.mean_loss(self.backend.last(), self.validation)
        message = (
            f"validation loss at step {self.progress.step}: {of_average:.4f} with averaged weights, {of_last:.4f} "
            "with the weights of the last step (nats per character)"
        )
        self._tell(lambda observer: observer.note(message))
        self._tell_failure()

    def _report(self, val_loss: float | None, is_best: bool) -> None:
        progress = self.progress
        if progress.report_steps:
            progress.train_loss_nats = progress.report_loss_sum / progress.report_steps
        progress.report_loss_sum, progress.report_steps = 0.0, 0
        report = Report(
            progress.step,
            self.epoch,
            progress.train_loss_nats if progress.train_loss_nats is not None else progress.smooth_loss_nats,
            val_loss,
            progress.lr,
            progress.grad_norm,
            self.chars_per_second,
            progress.seconds,
        )
        if self._tell(lambda observer: observer.report(report, is_best)):
            progress.reports += 1

    def _sample(self, text: str) -> None:
        if text:
            sample = Sample(self.progress.step, self.progress.val_loss_nats, text)
            if self._tell(lambda observer: observer.sample(sample)):
                self.progress.samples += 1

    def _checkpoint(self) -> None:
        arrays, progress = self.backend.arrays(), self.progress
        if not self._last_loss < self._loss_limit:  # diverging: what is kept is the state to go back to
            assert self._good is not None
            arrays, progress = self._good
        # No validation may tell which model is best: then the newest is kept.
        newest = self.progress.best_val_loss_nats is None and self.kept is None
        for observer in self.observers:
            observer.checkpoint(arrays, asdict(progress))
        if newest:
            for observer in self.observers:
                observer.model(self.backend.network(), asdict(self.progress))

    def _remember_good(self) -> None:
        arrays = {name: array.copy() for name, array in self.backend.arrays().items()}
        self._good = arrays, replace(self.progress)

    def _recover(self, loss: float) -> None:
        """Go back to the last good state with half the learning rate."""
        assert self._good is not None
        arrays, good = self._good
        step, spent = self.progress.step, self.progress
        if good.recoveries >= MAX_RECOVERIES:
            raise DivergedError(
                f"training diverged at step {step} (loss {loss:.4g}) and did not recover in {MAX_RECOVERIES} "
                f"tries with ever lower learning rates. Lower --lr or set --clip-norm, and start again"
            )
        self.backend.restore(arrays)
        good.recoveries += 1
        good.lr_factor /= 2
        self.progress = replace(
            good,
            seconds=spent.seconds,
            validation_seconds=spent.validation_seconds,
            reports=spent.reports,
            samples=spent.samples,
        )
        message = (
            f"the loss exploded at step {step} ({loss:.4g}): back to step {good.step}, "
            f"learning rate now {good.lr_factor:g} of what was asked"
        )
        self._tell(lambda observer: observer.note(message))
