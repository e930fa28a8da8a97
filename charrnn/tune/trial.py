"""One trial: a training run that is measured nine times and may be stopped early. Runs in its own process."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.engines.signals import OF_TERMINALS, StopRequest, handlers_are_set, stop_on_signals
from charrnn.engines.threads import blas_threads
from charrnn.errors import CharRNNError, UsageError
from charrnn.runs import checkpoint
from charrnn.runs.folder import RunFolder
from charrnn.training.loop import Trainer
from charrnn.training.plan import Plan, plan_new
from charrnn.training.session import assemble
from charrnn.training.store import RunStore

RUNGS = 9  # measurements in a trial, evenly over its budget
WAIT_SECONDS = 0.1  # between two tries to be alone in a folder
NEVER_STEPS = 2**31 - 1  # steps: validations are asked for, not left to the loop


@dataclass(frozen=True)
class Job:
    """All that a process needs to train one trial, or to continue it."""

    sources: Sequence[str]
    settings: Mapping[str, Any]  # all settings of train, including the budget
    folder: Path


@dataclass(frozen=True)
class Measured:
    """The state of a trial after `rung` ninths of its budget: its best validation loss so far."""

    rung: int
    val_loss_nats: float
    steps: int
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A trial that could not be trained, or diverged."""

    why: str


def work(talk: Connection, job: Job) -> None:
    """Train in this process: send a Measured at each rung, and wait for the answer, whether to continue (a bool).

    Any message at another time, a signal to end, and the end of the other process mean: end at once. A
    checkpoint is written at each rung and at the end; the next process continues from it bit for bit.
    """
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        with (
            stop_on_signals() as stop,
            blas_threads(1),
            np.errstate(over="ignore", invalid="ignore"),
        ):
            handlers_are_set()
            _train(talk, job, stop)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except CharRNNError as problem:
        talk.send(Failed(str(problem)))
    except Exception as problem:  # the search continues without this trial, and reports the reason
        talk.send(Failed(f"{type(problem).__name__}: {problem}"))


def _train(talk: Connection, job: Job, stop: StopRequest) -> None:
    settings = {"threads": 1, "eval_every": NEVER_STEPS, "checkpoint_every": 1e9, **job.settings}
    plan = replace(plan_new(job.sources, None, settings), folder=RunFolder(job.folder))
    plan.folder.path.mkdir(parents=True, exist_ok=True)
    with _alone(plan.folder, talk, stop):
        _train_alone(talk, plan, stop)


@contextmanager
def _alone(folder: RunFolder, talk: Connection, stop: StopRequest) -> Iterator[None]:
    """Lock the folder of a trial. A process of a killed search may still hold it, until its next step.

    Raises EOFError if this process is asked to end while it waits."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(folder.lock())
                break
            except UsageError:
                if talk.poll(WAIT_SECONDS) or stop():
                    raise EOFError from None
        yield


def _train_alone(talk: Connection, plan: Plan, stop: StopRequest) -> None:
    told = 0  # the last rung that was sent

    def leave_or_measure() -> bool:
        return _rung(trainer) > told or talk.poll() or stop()

    if plan.folder.checkpoint.exists():
        plan = replace(plan, saved=checkpoint.load(plan.folder.checkpoint))
    trainer = assemble(plan, [RunStore(plan)], interrupted=leave_or_measure)
    while True:
        if (rung := _rung(trainer)) > told:
            if not trainer.validate():
                continue  # it had diverged, and is back at its last good state
            told, progress = rung, trainer.progress
            assert progress.best_val_loss_nats is not None
            talk.send(Measured(rung, progress.best_val_loss_nats, progress.step, progress.seconds))
            if talk.recv() is not True or rung == RUNGS:
                return
        trainer.run()
        if stop():
            return
        if talk.poll() and _rung(trainer) == told:
            talk.recv()  # any message, or EOFError, means: end
            return


def _rung(trainer: Trainer) -> int:
    """The number of ninths of the budget that are used."""
    return int(trainer.used * RUNGS + 1e-9)
