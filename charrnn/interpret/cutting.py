"""Is an edge what it seems? Cut it, read the text again, and see the cell's score and the target's log-odds fall.

    the score       of the cell for its concept
    the log-odds    mean logit P(target) where the concept is high, less the mean where it is low, in nats

both on CONFIRM, along the direction that SELECT shows. The controls are edges of like weight: into the same gate, or to
the same symbol of the head, with the most similar weight and spread of the source (on a log scale), neither from nor to
the cell itself or a cell that follows the concept, and none of two edges:

    p = (1 + #{controls that change it as much}) / (1 + #controls)

Several edges of a cell are tested, by two figures each. What an edge loses is the larger of the shares of the score, on
the scale of ``excess``, and of the target's log-odds that are lost. Where there is next to nothing to lose, a share of
it says nothing: shares are of no less than the score that chance reaches, and LARGE nats. Of all edges tested together

    p[edge] = (1 + #{controls of all edges that lose as much}) / (1 + #controls of all edges)

is corrected for the number of edges by Holm, and is no smaller than that among the edge's own controls.
"""

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.interpret.cause import logits_of_sets, p_of
from charrnn.interpret.chance import holm
from charrnn.interpret.edges import Edge, Sources, cut_for_now, gates_of, weight_of
from charrnn.interpret.labels import Label
from charrnn.interpret.recording import Recording, read_side_by_side
from charrnn.interpret.scores import CHANCE, along, excess, score
from charrnn.model.model import Model

# Of each edge; with fewer than 20 the correction for the number of edges leaves no p below ALPHA.
CONTROLS = 25
ALPHA = 0.05
WORTH = 0.02  # of what there was: a score, on the scale of ``excess``, or log-odds that fall by less have not fallen


@dataclass(frozen=True)
class Target:
    """Symbols, and whether they are likelier (1) or less likely (-1) where the concept is high."""

    name: str
    symbols: tuple[int, ...]
    direction: int


@dataclass(frozen=True)
class Cut:
    """What changes when an edge is cut.

    score, score_after : of the cell for its concept; an edge that it does not depend on leaves it as it was
    log_odds, log_odds_after : of the target, along its direction
    score_controls, log_odds_controls : the most that cutting an edge of like weight changes them; None of none
    score_p, log_odds_p : of each figure alone
    controls : how many there are; known, lost : of the score, on a scale where 0 is chance and 1 perfect
    share, shares : the larger share that is lost, of the score or the target's log-odds, and that of each control
    p : of the share, corrected for all edges of the cell that are tested; None before that, and without controls
    """

    target: str | None
    score: float
    score_after: float
    score_p: float | None
    score_controls: float | None
    log_odds: float | None
    log_odds_after: float | None
    log_odds_p: float | None
    log_odds_controls: float | None
    controls: int
    known: float
    lost: float
    share: float
    shares: tuple[float, ...]
    p: float | None = None

    @property
    def fell(self) -> float:
        """By how much the log-odds fall."""
        if self.log_odds is None or self.log_odds_after is None:
            return 0.0
        return self.log_odds - self.log_odds_after

    @property
    def holds(self) -> bool:
        """Whether the score or the log-odds fall, and more than without edges of like weight."""
        return self.p is not None and self.p <= ALPHA and self.share >= WORTH

    def to_json(self) -> dict[str, Any]:
        values = asdict(self) | {"holds": self.holds}
        del values["shares"]
        return values


def corrected(cuts: Sequence[Cut]) -> list[Cut]:
    """The cuts of a cell's edges, with p corrected for their number."""
    everywhere = np.array([share for cut in cuts for share in cut.shares])
    together = holm([p_of(cut.share, everywhere) for cut in cuts])
    return [
        replace(cut, p=max(p, p_of(cut.share, np.array(cut.shares)))) if cut.shares else cut
        for cut, p in zip(cuts, together, strict=True)
    ]


def least_p(cuts: Sequence[Cut]) -> list[float]:
    """The smallest p that each edge could have among so many controls, if no other edge did anything."""
    everywhere = 1 + sum(cut.controls for cut in cuts)
    return [max(len(cuts) / everywhere, 1 / (1 + cut.controls)) for cut in cuts]


@dataclass(frozen=True, eq=False)
class _Reading:
    """A cell's signal (N,), and h of the last layer where the label counts (C, H), of one network."""

    signal: np.ndarray
    top: np.ndarray


class Bench:
    """A network in which edges of one cell are cut, and the text on which that is measured.

    model : without an embedding; its weights are changed while an edge is cut
    classes : as from ``targets.classes_of``; ignorant : the cells that do not follow the label, bool (L, H)
    told : the size of the target's log-odds, or LARGE nats, of which shares are lost; 1 nat until it is known
    level : the strength that chance reaches, on the scale of ``excess``; 0 until it is known
    """

    def __init__(
        self,
        model: Model,
        recording: Recording,
        label: Label,
        classes: np.ndarray,
        sign: int,
        cell: tuple[int, int],
        ignorant: np.ndarray,
        sources: Sources,
    ) -> None:
        self.model, self.recording, self.label, self.sign = model, recording, label, sign
        self.cell, self.sources = cell, sources
        self.usable = ignorant.copy()
        self.usable[cell] = False
        part = recording.confirm
        self.places = part.start + np.flatnonzero(classes[part] >= 0)
        self.classes = classes[self.places]
        self.told, self.level = 1.0, 0.0
        self._taken: set[Edge] = set()  # controls so far
        self.whole = self._read()

    def log_odds(self, target: Target, reading: _Reading | None = None) -> float:
        """By how much the target is likelier where the label is high, in nats, along its direction."""
        top = (reading or self.whole).top
        params = self.model.network.params
        logits = top @ params["head.weight"].T + params["head.bias"]
        odds = logits_of_sets(logits, [target.symbols])[:, 0]
        with np.errstate(invalid="ignore"):
            gap = odds[self.classes == 1].mean() - odds[self.classes == 0].mean()
        return float(target.direction * gap)

    def score(self, reading: _Reading | None = None) -> float:
        """Of the cell on CONFIRM; that of chance where it does not move."""
        part, label = self.recording.confirm, self.label
        signal = (reading or self.whole).signal[part]
        found = score(signal, label.values[part], label.mask[part], label.kind)
        return along(self.sign, found, label.kind) if found == found else CHANCE[label.kind]

    def test(self, edge: Edge, target: Target | None) -> Cut:
        """Cut an edge, and those like it. Of an edge to the head, ``target`` is the symbol it goes to."""
        controls = self.alike(edge, self._taken)
        self._taken.update(controls)
        edges = [edge, *controls]
        scores, odds = [], []
        for one in edges:
            reading = self.whole if edge.kind == "head" else self._cut(one)
            scores.append(self.score(reading))
            if target is None:
                continue
            if edge.kind == "head":
                with cut_for_now(self.model, [one], self.sources):
                    odds.append(self.log_odds(target))
            else:
                odds.append(self.log_odds(target, reading))
        before = self.score()
        lost = np.asarray(
            excess(before, self.label.kind) - np.array(excess(np.array(scores), self.label.kind))
        )
        told = self.log_odds(target) if target is not None else None
        fell = told - np.array(odds) if told is not None else np.zeros(0)
        alone = edge.kind == "head"  # what follows from the head is no part of the cell
        known = float(excess(before, self.label.kind))
        shares = [fell / self.told] * bool(odds) + [lost / max(known, self.level)] * (known > 0 and not alone)
        largest = np.max(shares, axis=0) if shares else np.zeros(len(edges))
        sizes = np.max(np.abs(shares), axis=0)[1:] if shares else np.zeros(len(controls))
        most_lost, most_fell = (
            float(np.abs(values[1:]).max()) if len(values) > 1 else None for values in (lost, fell)
        )
        return Cut(
            target=target.name if target else None,
            score=before,
            score_after=scores[0],
            score_p=None if alone else p_of(float(lost[0]), np.abs(lost[1:])),
            score_controls=None if alone else most_lost,
            log_odds=told,
            log_odds_after=odds[0] if odds else None,
            log_odds_p=p_of(float(fell[0]), np.abs(fell[1:])) if odds else None,
            log_odds_controls=most_fell,
            controls=len(edges) - 1,
            known=known,
            lost=float(lost[0]),
            share=float(largest[0]),
            shares=tuple(sizes.tolist()),
        )

    def alike(self, edge: Edge, taken: Container[Edge] = ()) -> list[Edge]:
        """Up to CONTROLS edges of other cells with the most similar weight and spread of the source.

        taken : edges that are not to be among them
        """
        network, sources = self.model.network, self.sources
        matrix, (row, _) = weight_of(network, edge)
        H = network.config.hidden
        if edge.kind == "head":
            weights, rows = matrix[row : row + 1], np.ones(1, bool)
        else:
            first = gates_of(network).index(edge.gate) * H
            weights, rows = matrix[first : first + H], self.usable[edge.layer]
        if edge.kind == "symbol":
            weights = weights - (weights @ sources.shares)[:, None]
            spreads, columns = np.sqrt(sources.shares), sources.shares > 0
        else:
            spreads, columns = sources.spreads[edge.source_layer], self.usable[edge.source_layer]
        features = np.log(
            np.stack(np.broadcast_arrays(np.abs(weights), spreads[None])).astype(float) + 1e-9
        )  # (2, rows, columns)
        own = features[:, 0 if edge.kind == "head" else edge.target, edge.source]
        allowed = rows[:, None] & columns[None] & (weights != 0) & (spreads[None] > 0)
        scale = features[:, allowed].std(axis=1) if allowed.any() else np.ones(2)
        scale = np.where(scale > 0, scale, 1)
        distance = np.where(
            allowed, np.sum(((features - own[:, None, None]) / scale[:, None, None]) ** 2, axis=0), np.inf
        )
        nearest = np.argsort(distance, axis=None, kind="stable")[: int(allowed.sum())]
        found: list[Edge] = []
        for place in nearest.tolist():
            target, source = divmod(place, distance.shape[1])
            target = edge.target if edge.kind == "head" else target
            one = Edge(edge.kind, edge.layer, edge.gate, source, target)
            if one not in taken:
                found.append(one)
                if len(found) == CONTROLS:
                    break
        return found

    def _cut(self, edge: Edge) -> _Reading:
        with cut_for_now(self.model, [edge], self.sources):
            return self._read()

    def together(self, edges: Sequence[Edge], target: Target | None) -> tuple[float, float | None]:
        """The score and the target's log-odds when several edges are cut at once."""
        with cut_for_now(self.model, edges, self.sources):
            reading = self._read()
            return self.score(reading), None if target is None else self.log_odds(target, reading)

    @blas_threads()
    def _read(self) -> _Reading:
        model, recording = self.model, self.recording
        layer, cell = self.cell
        letter = "tanh_c" if model.config.cell == "lstm" else "h"
        signal = np.zeros(len(recording.ids), model.network.theta.dtype)
        row = np.full(len(recording.ids), -1)
        row[recording.ends[self.places]] = np.arange(len(self.places))
        top = np.zeros((len(self.places), model.config.hidden), model.network.theta.dtype)
        for places, recorded, layers in read_side_by_side(model, recording, [*dict.fromkeys(["h", letter])]):
            where = places[recorded]
            signal[where] = layers[layer][letter][recorded, cell]
            kept = row[where] >= 0
            top[row[where[kept]]] = layers[-1]["h"][recorded][kept]
        if recording.begins is not None:
            _, stops = recording.spans
            signal[stops] = signal[stops - 1]
        return _Reading(signal[recording.ends], top)
