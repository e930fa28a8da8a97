"""How well a model predicts a text: the surprise -log p of each symbol, in nats.

A text is read in one pass with the state carried from its first symbol to its last, from the zero
state, each symbol predicting the next. One stream at a time would use a fraction of the machine, so
the text is cut into segments that run side by side, each from a guess of the state it would have been
handed; the guess is then compared with the state that the segment before really ended in, and
segments whose guess was wrong run again. Should guesses still be wrong after a few passes, the model
remembers for longer than a segment, and the rest is read as one stream. The result is that of the one pass;
at worst it takes the time of that pass and of the few side by side.

Where only the sum is wanted, less will do: a pass that corrects the states tells by how much that moves the
losses, and so how much what is left of the error still can (`_left_to_move`).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network

WINDOW = 2**20  # symbols whose losses are held at once
SEGMENTS = 64  # at most, side by side
SHORTEST_SEGMENT = 1024  # symbols
WARM_UP = 256  # symbols read to guess the state a segment begins in
PASSES = 3  # before the rest is read as one stream
NUMBERS_AT_ONCE = 2**25  # of activations and logits: 128 MB in float32
# Error of a state handed over, relative to 1 + |value|, that counts as none: above the rounding of the
# arithmetic, and small enough that a memory which fades slowly moves the mean loss by less than 1e-6.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
SMALL = 0.01  # error of a state up to which what it does to the loss is in proportion to it
NEGLIGIBLE = 5e-7  # nats a symbol that a sum of losses may be off by


def total_loss(network: Network, ids: np.ndarray, state: np.ndarray | None = None) -> float:
    """Σ -log p(ids[n+1] | ids[0..n]) in nats, over the len(ids) - 1 predictions.

    ids : (N,) integers, perhaps memory-mapped; state : (L, S, 1, H) before ids[0], None is zero
    """
    windows = _windows(network, ids, state, NEGLIGIBLE)
    return sum(float(losses.sum(dtype=np.float64)) for losses in windows)


def mean_loss(network: Network, ids: np.ndarray) -> float:
    """Mean cross-entropy of a text in nats a symbol; NaN for a text with nothing to predict."""
    return total_loss(network, ids) / (len(ids) - 1) if len(ids) > 1 else float("nan")


def surprises(network: Network, ids: np.ndarray, state: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """-log p(ids[n+1] | ids[0..n]) in nats for n = 0, 1, …, N - 2, in windows of at most WINDOW.

    ids : (N,) integers, perhaps memory-mapped; state : (L, S, 1, H) before ids[0], None is zero
    """
    return _windows(network, ids, state, 0.0)


def averaged(networks: Sequence[Network], ids: np.ndarray) -> Iterator[np.ndarray]:
    """`surprises` of several models whose probabilities are averaged."""
    for losses in zip(*(surprises(network, ids) for network in networks), strict=True):
        yield mean_probability(losses)


def mean_probability(losses: Sequence[np.ndarray]) -> np.ndarray:
    """-log of the mean of exp(-losses) of several models."""
    if len(losses) == 1:
        return losses[0]
    return np.log(len(losses)) - np.logaddexp.reduce(-np.stack(losses, dtype=np.float64))


def _windows(
    network: Network, ids: np.ndarray, state: np.ndarray | None, negligible: float
) -> Iterator[np.ndarray]:
    state = network.zero_state(1) if state is None else state
    for start in range(0, len(ids) - 1, WINDOW):
        losses, state = _window(network, ids[start : start + WINDOW + 1], state, negligible)
        yield losses


def _window(
    network: Network, ids: np.ndarray, first: np.ndarray, negligible: float
) -> tuple[np.ndarray, np.ndarray]:
    """Losses (N - 1,) of ids (N,) read from the state `first`, and the state after ids[N-2].

    negligible : nats a symbol that the sum of the losses may be off by
    """
    predictions = len(ids) - 1
    count = max(1, min(SEGMENTS, predictions // SHORTEST_SEGMENT))
    bounds = np.linspace(0, predictions, count + 1).astype(int)
    starts, stops = bounds[:-1], bounds[1:]
    losses = np.empty(predictions, first.dtype)
    warm_up = min(WARM_UP, int((stops - starts).min()))
    guesses = _run(network, ids, stops[:-1] - warm_up, stops[:-1], network.zero_state(count - 1), losses)
    begins = np.concatenate([first, guesses], axis=2)
    ends = np.empty_like(begins)
    tolerance = TOLERANCE[begins.dtype.name]
    wrong = np.arange(count)
    error = np.zeros_like(begins)  # of the states that segments begin in
    total: np.ndarray | None = None  # of the losses of each segment
    for _ in range(PASSES):
        # The network keeps buffers for each number of streams it has met, so let there be few: some
        # segments run more than once to fill up to a power of two.
        wrong = wrong[np.minimum(np.arange(min(count, 1 << (wrong.size - 1).bit_length())), wrong.size - 1)]
        ends[:, :, wrong] = _run(network, ids, starts[wrong], stops[wrong], begins[:, :, wrong], losses)
        error_before, total_before = error, total
        handed, total = ends[:, :, :-1], np.add.reduceat(losses, starts, dtype=np.float64)
        error = np.zeros_like(begins)
        error[:, :, 1:] = np.abs(handed - begins[:, :, 1:]) / (1 + np.abs(handed))
        wrong = np.flatnonzero(~(error.max(axis=(0, 1, 3)) <= tolerance))
        if not wrong.size:
            return losses, ends[:, :, -1:]
        if negligible and total_before is not None:
            left = _left_to_move(np.abs(total - total_before), error_before, error, tolerance)
            if left <= negligible * predictions:
                return losses, ends[:, :, -1:]
        begins[:, :, wrong] = handed[:, :, wrong - 1]
    rest = starts[wrong[:1]]
    return losses, _run(network, ids, rest, bounds[-1:], begins[:, :, wrong[:1]], losses)


def _left_to_move(moved: np.ndarray, before: np.ndarray, error: np.ndarray, tolerance: float) -> float:
    """How much the sum of the losses can still move, in nats; infinite when that cannot be told.

    A segment whose states were off by `before` moved by `moved` when they were put right. They are off by
    `error` now, in each cell at most ρ < 1 times as much, and so on from pass to pass: Σ moved ρ / (1 - ρ).

    moved : (S,) of each segment; before, error : (L, 2 or 1, S, H)
    """
    wrong = error > tolerance
    if not error.max() <= SMALL or (wrong & (error >= before)).any():
        return np.inf
    ratio = np.divide(error, before, out=np.zeros_like(error), where=wrong).max(axis=(0, 1, 3))
    return float(np.sum(moved * ratio / (1 - ratio)))


def _run(
    network: Network,
    ids: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    state: np.ndarray,
    losses: np.ndarray,
) -> np.ndarray:
    """Read segments ids[start:stop] side by side and put the loss of each ids[n + 1] into losses[n].

    starts, stops : (B,), lengths equal or one apart; state : (L, S, B, H)
    Returns the states at the ends.
    """
    if not len(starts):
        return state
    lengths = stops - starts
    shortest = int(lengths.min())
    # A layer's buffers hold about 12 numbers a cell and step.
    numbers = len(starts) * (network.vocab_size + 12 * network.config.layers * network.config.hidden)
    step = max(1, min(256, NUMBERS_AT_ONCE // numbers))
    if step > network.steps_at_once:
        step -= step % network.steps_at_once
    for offset in range(0, shortest, step):
        places = starts + np.arange(offset, min(offset + step, shortest))[:, None]
        logits, state = network.read(ids[places].astype(np.intp), state)
        losses[places] = cross_entropy(logits, ids[places + 1].astype(np.intp))
    longer = np.flatnonzero(lengths > shortest)
    if longer.size:
        last = stops[longer] - 1
        logits, state[:, :, longer] = network.read(ids[last][None].astype(np.intp), state[:, :, longer])
        losses[last] = cross_entropy(logits, ids[last + 1][None].astype(np.intp))[0]
    return state
