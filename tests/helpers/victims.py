"""A run folder with a model whose card a test can forge."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import TrainConfig, as_dict
from charrnn.text.corpus import read_corpus
from helpers.random_models import random_model

small_model = partial(random_model, hidden=4, layers=1)

TEXT = "abc def\n\nbad cab\nh\nface [a] fad\nabc def\n" * 20


def card_of(corpus: Path) -> dict[str, Any]:
    """What a run on this text says of itself."""
    text = read_corpus(corpus)
    validation = round(len(text.ids) * 0.1)
    return {
        "corpus": {
            "name": text.name,
            "sources": [str(corpus.absolute())],
            "sha256": text.sha256,
            "symbols": len(text.ids),
        },
        "split": {"train": len(text.ids) - validation, "validation": validation, "test": 0},
        "settings": as_dict(TrainConfig()),
        "batch_size": 1,
        "command_line": f"charrnn train {corpus}",
        "engine": "numpy",
        "init_from": None,
        "changes": [],
        "versions": {"charrnn": "0.1.0", "numpy": np.__version__, "python": "3.11"},
        "step": 3,
        "seconds": 1.5,
        "train_loss_nats": 2.5,
        "val_loss_nats": 2.4,
    }


REPORTS = [
    {
        "step": step,
        "epoch": step / 10,
        "seconds": step / 2,
        "train_loss_nats": 3 - step / 10,
        "val_loss_nats": 3.1 - step / 10 if step % 2 else None,
        "lr": 0.1,
        "grad_norm": 1.0,
        "chars_per_second": 100.0,
    }
    for step in range(1, 10)
]
SAMPLES = [{"step": 1, "text": "abc"}, {"step": 3, "text": "def"}]


def run_folder(folder: Path, text: str = TEXT, card: dict[str, Any] | None = None) -> Path:
    """A run folder beside its text, as a short run would leave it (but for the checkpoint); returns its path.

    card : replaces parts of the model's card
    """
    corpus = folder.with_suffix(".txt")
    corpus.write_text(text, encoding="utf-8")
    folder.mkdir()
    small_model(text, card_of(corpus) | (card or {})).save(folder / "model.safetensors")
    write_lines(folder / "metrics.jsonl", REPORTS)
    write_lines(folder / "samples.jsonl", SAMPLES)
    return folder


def write_lines(file: Path, records: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def commands(run: Path) -> list[list[Any]]:
    """Each way to show something of a run, where its text lies beside it."""
    text, model = run.with_suffix(".txt"), ["--model", run]
    long = run.with_suffix(".long.txt")
    long.write_text(text.read_text(encoding="utf-8") * 4, encoding="utf-8")
    look = ["inspect-cells", *model, "--text", long, "--no-causal", "--concept", "line_pos"]
    return [
        ["eval", text, *model],
        ["eval", "--split", "validation", *model, "--json"],
        ["eval", text, *model, "--per-line"],
        ["eval", text, *model, "--highlight"],
        ["info", *model],
        ["info", *model, "--json"],
        ["export", "--to", "torch", *model],
        ["gradient-flow", "--distance", 5, *model],
        ["gradcheck", "--samples", 2, *model],
        ["automaton", *model, "--text", long, "--allowed", 0.01, "--out", run.parent / "machine.svg"],
        ["automaton", *model, "--text", long, "--json"],
        ["fixed-points", *model, "--text", long, "--starts", 10, "--out", run.parent / "points.svg"],
        look,
        [*look, "--json"],
        ["inspect-cells", *model, "--gates", "--text", long],
        ["inspect-cells", *model, "--cell", "0:1"],
        ["inspect-cells", "--list"],
        ["why", f"@{text}", "--context", 20, *model],
        ["why", f"@{text}", "--context", 20, "--json", *model],
        ["report", run, "--html", run.parent / "page.html"],
        ["sample", "--length", 200, "--novelty", "--seed", 1, *model],
        ["sample", "--length", 200, "--count", 2, *model],
        ["sample", "--length", 200, "--beam", 2, "--json", *model],
        ["corpus"],
    ]
