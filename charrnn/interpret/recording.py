"""Recordings: the signal of every cell while the network reads a text.

The text is cut into segments that are read side by side. A cell that toggles at each quotation mark stays right
or wrong depending on where reading began, so the reading for each segment begins at the start of a
paragraph, at least WARM_UP symbols before its first recorded symbol. The first WARM_UP characters are not
used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.model.model import Model

WARM_UP = 200  # symbols read before a segment's first one is recorded
HALVES_GAP = 200  # characters between SELECT and CONFIRM: what one half ends with is forgotten
STEP = 100  # time steps read at once
SEGMENTS = 32  # most segments read side by side
SEGMENT = 2000  # fewest symbols of a segment
FARTHEST = 1000  # symbols before the warm-up to search for the start of a paragraph
SHORTEST = 2000  # fewest characters for two halves with a gap


@dataclass(frozen=True)
class Recording:
    """The signals of all cells over a text of N characters, and its two halves.

    signals : ndarray (L·H, N), tanh(c) of the LSTM, h of RNN and GRU, layer by layer
    ids : ndarray (n,), the symbols read; ends : ndarray (N,), where in ids each character ends
    select, confirm : the halves, as slices of characters
    """

    text: str
    signals: np.ndarray
    ids: np.ndarray
    ends: np.ndarray
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


def read_side_by_side(
    model: Model, ids: np.ndarray, starts: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, list[dict[str, np.ndarray]]]]:
    """Read ``ids`` (n,) in up to SEGMENTS segments at once; reading begins for each at a place in ``starts``.

    Yields for every STEP symbols: places (STEP, B) in ``ids``, a mask of those to record (STEP, B), and
    the traces (STEP, B, H), in buffers that the next step overwrites. Each place is recorded exactly once.
    """
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


def halves(n: int) -> tuple[slice, slice]:
    """SELECT and CONFIRM of n characters: contiguous, after the warm-up, with a gap between them."""
    middle = (WARM_UP + n) // 2
    return slice(WARM_UP, middle - HALVES_GAP // 2), slice(middle + HALVES_GAP // 2, n)


def encode_with_ends(model: Model, text: str) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a text, and the place of each character's last id.

    Raises DataError for characters that the model does not know.
    """
    ids = model.vocab.encode(text)
    if model.vocab.level == "char":
        return ids, np.arange(len(text))
    lengths = [len(ch.encode("utf-8", "surrogateescape")) for ch in text]
    return ids, np.cumsum(lengths, dtype=np.int64) - 1


@blas_threads()
def record(model: Model, text: str, *, signal: str = "cell") -> Recording:
    """Record every cell over a text.

    signal : "cell" is tanh(c) of the LSTM and h of the others; "hidden" is always h

    Takes 4·L·H bytes per character. Raises DataError for characters that the model does not know.
    """
    ids, ends = encode_with_ends(model, text)
    starts = fresh_starts(text)
    L, H = model.config.layers, model.config.hidden
    signals = np.empty((L * H, len(ids)), np.float32)
    for places, recorded, layers in read_side_by_side(model, ids, ends[starts] if len(ids) else starts):
        for k, layer in enumerate(layers):
            values = layer["tanh_c"] if "tanh_c" in layer and signal == "cell" else layer["h"]
            for b in np.flatnonzero(recorded.any(axis=0)):
                kept = recorded[:, b]
                signals[k * H : (k + 1) * H, places[kept, b]] = values[kept, b].T
    flat = signals if model.vocab.level == "char" else signals[:, ends]
    return Recording(text, flat, ids, ends, H, *halves(len(text)))


def check_length(text: str) -> None:
    """Raise DataError if a text is too short to be cut into two useful halves."""
    if len(text) < SHORTEST:
        raise DataError(
            f"the text has {len(text):,} characters; at least {SHORTEST:,} are needed, to choose cells on one half "
            "and confirm them on the other"
        )
