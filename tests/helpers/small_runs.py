"""Small training runs for the tests, and what must be the same of two runs that are to be equal."""

import random
import signal
from pathlib import Path
from typing import Any

from charrnn.model.model import load_model
from charrnn.runs import checkpoint
from charrnn.runs.folder import RunFolder
from charrnn.training.observers import Observer
from charrnn.training.plan import Plan
from charrnn.training.result import TrainResult
from charrnn.training.session import train

WORDS = [
    "sea",
    "lay",
    "flat",
    "and",
    "grey",
    "[and]",
    "nobody",
    "quay",
    "/a",
    "word/",
    "not",
    "even",
    "their",
    "dog",
]
TIMES = {"seconds", "validation_seconds", "chars_per_second"}

# 3 streams of 5 characters and a text of about 600: an epoch is some 35 steps.
SETTINGS: dict[str, Any] = {
    "layers": 2,
    "hidden": 6,
    "batch_size": 3,
    "seq_length": 5,
    "warmup_steps": 3,
    "dropout": 0.3,
    "eval_every": 15,
    "threads": 1,
    "backend": "numpy",  # compiling would take longer than the runs
}


def write_text(path: Path, words: int = 130, seed: int = 1) -> Path:
    """Words in a random order, ten a line."""
    chosen = random.Random(seed).choices(WORDS, k=words)
    path.write_text("\n".join(" ".join(chosen[n : n + 10]) for n in range(0, words, 10)), encoding="utf-8")
    return path


class Recorder(Observer):
    """An observer that remembers what it was told, and sends this process a signal after some step."""

    def __init__(self, interrupt_after: int | None = None, number: int = signal.SIGINT) -> None:
        self.notes: list[str] = []
        self.reports: list[Any] = []
        self.plan: Plan | None = None
        self.engine = ""
        self._interrupt_after = interrupt_after
        self._number = number

    def begin(self, plan: Plan, engine: str) -> None:
        self.plan, self.engine = plan, engine

    def note(self, message: str) -> None:
        self.notes.append(message)

    def report(self, report: Any, is_best: bool) -> None:
        self.reports.append(report)
        if report.step == self._interrupt_after:
            signal.raise_signal(self._number)


def run(corpus: Path, out: Path, **settings: Any) -> TrainResult:
    return train(corpus, out=out, **(SETTINGS | settings))


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in TIMES}


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run left but its times, each array as its bytes."""
    metadata, arrays = checkpoint.load(folder / "checkpoint.safetensors")
    model = load_model(folder / "model.safetensors")
    return {
        "arrays": {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()},
        "progress": without_times(metadata["progress"]),
        "metrics": [without_times(record) for record in RunFolder(folder).read_metrics()],
        "samples": RunFolder(folder).read_samples(),
        "model": {name: tensor.tobytes() for name, tensor in model.weights.items()},
        "losses": {name: model.training[name] for name in ("step", "train_loss_nats", "val_loss_nats")},
    }


def assert_same(one: Path, other: Path) -> None:
    """Two runs left the same in all but their times."""
    first, second = outcome(one), outcome(other)
    for part in first:
        assert first[part] == second[part], part
