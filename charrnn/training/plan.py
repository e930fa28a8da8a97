"""The plan of a run, new or resumed: everything decided before the first step. Writes nothing."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig, as_dict, check_together, configs
from charrnn.engines.choice import settle, threads_for
from charrnn.engines.ranks import ALONE, Ranks
from charrnn.errors import DataError, ModelError, UsageError
from charrnn.model import model_file
from charrnn.model.model import config_of
from charrnn.nn.network import Network
from charrnn.runs import checkpoint
from charrnn.runs.folder import RunFolder
from charrnn.runs.records import Kept, curve_loss
from charrnn.runs.verdict import size_warning
from charrnn.text import looks_like
from charrnn.text.batches import ItemBatches, Parts, Streams, Text, fit_batch_size, size_of, spread_part
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.items import Items
from charrnn.text.records import form_of
from charrnn.text.sources import Source, claimed, is_stream
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import bounds, fine_tune

# Validations while training read at most this much of the validation text, evenly spread and always the same: an
# eighth of the symbols between two of them, which takes about 4 % of the time.
VALIDATION_PART = 2**17

# Settings that a resume may change: budgets, reports, learning rates, regularisation. Any other change would make it
# a different run.
LIMITS = {"epochs", "max_steps", "max_minutes"}
BUDGETS = LIMITS | {"patience", "checkpoint_every", "snapshots", "threads"}
TUNABLE = {"lr", "schedule", "warmup_steps", "decay", "decay_every", "final_lr", "clip_value", "clip_norm"}
TUNABLE |= {"dropout", "dropout_kind", "weight_drop", "embedding_dropout", "input_dropout"}
TUNABLE |= {"ar", "tar", "label_smoothing", "l1", "l2", "weight_decay", "backend", "device"}
# Settings that even --force cannot change: the checkpoint's arrays would not fit, or change their meaning.
FIXED = {"batch_size", "optimizer", "precision", "seed", "init", "level", "freeze_layers", "average"}
PART_FILES = ("val", "test")  # settings that name the file of a part of the text
FIXED |= {"items", "text_column", "label_column", "input_column"}


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first step."""

    folder: RunFolder
    corpus: Corpus
    model: ModelConfig
    config: TrainConfig
    batch_size: int
    threads: int
    processes: int = 1  # processes that train together
    origin: fine_tune.Origin | None = None  # the model whose weights to start from
    init_from: dict[str, str] | None = None  # its record in the model card
    saved: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None  # the checkpoint to go on from
    kept: Kept | None = None  # the validation of the best model so far
    changes: tuple[str, ...] = ()  # made at resumes
    remarks: tuple[str, ...] = ()  # notes for the user about this resume

    @cached_property
    def parts(self) -> Parts:
        """The text to train on, to validate with and to test with."""
        return self.corpus.parts(self.config.val_fraction, self.config.test_fraction)

    @cached_property
    def validation_part(self) -> Text:
        """The text of the validations while training: the validation text, or a part of a long one."""
        text = self.parts.validation
        return text.spread(VALIDATION_PART) if isinstance(text, Items) else spread_part(text, VALIDATION_PART)

    @property
    def validates_in_part(self) -> bool:
        """Whether the validations while training leave out some of the validation text."""
        return len(self.validation_part) < len(self.parts.validation)

    def streams(self, served: slice = slice(None)) -> Streams | ItemBatches:
        """The training text in chunks, for the streams, or rows of items, that are `served`."""
        text, config = self.parts.training, self.config
        if isinstance(text, Items):
            end = self.corpus.vocabulary.end
            return ItemBatches(text, self.batch_size, config.seq_length, config.seed, end, served)
        jitter = config.seed if config.jitter else None
        return Streams(text, self.batch_size, config.seq_length, served, jitter)

    @cached_property
    def padding(self) -> float | None:
        """Share of the places in batches that no item fills; None for a stream."""
        chunks = self.streams()
        return chunks.padding if isinstance(chunks, ItemBatches) else None

    @cached_property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return Network.size(self.model, len(self.corpus.vocabulary))

    @property
    def resumed_at(self) -> int | None:
        """The step of the checkpoint to resume from."""
        return self.saved[0]["progress"]["step"] if self.saved else None

    def split_card(self) -> dict[str, int]:
        """The lengths of the parts of the text, of items in predicted symbols, for the model card."""
        return dict(zip(("train", "validation", "test"), map(size_of, self.parts), strict=True))

    def sizes(self) -> dict[str, Any]:
        """Numbers and settings that describe the run."""
        items = self.corpus.items
        of_items = {} if items is None else {"items": len(items), "padding": self.padding}
        return of_items | {
            "corpus": self.corpus.name,
            "characters": len(self.corpus.ids),
            "training_characters": size_of(self.parts.training),
            "validation_characters": size_of(self.parts.validation),
            "vocabulary": len(self.corpus.vocabulary),
            "parameters": self.parameters,
            "model": as_dict(self.model),
            "config": as_dict(self.config),
            "batch_size": self.batch_size,
            "threads": self.threads,
            "chunks": self.streams().chunks,
        }


Reading = Callable[[int, int], None]  # called with the bytes of the text read so far, and their total


def unheard(done: int, total: int) -> None:
    """A Reading that does nothing."""


def plan_new(
    sources: Sequence[str | Source],
    preset: str | None,
    given: Mapping[str, Any],
    init_from: str | Path | None = None,
    sha256: str | None = None,
    reading: Reading = unheard,
    ranks: Ranks = ALONE,
    joined: bool | None = None,
) -> Plan:
    """The plan of a new run. Reads the text and the model to start from, and writes nothing.

    given : settings by name; sha256 : the hash that the file of `init_from` must have, if it is known; joined : as in
        `read_corpus`
    """
    if not sources:
        raise UsageError("no corpus given. Name a text file or folder, for example: charrnn train corpus.txt")
    origin = None
    if init_from is None:
        model, config = configs(preset or "default", **given)
        config = _settled(config, sources)
        corpus = read_training_text(sources, config, reading, joined=joined)
    else:
        origin = fine_tune.read_origin(init_from, sha256)
        model, config = fine_tune.settings(origin, preset, given)
        config = _settled(config, sources)
        if origin.model.vocab.items is not None and not config.items:
            raise UsageError(fine_tune.OF_ITEMS)
        corpus = read_training_text(sources, config, reading, origin.model.vocab, grow=True, joined=joined)
        fine_tune.new_ids(
            origin.model.vocab, corpus.vocabulary
        )  # refuses other items before a folder is made
    training = corpus.parts(config.val_fraction, config.test_fraction).training
    batch_size = fit_batch_size(training, config.batch_size, config.seq_length)
    threads = threads_for(config, model, len(corpus.vocabulary), batch_size, ranks.local_size)
    card = origin.card() if origin else None
    plan = Plan(RunFolder(""), corpus, model, config, batch_size, threads, ranks.size, origin, card)
    plan.streams()  # too short a text is told before a folder is made
    _check_bounds(corpus, model, config, batch_size)
    return plan


def _settled(config: TrainConfig, sources: Sequence[str | Source]) -> TrainConfig:
    """The settings with all decided that depends on this machine, on the folder it works in and on the files."""
    names = [source.name if isinstance(source, Source) else source for source in sources]
    form = form_of(config.items, config.text_column, config.label_column, config.input_column, names)
    named = _absolute(as_dict(config))
    return replace(
        settle(config),
        items=form.kind if form else "",
        jitter=config.jitter and not form,  # items are mixed anew in each epoch anyway
        val=named["val"],
        test=named["test"],
    )


def _absolute(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings whose files for validation and test are found from every folder. Raises UsageError for a folder."""
    absolute = {part: os.path.abspath(name) for part in PART_FILES if (name := settings.get(part))}
    for part, path in absolute.items():
        if os.path.isdir(path):
            raise UsageError(f"--{part} {settings[part]} is a folder; name one file")
    return {**settings, **absolute}


def _check_claims(stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise DataError for files of validation and test that only a run folder names and that may not be read."""
    if names := [name for part in PART_FILES if part not in given and (name := stored.get(part))]:
        claimed(names)


def plan_resume(
    folder: RunFolder,
    sources: Sequence[str | Source],
    given: Mapping[str, Any],
    force: bool,
    reading: Reading,
    ranks: Ranks,
) -> Plan:
    """What the run in `folder` does when it goes on: from its checkpoint, or anew where it has none yet."""
    if folder.checkpoint.exists():
        return resumed(folder, sources, given, force, reading, ranks)
    return restarted(folder, sources, given, reading, ranks)


def restarted(
    folder: RunFolder,
    sources: Sequence[str | Source],
    given: Mapping[str, Any],
    reading: Reading,
    ranks: Ranks,
) -> Plan:
    """What a run that has no checkpoint yet does when it starts anew, by the settings in its folder."""
    stored = folder.read_config()
    try:
        settings = {**stored["model"], **stored["train"], **given}
        sources = _again(folder, sources, stored["corpus"]["sources"])
        origin = stored.get("init_from", {"path": None, "sha256": None})
        path, sha256 = origin["path"], origin["sha256"]
        joined = stored["corpus"].get("joined", False)
        _check_claims(stored["train"], given)
    except (KeyError, TypeError) as problem:
        raise ModelError(f"{folder.config} is damaged: {problem}. Start a new run") from problem
    plan = plan_new(sources, None, settings, path, sha256, reading, ranks, joined)
    remark = f"{folder.path} was stopped before its first checkpoint: it starts again"
    return replace(plan, folder=folder, remarks=(remark,))


def resumed(
    folder: RunFolder,
    sources: Sequence[str | Source],
    given: Mapping[str, Any],
    force: bool,
    reading: Reading,
    ranks: Ranks,
) -> Plan:
    """The plan of the run in `folder` from its checkpoint, with the settings that are `given` now.

    sources : the text's new place, if it was moved

    Raises UsageError for settings that cannot change, DataError for another text (both but for `force`).
    """
    metadata, arrays = checkpoint.load(folder.checkpoint)
    model, vocabulary, _ = config_of(metadata)
    config = TrainConfig(**metadata["train"])
    config, told = _settings_of_a_resume(folder, model, config, given, force)
    _check_claims(as_dict(config), told)
    card = metadata["training"]
    sources = _again(folder, sources, card["corpus"]["sources"])
    corpus = read_training_text(
        sources, config, reading, vocabulary, joined=bool(card["corpus"].get("joined"))
    )
    remarks = []
    if difference := _difference(folder, corpus, card["corpus"]):
        if not force:
            raise DataError(f"{difference}. Give --force to continue with the new text")
        remarks.append(difference)
    _check_bounds(corpus, model, config, metadata["batch_size"])
    tuned = [line for name, line in told.items() if name not in BUDGETS]
    if tuned:
        remarks.append("changed at this resume: " + "; ".join(tuned))
    if (before := metadata.get("ranks", 1)) != ranks.size:
        tuned.append(f"processes {before} -> {ranks.size}")
        remarks.append(f"{tuned[-1]}: the states of the streams are shared out anew")
    step = metadata["progress"]["step"]
    changes = (*card["changes"], *(f"at step {step}: {line}" for line in tuned))
    batch_size, threads = metadata["batch_size"], metadata["threads"]  # on both of which the results depend
    if config.threads is not None:
        threads = config.threads
    plan = Plan(
        folder,
        corpus,
        model,
        config,
        batch_size,
        threads,
        ranks.size,
        init_from=card.get("init_from"),
        saved=(metadata, arrays),
        changes=changes,
        remarks=tuple(remarks),
    )
    return replace(plan, kept=_kept(plan))


def _settings_of_a_resume(
    folder: RunFolder, model: ModelConfig, config: TrainConfig, given: Mapping[str, Any], force: bool
) -> tuple[TrainConfig, dict[str, str]]:
    """The settings of a run that continues, and each that is new, in words by its name.

    Raises UsageError for settings that cannot change.
    """
    if given.keys() & LIMITS:  # they replace the old ones, which may allow fewer steps
        given = dict.fromkeys(LIMITS) | dict(given)
    if given.get("backend") == "auto":
        given = {**given, "backend": settle(replace(config, backend="auto")).backend}
    given = _absolute(given)
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
    check_together(model, config)
    return config, told


def _difference(folder: RunFolder, corpus: Corpus, card: Mapping[str, Any]) -> str:
    """How the text differs from the one that the run was trained on, by its card; empty if it is the same."""
    if corpus.sha256 == card["sha256"]:
        return ""
    return (
        f"the corpus has changed since {folder.path} was trained on it: sha256 {corpus.sha256[:12]}…, "
        f"{len(corpus.ids):,} symbols; it was {card['sha256'][:12]}…, {card['symbols']:,} symbols"
    )


def _kept(plan: Plan) -> Kept | None:
    """The validation of the model in the folder, if it was made on the same text."""
    try:
        card = model_file.read_metadata(plan.folder.model)["training"]
        same = card["corpus"]["sha256"] == plan.corpus.sha256 and card["split"] == plan.split_card()
        return Kept(int(card["step"]), float(curve_loss(card)), card["train_loss_nats"]) if same else None
    except (ModelError, KeyError, TypeError, ValueError):
        return None


def _check_bounds(corpus: Corpus, model: ModelConfig, config: TrainConfig, batch_size: int) -> None:
    bounds.check_metadata_size(bounds.corpus_card(corpus), corpus.vocabulary)
    bounds.check_size(model, config, len(corpus.vocabulary), batch_size)


def notes(plan: Plan) -> Iterator[str]:
    """Notes for the user before the first step."""
    yield from plan.remarks
    yield from plan.corpus.notes
    if plan.corpus.items is None and plan.saved is None:
        head = plan.corpus.vocabulary.decode(plan.corpus.ids[: looks_like.HEAD])
        if note := looks_like.advice(head, plan.corpus.sources):
            yield note
    if plan.batch_size < plan.config.batch_size:
        what = "streams" if plan.corpus.items is None else "items side by side"
        yield f"the text is short: {plan.batch_size} {what} in place of {plan.config.batch_size}"
    if plan.origin is not None:
        yield (
            f"starting from the weights of {plan.origin.path}: vocabulary {len(plan.origin.model.vocab):,}, "
            f"now {len(plan.corpus.vocabulary):,}"
        )
    if warning := size_warning(plan.parameters, size_of(plan.parts.training)):
        yield warning
    if plan.validates_in_part:
        yield (
            f"the validation text is long: while training, losses are on {size_of(plan.validation_part):,} evenly "
            f"spread symbols, and the closing one is on all {size_of(plan.parts.validation):,}"
        )


def read_training_text(
    sources: Sequence[str | Source],
    config: TrainConfig,
    reading: Reading = unheard,
    vocabulary: Vocabulary | None = None,
    grow: bool = False,
    joined: bool | None = None,
) -> Corpus:
    """The text of a run, read according to its settings; vocabulary, grow and joined as in `read_corpus`."""
    return read_corpus(
        sources,
        level=config.level,
        encoding=config.encoding,
        newlines=config.newlines,
        min_count=config.min_count,
        vocabulary=vocabulary,
        grow=grow,
        reading=reading,
        validation=config.val or None,
        test=config.test or None,
        joined=joined,
        items=form_of(config.items, config.text_column, config.label_column, config.input_column, ()),
    )


def _again(
    folder: RunFolder, sources: Sequence[str | Source], before: Sequence[str]
) -> Sequence[str | Source]:
    """The sources from which to read a run's text again: those named now, or else those named `before`."""
    if sources:
        return sources
    known = before if isinstance(before, list) else ()
    if streams := [source for source in known if isinstance(source, str) and is_stream(source)]:
        raise UsageError(
            f"{folder.path} was trained on a text from {'stdin' if streams[0] == '-' else streams[0]}, which cannot be "
            f"read again. Name a file with the same text, or - and pipe it in: {folder.command_to_resume(before)}"
        )
    return claimed(before)
