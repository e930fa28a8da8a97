"""What a training run would be: its sizes, its memory and its pace, from two seconds of real steps."""

import math
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines.choice import limited, threads_for
from charrnn.errors import UsageError
from charrnn.nn.network import Network
from charrnn.runs.records import Report, Sample
from charrnn.score.scoring import SEGMENTS, SHORTEST_SEGMENT, mean_loss
from charrnn.text.batches import Streams, split
from charrnn.training.listeners import Quiet, RunListener
from charrnn.training.loop import VALIDATION_PART, Trainer, default_eval_every
from charrnn.training.plan import Plan, named, notes, plan_new
from charrnn.training.session import make_backend

PROBE_SECONDS = 2.0
MEMORY_AT_START = 45 * 2**20  # bytes resident once Python, numpy and charrnn are loaded, as measured


@dataclass(frozen=True)
class DryRun:
    """What a run with these settings would be.

    memory_bytes : of the whole process at its peak, estimated
    seconds_per_epoch : with the validations of an epoch
    steps : None where only the clock ends the run; seconds : of the whole run, at most
    notes : what a user should know before it starts
    """

    corpus: str
    characters: int
    training_characters: int
    validation_characters: int
    vocabulary: int
    parameters: int
    model: ModelConfig
    config: TrainConfig
    batch_size: int
    threads: int
    chunks: int  # in an epoch
    memory_bytes: int
    chars_per_second: float
    seconds_per_epoch: float
    steps: int | None
    seconds: float
    notes: tuple[str, ...]


def dry_run(
    corpus: str | Path | Sequence[str | Path],
    *,
    preset: str | None = None,
    init_from: str | Path | None = None,
    listener: RunListener | None = None,
    **settings: Any,
) -> DryRun:
    """What `train` with the same arguments would do, found without making a run folder.

    Raises what `train` raises before its first step.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    plan = plan_new(named(corpus), preset, given, init_from, listener=listener)
    model, config, ids = plan.model, plan.config, plan.corpus.ids
    if config.backend == "torch":
        raise UsageError("--dry-run counts the memory of numpy arrays only: leave out --backend torch")
    training, validation, _ = split(ids, config.val_fraction, config.test_fraction)
    streams = Streams(training, plan.batch_size, config.seq_length)
    threads = threads_for(config, model, len(plan.corpus.vocabulary), plan.batch_size)
    with limited(config, threads), np.errstate(over="ignore", invalid="ignore"):
        probe = _probe(plan, threads, streams, validation)
    epoch_seconds = streams.chunks * probe.step_seconds
    epoch_seconds += (
        probe.validation_seconds * streams.chunks / (config.eval_every or default_eval_every(streams))
    )
    by_clock = math.inf if config.max_minutes is None else 60 * config.max_minutes
    by_steps = math.inf if probe.steps is None else probe.steps / streams.chunks * epoch_seconds
    return DryRun(
        corpus=plan.corpus.name,
        characters=len(ids),
        training_characters=len(training),
        validation_characters=len(validation),
        vocabulary=len(plan.corpus.vocabulary),
        parameters=Network.size(model, len(plan.corpus.vocabulary)),
        model=model,
        config=config,
        batch_size=plan.batch_size,
        threads=threads,
        chunks=streams.chunks,
        memory_bytes=MEMORY_AT_START + probe.memory_bytes + (0 if isinstance(ids, np.memmap) else ids.nbytes),
        chars_per_second=plan.batch_size * config.seq_length / probe.step_seconds,
        seconds_per_epoch=epoch_seconds,
        steps=probe.steps,
        seconds=min(by_clock, by_steps),
        notes=tuple(notes(plan)),
    )


@dataclass(frozen=True)
class _Probe:
    memory_bytes: int  # of arrays, at the peak
    step_seconds: float
    validation_seconds: float  # of one validation
    steps: int | None  # that the budget allows


class _Nowhere:
    """A store that keeps nothing."""

    def save_checkpoint(self, arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> None: ...

    def save_model(self, network: Network, progress: dict[str, Any]) -> None: ...

    def save_snapshot(self, network: Network, progress: dict[str, Any]) -> None: ...

    def add_report(self, report: Report) -> None: ...

    def add_sample(self, sample: Sample) -> None: ...


def _probe(plan: Plan, threads: int, streams: Streams, validation: np.ndarray) -> _Probe:
    """Train a throw-away engine: first a step with every allocation counted, then two seconds against the
    clock, which the counting would slow."""

    def trainer(config: TrainConfig) -> Trainer:
        vocab_size, no_text = len(plan.corpus.vocabulary), validation[:0]
        return Trainer(config, backend, streams, no_text, vocab_size, _Nowhere(), Quiet(), lambda network: "")

    unlimited = replace(plan.config, epochs=None, max_steps=None, max_minutes=None, eval_every=2**31)
    # As many symbols as are ever read side by side: more would cost time and tell no more.
    sample = validation[: SEGMENTS * SHORTEST_SEGMENT + 1]
    make_backend(plan, threads)  # the fast path compiles now: what the compiler takes is not the run's
    tracemalloc.start()
    try:
        backend = make_backend(plan, threads)
        counted = trainer(replace(unlimited, max_steps=1))  # kept, for it holds the last good state
        counted.run()
        began = time.perf_counter()
        mean_loss(backend.network(), sample)
        validation_seconds = time.perf_counter() - began
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    timed = trainer(replace(unlimited, max_minutes=PROBE_SECONDS / 60))
    timed.run()
    # A checkpoint is one copy of its arrays as bytes, which are then read back into two.
    saving = 3 * sum(array.nbytes for array in backend.arrays().values())
    return _Probe(
        max(peak, held + saving),
        timed.progress.seconds / timed.progress.step,
        validation_seconds * min(len(validation), VALIDATION_PART) / max(1, len(sample)),
        trainer(plan.config).total_steps,
    )
