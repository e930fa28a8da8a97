"""Recordings: the signal of every cell while the network reads a text.

Items are read side by side, each from the zero state. A text that is one stream is cut into segments for that. A
cell that toggles at each quotation mark stays right or wrong depending on where reading began, so the reading for
each segment begins at the start of a paragraph, at least WARM_UP symbols before its first recorded symbol. The first
WARM_UP characters are not used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.interpret.reading import Reading, reading_of
from charrnn.model.model import CHUNK, Model
from charrnn.text.items import Items

WARM_UP = 200  # symbols read before a segment's first one is recorded
HALVES_GAP = 200  # characters between SELECT and CONFIRM: what one half ends with is forgotten
STEP = 100  # time steps read at once
SEGMENTS = 32  # most segments read side by side
SEGMENT = 2000  # fewest symbols of a segment
FARTHEST = 1000  # symbols before the warm-up to search for the start of a paragraph
SHORTEST = 2000  # fewest characters for two halves with a gap
ROWS = 64  # items read side by side


@dataclass(frozen=True, eq=False)
class Recording(Reading):
    """The signals of all cells over a text of N characters, and its two halves.

    signals : ndarray (L·H, N), tanh(c) of the LSTM, h of RNN and GRU, layer by layer
    select, confirm : the halves, as slices of characters
    """

    signals: np.ndarray
    hidden: int
    select: slice
    confirm: slice

    def place(self, index: int) -> tuple[int, int]:
        """Layer and cell, both from 0, of a row of ``signals``."""
        return divmod(index, self.hidden)

    def of_layer(self, layer: int) -> np.ndarray:
        """The rows of ``signals`` of one layer (H, N)."""
        return self.signals[layer * self.hidden : (layer + 1) * self.hidden]

    def characters(self) -> np.ndarray:
        """An integer code 0…V-1 for each character (N,)."""
        points = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<i4")
        return np.unique(points, return_inverse=True)[1]


def fresh_starts(text: str) -> np.ndarray:
    """Places where reading may begin: 0, and each line that follows a blank line and is not indented."""
    return np.array([0, *(match.end() for match in re.finditer(r"\n[^\S\n]*\n(?=\S)", text))])


Read = tuple[np.ndarray, np.ndarray, list[dict[str, np.ndarray]]]


def read_side_by_side(model: Model, reading: Reading) -> Iterator[Read]:
    """Read a text, several segments or items at once, up to STEP symbols of each.

    Yields places (t, B) in its ids, a mask of those to record (t, B), and the traces (t, B, H) of the layers, in
    buffers that the next step overwrites. Each symbol is recorded exactly once; the end of an item is not read.
    """
    return _segments(model, reading) if reading.begins is None else _items(model, reading)


def one_by_one(model: Model, reading: Reading) -> Iterator[Read]:
    """The same, but a stream is read in one pass from the zero state."""
    if reading.begins is not None:
        yield from _items(model, reading)
        return
    state = model.network.zero_state(1)
    for start in range(0, len(reading.ids), CHUNK):
        symbols = reading.ids[start : start + CHUNK, None].astype(np.intp)
        _, state, trace = model.network.forward(symbols, state)
        places = start + np.arange(len(symbols))[:, None]
        yield places, np.ones(places.shape, bool), trace.layers


def _items(model: Model, reading: Reading) -> Iterator[Read]:
    """Each item from the zero state, those of about the same length side by side."""
    starts, stops = reading.spans
    order = np.argsort(stops - starts, kind="stable")
    for begin in range(0, len(order), ROWS):
        first, stop = starts[order[begin : begin + ROWS]], stops[order[begin : begin + ROWS]]
        state = model.network.zero_state(len(first))
        longest = int((stop - first).max())
        for step in range(0, longest, STEP):
            places = first + step + np.arange(min(STEP, longest - step))[:, None]
            _, state, trace = model.network.forward(
                reading.ids[np.minimum(places, stop)].astype(np.intp), state
            )
            yield places, places < stop, trace.layers


def _segments(model: Model, reading: Reading) -> Iterator[Read]:
    """Up to SEGMENTS segments; reading begins for each at the start of a paragraph, if one is near."""
    ids = reading.ids
    starts = fresh_starts(reading.text)
    if len(ids):
        starts = reading.ends[starts]
    B = int(np.clip(len(ids) // SEGMENT, 1, SEGMENTS))
    cuts = np.linspace(0, len(ids), B + 1).astype(int)
    first, stop = cuts[:-1], cuts[1:]
    begin = np.maximum(0, first - WARM_UP)
    fresh = starts[np.searchsorted(starts, begin, side="right") - 1]
    begin = np.where(begin - fresh <= FARTHEST, fresh, begin)
    state = model.network.zero_state(B)
    for step in range(0, int((stop - begin).max(initial=0)), STEP):
        places = begin + step + np.arange(STEP)[:, None]
        recorded = (places >= first) & (places < stop)
        _, state, trace = model.network.forward(ids[np.minimum(places, len(ids) - 1)], state)
        yield places, recorded, trace.layers


def halves_of(reading: Reading) -> tuple[slice, slice]:
    """SELECT and CONFIRM: of items, those that begin before the middle and the others."""
    if reading.begins is None:
        return halves(len(reading.text))
    n, begins = len(reading.text), reading.begins
    middle = int(begins[np.argmin(np.abs(begins - n // 2))]) if len(begins) else 0
    return slice(0, middle), slice(middle, n)


def halves(n: int) -> tuple[slice, slice]:
    """SELECT and CONFIRM of n characters: contiguous, after the warm-up, with a gap between them."""
    middle = (WARM_UP + n) // 2
    return slice(WARM_UP, middle - HALVES_GAP // 2), slice(middle + HALVES_GAP // 2, n)


@blas_threads()
def record(model: Model, text: str | Items | Reading, *, signal: str = "cell") -> Recording:
    """Record every cell over a text.

    signal : "cell" is tanh(c) of the LSTM and h of the others; "hidden" is always h

    Takes 4·L·H bytes per character. Raises DataError for characters that the model does not know.
    """
    reading = reading_of(model, text)
    L, H = model.config.layers, model.config.hidden
    signals = np.empty((L * H, len(reading.ids)), np.float32)
    for places, recorded, layers in read_side_by_side(model, reading):
        for k, layer in enumerate(layers):
            values = layer["tanh_c"] if "tanh_c" in layer and signal == "cell" else layer["h"]
            for b in np.flatnonzero(recorded.any(axis=0)):
                kept = recorded[:, b]
                signals[k * H : (k + 1) * H, places[kept, b]] = values[kept, b].T
    if reading.begins is not None:
        _, stops = reading.spans
        signals[:, stops] = signals[:, stops - 1]
    flat = signals if len(reading.ids) == len(reading.text) else signals[:, reading.ends]
    halves = halves_of(reading)
    return Recording(reading.text, reading.ids, reading.ends, reading.begins, flat, H, *halves)


def check_length(reading: Reading) -> None:
    """Raise DataError if a text cannot be cut into two useful halves."""
    if len(reading.text) < SHORTEST:
        raise DataError(
            f"the text has {len(reading.text):,} characters; at least {SHORTEST:,} are needed, to choose cells on "
            "one half and confirm them on the other"
        )
    if reading.begins is not None and len(reading.begins) < 2:
        raise DataError("the text is a single item; cells are chosen on some items and confirmed on others")
