"""A network mixed with counts of its training text.

    p = g p_network + (1 - g) p_counts

p_counts is interpolated from the counts (`Matches.interpolated`). The gate g depends on what the counts know at a
place: the length of the longest context that occurs, and how many kinds of symbols follow it. It is fitted on the first
half of the validation text, which is not reported, by expectation and maximisation (the likelihood is concave in g):

    g ← (Σ g p_network / p + A g_all) / (N + A)        over the N places of the gate; g_all is the gate of all places

So are the longest context and its weight, by trying a few, and whether the network's fitted temperature helps. g_all is
at most MOST, so that what the network holds impossible has a finite loss: p_counts is never 0.

Adaptive counts also grow while a text is read: each symbol is scored before it is counted. They are fitted in the same
way, with one more number: how many times a symbol just read counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.score.counts import LOOKED_UP_AT_ONCE, Counts, windows
from charrnn.text.batches import Text

ORDER = 7  # longest context that is counted
ORDERS = range(3, ORDER + 1)  # longest contexts that are tried,
WEIGHTS = (1, 2, 3, 5, 8, 12)  # with these weights of the shorter context,
GROWTHS = (1, 2, 4, 8, 16)  # and for adaptive counts these counts of a symbol just read
KINDS = (2, 3, 5, 9, 17)  # of the symbols that follow a context: where a new gate begins
ROUNDS = 60  # of expectation and maximisation
MOST = 1 - 1e-6  # of g of all places
PRIOR = 4.0  # A: places that each gate has at the gate of all


@dataclass(frozen=True)
class Gate:
    """How a network and counts are mixed: all that is fitted.

    order, weight : of the counts, as in `Matches.interpolated`
    growth : how many times a symbol just read counts; 0 where the counts are static
    shares : g of each gate, as `_cells` counts them
    temperature : of the network, by which its logits are divided before it is mixed
    """

    order: int
    weight: float
    growth: int
    shares: np.ndarray
    temperature: float = 1.0


class Mixture:
    """Counts, and the gate by which a network is mixed with them."""

    def __init__(self, counts: Counts, gate: Gate) -> None:
        self.counts, self.gate = counts, gate

    @classmethod
    def fitted(
        cls,
        counts: Counts,
        text: Text,
        network_losses: np.ndarray,
        *,
        adaptive: bool = False,
        temperatures: Sequence[float] = (1.0,),
    ) -> "Mixture":
        """Fit the gate on the predictions of a text.

        network_losses : -log p by the network of the predicted symbols, at each of the temperatures (K, N)
        """
        (window,) = windows(text, counts.order, max(1, network_losses.shape[1]), first=1)
        matches = counts.matches(window)
        grown = counts.earlier(window, matches) if adaptive else None
        p_network = np.exp(-network_losses.astype(np.float64))
        least, chosen = np.inf, (0, 1, 0, 0)
        for growth in GROWTHS if grown else (0,):
            known = (matches.with_those_of(grown, growth) if grown else matches).of(window.predicted)
            for weight in WEIGHTS:
                for order, p_counts in enumerate(known.interpolated(weight, counts.base)):
                    if order in ORDERS or order == counts.order:
                        for k, p in enumerate(p_network):
                            g = _fitted_shares(p, p_counts, np.zeros(len(p), np.intp), 1)
                            loss = float(_mixed(g, p, p_counts).mean())
                            if loss < least:
                                least, chosen = loss, (order, weight, growth, k)
        order, weight, growth, k = chosen
        known = (matches.with_those_of(grown, growth) if grown else matches).of(window.predicted)
        p_counts = known.probabilities(weight, counts.base, order)
        cells = _cells(*known.longest(order))
        shares = _fitted_shares(p_network[k], p_counts, cells, (ORDER + 2) * (len(KINDS) + 1))
        return cls(counts, Gate(order, weight, growth, shares, temperatures[k]))

    def losses(self, text: Text, network_losses: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """-log p of the predicted symbols of a text, in windows; of a stream all but the first.

        network_losses : by the network at the gate's temperature, in windows of any size
        """
        gate, counts, alone, read = self.gate, self.counts, _Queue(network_losses), None
        for window in windows(text, counts.order, LOOKED_UP_AT_ONCE, first=1):
            if gate.growth and read is not None:
                counts = counts.grown(read, gate.growth)
            known, read = counts.matches(window), window
            if gate.growth:
                known = known.with_those_of(counts.earlier(window, known), gate.growth)
            known = known.of(window.predicted)
            p_counts = known.probabilities(gate.weight, counts.base, gate.order)
            g = gate.shares[_cells(*known.longest(gate.order))]
            yield _mixed(g, np.exp(-alone.take(len(g)).astype(np.float64)), p_counts)

    def distribution(self, p_network: np.ndarray, context: np.ndarray) -> np.ndarray:
        """The mixture (B, V) of the network's distributions (B, V) with static counts after contexts (B, L).

        p_network : at temperature 1
        """
        if self.gate.temperature != 1:
            p_network = p_network ** (1 / self.gate.temperature)
            p_network /= p_network.sum(axis=1, keepdims=True)
        p, matched, kinds = self.counts.after(context, self.gate.weight, self.gate.order)
        g = self.gate.shares[_cells(matched, kinds)][:, None]
        return np.asarray(g * p_network + (1 - g) * p)


def _mixed(g: np.ndarray, p_network: np.ndarray, p_counts: np.ndarray) -> np.ndarray:
    """-log p of the mixture, in nats."""
    return np.asarray(-np.log(g * p_network + (1 - g) * p_counts))


def _cells(matched: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Which gate holds at some places, by the length of the longest context that occurs and the kinds after it."""
    return np.asarray((matched + 1) * (len(KINDS) + 1) + np.digitize(kinds, KINDS))


def _fitted_shares(p_network: np.ndarray, p_counts: np.ndarray, cells: np.ndarray, number: int) -> np.ndarray:
    """g of each of `number` gates, (number,)."""
    if number == 1:
        overall = 0.5
        for _ in range(ROUNDS):
            overall = min(MOST, float(np.mean(_responsibility(overall, p_network, p_counts))))
        return np.array([overall])
    (overall,) = _fitted_shares(p_network, p_counts, cells, 1).tolist()
    shares = np.full(number, overall)
    places = np.bincount(cells, minlength=number) + PRIOR
    for _ in range(ROUNDS):
        each = _responsibility(shares[cells], p_network, p_counts)
        shares = (np.bincount(cells, each, number) + PRIOR * overall) / places
    return shares


def _responsibility(g: float | np.ndarray, p_network: np.ndarray, p_counts: np.ndarray) -> np.ndarray:
    """The share of the network in p."""
    ours = g * p_network
    return np.asarray(ours / (ours + (1 - g) * p_counts))


class _Queue:
    """Numbers that come in windows, taken in other windows."""

    def __init__(self, windows: Iterable[np.ndarray]) -> None:
        self._windows, self._rest = iter(windows), np.empty(0)

    def take(self, count: int) -> np.ndarray:
        parts = [self._rest]
        while sum(map(len, parts)) < count:
            parts.append(next(self._windows))
        both = np.concatenate(parts)
        self._rest = both[count:]
        return both[:count]
