"""Findings as a page: a table of them, and the text they were confirmed on, cell by cell."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import DataError, UsageError
from charrnn.files.json_value import json_value
from charrnn.interpret.excerpt import GUESSES, Excerpt, Span, choose_pieces, read_excerpt
from charrnn.interpret.findings import Inspection, Preview, usual_concepts
from charrnn.interpret.labels import Concept, Label
from charrnn.interpret.mechanism import Explanation
from charrnn.interpret.over_time import Moment
from charrnn.interpret.passages import of_findings
from charrnn.interpret.reading import Reading, characters_of, reading_of
from charrnn.interpret.recording import WARM_UP, Recording, record
from charrnn.interpret.saturation import LEFT, RIGHT, SIGMOIDS, gate_saturation
from charrnn.model.model import Model
from charrnn.runs.card import read_info
from charrnn.text.items import Items
from charrnn.ui.html.mechanism_page import SHARED, mechanism_data
from charrnn.ui.html.page import (
    MOST_BYTES,
    build_page,
    check_target,
    embedded,
    packed,
    quantised,
    write_page,
)
from charrnn.ui.terminal.findings_view import explain
from charrnn.ui.terminal.info_view import rows
from charrnn.ui.terminal.saturation_view import ROLES

__all__ = ["check_target", "write_cell", "write_findings"]

MOST_SHOWN = 20_000  # characters: more are slow to colour
FEWEST_SHOWN = 60
MOST_DETAILED = 40  # cells with their gates
FOR_THE_SHELL = 300_000  # bytes for style, script and the layout of the data
ROWS_SHOWN = ("model", "vocabulary", "text", "split", "saved at", "train", "validation")


def write_findings(
    target: str,
    file: Path,
    model: Model,
    inspection: Inspection,
    passages: int,
    moments: Sequence[Moment] = (),
    mechanisms: Sequence[Explanation | None] = (),
) -> int:
    """Write the page of an inspection: all that the terminal shows, and the text to explore. Returns its size in bytes.

    file : the model's; passages : number of findings whose passages, as on the terminal, are on the page for
        certain; other text they were confirmed on fills the rest
    moments : the findings in the snapshots of the model's run; mechanisms : of each finding's cell, where known

    Raises UsageError for a model of so many cells that no page can hold them, and the errors of ``write_page``.
    """
    r = inspection.recording
    found = [
        {**f.to_json(), "says": explain(f), "profile": [_plain(v) for v in f.profile]}
        for f in inspection.findings
    ]
    shown = of_findings(model, inspection, passages).values()
    spans = [(p.start, p.start + len(p.text)) for pair in shown for p in pair]
    labels = [(preview, inspection.labels[preview.concept]) for preview in inspection.previews]
    chosen = list(dict.fromkeys(f.layer * r.hidden + f.cell for f in inspection.findings))[:MOST_DETAILED]
    facts = {
        **_facts(file, model, r),
        "findings": found,
        "refused": [{"concept": one.concept, "reason": one.reason} for one in inspection.refusals],
        "notes": list(inspection.notes),
        "over_time": json_value(list(moments)),
        "mechanisms": [one and mechanism_data(one) for one in mechanisms],
        "start": {"finding": 0} if found else {"cell": 0},
        "part": "confirm",
    }
    data = facts | _explorer(model, r, r.confirm, spans, labels, chosen, _room(facts))
    return write_page(target, build_page("Cells and what they follow", "findings", data, shared=[SHARED]))


def write_cell(
    target: str,
    file: Path,
    model: Model,
    text: str | Items,
    cell: tuple[int, int],
    concepts: Sequence[Concept] | None = None,
) -> int:
    """Write the page of any text, from its beginning, with no findings and one cell picked. Returns its size in bytes.

    file : the model's; cell : layer and cell; concepts : labels to show, by default all built-in ones but controls

    Raises UsageError for a model of so many cells that no page can hold them, DataError for an empty text
    and for characters the model does not know, and what ``write_page`` raises.
    """
    if not len(text):
        raise DataError("the text is empty; there is nothing to show")
    recording = record(model, reading_of(model, text, MOST_SHOWN))
    labels = []
    for concept in usual_concepts(recording) if concepts is None else concepts:
        label = concept.label_of(recording)
        on = label.values[label.mask] > 0
        if on.any():
            preview = Preview(concept.name, concept.rule, float(on.mean()), (), concept.user_defined)
            labels.append((preview, label))
    layer, unit = cell
    index = layer * recording.hidden + unit
    facts = {
        **_facts(file, model, recording),
        "findings": [],
        "refused": [],
        "notes": [],
        "over_time": [],
        "mechanisms": [],
        "start": {"cell": index},
        "part": "whole",
    }
    whole = slice(0, len(recording.text))
    data = facts | _explorer(model, recording, whole, [], labels, [index], _room(facts))
    return write_page(target, build_page(f"Cell {layer}:{unit}", "findings", data, shared=[SHARED]))


def _facts(file: Path, model: Model, reading: Reading) -> dict[str, Any]:
    """The model's card, and the saturation of its gates if the text is long enough."""
    card = list(rows(read_info(file)))
    has_gates = SIGMOIDS[model.config.cell] and (reading.begins is not None or len(reading.text) > WARM_UP)
    return {
        "model": str(file),
        "card": [row for row in card if row[0] in ROWS_SHOWN],
        "more": [row for row in card if row[0] not in ROWS_SHOWN],
        "gates": [
            {**gate.to_json(), "role": ROLES[gate.gate]}
            for gate in (gate_saturation(model, reading) if has_gates else ())
        ],
        "saturated": {"left": LEFT, "right": RIGHT},
    }


def _explorer(
    model: Model,
    recording: Recording,
    part: slice,
    wanted: Sequence[Span],
    labels: Sequence[tuple[Preview, Label]],
    chosen: Sequence[int],
    room: int,
) -> dict[str, Any]:
    """The text shown with the signal of every cell, rounded to int8, its labels and guesses.

    It takes ``room`` bytes at most, by the length of the text shown.
    """
    gates = {"lstm": 5, "gru": 3, "rnn": 0}[model.config.cell]  # rows a chosen cell takes
    values = len(recording.signals) + gates * len(chosen) + 2 * len(labels) + 3 * GUESSES
    spelled = len(embedded({"text": recording.text[part]})) / max(1, part.stop - part.start)
    most = min(MOST_SHOWN, int(room / (4 / 3 * values + spelled)))  # base64
    if most < FEWEST_SHOWN:
        raise UsageError(
            f"--html: with {values:,} values per character, a page of {MOST_BYTES / 1e6:.0f} MB holds hardly any "
            "text. Leave --html out for a model of this size, or lower --top"
        )
    pieces = choose_pieces(part, wanted, most)
    excerpt = read_excerpt(model, recording, pieces, chosen)
    scales = np.max(np.abs(recording.signals), axis=1, initial=0, where=np.isfinite(recording.signals))
    shown = recording.signals[:, excerpt.places]
    return {
        "text": "".join(recording.text[a:b] for a, b in pieces),
        "pieces": [list(piece) for piece in pieces],
        "whole": part.stop - part.start,
        "begins": part.start,
        "cells": {
            "layers": model.config.layers,
            "hidden": model.config.hidden,
            "signal": "tanh(c)" if model.config.cell == "lstm" else "h",
            "scales": [float(f"{scale:.6g}") for scale in scales],
            "values": packed(quantised(shown, scales)),
        },
        "details": _details(excerpt),
        "guesses": {
            "symbols": characters_of(model.vocab),
            "each": excerpt.guesses.shape[1],
            "best": packed(excerpt.guesses),
            "percent": packed(np.rint(100 * np.nan_to_num(excerpt.probabilities)).astype(int)),
        },
        "concepts": [
            {
                "name": preview.concept,
                "rule": preview.rule,
                "prevalence": preview.prevalence,
                **_label(label, excerpt.places),
            }
            for preview, label in labels
        ],
    }


def _room(facts: dict[str, Any]) -> int:
    """Bytes left for the text on a page with these facts."""
    return MOST_BYTES - FOR_THE_SHELL - len(embedded(facts))


def _details(excerpt: Excerpt) -> dict[str, Any]:
    """The gates of chosen cells; GRU's and LSTM's all lie between −1 and 1."""
    return {
        "cells": list(excerpt.cells),
        "rows": {
            name: packed(quantised(values, np.ones(len(values)))) for name, values in excerpt.details.items()
        },
    }


def _label(label: Label, places: np.ndarray) -> dict[str, Any]:
    """A label where the text is shown: −1 where it does not count. A count is on above its median."""
    counted = label.values[label.mask]
    middle = 0.0 if label.kind == "bool" or not len(counted) else float(np.median(counted))
    values = np.where(label.mask, label.values.astype(int), -1)[places]
    return {
        "kind": label.kind,
        "predictive": label.predictive,
        "middle": middle,
        "highest": int(label.values.max(initial=1)),
        "values": packed(values),
    }


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
