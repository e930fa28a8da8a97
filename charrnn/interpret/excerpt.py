"""Pieces of a recorded text for a page: the signals of every cell, and details of a few chosen cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.interpret.recording import Recording, read_side_by_side
from charrnn.model.model import Model
from charrnn.nn.loss import log_softmax

GUESSES = 5  # likeliest next symbols kept per character

Span = tuple[int, int]  # first and last + 1 character


@dataclass(frozen=True)
class Excerpt:
    """N characters of a recorded text, in pieces that are in order and do not touch.

    places : ndarray (N,), the characters' places in the recording; pieces : their spans
    cells : rows of the recording's signals with details: name of a gate, or h -> ndarray (len(cells), N)
    guesses, probabilities : ndarrays (N, GUESSES or V), the likeliest next symbols (ids), best first;
        probabilities are NaN if the network overflowed. Nothing follows the end of an item: guesses of -1
    """

    pieces: tuple[Span, ...]
    places: np.ndarray
    cells: tuple[int, ...]
    details: dict[str, np.ndarray]
    guesses: np.ndarray
    probabilities: np.ndarray


def choose_pieces(part: slice, wanted: Sequence[Span], most: int) -> tuple[Span, ...]:
    """At most ``most`` characters of ``part``: all of it, or the wanted spans and then its beginning.

    Spans are taken in the given order while they fit as a whole; then the text before the first gap is extended
    as far as there is room.
    """
    start, stop = part.start, part.stop
    if stop - start <= most:
        return ((start, stop),) if stop > start else ()
    shown = np.zeros(stop - start, bool)
    for first, last in wanted:
        span = slice(max(first, start) - start, min(last, stop) - start)
        if shown.sum() + np.sum(~shown[span]) <= most:
            shown[span] = True
    shown[np.flatnonzero(~shown)[: most - int(shown.sum())]] = True
    edges = np.flatnonzero(np.diff(np.r_[False, shown, False])) + start
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))


def likeliest_next(model: Model, h: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` likeliest symbols (n, count) after outputs h (n, H) of the last layer, and their probabilities."""
    head = model.network.params
    with np.errstate(over="ignore", invalid="ignore"):  # a ReLU network may overflow
        logits = h @ head["head.weight"].T + head["head.bias"]
        logp = log_softmax(logits)
    top = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    return top, np.exp(np.take_along_axis(logp, top, axis=1))


@blas_threads()
def read_excerpt(model: Model, recording: Recording, pieces: Sequence[Span], cells: Sequence[int]) -> Excerpt:
    """Read the recorded text once more, in the same segments, and keep the details that the recording lacks.

    cells : rows of ``recording.signals`` whose gates are kept, and whose h if the signal is tanh(c)
    """
    places = np.concatenate([np.arange(a, b) for a, b in pieces]) if pieces else np.zeros(0, int)
    where = np.full(len(recording.ids), -1)
    where[recording.ends[places]] = np.arange(len(places))
    details: dict[str, np.ndarray] = {}
    best = min(GUESSES, len(model.vocab))
    guesses = np.full((len(places), best), -1)
    probabilities = np.zeros((len(places), best), np.float32)
    kind = model.network.cell
    names = list(getattr(kind, "GATES", ()))
    if "c" in kind.STATES:
        names.append("h")  # for the LSTM the signal is tanh(c) instead
    for read, recorded, layers in read_side_by_side(model, recording, [*dict.fromkeys([*names, "h"])]):
        column = np.where(recorded, where[np.minimum(read, len(where) - 1)], -1)
        kept = column >= 0
        if not kept.any():
            continue
        for row, index in enumerate(cells):
            layer, cell = recording.place(index)
            trace = layers[layer]
            for name in names:
                if name not in details:
                    details[name] = np.zeros((len(cells), len(places)), np.float32)
                details[name][row, column[kept]] = trace[name][kept, cell]
        guesses[column[kept]], probabilities[column[kept]] = likeliest_next(
            model, layers[-1]["h"][kept], best
        )
    for values in details.values():  # as in the recording, an end has what the item ended with
        ended = np.flatnonzero(guesses[:, 0] < 0)
        values[:, ended] = values[:, ended - 1]
    return Excerpt(tuple(pieces), places, tuple(cells), details, guesses, probabilities)
