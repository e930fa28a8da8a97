"""A whole training run: corpus to run folder, new or resumed."""

import shlex
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import as_dict
from charrnn.engines.backend import Backend, NumpyBackend
from charrnn.engines.choice import limited
from charrnn.engines.ranks import ALONE, Leader, MappedIds, Ranks, begin, joined, obey, pack, unpack
from charrnn.engines.signals import stop_on_signals
from charrnn.errors import CharRNNError, DivergedError, Interrupted, UsageError
from charrnn.model.model import Model
from charrnn.model.scores import in_bits
from charrnn.nn.loss import NEVER
from charrnn.nn.network import Network
from charrnn.runs.folder import CHECKPOINT, RunFolder
from charrnn.runs.verdict import judge, unlike_warning, with_kept
from charrnn.runs.yardstick import Yardstick
from charrnn.sampling.glimpse import glimpse
from charrnn.score.simple_models import yardstick_of
from charrnn.text.batches import Chunks, predictions, size_of
from charrnn.training import fine_tune
from charrnn.training.bounds import corpus_card
from charrnn.training.given_texts import Files, Labels, given
from charrnn.training.loop import Trainer
from charrnn.training.observers import Observer
from charrnn.training.plan import (
    Plan,
    notes,
    plan_new,
    plan_resume,
    read_training_text,
)
from charrnn.training.result import TrainResult
from charrnn.training.store import RunStore


def train(
    corpus: Files = (),
    *,
    text: str | None = None,
    texts: Iterable[str] | None = None,
    labels: Labels | None = None,
    inputs: Iterable[str] | None = None,
    preset: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    init_from: str | Path | None = None,
    observers: Sequence[Observer] = (),
    command_line: Sequence[str] = (),
    **settings: Any,
) -> TrainResult:
    """Train a model on a text. The arguments are those of `charrnn.train`, which shows the progress as well."""
    sources, settings = given(corpus, text, texts, labels, inputs, settings)
    reading = partial(_reading, observers)
    with joined() as ranks:
        if ranks.rank > 0:
            obey(ranks, partial(_part, ranks))
            raise SystemExit(0)
        if resume:
            _check_resumable(preset, init_from)
            folder = RunFolder.find(out) if out is not None else RunFolder.newest()
            with folder.lock():
                plan = plan_resume(folder, sources, settings, force, reading, ranks)
                _check_engine(plan, ranks)
                result = _run(plan, ranks, observers, command_line)
        else:
            plan = plan_new(sources, preset, settings, init_from, reading=reading, ranks=ranks)
            _check_engine(plan, ranks)
            plan = replace(plan, folder=RunFolder.create(out, plan.corpus.name, force=force))
            with plan.folder.lock():
                result = _run(plan, ranks, observers, command_line)
        for observer in observers:
            observer.end(result)
        return result


def _reading(observers: Sequence[Observer], done: int, total: int) -> None:
    for observer in observers:
        observer.reading(done, total)


def _check_resumable(preset: str | None, init_from: str | Path | None) -> None:
    """Raise UsageError for what only a new run can be given."""
    if preset is not None:
        raise UsageError(
            "--preset cannot be given with --resume: a run goes on with the settings it began with"
        )
    if init_from is not None:
        raise UsageError("--init-from cannot be given with --resume: a run goes on with the weights it has")


def _check_engine(plan: Plan, ranks: Ranks) -> None:
    """Raise UsageError when this machine, or this number of processes, cannot do what is planned."""
    if plan.config.backend == "torch":
        from charrnn.engines.torch_backend import check_device

        check_device(plan.config)
    elif ranks.size > 1:
        raise UsageError(
            f"--backend {plan.config.backend} trains in one process, and torchrun started {ranks.size}: "
            "give --backend torch, or run charrnn without torchrun"
        )
    if plan.batch_size % ranks.size:
        raise UsageError(
            f"{plan.batch_size} streams cannot be shared evenly by {ranks.size} processes: "
            f"give a --batch-size that {ranks.size} divides"
        )


def _run(plan: Plan, ranks: Ranks, observers: Sequence[Observer], command_line: Sequence[str]) -> TrainResult:
    # First of all, so that a run killed from here on can be started anew by --resume.
    plan.folder.write_config(_stored(plan))
    parts = plan.parts
    yardstick = None
    if predictions(parts.validation):
        yardstick = yardstick_of(parts.training, parts.validation, plan.corpus.vocabulary)
    warning = unlike_warning(yardstick, plan.config) if yardstick else None
    store = RunStore(plan, command_line, yardstick)
    observers = [store, *observers]
    for note in (*notes(plan), *([warning] if warning else ())):
        for observer in observers:
            observer.note(note)
    with limited(plan.config, plan.threads), stop_on_signals() as stop:
        draw = partial(_draw, plan=plan)
        trainer = assemble(plan, observers, ranks, draw, lambda: stop() or ranks.stop_heard)
        try:
            reason = trainer.run()
        except CharRNNError as error:
            if isinstance(error, DivergedError | Interrupted) or not (way_on := _way_on(store, plan)):
                raise
            raise type(error)(f"{error}\n{way_on}") from error
        if reason == "interrupted":
            raise Interrupted(
                f"stopped at step {trainer.progress.step}; everything is saved. Go on with:\n"
                f"  {RunFolder(plan.folder.place).command_to_resume(plan.corpus.sources)}",
                stop.signal_number or signal.SIGTERM,  # that of another process
            )
        return _result(plan, trainer, store, yardstick)


def _stored(plan: Plan) -> dict[str, Any]:
    """What config.toml has of a run."""
    stored: dict[str, Any] = {
        "model": as_dict(plan.model),
        "train": as_dict(plan.config),
        # A model's card has the counts of labels too; they would be a table in a table here.
        "corpus": {name: value for name, value in corpus_card(plan.corpus).items() if name != "label_counts"},
    }
    return stored | ({"init_from": plan.init_from} if plan.init_from else {})


def _way_on(store: RunStore, plan: Plan) -> str:
    """Where a run that could not write left its last checkpoint, and how to go on; empty where none is left."""
    place = store.rescued.parent if store.rescued else plan.folder.place
    resume = RunFolder(place).command_to_resume(plan.corpus.sources)
    if store.rescued is not None and store.rescued.name != CHECKPOINT:
        kept = shlex.quote(str(store.rescued))
        return (
            f"The newest checkpoint is in {store.rescued} instead. Go on from there with:\n"
            f"  mv {kept} {shlex.quote(str(place / CHECKPOINT))} && {resume}"
        )
    if store.rescued is not None:
        return (
            f"The folder was gone and was made anew; the newest checkpoint is in it. Go on with:\n  {resume}"
        )
    if (step := store.intact_step) is None:
        return ""
    return f"The checkpoint of step {step} is intact. Go on from there with:\n  {resume}"


def make_backend(plan: Plan) -> Backend:
    """The engine at the first step: weights initialised, and then those of the model to start from."""
    backend = _engine(plan, ALONE)
    _transplant(plan, backend)
    return backend


def assemble(
    plan: Plan,
    observers: Sequence[Observer],
    ranks: Ranks = ALONE,
    draw: Callable[[Network], str] = lambda network: "",
    interrupted: Callable[[], bool] = lambda: False,
) -> Trainer:
    """The training loop at its first step, or at that of the checkpoint to go on from, and all who observe it told."""
    backend, streams = _assemble(plan, ranks)
    trainer = Trainer(
        plan.config,
        backend,
        streams,
        plan.validation_part,
        len(plan.corpus.vocabulary),
        observers,
        draw,
        interrupted,
    )
    if plan.saved:
        metadata, arrays = plan.saved
        trainer.restore(arrays, metadata["progress"], plan.kept)
    for observer in observers:
        for note in backend.notes:
            observer.note(note)
        observer.begin(plan, backend.engine)
    return trainer


def _engine(plan: Plan, ranks: Ranks) -> Backend:
    """The engine of this process, with initial weights. (BLAS threads are limited from outside.)"""
    vocab_size = len(plan.corpus.vocabulary)
    if plan.config.backend == "torch":
        from charrnn.engines.torch_backend import TorchBackend

        streams = plan.batch_size // ranks.size
        return TorchBackend(plan.model, plan.config, vocab_size, streams, plan.threads, ranks)
    if plan.config.backend == "fast":
        from charrnn.engines.fast_backend import FastBackend

        return FastBackend(plan.model, plan.config, vocab_size, plan.batch_size, plan.threads)
    return NumpyBackend(plan.model, plan.config, vocab_size, plan.batch_size)


def _part(ranks: Ranks, task: tuple[Plan, np.ndarray | MappedIds]) -> tuple[Backend, Chunks]:
    """The engine and the streams of this process, from a plan and the ids of its text."""
    plan, packed = task
    config, corpus = plan.config, plan.corpus

    def read() -> np.ndarray:
        return read_training_text(
            corpus.sources, config, vocabulary=corpus.vocabulary, joined=corpus.joined
        ).ids

    plan = replace(plan, corpus=corpus.with_ids(unpack(ranks, packed, read)))
    return _engine(plan, ranks), plan.streams(slice(ranks.rank, None, ranks.size))


def _assemble(plan: Plan, ranks: Ranks) -> tuple[Backend, Chunks]:
    """The engine at the first step and the chunks to train it on, of all processes together."""
    backend: Backend
    if ranks.size == 1:
        backend, streams = _part(ranks, (plan, plan.corpus.ids))
        _transplant(plan, backend)
        return backend, streams
    known = replace(plan, corpus=plan.corpus.with_ids(plan.corpus.ids[:0]), origin=None, saved=None)
    task = known, pack(plan.corpus.ids)
    leader = Leader(ranks, *begin(ranks, task, partial(_part, ranks)))
    _transplant(plan, leader)
    leader.restore(leader.arrays())  # the same bits everywhere, whatever each machine made of the seed
    return leader, leader


def _transplant(plan: Plan, backend: Backend) -> None:
    """Put in the weights of the model to start from, if there is one; symbols that are never written get p = 0."""
    vocabulary, network = plan.corpus.vocabulary, backend.last()
    if plan.origin is None and not vocabulary.labels and not vocabulary.pairs:
        return
    if plan.origin is not None:
        fine_tune.transplant(plan.origin.model, network, vocabulary)
    network.params["head.bias"][vocabulary.unwritten] = NEVER
    arrays = backend.arrays()
    backend.restore({**arrays, **{name: network.theta for name in ("theta", "average") if name in arrays}})


def _draw(network: Network, plan: Plan) -> str:
    """A short text from the model as it is, always with the same random numbers so that it shows progress."""
    card = {"corpus": {"label_counts": plan.corpus.label_counts}}
    model = Model.of_network(network, plan.corpus.vocabulary, card)
    return glimpse(model, plan.parts.validation if len(plan.parts.validation) else plan.parts.training)


def _result(plan: Plan, trainer: Trainer, store: RunStore, yardstick: Yardstick | None) -> TrainResult:
    folder, progress = RunFolder(plan.folder.place), trainer.progress
    kept = None if trainer.kept is None else asdict(trainer.kept)  # perhaps of before a resume
    best, best_step = progress.best_val_loss_nats, progress.best_step
    if trainer.kept is not None:
        best, best_step = trainer.kept.val_loss_nats, trainer.kept.step
    if (whole := store.close()) is not None:
        best = whole
    return TrainResult(
        model=str(folder.model),
        checkpoint=str(folder.checkpoint),
        steps=progress.step,
        epochs=trainer.epoch,
        seconds=progress.seconds,
        chars_per_second=trainer.chars_per_second,
        parameters=plan.parameters,
        train_loss_nats=progress.train_loss_nats,
        val_loss_nats=best,
        val_bits_per_char=in_bits(best),
        best_step=best_step,
        stopped_because=trainer.stopped_because,
        verdict=judge(
            with_kept(folder.read_metrics(), kept or {}),
            parameters=plan.parameters,
            characters=size_of(plan.parts.training),
            model=plan.model,
            config=plan.config,
            yardstick=yardstick,
            resume=folder.command_to_resume(plan.corpus.sources),
        ),
    )
