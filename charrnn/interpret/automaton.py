"""The finite automaton that a network has learnt, as far as it is one.

States that the network visits on a text are grouped into K clusters by k-means, by what they expect of the next few
symbols (futures.py), since not all that a state holds matters. A cluster allows the symbols whose mean probability in
it is at least `allowed`. Each such symbol is read once from every state of the cluster that allows it,
whether or not it comes in the text; the cluster where most of these readings end is the next one. The machine of these
clusters is made minimal: clusters that allow the same texts become one state. (Omlin and Giles 1996 extracted automata
from recurrent networks by a grid in place of clusters; Wang et al. 2018 by k-means.)

K is tried in powers of two. The smallest machine is taken whose fidelity on the first half of the text is within
TIE of the best; the reported fidelity is that on the second half, which nothing was fitted on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.interpret.clusters import k_means, nearest
from charrnn.interpret.futures import Word, futures, likely_words
from charrnn.interpret.machine import Difference, Machine, difference, machine_of, minimal
from charrnn.interpret.reading import characters_of
from charrnn.model.model import Model
from charrnn.model.steps import Steps
from charrnn.text.process import Process
from charrnn.text.vocabulary import silent_symbol

SYMBOLS = 10_000  # of a text that are read, in two halves
FEWEST = 200  # symbols
GROUPED = 1500  # states of the first half that are grouped
ASKED = 300  # of these, which choose the words
LEAST_CLUSTERS = 4
TIE = 0.001
AT_ONCE = 4096  # states stepped at once
CERTAIN = 0.999  # a belief from which on the state of a process is known


@dataclass(frozen=True)
class Comparison:
    """A machine beside that of a known process.

    states : of the smallest machine that allows the same texts as the process
    difference : None if both are equal; first is the network's machine
    """

    process: str
    states: int
    difference: Difference | None

    def to_json(self) -> dict[str, Any]:
        return {
            "process": self.process,
            "states": self.states,
            "equal": self.difference is None,
            "difference": self.difference,
        }


@dataclass(frozen=True, eq=False)
class Automaton:
    """What was extracted, and how well it stands for the network on held-out text.

    visits : (S,), share of the held-out places at each state; probabilities : (S, V), the network's mean there
    clusters : how many there were; agreement : share of the readings that end in the cluster where most do
    fidelity : share of the held-out places where machine and network allow the same symbols
    lost : share of them where the text has a symbol that the machine does not allow
    loss_nats, network_loss_nats : mean loss per symbol with the probabilities of each state of the machine, as they
        are on the first half, and with those of the network
    """

    machine: Machine
    visits: np.ndarray
    probabilities: np.ndarray
    clusters: int
    agreement: float
    fidelity: float
    lost: float
    loss_nats: float
    network_loss_nats: float
    held_out: int
    comparison: Comparison | None = None

    def to_json(self) -> dict[str, Any]:
        symbols = self.machine.symbols
        described = self.machine.to_json()
        states = [
            {
                "next": following,
                "visits": float(share),
                "probabilities": {symbols[v]: float(row[v]) for v in np.flatnonzero(self.machine.allowed[k])},
            }
            for k, (following, share, row) in enumerate(
                zip(described["states"], self.visits, self.probabilities, strict=True)
            )
        ]
        return {
            "start": described["start"],
            "states": states,
            "clusters": self.clusters,
            "agreement": self.agreement,
            "fidelity": self.fidelity,
            "lost": self.lost,
            "loss_nats": self.loss_nats,
            "network_loss_nats": self.network_loss_nats,
            "held_out_symbols": self.held_out,
            "comparison": self.comparison,
        }


@dataclass(frozen=True, eq=False)
class _Half:
    """A half of the text: its symbols (N,), the states after them (N, D), log p of the next symbol (N, V), and what
    the states expect (N, W)."""

    ids: np.ndarray
    states: np.ndarray
    log_p: np.ndarray
    futures: np.ndarray

    def allowed(self, least: float) -> np.ndarray:
        """(N, V)"""
        return self.log_p >= np.log(least)


@dataclass(frozen=True, eq=False)
class _Extracted:
    """A minimal machine, and the state that each cluster became, -1 for none."""

    machine: Machine
    became: np.ndarray
    centres: np.ndarray
    agreement: float

    def run(self, half: _Half) -> tuple[np.ndarray, int]:
        """The state after each symbol of a half (N,), and how often the machine did not allow the next symbol.

        It begins in the state of the network's cluster, and is set to that again where it is lost.
        """
        seen = self.became[nearest(half.futures, self.centres)]
        following, states = self.machine.following.tolist(), seen.copy()
        at, lost = int(seen[0]), 0
        for t, symbol in enumerate(half.ids.tolist()[1:], 1):
            after = following[at][symbol] if at >= 0 else -1
            lost += at >= 0 and after < 0
            at = states[t] = after if after >= 0 else int(seen[t])
        return states, lost


@blas_threads()
def extract(
    model: Model,
    ids: np.ndarray,
    *,
    allowed: float = 0.05,
    most_clusters: int = 128,
    process: Process | None = None,
    seed: int = 1,
) -> Automaton:
    """The automaton of a model, on a text.

    ids : (N,), of which the first SYMBOLS are read
    allowed : the least probability of a symbol that can come; process : to compare with

    Raises DataError for a text that is too short, UsageError for a process that is no finite machine.
    """
    known = None if process is None else machine_of(process)
    if len(ids) < FEWEST:
        raise DataError(f"the text has {len(ids):,} symbols; at least {FEWEST} are needed. Give a longer one")
    steps, rng = Steps(model), np.random.default_rng(seed)
    ids = ids[:SYMBOLS]
    states, middle = steps.visited(ids), len(ids) // 2
    grouped = rng.choice(middle, min(GROUPED, middle), replace=False)
    words = likely_words(steps, states[grouped[:ASKED]])
    fitted, held_out = (
        _Half(ids[k].astype(np.intp), states[k], steps.log_p(states[k]), futures(steps, states[k], words))
        for k in (slice(middle), slice(middle, None))
    )
    characters = "".join(characters_of(model.vocab))
    begin = silent_symbol(model.vocab)
    sizes = [min(LEAST_CLUSTERS, most_clusters)]
    while sizes[-1] < most_clusters:
        sizes.append(min(2 * sizes[-1], most_clusters))
    clusterings = [k_means(fitted.futures[grouped], size, rng) for size in sizes]
    votes = _votes(steps, fitted, grouped, words, clusterings, allowed)
    found = [
        _machine(characters, fitted, grouped, centres, counts, allowed, begin)
        for centres, counts in zip(clusterings, votes, strict=True)
    ]
    scores = [_fidelity(one, fitted, allowed)[0] for one in found]
    chosen = min(
        (one for one, score in zip(found, scores, strict=True) if score >= max(scores) - TIE),
        key=lambda one: (len(one.machine), len(one.centres)),
    )
    fidelity, lost = _fidelity(chosen, held_out, allowed)
    at, _ = chosen.run(held_out)
    first, _ = chosen.run(fitted)
    size = len(chosen.machine)
    log_p = np.log(_means(first, np.exp(fitted.log_p), size))
    targets = held_out.ids[1:]
    inside = at[:-1] >= 0
    own = held_out.log_p[np.arange(len(targets)), targets]
    told = log_p[at[:-1], targets]
    comparison = None
    if process is not None and known is not None:
        comparison = _compare(chosen.machine, known, process, held_out, at)
    return Automaton(
        chosen.machine,
        np.bincount(at[at >= 0], minlength=size) / len(at),
        _means(at, np.exp(held_out.log_p), size),
        len(chosen.centres),
        chosen.agreement,
        fidelity,
        lost,
        float(-told[inside].mean()) if inside.any() else float("nan"),
        float(-own[inside].mean()) if inside.any() else float("nan"),
        len(held_out.ids),
        comparison,
    )


def _votes(
    steps: Steps,
    half: _Half,
    grouped: np.ndarray,
    words: list[Word],
    clusterings: list[np.ndarray],
    least: float,
) -> list[np.ndarray]:
    """Where the symbols that states allow lead to: counts (K, V, K) by cluster, symbol and next cluster."""
    votes = [np.zeros((len(c), half.log_p.shape[1], len(c)), np.int64) for c in clusterings]
    rows, symbols = np.nonzero(half.allowed(least)[grouped])
    for begin in range(0, len(rows), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        which = grouped[rows[part]]
        after = futures(steps, steps.forward(half.states[which], symbols[part]), words)
        for counts, centres in zip(votes, clusterings, strict=True):
            np.add.at(
                counts, (nearest(half.futures[which], centres), symbols[part], nearest(after, centres)), 1
            )
    return votes


def _machine(
    characters: str,
    half: _Half,
    grouped: np.ndarray,
    centres: np.ndarray,
    votes: np.ndarray,
    least: float,
    begin: int,
) -> _Extracted:
    """The machine of some clusters, made minimal.

    It starts where the symbol `begin` leads to, for the most part; if the text has none, in the largest cluster.
    """
    own = nearest(half.futures, centres)
    means = _means(own[grouped], np.exp(half.log_p[grouped]), len(centres))
    allowed = (means >= least) & votes.any(axis=2)
    following = np.where(allowed, votes.argmax(axis=2), -1)
    begins = own[half.ids == begin]
    start = np.bincount(begins if len(begins) else own).argmax()
    machine, became = minimal(Machine(characters, following, int(start)))
    agreement = votes.max(axis=2).sum() / max(votes.sum(), 1)
    return _Extracted(machine, became, centres, float(agreement))


def _means(groups: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """The mean (size, V) of the values (N, V) of each group; equal shares for a group without any. -1 is no group."""
    inside = groups >= 0
    members = np.eye(size)[groups[inside]]  # (N, size)
    counts = members.sum(axis=0)[:, None]
    sums = members.T @ values[inside]
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1 / values.shape[1])


def _fidelity(found: _Extracted, half: _Half, least: float) -> tuple[float, float]:
    """The shares of a half's places where machine and network allow the same symbols, and where the machine is lost."""
    states, lost = found.run(half)
    same = (found.machine.allowed[states] == half.allowed(least)).all(axis=1) & (states >= 0)
    return float(same.mean()), lost / max(len(states) - 1, 1)


def _compare(
    machine: Machine, known: Machine, process: Process, half: _Half, states: np.ndarray
) -> Comparison:
    """Both machines, from states that belong together.

    If each string of the process ends with a newline, both begin after one. Otherwise the process begins in its start,
    if the text ever tells that it is there, and the network's machine in the state where it mostly is at those places.

    states : (N,) of the network's machine on that half
    """
    characters = [machine.symbols[v] for v in half.ids.tolist()]
    if strange := set(characters) - set(process.symbols):
        raise DataError(
            f"the text has {min(strange)!r}, which {process.name} never writes. --process names the one that wrote it"
        )
    newline = process.symbols.find("\n")
    if newline >= 0 and set(known.following[:, newline].tolist()) <= {-1, known.start}:
        return Comparison(process.name, len(minimal(known)[0]), difference(machine, known))
    symbols = np.array([process.symbols.index(character) for character in characters])
    anywhere = Process(process.name, process.about, process.symbols, process.transitions, process.states)
    beliefs, _ = anywhere.beliefs(symbols)
    certain = (beliefs.max(axis=1) >= CERTAIN) & (states >= 0)
    held, there = beliefs.argmax(axis=1)[certain], states[certain]
    if len(held):
        start = known.start if (held == known.start).any() else int(np.bincount(held).argmax())
        known = Machine(known.symbols, known.following, start)
        machine = Machine(machine.symbols, machine.following, int(np.bincount(there[held == start]).argmax()))
    return Comparison(process.name, len(minimal(known)[0]), difference(machine, known))
