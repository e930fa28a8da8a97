"""Pieces of text to look at: where a cell agrees best and worst with a concept, and the predictions there."""

import re
from dataclasses import dataclass, replace

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import UsageError
from charrnn.interpret.excerpt import likeliest_next
from charrnn.interpret.findings import Inspection
from charrnn.interpret.labels import Label
from charrnn.interpret.reading import Reading, characters_of
from charrnn.interpret.recording import WARM_UP, Recording, one_by_one, read_side_by_side, record
from charrnn.interpret.scores import midranks
from charrnn.model.model import Model

PASSAGE = 240  # characters shown at once


@dataclass(frozen=True)
class Passage:
    """A piece of text of n characters with a cell's signal and, if there is a concept, its label.

    signal : ndarray (n,); scale : the largest |signal| in the whole text
    values, mask : ndarrays (n,) of the label or None; highest : its largest value in the whole text
    guesses : for each character the likeliest next ones, best first; empty if not requested
    name : of the signal, at most five characters
    """

    text: str
    start: int
    signal: np.ndarray
    scale: float
    values: np.ndarray | None = None
    mask: np.ndarray | None = None
    highest: float = 1.0
    guesses: tuple[str, ...] = ()
    name: str = "cell"


def cut_passage(
    recording: Recording, index: int, start: int, stop: int, label: Label | None = None
) -> Passage:
    """Characters ``start`` to ``stop`` with the signal of row ``index`` of the recording."""
    signal = recording.signals[index]
    scale = float(np.max(np.abs(signal), initial=0, where=np.isfinite(signal)))
    text = recording.text[start:stop]
    if label is None:
        return Passage(text, start, signal[start:stop], scale)
    highest = float(label.values.max(initial=1))
    part = slice(start, stop)
    return Passage(text, start, signal[part], scale, label.values[part], label.mask[part], highest)


def best_and_worst(
    recording: Recording, index: int, label: Label, sign: int, cut: float | None
) -> tuple[Passage, Passage]:
    """The passages of CONFIRM where a cell agrees with the label best and worst.

    Disagreement is the share of characters on the wrong side of ``cut`` (bool), or the mean distance between
    the ranks of sign·signal and of the label (count). If possible, passages start at a line and contain
    changes of the label. Among passages within a twentieth of the best, the one with most changes is chosen.
    """
    part = recording.confirm
    n = part.stop - part.start
    length = min(PASSAGE, n)
    signal, values, mask = sign * recording.signals[index, part], label.values[part], label.mask[part]
    if cut is None:
        wrong = np.abs(midranks(signal) - midranks(values)) / n
    else:
        wrong = ((signal > sign * cut) != values).astype(float)
    if recording.begins is not None:  # whole items, or the beginning of a long one
        starts = recording.begins[recording.begins >= part.start] - part.start
        edges = np.r_[starts, n]
        stops = edges[np.maximum(np.searchsorted(edges, starts + length, side="right") - 1, 0)]
        stops = np.where(stops > starts, stops, np.minimum(starts + length, n))
    else:
        starts = np.array([t + 1 for t, ch in enumerate(recording.text[part]) if ch == "\n"], int)
        starts = starts[starts + length <= n]
        if len(starts) < n // (4 * PASSAGE):  # hardly any lines
            starts = np.arange(0, n - length + 1, max(1, PASSAGE // 4))
        stops = starts + length

    def total(x: np.ndarray) -> np.ndarray:
        sums = np.r_[0.0, np.cumsum(x)]
        return sums[stops] - sums[starts]

    counted, changes = total(mask), total(np.r_[False, values[1:] != values[:-1]])
    share = np.round(20 * total(wrong * mask) / np.maximum(counted, 1))
    usable = (changes > 0) & (counted >= length / 2)
    order = np.lexsort((-changes, share))
    order = order[usable[order]] if usable.any() else order
    worst = order[share[order] == share[order[-1]]][0]
    best_one, worst_one = (
        cut_passage(recording, index, part.start + int(starts[k]), part.start + int(stops[k]), label)
        for k in (order[0], worst)
    )
    return best_one, worst_one


@blas_threads()
def top_guesses(model: Model, reading: Reading, start: int, stop: int, count: int = 5) -> tuple[str, ...]:
    """The ``count`` likeliest next symbols after each character of a part of the text, best first.

    At most WARM_UP characters are read before the part, or its first item from its beginning. Nothing is guessed
    after the end of an item.
    """
    if start >= stop:
        return ()
    first, last = max(0, start - WARM_UP), stop
    if reading.begins is not None:
        edges = np.r_[reading.begins, len(reading.text)]
        first = int(edges[np.searchsorted(edges, start, side="right") - 1])
        last = int(edges[np.searchsorted(edges, stop)])
    part = reading.part(first, last)
    best = np.full((len(part.ids), min(count, len(model.vocab))), -1)
    for places, recorded, layers in read_side_by_side(model, part, ["h"]):
        best[places[recorded]], _ = likeliest_next(model, layers[-1]["h"][recorded], count)
    names = [ch if not "\udc80" <= ch <= "\udcff" else "\ufffd" for ch in characters_of(model.vocab)]
    rows = best[part.ends[start - first : stop - first]]
    return tuple("".join(names[k] for k in row if k >= 0) for row in rows)


def of_findings(
    model: Model | None, inspection: Inspection, count: int, guesses: bool = False
) -> dict[int, tuple[Passage, Passage]]:
    """The best and the worst passage of the first ``count`` findings whose verdict is not "none", by place.

    model : only for the guesses
    """
    r = inspection.recording
    shown: dict[int, tuple[Passage, Passage]] = {}
    for place, finding in enumerate(inspection.findings):
        if finding.verdict != "none" and len(shown) < count:
            index = finding.layer * r.hidden + finding.cell
            cut = finding.threshold.cut if finding.threshold else None
            pair = best_and_worst(r, index, inspection.labels[finding.concept], finding.sign, cut)
            best, worst = (with_guesses(model, r, one) if guesses and model else one for one in pair)
            shown[place] = best, worst
    return shown


def parse_cell(text: str, model: Model, option: str = "--cell") -> tuple[int, int]:
    """Layer and cell of ``1:137``. Raises UsageError if it is malformed or the model has no such cell."""
    match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)
    if not match:
        raise UsageError(f"{option} is {text!r}; write LAYER:CELL, both from 0, such as 1:137")
    (layer, cell), L, H = map(int, match.groups()), model.config.layers, model.config.hidden
    if layer >= L or cell >= H:
        raise UsageError(f"{option} {text} does not exist; layers are 0 to {L - 1}, cells 0 to {H - 1}")
    return layer, cell


def of_cell(
    model: Model, reading: Reading, layer: int, cell: int, length: int, guesses: bool = False
) -> Passage:
    """The first ``length`` characters of a text, or the items that they hold, with one cell's signal."""
    recording = record(model, reading.first(length))
    passage = cut_passage(recording, layer * recording.hidden + cell, 0, len(recording.text))
    return with_guesses(model, recording, passage) if guesses else passage


def signal_of(model: Model, reading: Reading, layer: int, cell: int) -> np.ndarray:
    """The signal of one cell after each character of a text (N,); a stream, or each item, is read in one pass."""
    found = np.empty(len(reading.ids), model.network.theta.dtype)
    letter = "tanh_c" if model.config.cell == "lstm" else "h"
    with blas_threads():
        for places, recorded, layers in one_by_one(model, reading, [letter]):
            found[places[recorded]] = layers[layer][letter][recorded, cell]
    if reading.begins is not None:
        _, stops = reading.spans
        found[stops] = found[stops - 1]
    return found[reading.ends]


def with_guesses(model: Model, reading: Reading, passage: Passage) -> Passage:
    """The same passage of a text with the model's guesses after each character."""
    stop = passage.start + len(passage.text)
    return replace(passage, guesses=top_guesses(model, reading, passage.start, stop))
