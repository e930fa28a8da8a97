"""How well a model predicts a text: the surprise -log p of each symbol, in nats.

The result is that of one pass from the zero state, with the state carried from the first symbol to the last.
A single stream would use a fraction of the machine, so the text is cut into segments that run side by side,
each from the zero state. The final state of a segment is then compared with the first state of the one after it. Where
they differ, that segment runs again until its state meets the one that it had at the same place before: from
there on nothing would change. If first states are still wrong after a few passes, the model remembers for
longer than a segment, and the rest is read as one stream. The worst case takes the time of that
one pass and of the few parallel ones.

If only the sum is needed, fewer passes suffice: a pass that corrects the states shows how far the correction
moves the losses, which bounds the effect of the remaining error (`_left_to_move`).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.nn.network import Network
from charrnn.score import items
from charrnn.text.items import Items

WINDOW = 2**20  # symbols whose losses are held at once
SHORTEST_SEGMENT = 1024  # symbols
LOOK = 64  # symbols after which states are first compared; later the distance grows with them
PASSES = 3  # parallel passes before the rest is read as one stream
NUMBERS_AT_ONCE = 2**25  # activations and logits held at once: 128 MB in float32
# Error of a segment's first state, relative to 1 + |value|, that counts as zero: above rounding errors, and small
# enough that a slowly fading memory moves the mean loss by less than 1e-6.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
MET = 0.1  # of that: error at which two readings of a place have met; each segment leaves one
SMALL = 0.01  # error of a state up to which its effect on the loss is proportional to it
NEGLIGIBLE = 5e-7  # accepted error of a sum of losses, in nats per symbol


def total_loss(network: Network, ids: np.ndarray, state: np.ndarray | None = None) -> float:
    """Σ -log p(ids[n+1] | ids[0..n]) in nats, over the len(ids) - 1 predictions.

    ids : (N,) integers, perhaps memory-mapped; state : (L, S, 1, H) before ids[0], None is zero
    """
    windows = _windows(network, ids, state, NEGLIGIBLE)
    return sum(float(losses.sum(dtype=np.float64)) for (losses,) in windows)


def mean_loss(network: Network, text: np.ndarray | Items) -> float:
    """Mean cross-entropy of a text in nats per symbol; NaN for a text with nothing to predict."""
    if isinstance(text, Items):
        return items.mean_loss(network, text)
    return total_loss(network, text) / (len(text) - 1) if len(text) > 1 else float("nan")


def network_losses(
    network: Network,
    ids: np.ndarray,
    state: np.ndarray | None = None,
    temperatures: Sequence[float] = (1.0,),
) -> Iterator[np.ndarray]:
    """-log p(ids[n+1] | ids[0..n]) in nats for n = 0, 1, …, N - 2, in windows of at most WINDOW.

    ids : (N,) integers, perhaps memory-mapped; state : (L, S, 1, H) before ids[0], None is zero
    temperatures : K; each window is (K, n)
    """
    return _windows(network, ids, state, 0.0, temperatures)


def averaged(
    networks: Sequence[Network], ids: np.ndarray, temperatures: Sequence[float] = (1.0,)
) -> Iterator[np.ndarray]:
    """`network_losses` of several models whose probabilities are averaged."""
    each = (network_losses(network, ids, None, temperatures) for network in networks)
    for losses in zip(*each, strict=True):
        yield items.mean_probability(losses)


def _windows(
    network: Network,
    ids: np.ndarray,
    state: np.ndarray | None,
    negligible: float,
    temperatures: Sequence[float] = (1.0,),
) -> Iterator[np.ndarray]:
    state = network.zero_state(1) if state is None else state
    for start in range(0, len(ids) - 1, WINDOW):
        part = ids[start : start + WINDOW + 1]
        losses, state = _window(network, part, state, negligible, temperatures)
        yield losses


def _window(
    network: Network,
    ids: np.ndarray,
    first: np.ndarray,
    negligible: float,
    temperatures: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Losses (K, N - 1) of ids (N,) read from the state `first`, and the state after ids[N-2].

    negligible : accepted error of the sum of the losses, in nats per symbol
    """
    predictions = len(ids) - 1
    count = max(1, min(network.streams_at_once, predictions // SHORTEST_SEGMENT))
    bounds = np.linspace(0, predictions, count + 1).astype(int)
    starts = bounds[:-1]
    losses = np.empty((len(temperatures), predictions), first.dtype)
    begins = np.concatenate([first, network.zero_state(count - 1)], axis=2)
    segments = _Segments(network, ids, bounds, losses, np.empty_like(begins), temperatures)
    tolerance = TOLERANCE[begins.dtype.name]
    wrong = np.arange(count)
    error = np.zeros_like(begins)  # of the first states of the segments
    total: np.ndarray | None = None  # summed losses of each segment
    for _ in range(PASSES):
        segments.run(wrong, begins[:, :, wrong])
        error_before, total_before = error, total
        handed, total = segments.ends[:, :, :-1], np.add.reduceat(losses[0], starts, dtype=np.float64)
        error = np.zeros_like(begins)
        error[:, :, 1:] = _error(begins[:, :, 1:], handed)
        wrong = np.flatnonzero(_differ(error, tolerance))
        if not wrong.size:
            return losses, segments.ends[:, :, -1:]
        if negligible and total_before is not None:
            left = _left_to_move(np.abs(total - total_before), error_before, error, tolerance)
            if left <= negligible * predictions:
                return losses, segments.ends[:, :, -1:]
        begins[:, :, wrong] = handed[:, :, wrong - 1]
    rest = starts[wrong[0]]
    whole = np.array([rest, predictions])
    last = _Segments(network, ids, whole, losses, begins[:, :, :1].copy(), temperatures)
    last.run(np.array([0]), begins[:, :, wrong[:1]])
    return losses, last.ends


def _error(state: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of each number, relative to 1 + |value|."""
    return np.abs(right - state) / (1 + np.abs(right))


def _differ(error: np.ndarray, tolerance: float) -> np.ndarray:
    """Of errors (L, S, B, H), whether that of each stream is more than rounding (B,); NaN is."""
    return ~(error.max(axis=(0, 1, 3)) <= tolerance)


def _left_to_move(moved: np.ndarray, before: np.ndarray, error: np.ndarray, tolerance: float) -> float:
    """How far the sum of the losses can still move, in nats; infinite if that is unknown.

    Correcting an error of `before` in the first states moved the losses by `moved`. The error left is `error`,
    in each cell at most ρ < 1 times as large, and each pass repeats this: Σ moved ρ / (1 - ρ).

    moved : (S,) one per segment; before, error : (L, 2 or 1, S, H)
    """
    wrong = error > tolerance
    if not error.max() <= SMALL or (wrong & (error >= before)).any():
        return np.inf
    ratio = np.divide(error, before, out=np.zeros_like(error), where=wrong).max(axis=(0, 1, 3))
    return float(np.sum(moved * ratio / (1 - ratio)))


def _looks(length: int) -> Iterator[int]:
    """Where states are compared, and the end."""
    place = LOOK
    while place < length:
        yield place
        place += max(LOOK, place // 4 - place // 4 % LOOK)
    yield length


class _Segments:
    """The text ids[bounds[k]:bounds[k + 1]] of each segment k; lengths are equal or one apart.

    losses : those of each ids[n + 1], one per temperature, are put into losses[:, n]
    ends : (L, S, B, H), the states after the segments
    """

    def __init__(
        self,
        network: Network,
        ids: np.ndarray,
        bounds: np.ndarray,
        losses: np.ndarray,
        ends: np.ndarray,
        temperatures: Sequence[float],
    ) -> None:
        self.network, self.ids, self.losses, self.ends = network, ids, losses, ends
        self.temperatures = temperatures
        self.starts, self.stops = bounds[:-1], bounds[1:]
        self._seen: dict[int, np.ndarray] = {}  # states so many symbols after the start, like `ends`

    def run(self, which: np.ndarray, state: np.ndarray) -> None:
        """Read some segments from new first states (L, S, B, H); of one that was read before, only as much as changes.

        which : (B,) numbers of the segments; the first time those of all
        """
        lengths = self.stops - self.starts
        shortest, done = int(lengths.min()), 0
        tolerance = MET * TOLERANCE[state.dtype.name]
        for place in _looks(shortest) if len(lengths) > 1 else [shortest]:
            state = self._read(which, done, place, state)
            done = place
            if place == shortest:
                break
            if place not in self._seen:
                self._seen[place] = state
                continue
            before = self._seen[place][:, :, which]
            self._seen[place][:, :, which] = state
            going = _differ(_error(before, state), tolerance)
            which, state = which[going], state[:, :, going]
            if not len(which):
                return
        longer = lengths[which] > shortest
        if longer.any():
            state[:, :, longer] = self._read(which[longer], shortest, shortest + 1, state[:, :, longer])
        self.ends[:, :, which] = state

    def _read(self, which: np.ndarray, begin: int, end: int, state: np.ndarray) -> np.ndarray:
        """Symbols begin to end of some segments; returns the state after them."""
        network = self.network
        # A layer's buffers hold about 12 numbers per cell and step.
        numbers = len(which) * (network.vocab_size + 12 * network.config.layers * network.config.hidden)
        step = max(1, min(256, NUMBERS_AT_ONCE // numbers))
        for offset in range(begin, end, step):
            places = self.starts[which] + np.arange(offset, min(offset + step, end))[:, None]
            x, y = self.ids[places].astype(np.intp), self.ids[places + 1].astype(np.intp)
            self.losses[:, places], state = network.losses(x, y, state, self.temperatures)
        return state
