"""Pieces of text to look at: where a cell agrees best and worst with a concept, and the predictions there."""

import re
from dataclasses import dataclass, replace

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import UsageError
from charrnn.interpret.findings import Inspection
from charrnn.interpret.labels import Label
from charrnn.interpret.recording import WARM_UP, Recording, encode_with_ends, record
from charrnn.interpret.scores import midranks
from charrnn.model.model import CHUNK, Model

PASSAGE = 240  # characters shown at once


@dataclass(frozen=True)
class Passage:
    """A piece of text of n characters with a cell's signal and, if there is a concept, its label.

    signal : ndarray (n,); scale : the largest |signal| in the whole text
    values, mask : ndarrays (n,) of the label or None; highest : its largest value in the whole text
    guesses : for each character the likeliest next ones, best first; empty if not requested
    """

    text: str
    start: int
    signal: np.ndarray
    scale: float
    values: np.ndarray | None = None
    mask: np.ndarray | None = None
    highest: float = 1.0
    guesses: tuple[str, ...] = ()


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
    starts = np.array([t + 1 for t, ch in enumerate(recording.text[part]) if ch == "\n"], int)
    starts = starts[starts + length <= n]
    if len(starts) < n // (4 * PASSAGE):  # hardly any lines
        starts = np.arange(0, n - length + 1, max(1, PASSAGE // 4))

    def total(x: np.ndarray) -> np.ndarray:
        sums = np.r_[0.0, np.cumsum(x)]
        return sums[starts + length] - sums[starts]

    counted, changes = total(mask), total(np.r_[False, values[1:] != values[:-1]])
    share = np.round(20 * total(wrong * mask) / np.maximum(counted, 1))
    usable = (changes > 0) & (counted >= length / 2)
    order = np.lexsort((-changes, share))
    order = order[usable[order]] if usable.any() else order
    worst = order[share[order] == share[order[-1]]][0]
    first, last = (part.start + int(starts[k]) for k in (order[0], worst))
    return (
        cut_passage(recording, index, first, first + length, label),
        cut_passage(recording, index, last, last + length, label),
    )


@blas_threads()
def top_guesses(model: Model, text: str, start: int, stop: int, count: int = 5) -> tuple[str, ...]:
    """The ``count`` likeliest next symbols after each character of a part of the text, best first."""
    ids, ends = encode_with_ends(model, text)
    if start >= stop:
        return ()
    first, last = max(0, int(ends[start]) - WARM_UP), int(ends[stop - 1]) + 1
    logits, _ = model.logits(ids[first:last, None])
    rows = logits[ends[start:stop] - first, 0]
    best = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    names = [s if isinstance(s, str) else chr(s) if s < 128 else "\ufffd" for s in model.vocab.symbols]
    return tuple("".join(names[k] for k in row) for row in best)


def of_findings(
    model: Model, inspection: Inspection, count: int, guesses: bool = False
) -> dict[int, tuple[Passage, Passage]]:
    """The best and the worst passage of the first ``count`` findings whose verdict is not "none", by place."""
    r = inspection.recording
    shown: dict[int, tuple[Passage, Passage]] = {}
    for place, finding in enumerate(inspection.findings):
        if finding.verdict != "none" and len(shown) < count:
            index = finding.layer * r.hidden + finding.cell
            cut = finding.threshold.cut if finding.threshold else None
            pair = best_and_worst(r, index, inspection.labels[finding.concept], finding.sign, cut)
            best, worst = (with_guesses(model, r.text, one) if guesses else one for one in pair)
            shown[place] = best, worst
    return shown


def parse_cell(text: str, model: Model) -> tuple[int, int]:
    """Layer and cell of ``1:137``. Raises UsageError if it is malformed or the model has no such cell."""
    match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)
    if not match:
        raise UsageError(f"--cell is {text!r}; write LAYER:CELL, both from 0, such as 1:137")
    (layer, cell), L, H = map(int, match.groups()), model.config.layers, model.config.hidden
    if layer >= L or cell >= H:
        raise UsageError(f"--cell {text} does not exist; layers are 0 to {L - 1}, cells 0 to {H - 1}")
    return layer, cell


def of_cell(model: Model, text: str, layer: int, cell: int, length: int, guesses: bool = False) -> Passage:
    """The first ``length`` characters of a text with one cell's signal."""
    text, H = text[:length], model.config.hidden
    passage = cut_passage(record(model, text), layer * H + cell, 0, length)
    return with_guesses(model, text, passage) if guesses else passage


def signal_of(model: Model, text: str, layer: int, cell: int) -> np.ndarray:
    """The signal of one cell after each character of a text (N,), read in one pass from the zero state."""
    ids, ends = encode_with_ends(model, text)
    state, found = model.network.zero_state(1), np.empty(len(ids), model.network.theta.dtype)
    with blas_threads():
        for start in range(0, len(ids), CHUNK):
            symbols = ids[start : start + CHUNK, None].astype(np.intp)
            _, state, trace = model.network.forward(symbols, state)
            states = trace.layers[layer]
            values = np.tanh(states["c"]) if "c" in states else states["h"]
            found[start : start + CHUNK] = values[:, 0, cell]
    return found[ends]


def with_guesses(model: Model, text: str, passage: Passage) -> Passage:
    """The same passage of ``text`` with the model's guesses after each character."""
    stop = passage.start + len(passage.text)
    return replace(passage, guesses=top_guesses(model, text, passage.start, stop))
