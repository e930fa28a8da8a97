"""The run folder as an observer: where a run leaves its checkpoints, models and records."""

import math
import platform
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import as_dict
from charrnn.errors import CharRNNError, ModelError
from charrnn.files.writing import Folder
from charrnn.install.version import __version__
from charrnn.model import model_file
from charrnn.model.model import Model, load_model
from charrnn.nn.network import Network
from charrnn.runs import checkpoint as checkpoints
from charrnn.runs.folder import CHECKPOINT, MODEL, RESCUE
from charrnn.runs.records import Progress, Report, Sample
from charrnn.runs.yardstick import Yardstick
from charrnn.score import temperature
from charrnn.score.scoring import mean_loss
from charrnn.text.batches import predictions, size_of
from charrnn.training.bounds import corpus_card
from charrnn.training.observers import Observer
from charrnn.training.plan import Plan

LONGEST_COMMAND = 1 << 14  # characters of it that a model's card tells; a shell's pattern may name all files


class RunStore(Observer):
    """Writes into the run folder what must not be lost.

    yardstick : what simple models make of the validation text, for the model card
    """

    def __init__(
        self, plan: Plan, command_line: Sequence[str] = (), yardstick: Yardstick | None = None
    ) -> None:
        self._plan = plan
        self.rescued: Path | None = None  # the checkpoint, where its usual name could not be written
        self._card: dict[str, Any] = {
            "corpus": corpus_card(plan.corpus),
            "split": plan.split_card(),
            "settings": as_dict(plan.config),
            "batch_size": plan.batch_size,
            "command_line": shlex.join(command_line)[:LONGEST_COMMAND],
            "engine": "",
            "init_from": plan.init_from,
            "changes": list(plan.changes),
            "versions": {
                "charrnn": __version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }
        if yardstick is not None:
            self._card["simple_models"] = asdict(yardstick)
        if plan.padding is not None:
            self._card["padding"] = plan.padding
        if plan.validates_in_part:
            self._card["validation_part"] = {"symbols": size_of(plan.validation_part)}

    def begin(self, plan: Plan, engine: str) -> None:
        """Remove what was written after the checkpoint to go on from."""
        self._card["engine"] = engine
        progress = Progress(**plan.saved[0]["progress"]) if plan.saved else Progress()
        plan.folder.truncate_metrics(progress.reports)
        plan.folder.truncate_samples(progress.samples)
        plan.folder.drop_snapshots(most=plan.config.snapshots, after=progress.step)

    def checkpoint(self, arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> None:
        plan = self._plan
        metadata = {
            "config": as_dict(plan.model),
            "vocab": plan.corpus.vocabulary.to_json(),
            "dtype": plan.config.dtype,
            "train": as_dict(plan.config),
            "batch_size": plan.batch_size,
            "threads": plan.threads,
            "ranks": plan.processes,
            "progress": progress,
            "training": self._card,
        }
        folder = plan.folder
        folder.check_alone()
        try:
            checkpoints.save(folder.checkpoint, arrays, metadata, folder=folder.held)
        except CharRNNError as error:
            with suppress(CharRNNError, OSError):
                self._rescue(arrays, metadata)
            raise error

    def _rescue(self, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Save the checkpoint under another name; where the folder was deleted, in a new one in its place."""
        folder = self._plan.folder
        try:
            file = folder.held.where() / RESCUE
            checkpoints.save(file, arrays, metadata, folder=folder.held)
        except FileNotFoundError:
            folder.path.mkdir(parents=True)
            file = folder.checkpoint
            with Folder.opened(folder.path) as again:
                checkpoints.save(file, arrays, metadata, folder=again)
        self.rescued = file

    @property
    def intact_step(self) -> int | None:
        """The step of the checkpoint that is in the folder and reads back; None where there is none."""
        try:
            file = self._plan.folder.place / CHECKPOINT
            return int(model_file.read_metadata(file)["progress"]["step"])
        except (ModelError, KeyError, TypeError, ValueError):
            return None

    def model(self, network: Network, progress: dict[str, Any]) -> None:
        folder = self._plan.folder
        folder.check_alone()
        self._model(network, progress).save(folder.model, folder=folder.held)

    def snapshot(self, network: Network, progress: dict[str, Any]) -> None:
        folder = self._plan.folder
        with folder.open_snapshots() as snapshots:
            self._model(network, progress).save(folder.snapshot(progress["step"]), folder=snapshots)
        folder.drop_snapshots(most=self._plan.config.snapshots)  # once the new one is on the disk

    def _model(self, network: Network, progress: dict[str, Any]) -> Model:
        losses = {name: progress[name] for name in ("step", "seconds", "train_loss_nats", "val_loss_nats")}
        card = {**self._card, **losses}
        if "validation_part" in card:
            card["validation_part"] = {**card["validation_part"], "val_loss_nats": card["val_loss_nats"]}
        return Model.of_network(network, self._plan.corpus.vocabulary, card)

    def close(self) -> float | None:
        """Put into the kept model's card what is measured at the end of a run: the temperature that fits the text of
        the validations, and the loss on the whole validation text where that was a part of it. Returns this loss."""
        plan, folder = self._plan, self._plan.folder
        if not predictions(plan.validation_part) or not (folder.place / MODEL).exists():
            return None
        model = load_model(folder.place / MODEL)
        card = {**model.training, "temperature": temperature.fitted(model.network, plan.validation_part)}
        whole = None
        if plan.validates_in_part and math.isfinite(loss := mean_loss(model.network, plan.parts.validation)):
            card["val_loss_nats"] = whole = loss
        if card != model.training:
            Model.of_network(model.network, model.vocab, card).save(folder.model, folder=folder.held)
        return whole

    def report(self, report: Report, is_best: bool) -> None:
        self._plan.folder.append_metrics(asdict(report))

    def sample(self, sample: Sample) -> None:
        self._plan.folder.append_sample(asdict(sample))
