"""Recordings: the signal of every cell while the network reads a text.

Items are read side by side, each from the zero state. A text that is one stream is cut into segments for that, and
its signals are those of one pass from the zero state all the same: a cell that toggles at each quotation mark would
otherwise be right or wrong depending on where reading began. The first state of a segment is guessed, from the start of
a paragraph on. Where the segment before ends with another state, reading goes on from that one, until it meets what
was read before. The first WARM_UP characters are not used.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.interpret.reading import Reading, reading_of
from charrnn.model.model import CHUNK, Model
from charrnn.nn.network import Network
from charrnn.text.items import Items

WARM_UP = 200  # symbols that are not used at the beginning; fewest read to guess the first state of a segment
HALVES_GAP = 200  # characters between SELECT and CONFIRM: what one half ends with is forgotten
STEP = 100  # time steps read at once
TOLERANCE = 1e-5  # difference of two states, relative to 1 + |value|, that counts as none
SEGMENTS = 32  # most segments read side by side
SEGMENT = 2000  # fewest symbols of a segment
FARTHEST = 1000  # symbols before the warm-up to search for the start of a paragraph
SHORTEST = 2000  # fewest characters for two halves with a gap
ROWS = 64  # items read side by side


@dataclass(frozen=True, eq=False)
class Recording(Reading):
    """The signals of all cells over a text of N characters, and its two halves.

    signals : ndarray (L·H, N), tanh(c) of the LSTM, h of RNN and GRU, layer by layer
    shown : ndarray (L·H, N), what the rest of the network sees of each cell: h
    states : ndarray (L, S, n // STEP, H), the states of a stream after every STEP symbols; of items none
    select, confirm : the halves, as slices of characters
    """

    signals: np.ndarray
    shown: np.ndarray
    states: np.ndarray
    hidden: int
    select: slice
    confirm: slice

    def states_before(self, network: Network, places: np.ndarray) -> np.ndarray:
        """The states (L, S, P, H) before symbols ``places`` (P,) of a stream are read."""
        nearest = places // STEP
        first = np.concatenate([network.zero_state(1), self.states], axis=2)[:, :, nearest]
        return advance(network, self.ids, nearest * STEP, places, first)

    def place(self, index: int) -> tuple[int, int]:
        """Layer and cell, both from 0, of a row of ``signals``."""
        return divmod(index, self.hidden)

    @cached_property
    def spread(self) -> np.ndarray:
        """The standard deviation of each signal on SELECT (L·H,)."""
        return self.signals[:, self.select].std(axis=1)

    def characters(self) -> np.ndarray:
        """An integer code 0…V-1 for each character (N,)."""
        points = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<i4")
        return np.unique(points, return_inverse=True)[1]


def fresh_starts(text: str) -> np.ndarray:
    """Places where reading may begin: 0, and each line that follows a blank line and is not indented."""
    return np.array([0, *(match.end() for match in re.finditer(r"\n[^\S\n]*\n(?=\S)", text))])


Read = tuple[np.ndarray, np.ndarray, list[dict[str, np.ndarray]]]


def read_side_by_side(model: Model, reading: Reading, letters: Sequence[str]) -> Iterator[Read]:
    """Read a text, several segments or items at once, up to STEP symbols of each.

    letters : of the equations, such as h: what to record

    Yields places (t, B) in its ids, a mask of those to record (t, B), and of each layer letter -> array (t, B, H), in
    buffers that the next step overwrites. Each symbol is recorded at least once; what comes last is right. A stream
    comes in blocks that begin at a multiple of STEP; the end of an item is not read.
    """
    return (_segments if reading.begins is None else _items)(model, reading, letters)


def one_by_one(model: Model, reading: Reading, letters: Sequence[str]) -> Iterator[Read]:
    """The same, but a stream is read in one pass from the zero state."""
    if reading.begins is not None:
        yield from _items(model, reading, letters)
        return
    state = model.network.zero_state(1)
    for start in range(0, len(reading.ids), CHUNK):
        symbols = reading.ids[start : start + CHUNK, None].astype(np.intp)
        layers, state = model.network.record(symbols, state, letters)
        places = start + np.arange(len(symbols))[:, None]
        yield places, np.ones(places.shape, bool), layers


def _items(model: Model, reading: Reading, letters: Sequence[str]) -> Iterator[Read]:
    """Each item from the zero state, those of about the same length side by side."""
    starts, stops = reading.spans
    order = np.argsort(stops - starts, kind="stable")
    for begin in range(0, len(order), ROWS):
        first, stop = starts[order[begin : begin + ROWS]], stops[order[begin : begin + ROWS]]
        state = model.network.zero_state(len(first))
        longest = int((stop - first).max())
        for step in range(0, longest, STEP):
            places = first + step + np.arange(min(STEP, longest - step))[:, None]
            symbols = reading.ids[np.minimum(places, stop)].astype(np.intp)
            layers, state = model.network.record(symbols, state, letters)
            yield places, places < stop, layers


def _segments(model: Model, reading: Reading, letters: Sequence[str]) -> Iterator[Read]:
    """Up to SEGMENTS segments, each from the state that the one before ends with."""
    network, ids = model.network, reading.ids
    if not len(ids):
        return
    size = STEP * -(-len(ids) // (STEP * int(np.clip(len(ids) // SEGMENT, 1, SEGMENTS))))
    first = np.arange(0, len(ids), size)
    begins = np.concatenate([network.zero_state(1), _guesses(network, reading, first[1:])], axis=2)
    shape = size // STEP, *begins.shape
    met = np.full(shape, np.inf, begins.dtype)  # the states after each block
    wrong = np.arange(len(first))
    while wrong.size:
        active, state = wrong, begins[:, :, wrong]
        for block in range(len(met)):
            places = first[active] + block * STEP + np.arange(STEP)[:, None]
            symbols = ids[np.minimum(places, len(ids) - 1)].astype(np.intp)
            layers, state = network.record(symbols, state, letters)
            yield places, places < len(ids), layers
            going = _differ(met[block][:, :, active], state)
            met[block][:, :, active] = state
            active, state = active[going], state[:, :, going]
            if not active.size:
                break
        handed = met[-1][:, :, :-1]
        wrong = 1 + np.flatnonzero(_differ(begins[:, :, 1:], handed))
        begins[:, :, 1:] = handed


def _guesses(network: Network, reading: Reading, first: np.ndarray) -> np.ndarray:
    """States (L, S, B, H) before each place, read from the start of a paragraph, if one is near."""
    starts = reading.ends[fresh_starts(reading.text)]
    begin = np.maximum(0, first - WARM_UP)
    fresh = starts[np.searchsorted(starts, begin, side="right") - 1]
    begin = np.where(begin - fresh <= FARTHEST, fresh, begin)
    return advance(network, reading.ids, begin, first, network.zero_state(len(first)))


def advance(
    network: Network, ids: np.ndarray, begin: np.ndarray, stop: np.ndarray, state: np.ndarray
) -> np.ndarray:
    """The states (L, S, B, H) after reading ids[begin:stop] of each of B streams from its ``state``."""
    order = np.argsort(begin - stop, kind="stable")  # the longest first: the others join it later
    lengths = (stop - begin)[order]
    state = state[:, :, order]
    for k in range(len(order)):
        until = lengths[k + 1] if k + 1 < len(order) else 0
        for left in range(lengths[k], until, -STEP):
            places = stop[order[: k + 1]] - left + np.arange(min(STEP, left - until))[:, None]
            _, state[:, :, : k + 1] = network.record(ids[places].astype(np.intp), state[:, :, : k + 1], ())
    found = np.empty_like(state)
    found[:, :, order] = state
    return found


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which of B states (L, S, B, H) are not the same (B,); a broken one is like another broken one."""
    with np.errstate(invalid="ignore"):
        return ~np.isclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True).all(axis=(0, 1, 3))


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

    Takes 4·L·H bytes per character, and 2·L·H more for an LSTM. Raises DataError for characters that the model does
    not know.
    """
    reading = reading_of(model, text)
    L, H = model.config.layers, model.config.hidden
    n, stream = len(reading.ids), reading.begins is None
    signals = np.empty((L * H, n), np.float32)
    apart = model.config.cell == "lstm" and signal == "cell"  # whether what is seen is another number
    shown = np.empty((L * H, n), np.float16) if apart else signals
    states = np.empty(
        (*model.network.zero_state(0).shape[:2], n // STEP if stream else 0, H), model.network.theta.dtype
    )
    letters = {"h", *model.network.cell.STATES} | ({"tanh_c"} if apart else set())
    for places, recorded, layers in read_side_by_side(model, reading, sorted(letters)):
        for k, layer in enumerate(layers):
            rows = slice(k * H, (k + 1) * H)
            for b in np.flatnonzero(recorded.any(axis=0)):
                kept = recorded[:, b]
                here = places[kept, b]
                signals[rows, here] = layer["tanh_c" if apart else "h"][kept, b].T
                if apart:
                    shown[rows, here] = layer["h"][kept, b].T
                if stream and len(here) == STEP:
                    states[k, :, here[0] // STEP] = [layer[name][-1, b] for name in model.network.cell.STATES]
    if not stream:
        _, stops = reading.spans
        for values in (signals, shown):
            values[:, stops] = values[:, stops - 1]
    if n != len(reading.text):
        seen = shown[:, reading.ends] if apart else None
        signals = signals[:, reading.ends]
        shown = signals if seen is None else seen
    return Recording(
        *(reading.text, reading.ids, reading.ends, reading.begins),
        *(signals, shown, states, H),
        *halves_of(reading),
    )


def check_length(reading: Reading) -> None:
    """Raise DataError if a text cannot be cut into two useful halves."""
    if len(reading.text) < SHORTEST:
        raise DataError(
            f"the text has {len(reading.text):,} characters; at least {SHORTEST:,} are needed, to choose cells on "
            "one half and confirm them on the other. Name a longer text with --text FILE. Without it, the text is what "
            "training held out, a tenth by default; --val-fraction holds out more"
        )
    if reading.begins is not None and len(reading.begins) < 2:
        raise DataError("the text is a single item; cells are chosen on some items and confirmed on others")
