"""A whole training run: corpus to run folder, new or resumed."""

import math
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import as_dict
from charrnn.engines.backend import Backend, NumpyBackend
from charrnn.engines.choice import limited, threads_for, why
from charrnn.engines.ranks import ALONE, Leader, MappedIds, Ranks, begin, joined, obey, pack, unpack
from charrnn.engines.signals import stop_on_signals
from charrnn.errors import CharRNNError, DivergedError, Interrupted, UsageError
from charrnn.model import model_file
from charrnn.model.model import Model
from charrnn.nn.network import Network
from charrnn.runs.folder import CHECKPOINT, RunFolder
from charrnn.runs.verdict import Verdict, judge, unlike_warning, with_kept
from charrnn.runs.yardstick import Yardstick
from charrnn.sampling.sampler import Sampler, SamplingConfig
from charrnn.score.simple_models import yardstick_of
from charrnn.text.batches import Streams, split
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import fine_tune
from charrnn.training.bounds import corpus_card
from charrnn.training.listeners import About, Quiet, RunListener
from charrnn.training.loop import Chunks, Trainer
from charrnn.training.plan import (
    Plan,
    command_to_resume,
    named,
    notes,
    plan_new,
    read_text,
    restarted,
    resumed,
)
from charrnn.training.store import RunStore

SAMPLE_LENGTH = 240  # characters shown now and then while training


@dataclass(frozen=True)
class TrainResult:
    """What a run came to. Losses are in nats a character; `val_loss_nats` is the best."""

    model: str
    checkpoint: str
    steps: int
    epochs: float
    seconds: float
    chars_per_second: float
    parameters: int
    train_loss_nats: float | None
    val_loss_nats: float | None
    val_bits_per_char: float | None
    best_step: int
    stopped_because: str
    verdict: Verdict


def train(
    corpus: str | Path | Sequence[str | Path] = (),
    *,
    preset: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    init_from: str | Path | None = None,
    listener: RunListener | None = None,
    command_line: Sequence[str] = (),
    **settings: Any,
) -> TrainResult:
    """Train a model on a text, as `charrnn train` does.

    corpus : files, folders, patterns or "-"; may be left out when resuming
    preset : a name in charrnn.config.PRESETS
    out : the run folder; by default a new one under ./runs, or the newest when resuming
    resume : go on with the run in `out`, bit for bit where it stopped
    force : write into a folder that holds a run, or resume with another corpus or settings
    init_from : a model file or run folder to start from: its architecture, weights and symbols
    settings : fields of ModelConfig and TrainConfig by name; None means not given

    Of several processes started by torchrun it returns in the first; the others end here (SystemExit).

    Raises UsageError, DataError, ModelError, DivergedError; Interrupted after a signal that ends (see
    charrnn.engines.signals), when everything has been saved; RankLostError when another process died.
    """
    with joined() as ranks:
        if ranks.rank > 0:
            obey(ranks, partial(_part, ranks))
            raise SystemExit(0)
        given = {name: value for name, value in settings.items() if value is not None}
        return _train(
            corpus, preset, out, resume, force, init_from, listener or Quiet(), command_line, given, ranks
        )


def _train(
    corpus: str | Path | Sequence[str | Path],
    preset: str | None,
    out: str | Path | None,
    resume: bool,
    force: bool,
    init_from: str | Path | None,
    listener: RunListener,
    command_line: Sequence[str],
    given: Mapping[str, Any],
    ranks: Ranks,
) -> TrainResult:
    if resume:
        if preset is not None:
            raise UsageError(
                "--preset cannot be given with --resume: a run goes on with the settings it began with"
            )
        if init_from is not None:
            raise UsageError(
                "--init-from cannot be given with --resume: a run goes on with the weights it has"
            )
        folder = RunFolder.find(out) if out is not None else RunFolder.newest()
        with folder.lock():
            if folder.checkpoint.exists():
                plan = resumed(folder, named(corpus), given, force, listener)
            else:
                listener.note(f"{folder.path} was stopped before its first checkpoint: it starts anew")
                plan = restarted(folder, named(corpus), given, listener)
            _check_engine(plan, ranks)
            return _run(plan, ranks, listener, command_line)
    plan = plan_new(named(corpus), preset, given, init_from, listener=listener)
    _check_engine(plan, ranks)
    plan = replace(plan, folder=RunFolder.create(out, plan.corpus.name, force=force))
    with plan.folder.lock():
        return _run(plan, ranks, listener, command_line)


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


def _run(plan: Plan, ranks: Ranks, listener: RunListener, command_line: Sequence[str]) -> TrainResult:
    folder, corpus, model, config = plan.folder, plan.corpus, plan.model, plan.config
    # First of all, so that a run killed from here on can be started anew by --resume.
    stored = {"model": as_dict(model), "train": as_dict(config), "corpus": corpus_card(corpus)}
    folder.write_config(stored | ({"init_from": plan.init_from} if plan.init_from else {}))
    for note in notes(plan):
        listener.note(note)
    training, validation, _ = split(corpus.ids, config.val_fraction, config.test_fraction)
    yardstick = yardstick_of(training, validation, len(corpus.vocabulary)) if len(validation) > 1 else None
    if yardstick is not None and (warning := unlike_warning(yardstick)):
        listener.note(warning)
    if plan.saved and config.threads is None:  # on which the results depend
        threads = plan.saved[0]["threads"]
    else:
        threads = threads_for(config, model, len(corpus.vocabulary), plan.batch_size, ranks.local_size)
    backend, streams = _assemble(plan, threads, ranks)
    for note in backend.notes:
        listener.note(note)
    if plan.saved and (before := plan.saved[0].get("ranks", 1)) != ranks.size:
        change = f"processes {before} -> {ranks.size}"
        listener.note(f"{change}: the states of the streams are shared out anew")
        step = plan.saved[0]["progress"]["step"]
        plan = replace(plan, changes=(*plan.changes, f"at step {step}: {change}"))
    with limited(config, threads), stop_on_signals() as stop:
        store = RunStore(plan, threads, ranks.size, backend.engine, command_line, yardstick)
        draw = partial(_draw, vocabulary=corpus.vocabulary)
        trainer = Trainer(
            config,
            backend,
            streams,
            validation,
            len(corpus.vocabulary),
            store,
            listener,
            draw,
            lambda: stop() or ranks.stop_heard,
        )
        if in_part := len(trainer.validation) < len(validation):
            store.card["validation_part"] = {"symbols": len(trainer.validation)}
            listener.note(
                f"the validation text is long: while training, losses are of {len(trainer.validation):,} symbols from "
                f"evenly over it, and the closing one is of all {len(validation):,}"
            )
        if plan.saved:
            metadata, arrays = plan.saved
            trainer.restore(arrays, metadata["progress"], store.kept())
        folder.truncate_metrics(trainer.progress.reports)
        folder.truncate_samples(trainer.progress.samples)
        folder.drop_snapshots(most=config.snapshots, after=trainer.progress.step)
        listener.begin(
            About(
                folder.path,
                corpus.name,
                len(corpus.ids),
                len(training),
                len(validation),
                len(corpus.vocabulary),
                backend.network().theta.size,
                model,
                config,
                plan.batch_size,
                threads,
                streams.chunks,
                trainer.progress.step if plan.saved else None,
                backend.engine,
                why(config),
            ),
            corpus.vocabulary,
        )
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging loss is the loop's to handle
            try:
                reason = trainer.run()
            except CharRNNError as error:
                if isinstance(error, DivergedError) or not (way_on := _way_on(store, plan)):
                    raise
                raise type(error)(f"{error}\n{way_on}") from error
        if reason == "interrupted":
            raise Interrupted(
                f"stopped at step {trainer.progress.step}; everything is saved. Go on with:\n"
                f"  {command_to_resume(RunFolder(folder.place), corpus.sources)}",
                stop.signal_number or signal.SIGTERM,  # that of another process
            )
        if in_part:
            store.measure_whole(validation)
        return _result(plan, trainer, len(training), yardstick)


def _way_on(store: RunStore, plan: Plan) -> str:
    """Where a run that could not write left its last checkpoint, and how to go on; empty where none is left."""
    place = store.rescued.parent if store.rescued else plan.folder.place
    resume = command_to_resume(RunFolder(place), plan.corpus.sources)
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


def make_backend(plan: Plan, threads: int = 1) -> Backend:
    """The engine at the first step: weights initialised, and then those of the model to start from."""
    backend = _engine(plan, threads, ALONE)
    _transplant(plan, backend)
    return backend


def _engine(plan: Plan, threads: int, ranks: Ranks) -> Backend:
    """The engine of this process, with initial weights. (BLAS threads are limited from outside.)"""
    vocab_size = len(plan.corpus.vocabulary)
    if plan.config.backend == "torch":
        from charrnn.engines.torch_backend import TorchBackend

        streams = plan.batch_size // ranks.size
        return TorchBackend(plan.model, plan.config, vocab_size, streams, threads, ranks)
    if plan.config.backend == "fast":
        from charrnn.engines.fast_backend import FastBackend

        return FastBackend(plan.model, plan.config, vocab_size, plan.batch_size, threads)
    return NumpyBackend(plan.model, plan.config, vocab_size, plan.batch_size)


def _part(ranks: Ranks, task: tuple[Plan, np.ndarray | MappedIds, int]) -> tuple[Backend, Streams]:
    """The engine and the streams of this process, from a plan, the ids of its text and a number of threads."""
    plan, packed, threads = task
    config, corpus = plan.config, plan.corpus
    ids = unpack(ranks, packed, lambda: read_text(corpus.sources, config, Quiet(), corpus.vocabulary).ids)
    training, _, _ = split(ids, config.val_fraction, config.test_fraction)
    served = slice(ranks.rank, None, ranks.size)
    return _engine(plan, threads, ranks), Streams(training, plan.batch_size, config.seq_length, served)


def _assemble(plan: Plan, threads: int, ranks: Ranks) -> tuple[Backend, Chunks]:
    """The engine at the first step and the chunks to train it on, of all processes together."""
    backend: Backend
    if ranks.size == 1:
        backend, streams = _part(ranks, (plan, plan.corpus.ids, threads))
        _transplant(plan, backend)
        return backend, streams
    known = replace(plan, corpus=replace(plan.corpus, ids=plan.corpus.ids[:0]), origin=None, saved=None)
    task = known, pack(plan.corpus.ids), threads
    leader = Leader(ranks, *begin(ranks, task, partial(_part, ranks)))
    _transplant(plan, leader)
    leader.restore(leader.arrays())  # the same bits everywhere, whatever each machine made of the seed
    return leader, leader


def _transplant(plan: Plan, backend: Backend) -> None:
    """Put in the weights of the model to start from, if there is one."""
    if plan.origin is not None:
        network = backend.network()
        fine_tune.transplant(plan.origin.model, network, plan.corpus.vocabulary)
        backend.restore({**backend.arrays(), "theta": network.theta})


def _draw(network: Network, vocabulary: Vocabulary) -> str:
    """A short text from the model as it is, always with the same random numbers so that it shows progress."""
    model = Model.of_network(network, vocabulary, {})
    config = SamplingConfig(length=SAMPLE_LENGTH, temperature=0.8, seed=0)
    return "".join(text for _, text in Sampler(model, config))


def _result(
    plan: Plan, trainer: Trainer, training_characters: int, yardstick: Yardstick | None
) -> TrainResult:
    folder, progress = RunFolder(plan.folder.place), trainer.progress
    kept = model_file.read_metadata(folder.model)["training"]  # perhaps of before a resume
    best = kept["val_loss_nats"]
    parameters = Network.size(plan.model, len(plan.corpus.vocabulary))
    return TrainResult(
        model=str(folder.model),
        checkpoint=str(folder.checkpoint),
        steps=progress.step,
        epochs=trainer.epoch,
        seconds=progress.seconds,
        chars_per_second=trainer.chars_per_second,
        parameters=parameters,
        train_loss_nats=progress.train_loss_nats,
        val_loss_nats=best,
        val_bits_per_char=None if best is None else best / math.log(2),
        best_step=kept["step"],
        stopped_because=trainer.stopped_because,
        verdict=judge(
            with_kept(folder.read_metrics(), kept),
            parameters=parameters,
            characters=training_characters,
            model=plan.model,
            config=plan.config,
            yardstick=yardstick,
        ),
    )
