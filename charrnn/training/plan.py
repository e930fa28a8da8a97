"""What a run will do, new or resumed: all that is settled before the first step. Writes nothing."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig, as_dict, configs
from charrnn.engines.choice import settle
from charrnn.errors import DataError, ModelError, UsageError
from charrnn.model.model import config_of
from charrnn.nn.network import Network
from charrnn.runs import checkpoint
from charrnn.runs.folder import RunFolder
from charrnn.runs.verdict import size_warning
from charrnn.text.batches import Streams, fit_batch_size, split
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.sources import claimed, is_stream
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import bounds, fine_tune
from charrnn.training.listeners import Quiet, RunListener

# What a resume may change: how long to go on and how often to report, and how fast and how freely to
# learn. All else would make it a different run.
LIMITS = {"epochs", "max_steps", "max_minutes"}
BUDGETS = LIMITS | {"patience", "checkpoint_every", "snapshots", "threads"}
TUNABLE = {"lr", "schedule", "warmup_steps", "decay", "decay_every", "final_lr", "clip_value", "clip_norm"}
TUNABLE |= {"dropout", "l1", "l2", "backend", "device"}
# What even --force cannot change: the arrays of the checkpoint would not fit, or not mean the same.
FIXED = {"batch_size", "optimizer", "precision", "seed", "init", "level", "freeze_layers"}


@dataclass(frozen=True)
class Plan:
    """All that is settled before the first step."""

    folder: RunFolder
    corpus: Corpus
    model: ModelConfig
    config: TrainConfig
    batch_size: int
    origin: fine_tune.Origin | None = None  # the model whose weights to start from
    init_from: dict[str, str] | None = None  # what the model card tells of it
    saved: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None  # the checkpoint to go on from
    changes: tuple[str, ...] = ()  # made at resumes


def named(corpus: str | Path | Sequence[str | Path]) -> list[str]:
    """The sources of a corpus as `train` takes them."""
    return [str(corpus)] if isinstance(corpus, str | Path) else [str(source) for source in corpus]


def plan_new(
    sources: Sequence[str],
    preset: str | None,
    given: Mapping[str, Any],
    init_from: str | Path | None = None,
    sha256: str | None = None,
    listener: RunListener | None = None,
) -> Plan:
    """What a new run would do. Reads the text and the model to start from, and writes nothing.

    given : settings by name; sha256 : what the file of `init_from` must be, if that is known
    """
    if not sources:
        raise UsageError("no corpus given. Name a text file or folder, for example: charrnn train corpus.txt")
    origin, listener = None, listener or Quiet()
    if init_from is None:
        model, config = configs(preset or "default", **given)
        config = settle(config)
        corpus = read_text(sources, config, listener)
    else:
        origin = fine_tune.read_origin(init_from, sha256)
        model, config = fine_tune.settings(origin, preset, given)
        config = settle(config)
        corpus = read_text(sources, config, listener, origin.model.vocab, grow=True)
    training, _, _ = split(corpus.ids, config.val_fraction, config.test_fraction)
    batch_size = fit_batch_size(len(training), config.batch_size, config.seq_length)
    Streams(training, batch_size, config.seq_length)  # too short a text is told before a folder is made
    _check_bounds(corpus, model, config, batch_size)
    card = origin.card() if origin else None
    return Plan(RunFolder(""), corpus, model, config, batch_size, origin, card)


def restarted(
    folder: RunFolder, sources: Sequence[str], given: Mapping[str, Any], listener: RunListener
) -> Plan:
    """What a run that has no checkpoint yet does when it starts anew, by the settings in its folder."""
    stored = folder.read_config()
    try:
        settings = {**stored["model"], **stored["train"], **given}
        sources = _again(folder, sources, stored["corpus"]["sources"])
        origin = stored.get("init_from", {"path": None, "sha256": None})
        path, sha256 = origin["path"], origin["sha256"]
    except (KeyError, TypeError) as problem:
        raise ModelError(
            f"{folder.config} is not as charrnn wrote it: {problem}. Start a new run"
        ) from problem
    plan = plan_new(sources, None, settings, path, sha256, listener)
    return replace(plan, folder=folder)


def resumed(
    folder: RunFolder,
    sources: Sequence[str],
    given: Mapping[str, Any],
    force: bool,
    listener: RunListener,
) -> Plan:
    """What the run in `folder` does when it goes on from its checkpoint, with the settings that are `given` anew.

    sources : where its text is now, if not where it was

    Raises UsageError for settings that cannot change, DataError for another text (both but for `force`).
    """
    metadata, arrays = checkpoint.load(folder.checkpoint)
    model, vocabulary, _ = config_of(metadata)
    config = TrainConfig(**metadata["train"])
    if given.keys() & LIMITS:  # takes the place of the old ones, which may allow fewer steps
        given = dict.fromkeys(LIMITS) | dict(given)
    if given.get("backend") == "auto":
        given = {**given, "backend": settle(replace(config, backend="auto")).backend}
    old = as_dict(model) | as_dict(config) | {"lr": config.learning_rate}
    changed = {name: value for name, value in given.items() if name not in old or old[name] != value}
    told = {name: f"--{name.replace('_', '-')} {old.get(name)} -> {value}" for name, value in changed.items()}
    other = [name for name in changed if name not in BUDGETS | TUNABLE]
    never = any(name in FIXED or name in as_dict(model) for name in other)
    if never or (other and not force):
        raise UsageError(
            f"{folder.path} was trained with other settings: {'; '.join(told[name] for name in other)}. A resume may "
            "change budgets, learning rate, schedule, dropout, clipping and penalties; "
            + ("start a new run for the rest" if never else "--force changes the rest too")
        )
    config = settle(replace(config, **changed))
    card = metadata["training"]
    corpus = read_text(_again(folder, sources, card["corpus"]["sources"]), config, listener, vocabulary)
    if corpus.sha256 != card["corpus"]["sha256"]:
        difference = (
            f"the corpus has changed since {folder.path} was trained on it: sha256 {corpus.sha256[:12]}…, "
            f"{len(corpus.ids):,} symbols; it was {card['corpus']['sha256'][:12]}…, "
            f"{card['corpus']['symbols']:,} symbols"
        )
        if not force:
            raise DataError(f"{difference}. --force goes on with the new text")
        listener.note(difference)
    _check_bounds(corpus, model, config, metadata["batch_size"])
    tuned = [line for name, line in told.items() if name not in BUDGETS]
    if tuned:
        listener.note("changed at this resume: " + "; ".join(tuned))
    step = metadata["progress"]["step"]
    changes = (*card["changes"], *(f"at step {step}: {line}" for line in tuned))
    return Plan(
        folder,
        corpus,
        model,
        config,
        metadata["batch_size"],
        init_from=card.get("init_from"),
        saved=(metadata, arrays),
        changes=changes,
    )


def _check_bounds(corpus: Corpus, model: ModelConfig, config: TrainConfig, batch_size: int) -> None:
    bounds.check_metadata(bounds.corpus_card(corpus), corpus.vocabulary)
    bounds.check_size(model, config, len(corpus.vocabulary), batch_size)


def notes(plan: Plan) -> Iterator[str]:
    """What a user should know before the first step."""
    yield from plan.corpus.notes
    training, _, _ = split(plan.corpus.ids, plan.config.val_fraction, plan.config.test_fraction)
    if plan.batch_size < plan.config.batch_size:
        yield f"the text is short: {plan.batch_size} streams in place of {plan.config.batch_size}"
    if plan.origin is not None:
        yield (
            f"starting from the weights of {plan.origin.path}: vocabulary {len(plan.origin.model.vocab):,}, "
            f"now {len(plan.corpus.vocabulary):,}"
        )
    if warning := size_warning(Network.size(plan.model, len(plan.corpus.vocabulary)), len(training)):
        yield warning


def read_text(
    sources: Sequence[str],
    config: TrainConfig,
    listener: RunListener,
    vocabulary: Vocabulary | None = None,
    grow: bool = False,
) -> Corpus:
    """The text of a run, read as its settings say; vocabulary and grow as in `read_corpus`."""
    return read_corpus(
        sources,
        level=config.level,
        encoding=config.encoding,
        newlines=config.newlines,
        min_count=config.min_count,
        vocabulary=vocabulary,
        grow=grow,
        reading=listener.reading,
    )


def _again(folder: RunFolder, sources: Sequence[str], before: Sequence[str]) -> Sequence[str]:
    """Where to read a run's text again: from what is named now, otherwise from what was named `before`."""
    if sources:
        return sources
    known = before if isinstance(before, list) else ()
    if streams := [source for source in known if isinstance(source, str) and is_stream(source)]:
        raise UsageError(
            f"{folder.path} was trained on a text from {'stdin' if streams[0] == '-' else streams[0]}, which cannot be "
            f"read again. Name a file with the same text, or - and pipe it in: {command_to_resume(folder, before)}"
        )
    return claimed(before)


def command_to_resume(folder: RunFolder, sources: Sequence[str]) -> str:
    """The command that goes on with a run; a text that came from a stream has to be named again."""
    text = "TEXT " if any(map(is_stream, sources)) else ""
    return f"charrnn train {text}--resume --out {shlex.quote(str(folder.path))}"
