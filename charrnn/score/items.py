"""How well a model predicts items: each is read from the zero state, after its condition, up to its end.

Items of like length are read side by side, which changes a loss by no more than rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from charrnn.nn.network import Network
from charrnn.text.items import NO_TARGET, Items

ROWS = 256  # items side by side, at most
PLACES = 2**13  # symbols read side by side and one after the other in a pass, about
WINDOW = 2**20  # predicted symbols whose losses are held at once, about
STEPS = 256  # symbols one after the other in a pass, at most


class Block(NamedTuple):
    """Some places of some items.

    which : (n,) numbers of the items
    begin : the first place
    targets : (t, n) symbols, NO_TARGET where nothing is predicted
    nats : (K, t, n) -log p of the targets at each temperature, 0 where there is none
    """

    which: np.ndarray
    begin: int
    targets: np.ndarray
    nats: np.ndarray


def blocks(
    networks: Sequence[Network], items: Items, temperatures: Sequence[float] = (1.0,)
) -> Iterator[Block]:
    """All items, shortest first, in blocks; probabilities of several networks are averaged."""
    order = np.argsort(items.places, kind="stable")
    start = 0
    while start < len(order):
        # A network has buffers, and perhaps kernels, for each number of rows: only powers of two keep these few.
        most = max(1, min(ROWS, PLACES // int(items.places[order[start]])))
        which = order[start : start + (1 << most.bit_length() - 1)]
        # An item that is much longer waits: all are read as far as the longest.
        reach = max(STEPS, 2 * int(items.places[which[0]]))
        which = which[: int(np.searchsorted(items.places[which], reach, side="right"))]
        start += len(which)
        n, longest = len(which), int(items.places[which[-1]])
        rows = 1 << (n - 1).bit_length()
        states = [network.zero_state(rows) for network in networks]
        for begin in range(0, longest, STEPS):
            length = min(STEPS, longest - begin)
            x, y = items.block(which, rows, begin, length, end=0)  # beyond an end any symbol will do
            each = []
            for k, network in enumerate(networks):
                nats, states[k] = network.losses(x, np.maximum(y, 0), states[k], temperatures)
                each.append(nats)
            nats = np.where(y == NO_TARGET, 0, mean_probability(each))
            yield Block(which, begin, y[:, :n], nats[:, :, :n])


def mean_probability(losses: Sequence[np.ndarray]) -> np.ndarray:
    """-log of the mean of exp(-losses) of several models."""
    if len(losses) == 1:
        return losses[0]
    return np.log(len(losses)) - np.logaddexp.reduce(-np.stack(losses, dtype=np.float64))


def _nothing(symbols: int) -> None:
    pass


def losses(
    networks: Sequence[Network],
    items: Items,
    progress: Callable[[int], None] = _nothing,
    temperatures: Sequence[float] = (1.0,),
) -> np.ndarray:
    """-log p of each item given its condition, in nats: of its text and its end together, float64 (K, N).

    progress : called with the number of symbols just scored; temperatures : K
    """
    total = np.zeros((len(temperatures), len(items)))
    for block in blocks(networks, items, temperatures):
        total[:, block.which] += block.nats.sum(axis=1, dtype=np.float64)
        progress(int(np.count_nonzero(block.targets != NO_TARGET)))
    return total


def in_order(
    networks: Sequence[Network], items: Items, temperatures: Sequence[float] = (1.0,)
) -> Iterator[np.ndarray]:
    """-log p of each predicted symbol at each temperature, in nats, item after item, in windows (K, n)."""
    ends = np.cumsum(items.scored)
    cuts = np.searchsorted(ends, np.arange(0, items.symbols, WINDOW))
    for begin, stop in pairwise([*np.unique(cuts).tolist(), len(items)]):
        part = items[begin:stop]
        firsts = np.cumsum(part.scored) - part.scored - part.conditions + 1  # where place 0 would be
        found = np.empty((len(temperatures), part.symbols))
        for block in blocks(networks, part, temperatures):
            places = firsts[block.which] + block.begin + np.arange(len(block.targets))[:, None]
            predicted = block.targets != NO_TARGET
            found[:, places[predicted]] = block.nats[:, predicted]
        yield found


def mean_loss(network: Network, items: Items) -> float:
    """Mean cross-entropy in nats per predicted symbol, ends included; NaN where there is no item."""
    return float(losses([network], items).sum()) / items.symbols if len(items) else float("nan")
