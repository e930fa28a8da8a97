"""A model's card, its loss curve and the verdict on its run, on a terminal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from charrnn.config import TrainConfig, as_dict
from charrnn.model.scores import in_bits
from charrnn.runs.card import Info, at
from charrnn.runs.records import curve_loss
from charrnn.runs.verdict import Verdict
from charrnn.score import temperature
from charrnn.text.vocabulary import listing
from charrnn.ui.terminal.card_view import card
from charrnn.ui.terminal.colours import BEST, TRAIN, VALIDATION
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import glyphs_of
from charrnn.ui.terminal.letters import plain
from charrnn.ui.terminal.loss_chart import loss_chart
from charrnn.ui.terminal.training_view import duration, losses, to_be_copied

CHART_ROWS = 12, 20  # at least and at most
LEAST_OF_A_CURVE = 2  # records; one would be a dot in an empty chart, and its numbers are in the card
NUMBER = (int, float)


def view(info: Info, console: Console) -> Group:
    """The card, the loss curve and the verdict."""
    parts: list[RenderableType] = [
        Text(plain(str(info.model), console), "bold", overflow="fold"),
        Text(),
        card(rows(info), console),
    ]
    if sum(record["train_loss_nats"] is not None for record in info.metrics) >= LEAST_OF_A_CURVE:
        parts += [Text(), curve(info.metrics, console)]
    if info.verdict is not None:
        parts += [Text(), verdict_text(info.verdict, console)]
    return Group(*parts)


def rows(info: Info, losses: Callable[[float], str] = losses) -> Iterator[tuple[str, str]]:
    """The card: every line for which the file has a value. losses : writes a loss in nats in words"""
    yield "model", f"{info.config.in_words}, {info.parameters:,} parameters, {info.dtype}"
    yield "vocabulary", info.symbols
    yield from _of_text(info.training, "bytes" if info.level == "byte" else "characters")
    yield from _of_training(info.training, losses)
    if snapshots := info.snapshots:
        steps = ", ".join(f"{int(file.stem):,}" for file in snapshots)
        yield "snapshots", f"{len(snapshots)}, of step {steps}; together: --model {snapshots[0].parent}"
    yield from _of_making(info.training)


def _of_text(training: Mapping[str, Any], symbols: str) -> Iterator[tuple[str, str]]:
    """The lines on the training text; `symbols` are characters or bytes."""
    items = at(training, "corpus", "items", kind=int)
    if name := at(training, "corpus", "name", kind=str):
        count = at(training, "corpus", "symbols", kind=int)
        if items is not None:
            yield "text", f"{name}, {items:,} items"
        else:
            yield "text", name + ("" if count is None else f", {count:,} {symbols}")
    for column, counts in (at(training, "corpus", "label_counts", kind=dict) or {}).items():
        yield "labels", f"{column}: {_most_frequent(counts)}"
    if parts := at(training, "split", kind=dict):
        sizes = [(part, at(parts, part, kind=int)) for part in ("train", "validation", "test")]
        split = " · ".join(f"{size:,} {part}" for part, size in sizes if size)
        yield "split", split + (f" {symbols}, ends included" if items is not None else "")
    if (padding := at(training, "padding", kind=float)) is not None:
        yield "padding", f"{padding:.1%} of the places in batches"
    if sources := at(training, "corpus", "sources", kind=list):
        yield (
            "from",
            "\n".join(map(str, sources[:5])) + (f"\n… {len(sources) - 5} more" if len(sources) > 5 else ""),
        )
    if sha256 := at(training, "corpus", "sha256", kind=str):
        yield "sha256", sha256


def _of_training(training: Mapping[str, Any], losses: Callable[[float], str]) -> Iterator[tuple[str, str]]:
    """The lines on how far the training came."""
    if started := at(training, "init_from", "path", kind=str):
        yield "fine-tuned", f"from {started}"
    if (step := at(training, "step", kind=int)) is not None:
        seconds = at(training, "seconds", kind=NUMBER)
        yield "saved at", f"step {step:,}" + ("" if seconds is None else f", after {duration(seconds)}")
    for name, key in (("train", "train_loss_nats"), ("validation", "val_loss_nats")):
        if (loss := at(training, key, kind=NUMBER)) is not None:
            yield name, losses(loss)
    if (fitted := temperature.of_card(training)) is not None:
        yield "temperature", f"{fitted:.3f} fits the validation text best"
    part = at(training, "validation_part", "symbols", kind=int), curve_loss(training)
    if isinstance(part[1], NUMBER) and part[0] is not None:
        yield (
            "on a part",
            f"{losses(part[1])}, on {part[0]:,} symbols from all parts of it, as in the curve below",
        )


def _of_making(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines on settings, commands and versions."""
    if changed := at(training, "settings", kind=dict):
        yield "settings", "; ".join(_unlike_defaults(changed)) or "all defaults"
    if command := at(training, "command_line", kind=str):
        yield "command", command
    if changes := at(training, "changes", kind=list):
        yield "changes", "\n".join(map(str, changes))
    if edits := at(training, "edits", kind=list):
        yield "edited", "\n".join(map(str, edits)) + "\nafter training: the losses are those before"
    if versions := at(training, "versions", kind=dict):
        yield "made with", ", ".join(f"{name} {version}" for name, version in versions.items())


def _most_frequent(counts: Any) -> str:
    """The most frequent labels of a card, with their counts."""
    counted = counts.items() if isinstance(counts, dict) else ()
    known = [(label, count) for label, count in counted if type(count) is int]
    return listing([f"{label} {count:,}" for label, count in sorted(known, key=lambda one: -one[1])], 20)


def _unlike_defaults(settings: Mapping[str, Any]) -> Iterator[str]:
    defaults = as_dict(TrainConfig())
    for name, value in settings.items():
        if name not in defaults or value != defaults[name]:
            default = "" if defaults.get(name) in (None, "") else f" (default {defaults[name]})"
            yield f"{name.replace('_', ' ')} {value}{default}"


def curve(metrics: Sequence[Mapping[str, Any]], console: Console) -> Text:
    """The loss curve with its legend; at least one record has a train loss."""
    train = [(r["step"], r["train_loss_nats"]) for r in metrics if r["train_loss_nats"] is not None]
    validation = [(r["step"], r["val_loss_nats"]) for r in metrics if r["val_loss_nats"] is not None]
    glyphs = glyphs_of(console)
    height = min(CHART_ROWS[1], max(CHART_ROWS[0], console.height // 2))
    line = glyphs.cell({(0, 1), (1, 1)}) * 2
    legend = Text.assemble((line, TRAIN), f" train {train[-1][1]:.3f}", overflow="fold")
    if validation:
        step, best = min(validation, key=lambda point: point[1])
        legend.append("  ")
        legend.append(glyphs.validation, VALIDATION)
        legend.append(f" validation {validation[-1][1]:.3f}  ")
        legend.append(glyphs.best, BEST)
        legend.append(f" best {best:.3f} at step {step:,}")
    return Text("\n").join(
        [
            Text(
                "loss: nats/char left, bits/char right; steps below" if console.width >= 60 else "nats/char",
                "dim",
            ),
            loss_chart(train, validation, min(console.width, 120), height, glyphs),
            legend,
        ]
    )


def verdict_text(verdict: Verdict, console: Console) -> Group:
    """The verdict and, below it, the advice."""
    style = "bold green" if verdict.kind == "still improving" else "bold yellow"
    return Group(Text(plain(verdict.sentence, console), style), to_be_copied(plain(verdict.advice, console)))


def as_json(info: Info) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "model": info.model,
        "config": as_dict(info.config),
        "dtype": info.dtype,
        "level": info.level,
        "vocabulary": info.vocabulary,
        "parameters": info.parameters,
        "val_bits_per_char": in_bits(at(info.training, "val_loss_nats", kind=NUMBER)),
        "training": info.training,
        "metrics": info.metrics,
        "snapshots": info.snapshots,
        "verdict": info.verdict,
    }
