"""How well a model predicts a text: the surprise -log p of each symbol, in nats.

The result is that of one pass from the zero state, with the state carried from the first symbol to the last.
A single stream would use a fraction of the machine, so the text is cut into segments that run side by side,
each from a guess of its first state. Each guess is then compared with the final state of the segment before,
and segments with a wrong guess run again. If guesses are still wrong after a few passes, the model
remembers for longer than a segment, and the rest is read as one stream. The worst case takes the time of that
one pass and of the few parallel ones.

If only the sum is needed, fewer passes suffice: a pass that corrects the states shows how far the correction
moves the losses, which bounds the effect of the remaining error (`_left_to_move`).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network
from charrnn.score import items
from charrnn.text.items import Items

WINDOW = 2**20  # symbols whose losses are held at once
SEGMENTS = 64  # most segments side by side
SHORTEST_SEGMENT = 1024  # symbols
WARM_UP = 256  # symbols read to guess the first state of a segment
PASSES = 3  # parallel passes before the rest is read as one stream
NUMBERS_AT_ONCE = 2**25  # activations and logits held at once: 128 MB in float32
# Error of a segment's first state, relative to 1 + |value|, that counts as zero: above rounding errors, and small
# enough that a slowly fading memory moves the mean loss by less than 1e-6.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
SMALL = 0.01  # error of a state up to which its effect on the loss is proportional to it
NEGLIGIBLE = 5e-7  # accepted error of a sum of losses, in nats per symbol


def total_loss(network: Network, ids: np.ndarray, state: np.ndarray | None = None) -> float:
    """Σ -log p(ids[n+1] | ids[0..n]) in nats, over the len(ids) - 1 predictions.

    ids : (N,) integers, perhaps memory-mapped; state : (L, S, 1, H) before ids[0], None is zero
    """
    windows = _windows(network, ids, state, NEGLIGIBLE)
    return sum(float(losses.sum(dtype=np.float64)) for losses in windows)


def mean_loss(network: Network, text: np.ndarray | Items) -> float:
    """Mean cross-entropy of a text in nats per symbol; NaN for a text with nothing to predict."""
    if isinstance(text, Items):
        return items.mean_loss(network, text)
    return total_loss(network, text) / (len(text) - 1) if len(text) > 1 else float("nan")


def network_losses(
    network: Network, ids: np.ndarray, state: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """-log p(ids[n+1] | ids[0..n]) in nats for n = 0, 1, …, N - 2, in windows of at most WINDOW.

    ids : (N,) integers, perhaps memory-mapped; state : (L, S, 1, H) before ids[0], None is zero
    """
    return _windows(network, ids, state, 0.0)


def averaged(networks: Sequence[Network], ids: np.ndarray) -> Iterator[np.ndarray]:
    """`network_losses` of several models whose probabilities are averaged."""
    for losses in zip(*(network_losses(network, ids) for network in networks), strict=True):
        yield items.mean_probability(losses)


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

    negligible : accepted error of the sum of the losses, in nats per symbol
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
    error = np.zeros_like(begins)  # of the first states of the segments
    total: np.ndarray | None = None  # summed losses of each segment
    for _ in range(PASSES):
        # The network keeps buffers for each number of streams, so use few numbers: some segments run more than
        # once to fill up to a power of two.
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
    Returns the states at the ends, (L, S, B, H).
    """
    if not len(starts):
        return state
    lengths = stops - starts
    shortest = int(lengths.min())
    # A layer's buffers hold about 12 numbers per cell and step.
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
