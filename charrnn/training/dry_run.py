"""Estimates for a training run: its sizes, memory and pace, from two seconds of real steps."""

import math
import time
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import TrainConfig
from charrnn.engines.choice import limited
from charrnn.errors import UsageError
from charrnn.score.scoring import SHORTEST_SEGMENT, mean_loss
from charrnn.text.batches import Chunks, size_of
from charrnn.text.items import Items
from charrnn.training.given_texts import Files, Labels, given
from charrnn.training.loop import Trainer, default_eval_every
from charrnn.training.plan import Plan, Reading, notes, plan_new, unheard
from charrnn.training.session import make_backend

PROBE_SECONDS = 2.0
MEMORY_AT_START = 45 * 2**20  # bytes resident once Python, numpy and charrnn are loaded, as measured


@dataclass(frozen=True)
class DryRun:
    """Estimates for a run.

    memory_bytes : of the whole process at its peak
    seconds_per_epoch : including the validations of an epoch
    steps : None if only the clock ends the run; seconds : upper limit for the whole run
    notes : notes for the user before it starts
    """

    plan: Plan
    memory_bytes: int
    chars_per_second: float
    seconds_per_epoch: float
    steps: int | None
    seconds: float
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Sizes, settings and estimates, for a file."""
        estimates = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "plan"}
        return self.plan.sizes() | estimates


def dry_run(
    corpus: Files = (),
    *,
    text: str | None = None,
    texts: Iterable[str] | None = None,
    labels: Labels | None = None,
    inputs: Iterable[str] | None = None,
    preset: str | None = None,
    init_from: str | Path | None = None,
    reading: Reading = unheard,
    **settings: Any,
) -> DryRun:
    """Estimates for `train` with the same arguments, without making a run folder.

    Raises the same errors as `train` before its first step.
    """
    sources, settings = given(corpus, text, texts, labels, inputs, settings)
    plan = plan_new(sources, preset, settings, init_from, reading=reading)
    config, ids = plan.config, plan.corpus.ids
    if config.backend == "torch":
        raise UsageError("--dry-run counts the memory of numpy arrays only: leave out --backend torch")
    streams = plan.streams()
    with limited(config, plan.threads), np.errstate(over="ignore", invalid="ignore"):
        probe = _probe(plan, streams)
    epoch_seconds = streams.chunks * probe.step_seconds
    epoch_seconds += (
        probe.validation_seconds * streams.chunks / (config.eval_every or default_eval_every(streams))
    )
    by_clock = math.inf if config.max_minutes is None else 60 * config.max_minutes
    by_steps = math.inf if probe.steps is None else probe.steps / streams.chunks * epoch_seconds
    return DryRun(
        plan=plan,
        memory_bytes=MEMORY_AT_START + probe.memory_bytes + (0 if isinstance(ids, np.memmap) else ids.nbytes),
        chars_per_second=streams.symbols / streams.chunks / probe.step_seconds,
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


def _probe(plan: Plan, streams: Chunks) -> _Probe:
    """Train a temporary engine: first one step with every allocation counted, then, without counting, which
    would slow it, two seconds by the clock."""

    def trainer(config: TrainConfig) -> Trainer:
        no_text = plan.validation_part[:0]
        return Trainer(config, backend, streams, no_text, len(plan.corpus.vocabulary), ())

    unlimited = replace(plan.config, epochs=None, max_steps=None, max_minutes=None, eval_every=2**31)
    # The fast path compiles now, so that the compiler's memory is not counted.
    streams_at_once = make_backend(plan).network().streams_at_once
    # As many symbols as are ever read side by side: more would only cost time.
    validation, most = plan.parts.validation, streams_at_once * SHORTEST_SEGMENT + 1
    sample = validation.spread(most) if isinstance(validation, Items) else validation[:most]
    tracemalloc.start()
    try:
        backend = make_backend(plan)
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
        validation_seconds * size_of(plan.validation_part) / max(1, size_of(sample)),
        trainer(plan.config).total_steps,
    )
