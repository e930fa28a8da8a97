"""A model as one web page that writes, and shows its cells as it writes."""

import base64
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from charrnn.errors import DataError, UsageError
from charrnn.exchange.to_web import module, to_web
from charrnn.interpret.findings import VERDICTS
from charrnn.model.model import Model
from charrnn.runs.card import read_info
from charrnn.sampling.drawn_labels import label_counts
from charrnn.ui.html.page import build_page, check_target, write_page
from charrnn.ui.terminal.info_view import rows

__all__ = ["check_target", "model_bytes", "page_of", "usable", "write_play"]

MOST_BYTES = 50_000_000  # of the page: browsers open more only slowly, and phones not at all
MOST_FINDINGS = 16
ROWS_SHOWN = ("model", "vocabulary", "text", "train", "validation")


def write_play(
    target: str | Path, file: Path, model: Model, precision: str, findings: Sequence[Mapping[str, Any]] = ()
) -> int:
    """Write the page of a model; returns its size in bytes.

    file : the model's; findings : as `usable` returns them

    Raises UsageError for a model too large for a page, and the errors of `write_page`.
    """
    return write_page(target, page_of(file, model, precision, findings), "--out")


def page_of(
    file: Path, model: Model, precision: str, findings: Sequence[Mapping[str, Any]] = (), told: str = ""
) -> str:
    """The page, as HTML.

    told : what the page calls the model's file in a command, where that is not its path
    """
    content = model_bytes(model, precision)
    if len(content) * 4 / 3 > MOST_BYTES:
        raise UsageError(
            f"the page would have {len(content) * 4 / 3e6:.0f} MB; the limit is {MOST_BYTES / 1e6:.0f} MB. "
            "--precision int8 needs a quarter of float32; --module writes the model beside the page's script"
        )
    name = file.parent.name if file.name == "model.safetensors" else file.stem
    card = [(key, value) for key, value in rows(read_info(file)) if key in ROWS_SHOWN]
    data = {
        "model": base64.b64encode(content).decode("ascii"),
        "file": told or str(file),
        "card": [*card, ("weights", f"{precision}, {len(content):,} bytes")],
        "findings": list(findings),
        "start": {"prime": "", "seed": 1},
    }
    return build_page(f"{name}: write with it, and see it think", "play", data, module())


def model_bytes(model: Model, precision: str) -> bytes:
    """The `model.bin` of a model, with the labels as often as in its training text."""
    counted = {column: label_counts(model, column, values) for column, values in model.vocab.labels}
    return to_web(
        model, precision, {column: counts for column, counts in counted.items() if counts is not None}
    )


def usable(found: Any, model: Model, name: str) -> list[dict[str, Any]]:
    """The cells with a verdict among the findings of `charrnn inspect-cells --json`, strongest verdict first.

    name : of the file, for messages. Raises DataError where they are malformed or of another model.
    """
    listed = found.get("findings") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise DataError(
            f"{name} holds no findings; charrnn inspect-cells --json writes them: an object with the key 'findings'"
        )
    kept = []
    for one in listed:
        finding = _finding(one)
        if finding is None:
            raise DataError(f"{name}: this is no finding of charrnn inspect-cells --json: {str(one)[:100]!r}")
        layer, cell = finding["layer"], finding["cell"]
        if layer >= model.config.layers or cell >= model.config.hidden:
            raise DataError(
                f"{name} names cell {layer}:{cell}; this model has layers 0 to {model.config.layers - 1} of cells 0 "
                f"to {model.config.hidden - 1}. Run charrnn inspect-cells --json with this model"
            )
        if finding["verdict"] != "none":
            kept.append(finding)
    kept.sort(key=lambda finding: VERDICTS.index(finding["verdict"]))
    return kept[:MOST_FINDINGS]


def _finding(one: Any) -> dict[str, Any] | None:
    """What the page needs of a finding; None if it is malformed."""
    if not isinstance(one, dict):
        return None
    place, threshold = (one.get("layer"), one.get("cell")), one.get("threshold")
    if any(type(number) is not int or number < 0 for number in place):
        return None
    if not isinstance(one.get("concept"), str) or one.get("verdict") not in VERDICTS:
        return None
    score = one.get("confirm_score")
    return {
        "concept": one["concept"],
        "verdict": one["verdict"],
        "layer": place[0],
        "cell": place[1],
        "sign": -1 if one.get("sign") == -1 else 1,
        "score": _number(score),
        "threshold": _number(threshold),
    }


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    return (
        float(value)
        if isinstance(value, int | float) and type(value) is not bool and isfinite(value)
        else None
    )
