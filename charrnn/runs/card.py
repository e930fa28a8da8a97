"""Facts about a model, from its file and the run folder around it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.model.model import Model, load_model
from charrnn.runs.folder import RunFolder, snapshot_files
from charrnn.runs.verdict import Unit, Verdict, is_number, judge, with_kept
from charrnn.runs.yardstick import Yardstick

NULLABLE = ("train_loss_nats", "val_loss_nats")


@dataclass(frozen=True)
class Info:
    """A model without its weights.

    symbols : the kinds of its vocabulary in words
    training : its card, as in the file; untrusted, since whoever made the file may have put anything there
    metrics : the well-formed records of its run, if they are in the same folder, and this model's validation
        if they lack it
    snapshots : the files of its run's snapshots, oldest first
    """

    model: Path
    config: ModelConfig
    dtype: str
    level: str
    vocabulary: int
    symbols: str
    parameters: int
    training: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    verdict: Verdict | None
    snapshots: Sequence[Path] = ()


def read_info(path: str | os.PathLike[str], unit: Unit = "nats") -> Info:
    """All facts about the model file at `path`; unit : of the verdict. Raises ModelError if the file is not valid."""
    path = Path(path)
    model = load_model(path)
    info = info_of(model)
    card = model.training
    folder = RunFolder(path.parent)
    reports = [record for record in folder.read_metrics() if _is_report(record)]
    records = with_kept(reports, card)
    verdict = None
    characters, config = at(card, "split", "train", kind=int), recorded_settings(card)
    if records and config is not None and characters is not None and characters > 0:
        sources = at(card, "corpus", "sources", kind=list) or []
        verdict = judge(
            records,
            parameters=info.parameters,
            characters=characters,
            model=model.config,
            config=config,
            yardstick=Yardstick.from_card(at(card, "simple_models", kind=dict)),
            unit=unit,
            resume=folder.command_to_resume([name for name in sources if isinstance(name, str)]),
        )
    snapshots = snapshot_files(folder.snapshots)
    return replace(info, model=path, metrics=records, verdict=verdict, snapshots=snapshots)


def info_of(model: Model) -> Info:
    """What a model in memory knows of itself, without the records of its run."""
    return Info(
        Path(),
        model.config,
        model.network.theta.dtype.name,
        model.vocab.level,
        len(model.vocab),
        model.vocab.in_words,
        model.network.theta.size,
        model.training,
        (),
        None,
    )


def at(card: Mapping[str, Any], *keys: str, kind: type | tuple[type, ...]) -> Any:
    """The value at card[keys[0]][keys[1]]…, or None if there is none of this kind."""
    value: Any = card
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def recorded_settings(card: Mapping[str, Any]) -> TrainConfig | None:
    """The training settings of a card, or None if they are missing or invalid."""
    try:
        return TrainConfig(**at(card, "settings", kind=dict))
    except (TypeError, UsageError):
        return None


def _is_report(record: Mapping[str, Any]) -> bool:
    """Whether a line of metrics.jsonl has the numbers of a report; train and validation loss may be null."""
    return record["step"] >= 0 and all(
        is_number(record.get(name)) or (name in record and name in NULLABLE and record[name] is None)
        for name in ("step", "epoch", "seconds", *NULLABLE)
    )
