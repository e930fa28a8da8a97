"""Where a run leaves its checkpoints, models and records: its folder, as the training loop sees it."""

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
from charrnn.files import Folder
from charrnn.model import model_file
from charrnn.model.model import Model, load_model
from charrnn.nn.network import Network
from charrnn.runs import checkpoint
from charrnn.runs.folder import CHECKPOINT, RESCUE
from charrnn.runs.records import Kept, Report, Sample, curve_loss
from charrnn.runs.yardstick import Yardstick
from charrnn.score.scoring import mean_loss
from charrnn.text.batches import split
from charrnn.training.bounds import corpus_card
from charrnn.training.plan import Plan
from charrnn.version import __version__

LONGEST_COMMAND = 1 << 14  # characters of it that a model's card tells; a shell's pattern may name all files


class RunStore:
    """The run folder as the training loop sees it."""

    def __init__(
        self,
        plan: Plan,
        threads: int,
        ranks: int,
        engine: str,
        command_line: Sequence[str],
        yardstick: Yardstick | None = None,
    ) -> None:
        self._plan = plan
        self._threads = threads
        self._ranks = ranks
        self.rescued: Path | None = None  # the checkpoint, where its usual name could not be written
        config, corpus = plan.config, plan.corpus
        parts = split(corpus.ids, config.val_fraction, config.test_fraction)
        self.card: dict[str, Any] = {
            "corpus": corpus_card(corpus),
            "split": {
                name: len(part) for name, part in zip(("train", "validation", "test"), parts, strict=True)
            },
            "settings": as_dict(config),
            "batch_size": plan.batch_size,
            "command_line": shlex.join(command_line)[:LONGEST_COMMAND],
            "engine": engine,
            "init_from": plan.init_from,
            "changes": list(plan.changes),
            "versions": {
                "charrnn": __version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }
        if yardstick is not None:
            self.card["simple_models"] = asdict(yardstick)

    def kept(self) -> Kept | None:
        """The validation that the model in the folder is of, if it was made on the same text."""
        try:
            card = model_file.read_metadata(self._plan.folder.model)["training"]
            same = (
                card["corpus"]["sha256"] == self.card["corpus"]["sha256"]
                and card["split"] == self.card["split"]
            )
            return Kept(int(card["step"]), float(curve_loss(card))) if same else None
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
        folder = plan.folder
        folder.check_alone()
        try:
            checkpoint.save(folder.checkpoint, arrays, metadata, folder=folder.held)
        except CharRNNError as error:
            with suppress(CharRNNError, OSError):
                self._rescue(arrays, metadata)
            raise error

    def _rescue(self, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Save the checkpoint under another name; where the folder was deleted, in a new one in its place."""
        folder = self._plan.folder
        try:
            file = folder.held.where() / RESCUE
            checkpoint.save(file, arrays, metadata, folder=folder.held)
        except FileNotFoundError:
            folder.path.mkdir(parents=True)
            file = folder.checkpoint
            with Folder.opened(folder.path) as again:
                checkpoint.save(file, arrays, metadata, folder=again)
        self.rescued = file

    @property
    def intact_step(self) -> int | None:
        """The step of the checkpoint that is in the folder and reads back; None where there is none."""
        try:
            file = self._plan.folder.place / CHECKPOINT
            return int(model_file.read_metadata(file)["progress"]["step"])
        except (ModelError, KeyError, TypeError, ValueError):
            return None

    def save_model(self, network: Network, progress: dict[str, Any]) -> None:
        folder = self._plan.folder
        folder.check_alone()
        self._model(network, progress).save(folder.model, folder=folder.held)

    def save_snapshot(self, network: Network, progress: dict[str, Any]) -> None:
        folder = self._plan.folder
        with folder.open_snapshots() as snapshots:
            self._model(network, progress).save(folder.snapshot(progress["step"]), folder=snapshots)
        folder.drop_snapshots(most=self._plan.config.snapshots)  # once the new one is on the disk

    def _model(self, network: Network, progress: dict[str, Any]) -> Model:
        losses = {name: progress[name] for name in ("step", "seconds", "train_loss_nats", "val_loss_nats")}
        card = {**self.card, **losses}
        if "validation_part" in card:
            card["validation_part"] = {**card["validation_part"], "val_loss_nats": card["val_loss_nats"]}
        return Model.of_network(network, self._plan.corpus.vocabulary, card)

    def measure_whole(self, validation: np.ndarray) -> None:
        """Give the kept model's card its loss on the whole validation text, beside that on a part of it."""
        model = load_model(self._plan.folder.model)
        loss = mean_loss(model.network, validation)
        if math.isfinite(loss):
            card = {**model.training, "val_loss_nats": loss}
            Model.of_network(model.network, model.vocab, card).save(self._plan.folder.model)

    def add_report(self, report: Report) -> None:
        self._plan.folder.append_metrics(asdict(report))

    def add_sample(self, sample: Sample) -> None:
        self._plan.folder.append_sample(asdict(sample))
