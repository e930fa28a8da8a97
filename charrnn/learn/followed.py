"""Chapter 14, the real text: the concept that a cell has learnt to follow best, and what fresh cells make of it."""

from dataclasses import dataclass

import numpy as np

from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.labels import Concept, Label
from charrnn.interpret.scores import excess, score_cells
from charrnn.learn import overfitting
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network
from charrnn.nn.network import Network

FEWEST = 10  # times that a concept must begin to be looked for
LEARNT = 0.1  # of the score, above the best cell of a fresh network
STRONG = 0.5  # of the score
AROUND = 30  # characters shown before and after an end of it


@dataclass(frozen=True)
class Followed:
    """The best cell for one concept. text, values, h : a stretch of the text, its label, the cell's signal times sign
    score, fresh : from 0, chance, to 1, of this cell and of the best cell of a fresh network
    sign : -1 if the cell's signal is low where the concept is high"""

    concept: Concept
    cell: int
    score: float
    fresh: float
    sign: int
    text: str
    values: np.ndarray
    h: np.ndarray


@dataclass(frozen=True)
class RealText:
    """begins : how often each concept begins, those that do; best : None if none begins often enough, or if no cell
    follows one clearly better than the cells of a fresh network"""

    name: str
    characters: int
    hidden: int
    begins: dict[str, int]
    best: Followed | None

    @property
    def facts(self) -> dict[str, str]:
        best = self.best
        return {
            "name": self.name,
            "characters": f"{self.characters:,}",
            "hidden": str(self.hidden),
            "fewest": str(FEWEST),
            "many": str(sum(n >= FEWEST for n in self.begins.values())),
            "found": "yes" if best else "",
            "concept": best.concept.name if best else "",
            "rule": best.concept.rule if best else "",
            "follower": str(best.cell) if best else "",
            "score": f"{best.score:.2f}" if best else "",
            "fresh": f"{best.fresh:.2f}" if best else "",
            "weak": "yes" if best and best.score < STRONG else "",
        }


def in_real_text(text: LessonText) -> RealText:
    """The concept whose best cell surpasses those of a fresh network most."""
    trained = overfitting.compute(text)
    whole = trained.whole
    labels = [
        (concept, concept.label(whole))
        for concept in BUILT_IN.values()
        if not (concept.control or concept.predictive or concept.of_items)
    ]
    ends = {concept.name: np.flatnonzero(np.diff(label.values.astype(int)) < 0) for concept, label in labels}
    begins = {name: len(at) for name, at in ends.items() if len(at)}
    labels = [pair for pair in labels if len(ends[pair[0].name]) >= FEWEST]
    best = _best(trained, labels, ends) if labels else None
    return RealText(trained.name, len(whole), overfitting.H, begins, best)


def _best(
    trained: overfitting.Overfitting, labels: list[tuple[Concept, Label]], ends: dict[str, np.ndarray]
) -> Followed | None:
    """The cell with the largest gain in score, if that is LEARNT, and a stretch around an end of its concept."""
    fresh_network = make_network("gru", overfitting.H, len(trained.vocabulary))
    signals = _signals(trained.network, trained)
    signed, fresh = (_scores(one, labels) for one in (signals, _signals(fresh_network, trained)))
    gains = abs(signed).max(axis=1) - abs(fresh).max(axis=1)
    k = int(gains.argmax())
    if gains[k] < LEARNT:
        return None
    (concept, label), cell = labels[k], int(abs(signed[k]).argmax())
    middle = int(ends[concept.name][len(ends[concept.name]) // 2])
    part = slice(max(0, middle - AROUND), middle + AROUND)
    score, sign = abs(float(signed[k, cell])), 1 if signed[k, cell] > 0 else -1
    return Followed(
        *(concept, cell, score, float(abs(fresh[k]).max()), sign),
        *(trained.whole[part], label.values[part], sign * signals[cell, part]),
    )


def _scores(signals: np.ndarray, labels: list[tuple[Concept, Label]]) -> np.ndarray:
    """From -1 over 0, chance, to 1 for each label and cell, (labels, H); 0 without a score."""
    wanted = [(label.values, label.mask, label.kind) for _, label in labels]
    rows = zip(score_cells(signals, wanted), wanted, strict=True)
    return np.nan_to_num(np.array([excess(row, kind) for row, (_, _, kind) in rows]))


def _signals(network: Network, trained: overfitting.Overfitting) -> np.ndarray:
    """h of each cell at each character, (H, N)."""
    x = trained.vocabulary.encode(trained.whole).astype(np.intp)[:, None]
    _, _, trace = network.forward(x, network.zero_state(1))
    return np.ascontiguousarray(trace.layers[0]["h"][:, 0].T)
