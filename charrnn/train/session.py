"""A whole training run: corpus to run folder, new or resumed."""

import importlib.metadata
import math
import platform
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from charrnn import model_file
from charrnn.config import ModelConfig, TrainConfig, as_dict, configs
from charrnn.errors import CharRNNError, DataError, DivergedError, Interrupted, ModelError, UsageError
from charrnn.model import Model, config_of
from charrnn.nn.network import Network
from charrnn.sampling import Sampler, SamplingConfig
from charrnn.text.batches import Streams, fit_batch_size, split
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.vocabulary import Vocabulary
from charrnn.train import checkpoint, fine_tune
from charrnn.train.backend import Backend, NumpyBackend
from charrnn.train.engines import blas_threads, settle, threads_for
from charrnn.train.loop import Chunks, Listener, Progress, Report, Sample, Trainer
from charrnn.train.ranks import ALONE, Leader, MappedIds, Ranks, begin, joined, obey, pack, unpack
from charrnn.train.run_folder import RunFolder
from charrnn.train.signals import stop_on_signals
from charrnn.train.threads import Watch, available_cores, choose_threads
from charrnn.train.verdict import Verdict, judge, size_warning

# What a resume may change: how long to go on and how often to report, and how fast and how freely to
# learn. All else would make it a different run.
LIMITS = {"epochs", "max_steps", "max_minutes"}
BUDGETS = LIMITS | {"patience", "checkpoint_every", "snapshots", "threads"}
TUNABLE = {"lr", "schedule", "warmup_steps", "decay", "decay_every", "final_lr", "clip_value", "clip_norm"}
TUNABLE |= {"dropout", "l1", "l2", "backend", "device"}
# What even --force cannot change: the arrays of the checkpoint would not fit, or not mean the same.
FIXED = {"batch_size", "optimizer", "precision", "seed", "init", "level", "freeze_layers"}

SAMPLE_LENGTH = 240  # characters shown now and then while training


@dataclass(frozen=True)
class About:
    """What a run is, told before it starts."""

    folder: Path
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
    resumed_at: int | None  # step
    engine: str = ""  # what computes and how, in words


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


class RunListener(Listener, Protocol):
    """A Listener that is also told how its text is read, and when a run begins."""

    def reading(self, done: int, total: int) -> None:
        """Bytes of the text read so far, and to be read in all (0 while that is not known)."""

    def begin(self, about: About, vocabulary: Vocabulary) -> None:
        """The run is about to start."""


class Quiet:
    """A listener that says nothing."""

    def reading(self, done: int, total: int) -> None: ...

    def begin(self, about: About, vocabulary: Vocabulary) -> None: ...

    def tick(self, progress: Progress, chars_per_second: float, used: float) -> None: ...

    def report(self, report: Report, is_best: bool) -> None: ...

    def sample(self, text: str) -> None: ...

    def note(self, message: str) -> None: ...


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

    Raises UsageError, DataError, ModelError, DivergedError; Interrupted after SIGINT or SIGTERM,
    when everything has been saved; RankLostError when another process died.
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
                plan = _resumed(folder, named(corpus), given, force, listener)
            else:
                listener.note(f"{folder.path} was stopped before its first checkpoint: it starts anew")
                plan = _restarted(folder, named(corpus), given, listener)
            _check_engine(plan, ranks)
            return _run(plan, ranks, listener, command_line)
    plan = plan_new(named(corpus), preset, given, init_from, listener=listener)
    _check_engine(plan, ranks)
    plan = replace(plan, folder=RunFolder.create(out, plan.corpus.name, force=force))
    with plan.folder.lock():
        return _run(plan, ranks, listener, command_line)


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


def _read(
    sources: Sequence[str],
    config: TrainConfig,
    listener: RunListener,
    vocabulary: Vocabulary | None = None,
    grow: bool = False,
) -> Corpus:
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
    if not sources and (streams := [source for source in before if _is_stream(source)]):
        raise UsageError(
            f"{folder.path} was trained on a text from {'stdin' if streams[0] == '-' else streams[0]}, which cannot be "
            f"read again. Name a file with the same text, or - and pipe it in: {_resuming(folder, before)}"
        )
    return sources or before


def _is_stream(source: str) -> bool:
    return source == "-" or source.startswith("/dev/") or Path(source).is_fifo()


def _resuming(folder: RunFolder, sources: Sequence[str]) -> str:
    """The command that goes on with a run; a text that came from a stream has to be named again."""
    text = "TEXT " if any(map(_is_stream, sources)) else ""
    return f"charrnn train {text}--resume --out {shlex.quote(str(folder.path))}"


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
        corpus = _read(sources, config, listener)
    else:
        origin = fine_tune.read_origin(init_from, sha256)
        model, config = fine_tune.settings(origin, preset, given)
        config = settle(config)
        corpus = _read(sources, config, listener, origin.model.vocab, grow=True)
    training, _, _ = split(corpus.ids, config.val_fraction, config.test_fraction)
    batch_size = fit_batch_size(len(training), config.batch_size, config.seq_length)
    Streams(training, batch_size, config.seq_length)  # too short a text is told before a folder is made
    card = origin.card() if origin else None
    return Plan(RunFolder(""), corpus, model, config, batch_size, origin, card)


def _restarted(
    folder: RunFolder, sources: Sequence[str], given: Mapping[str, Any], listener: RunListener
) -> Plan:
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


def _resumed(
    folder: RunFolder,
    sources: Sequence[str],
    given: Mapping[str, Any],
    force: bool,
    listener: RunListener,
) -> Plan:
    metadata, arrays = checkpoint.load(folder.checkpoint)
    model, vocabulary, _ = config_of(metadata)
    config = TrainConfig(**metadata["train"])
    if (
        given.keys() & LIMITS
    ):  # a new limit takes the place of the old ones: more steps than there were minutes for
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
    corpus = _read(_again(folder, sources, card["corpus"]["sources"]), config, listener, vocabulary)
    if corpus.sha256 != card["corpus"]["sha256"]:
        difference = (
            f"the corpus has changed since {folder.path} was trained on it: sha256 {corpus.sha256[:12]}…, "
            f"{len(corpus.ids):,} symbols; it was {card['corpus']['sha256'][:12]}…, "
            f"{card['corpus']['symbols']:,} symbols"
        )
        if not force:
            raise DataError(f"{difference}. --force goes on with the new text")
        listener.note(difference)
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


def _check_engine(plan: Plan, ranks: Ranks) -> None:
    """Raise UsageError when this machine, or this number of processes, cannot do what is planned."""
    if plan.config.backend == "torch":
        from charrnn.train.torch_backend import check_device

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
    threads = config.threads
    if threads is None:  # a resume keeps the number it began with, on which the results depend
        if plan.saved:
            threads = plan.saved[0]["threads"]
        elif ranks.size > 1:  # which would disturb each other's probes
            threads = max(1, available_cores() // ranks.local_size)
        else:
            threads = threads_for(config, model, len(corpus.vocabulary), plan.batch_size)
    backend, streams = _assemble(plan, threads, ranks)
    if plan.saved and (before := plan.saved[0].get("ranks", 1)) != ranks.size:
        change = f"processes {before} -> {ranks.size}"
        listener.note(f"{change}: the states of the streams are shared out anew")
        step = plan.saved[0]["progress"]["step"]
        plan = replace(plan, changes=(*plan.changes, f"at step {step}: {change}"))
    with blas_threads(config, threads), stop_on_signals() as stop:
        store = RunStore(plan, threads, ranks.size, backend.engine, command_line)
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
        if plan.saved:
            metadata, arrays = plan.saved
            trainer.restore(arrays, metadata["progress"])
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
            ),
            corpus.vocabulary,
        )
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging loss is the loop's to handle
            try:
                reason = trainer.run()
            except CharRNNError as error:
                if isinstance(error, DivergedError) or store.saved_step is None:
                    raise
                raise type(error)(
                    f"{error}\nThe checkpoint of step {store.saved_step} is intact. Go on from there with:\n"
                    f"  {_resuming(folder, corpus.sources)}"
                ) from error
        if reason == "interrupted":
            raise Interrupted(
                f"stopped at step {trainer.progress.step}; everything is saved. Go on with:\n"
                f"  {_resuming(folder, corpus.sources)}",
                stop.signal_number or signal.SIGTERM,  # that of another process
            )
        return _result(plan, trainer, len(training))


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


def make_backend(plan: Plan, threads: int = 1) -> Backend:
    """The engine at the first step: weights initialised, and then those of the model to start from."""
    backend = _engine(plan, threads, ALONE)
    _transplant(plan, backend)
    return backend


def _engine(plan: Plan, threads: int, ranks: Ranks) -> Backend:
    """The engine of this process, with initial weights. (BLAS threads are limited from outside.)"""
    vocab_size = len(plan.corpus.vocabulary)
    if plan.config.backend == "torch":
        from charrnn.train.torch_backend import TorchBackend

        streams = plan.batch_size // ranks.size
        return TorchBackend(plan.model, plan.config, vocab_size, streams, threads, ranks)
    if plan.config.backend == "fast":
        from charrnn.train.fast_backend import FastBackend

        return FastBackend(plan.model, plan.config, vocab_size, plan.batch_size, threads)
    if plan.config.threads is not None or ranks.size > 1:
        return NumpyBackend(plan.model, plan.config, vocab_size, plan.batch_size)
    watch = Watch(partial(choose_threads, plan.batch_size, plan.model.hidden))
    return NumpyBackend(plan.model, plan.config, vocab_size, plan.batch_size, watch)



def _part(ranks: Ranks, task: tuple[Plan, np.ndarray | MappedIds, int]) -> tuple[Backend, Streams]:
    """The engine and the streams of this process, from a plan, the ids of its text and a number of threads."""
    plan, packed, threads = task
    config, corpus = plan.config, plan.corpus
    ids = unpack(ranks, packed, lambda: _read(corpus.sources, config, Quiet(), corpus.vocabulary).ids)
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


def _result(plan: Plan, trainer: Trainer, training_characters: int) -> TrainResult:
    folder, progress = plan.folder, trainer.progress
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
            folder.read_metrics(),
            parameters=parameters,
            characters=training_characters,
            model=plan.model,
            config=plan.config,
        ),
    )


def corpus_card(corpus: Corpus) -> dict[str, Any]:
    """What a run folder tells of its corpus; paths are absolute, since a resume may start elsewhere."""
    return {
        "name": corpus.name,
        "sources": [s if s == "-" else str(Path(s).absolute()) for s in corpus.sources],
        "sha256": corpus.sha256,
        "symbols": len(corpus.ids),
    }


class RunStore:
    """The run folder as the training loop sees it."""

    def __init__(
        self, plan: Plan, threads: int, ranks: int, engine: str, command_line: Sequence[str]
    ) -> None:
        self._plan = plan
        self._threads = threads
        self._ranks = ranks
        self.saved_step: int | None = plan.saved[0]["progress"]["step"] if plan.saved else None
        config, corpus = plan.config, plan.corpus
        parts = split(corpus.ids, config.val_fraction, config.test_fraction)
        self.card: dict[str, Any] = {
            "corpus": corpus_card(corpus),
            "split": {
                name: len(part) for name, part in zip(("train", "validation", "test"), parts, strict=True)
            },
            "settings": as_dict(config),
            "batch_size": plan.batch_size,
            "command_line": shlex.join(command_line),
            "engine": engine,
            "init_from": plan.init_from,
            "changes": list(plan.changes),
            "versions": {
                "charrnn": importlib.metadata.version("charrnn"),
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }

        self._kept_loss = self._loss_of_kept_model() if plan.saved else None

    def _loss_of_kept_model(self) -> float | None:
        """Validation loss of the model in the folder, if it was measured on the same text.

        A run that stopped had a closing validation, which its checkpoint does not know.
        """
        try:
            kept = model_file.read_metadata(self._plan.folder.model)["training"]
            same = (
                kept["corpus"]["sha256"] == self.card["corpus"]["sha256"]
                and kept["split"] == self.card["split"]
            )
            return float(kept["val_loss_nats"]) if same else None
        except (ModelError, KeyError, TypeError, ValueError):
            return None

    def save_checkpoint(self, arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> None:
        plan = self._plan
        metadata = {
            "config": as_dict(plan.model),
            "vocab": plan.corpus.vocabulary.to_json(),
            "dtype": plan.config.dtype,
            "train": as_dict(plan.config),
            "batch_size": plan.batch_size,
            "threads": self._threads,
            "ranks": self._ranks,
            "progress": progress,
            "training": self.card,
        }
        checkpoint.save(plan.folder.checkpoint, arrays, metadata)
        self.saved_step = progress["step"]

    def save_model(self, network: Network, progress: dict[str, Any]) -> None:
        loss = progress["val_loss_nats"]
        if self._kept_loss is not None and (loss is None or loss >= self._kept_loss):
            return
        self._model(network, progress).save(self._plan.folder.model)

    def save_snapshot(self, network: Network, progress: dict[str, Any]) -> None:
        folder = self._plan.folder
        self._model(network, progress).save(folder.snapshot(progress["step"]))
        folder.drop_snapshots(most=self._plan.config.snapshots)  # once the new one is on the disk

    def _model(self, network: Network, progress: dict[str, Any]) -> Model:
        losses = {name: progress[name] for name in ("step", "seconds", "train_loss_nats", "val_loss_nats")}
        return Model.of_network(network, self._plan.corpus.vocabulary, {**self.card, **losses})

    def add_report(self, report: Report) -> None:
        self._plan.folder.append_metrics(asdict(report))

    def add_sample(self, sample: Sample) -> None:
        self._plan.folder.append_sample(asdict(sample))
