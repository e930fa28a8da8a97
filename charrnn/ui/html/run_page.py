"""A run as a page: its losses, its samples, its surprise on held-out text, its gates, gradients and cells."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.files.json_value import json_value
from charrnn.interpret.findings import Inspection
from charrnn.interpret.network_flow import NetworkFlow
from charrnn.interpret.passages import Passage
from charrnn.interpret.reading import characters_of
from charrnn.interpret.run_report import RunReport, Surprises
from charrnn.interpret.saturation import LEFT, RIGHT, GateSaturation
from charrnn.model.model import Model
from charrnn.model.scores import in_bits
from charrnn.runs.card import at, recorded_settings
from charrnn.score.evaluation import Evaluation
from charrnn.ui.html.page import build_page, check_target, packed, quantised, write_page
from charrnn.ui.terminal.findings_view import explain
from charrnn.ui.terminal.gradient_flow_view import clipping_in_words
from charrnn.ui.terminal.info_view import NUMBER, rows
from charrnn.ui.terminal.saturation_view import ROLES
from charrnn.ui.terminal.training_view import duration

__all__ = ["check_target", "write_run"]

MOST_POINTS = 3000  # of a curve
MOST_SAMPLES = 200
LONGEST_SAMPLE = 2000  # characters; a run keeps 240
MOST_UNITS = 4000  # of all layers together, a dot for each gate
PER_MILLION = 1_000_000  # as which probabilities travel
ROWS_SHOWN = (
    *("model", "vocabulary", "text", "split", "saved at", "train", "validation"),
    *("run", "settings", "command", "changes"),
)
CHANGE = re.compile(r"at step (\d{1,18}): (.*)", re.DOTALL)


def write_run(target: str, report: RunReport) -> int:
    """Write the page of a run; returns its size in bytes. Raises what ``write_page`` does."""
    name = report.folder.path.resolve().name
    return write_page(target, build_page(f"Run {name}", "run", _data(report)))


def _data(report: RunReport) -> dict[str, Any]:
    info = report.info
    card = [("run", str(report.folder.path)), *rows(info, _both)]
    return {
        "verdict": None
        if info.verdict is None
        else {"sentence": info.verdict.sentence, "advice": info.verdict.advice},
        "figures": list(_figures(report)),
        "card": [row for row in card if row[0] in ROWS_SHOWN],
        "more": [row for row in card if row[0] not in ROWS_SHOWN],
        "reports": _reports(info.metrics),
        "validations": _validations(info.metrics),
        "changes": list(_changes(info.training.get("changes"))),
        "samples": _samples(report.samples),
        "text": {"name": report.held_out, "characters": report.characters, "read": report.read},
        "evaluation": _known(report.evaluation, _evaluation),
        "surprises": _known(report.surprises, lambda part: _surprises(part, report.model)),
        "gates": _known(report.gates, _gates),
        "saturated": {"left": LEFT, "right": RIGHT},
        "flow": _known(report.flow, _flow),
        "cells": _known(report.cells, lambda part: _cells(part, report.passages, report.model)),
        "causal": report.causal,
        "missing": dict(report.missing),
    }


def _known(part: Any, data: Callable[[Any], Any]) -> Any:
    return None if part is None else data(part)


def _both(nats: float) -> str:
    """A loss in bits, as everywhere on the page, and in nats."""
    return f"{in_bits(nats):.4f} bits per character, {nats:.4f} nats"


def as_json(report: RunReport) -> dict[str, Any]:
    """What the page tells of the run, for programs."""
    info = report.info
    measured = [record for record in info.metrics if record["val_loss_nats"] is not None]
    best = min(measured, key=lambda record: record["val_loss_nats"], default=None)
    last = info.metrics[-1] if info.metrics else {}
    losses = {
        "train": at(info.training, "train_loss_nats", kind=NUMBER),
        "val": None if best is None else best["val_loss_nats"],
    }
    return {
        "run": str(report.folder.path),
        **{f"{name}_loss_nats": nats for name, nats in losses.items()},
        **{f"{name}_bits_per_char": in_bits(nats) for name, nats in losses.items()},
        "best_step": None if best is None else best["step"],
        **{
            key: _number(last.get(name))
            for key, name in (("steps", "step"), ("epochs", "epoch"), ("seconds", "seconds"))
        },
        "parameters": info.parameters,
        "verdict": info.verdict,
        "text": {"name": report.held_out, "characters": report.characters, "read": report.read},
        "evaluation": _known(report.evaluation, lambda part: part.to_json()),
        "gates": report.gates,
        "flow": report.flow,
        "cells": _known(report.cells, lambda part: part.to_json()),
        "missing": dict(report.missing),
    }


def _figures(report: RunReport) -> Iterator[tuple[str, str, str]]:
    """The figures at the top: a name, a value, and a few words on it."""
    info = report.info
    measured = [record for record in info.metrics if record["val_loss_nats"] is not None]
    if measured:
        best = min(measured, key=lambda record: record["val_loss_nats"])
        nats = best["val_loss_nats"]
        yield (
            "best validation",
            f"{in_bits(nats):.3f} bits",
            f"{nats:.4f} nats, at step {best['step']:,}",
        )
    if (nats := at(info.training, "train_loss_nats", kind=NUMBER)) is not None:  # as charrnn info has it
        step = at(info.training, "step", kind=int)
        where = "" if step is None else f", before step {step:,}"
        yield "training", f"{in_bits(nats):.3f} bits", f"{nats:.4f} nats{where}"
    if info.metrics:
        last, config = info.metrics[-1], recorded_settings(info.training)
        budget = None if config is None else config.epoch_budget
        of = "" if budget is None else f" of {budget:g}"
        yield "steps", f"{last['step']:,}", f"{last['epoch']:.2f}{of} epochs"
        speed = _number(last.get("chars_per_second"))
        yield (
            "time",
            duration(last["seconds"]),
            "" if speed is None else f"{speed:,.0f} characters per second",
        )
    yield "parameters", f"{info.parameters:,}", info.config.in_words


def _reports(metrics: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """The records by name, MOST_POINTS of them at most."""
    kept = _evenly(metrics, MOST_POINTS)
    names = ("step", "epoch", "seconds", "train_loss_nats", "lr", "grad_norm", "chars_per_second")
    return {name: [_number(record.get(name)) for record in kept] for name in names}


def _validations(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The validations by name, MOST_POINTS and the best of them at most, and which is the best."""
    measured = [record for record in metrics if record["val_loss_nats"] is not None]
    best = min(measured, key=lambda record: record["val_loss_nats"], default=None)
    kept = _evenly(measured, MOST_POINTS)
    if best is not None and all(record is not best for record in kept):
        kept = sorted([*kept, best], key=measured.index)
    names = ("step", "epoch", "seconds", "val_loss_nats")
    return {
        **{name: [record[name] for record in kept] for name in names},
        "best": None if best is None else next(k for k, record in enumerate(kept) if record is best),
    }


def _evenly(records: Sequence[Any], most: int) -> list[Any]:
    """The first, the last, and others evenly spread between them."""
    if len(records) <= most:
        return list(records)
    return [records[k] for k in np.linspace(0, len(records) - 1, most).astype(int)]


def _changes(changes: Any) -> Iterator[dict[str, Any]]:
    for change in changes if isinstance(changes, list) else ():
        if match := CHANGE.fullmatch(str(change)):
            yield {"step": int(match[1]), "what": match[2]}


def _samples(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    whole = [one for one in samples if isinstance(one.get("text"), str)]
    return {
        "count": len(whole),
        "shown": [
            {
                "step": one["step"],
                "nats": _number(one.get("val_loss_nats")),
                "text": one["text"][:LONGEST_SAMPLE],
            }
            for one in _evenly(whole, MOST_SAMPLES)
        ],
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    losses = {"model": evaluation.loss_nats, **evaluation.baselines}
    return {"characters": evaluation.chars, "nats": {name: _number(nats) for name, nats in losses.items()}}


def _surprises(part: Surprises, model: Model) -> dict[str, Any]:
    return {
        "text": part.text,
        "start": part.start,
        "bits": [_rounded(value) for value in part.bits],
        "ranks": packed(part.ranks),
        "symbols": characters_of(model.vocab),
        "each": part.guesses.shape[1],
        "best": packed(part.guesses),
        "probabilities": packed(np.rint(PER_MILLION * np.nan_to_num(part.probabilities)).astype(int)),
    }


def _gates(gates: Sequence[GateSaturation]) -> list[dict[str, Any]]:
    """Each gate with its units, MOST_UNITS of all layers at most, evenly chosen; means are of all."""
    layers = 1 + max(gate.layer for gate in gates)
    hidden = len(gates[0].left)
    every = -(-layers * hidden // MOST_UNITS)
    units = np.arange(0, hidden, every)
    return [
        {
            "layer": gate.layer,
            "gate": gate.gate,
            "role": ROLES[gate.gate],
            "units": units.tolist(),
            "hidden": hidden,
            "left": np.round(gate.left[units], 4).tolist(),
            "right": np.round(gate.right[units], 4).tolist(),
            "mean": {"left": float(gate.left.mean()), "right": float(gate.right.mean())},
        }
        for gate in gates
    ]


def _flow(part: NetworkFlow) -> dict[str, Any]:
    measured = json_value(part)
    arrays = ("h",) if measured["c"] is None else ("h", "c")
    return {
        "places": measured["places"],
        **{name: [[_number(value) for value in layer] for layer in measured[name]] for name in arrays},
        "factors": {
            name: [part.factor(name, layer) for layer in range(part.config.layers)] for name in arrays
        },
        "radii": [
            {gate: _number(rho) for gate, rho in layer.items()} for layer in measured["spectral_radii"]
        ],
        "clipping": clipping_in_words(part.clipping),
    }


def _cells(part: Inspection, passages: Mapping[int, Passage], model: Model) -> dict[str, Any]:
    return {
        "signal": "tanh(c)" if model.config.cell == "lstm" else "h",
        "findings": [
            {
                **finding.to_json(),
                "says": explain(finding),
                "passage": _passage(passages[place]) if place in passages else None,
            }
            for place, finding in enumerate(part.findings)
        ],
        "refused": [{"concept": one.concept, "reason": one.reason} for one in part.refusals],
        "notes": list(part.notes),
    }


def _passage(passage: Passage) -> dict[str, Any]:
    signal = quantised(passage.signal[None], np.array([passage.scale]))[0]
    labels = None
    if passage.values is not None and passage.mask is not None:
        labels = packed(np.where(passage.mask, passage.values.astype(int), -1))
    return {
        "text": passage.text,
        "start": passage.start,
        "scale": _number(passage.scale),
        "signal": packed(signal),
        "labels": labels,
        "highest": passage.highest,
    }


def _number(value: Any) -> float | None:
    """A number as it is; None in place of anything else, infinities and NaN."""
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if plain else None


def _rounded(bits: float) -> float | None:
    return round(float(bits), 3) if np.isfinite(bits) else None
