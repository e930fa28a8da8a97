"""Chapter 14, the real text: the concept that a cell has learnt to follow best, and what fresh cells make of it.

Concept, cell and sign are chosen on the first half of the text and scored on the second, for both networks: of many
cells the best one looks good on what it was chosen on.
"""

from dataclasses import dataclass

import numpy as np

from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.labels import Concept, Label
from charrnn.interpret.scores import excess, score_cells
from charrnn.learn import overfitting
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network
from charrnn.nn.network import Network

FEWEST = 5  # times that a concept must begin in each half to be looked for
LEARNT = 0.1  # of the score, above the best cell of a fresh network
STRONG = 0.5  # of the score
AROUND = 30  # characters shown before and after an end of it


@dataclass(frozen=True)
class Followed:
    """The best cell for one concept. text, values, h : a stretch of the second half, its label, the cell's signal times
    sign
    score, fresh : from 0, chance, to 1, on the second half, of this cell and of one of a fresh network, chosen likewise
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
    """begins : how often each concept begins in the half that has less of it, those that do begin; best : None if none
    begins often enough, or if no cell follows one clearly better than the cells of a fresh network"""

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
    whole, middle = trained.whole, len(trained.whole) // 2
    labels = [
        (concept, concept.label(whole))
        for concept in BUILT_IN.values()
        if not (concept.control or concept.predictive or concept.of_items)
    ]
    ends = {
        concept.name: 1 + np.flatnonzero(np.diff(label.values.astype(int)) < 0) for concept, label in labels
    }
    begins = {
        name: int(min((at < middle).sum(), (at >= middle).sum())) for name, at in ends.items() if len(at)
    }
    labels = [pair for pair in labels if begins.get(pair[0].name, 0) >= FEWEST]
    best = _best(trained, labels, ends, middle) if labels else None
    return RealText(trained.name, len(whole), overfitting.H, begins, best)


def _best(
    trained: overfitting.Overfitting,
    labels: list[tuple[Concept, Label]],
    ends: dict[str, np.ndarray],
    middle: int,
) -> Followed | None:
    """The cell with the largest gain in score on the first half, if it has gained LEARNT on the second, and a stretch
    around an end of its concept."""
    fresh_network = make_network("gru", overfitting.H, len(trained.vocabulary))
    ours, theirs = (
        _chosen(_signals(one, trained), labels, middle) for one in (trained.network, fresh_network)
    )
    k = max(range(len(labels)), key=lambda k: ours[k].select - theirs[k].select)
    (concept, label), best, fresh = labels[k], ours[k], theirs[k].confirm
    if best.confirm - fresh < LEARNT:
        return None
    later = ends[concept.name][ends[concept.name] >= middle]
    end = int(later[len(later) // 2])
    part = slice(max(middle, end - AROUND), end + AROUND)
    return Followed(
        *(concept, best.cell, best.confirm, fresh, best.sign),
        *(trained.whole[part], label.values[part], best.sign * best.signal[part]),
    )


@dataclass(frozen=True)
class _Chosen:
    """The cell of a network that scores best on the first half, its signal, and its scores on the first and second."""

    cell: int
    sign: int
    select: float
    confirm: float
    signal: np.ndarray


def _chosen(signals: np.ndarray, labels: list[tuple[Concept, Label]], middle: int) -> list[_Chosen]:
    """For each label."""
    select, confirm = (_scores(signals, labels, part) for part in (slice(0, middle), slice(middle, None)))
    found = []
    for first, second in zip(select, confirm, strict=True):
        cell = int(abs(first).argmax())
        sign = 1 if first[cell] > 0 else -1
        found.append(
            _Chosen(cell, sign, sign * float(first[cell]), sign * float(second[cell]), signals[cell])
        )
    return found


def _scores(signals: np.ndarray, labels: list[tuple[Concept, Label]], part: slice) -> np.ndarray:
    """From -1 over 0, chance, to 1 on a part of the text for each label and cell, (labels, H); 0 without a score."""
    wanted = [(label.values[part], label.mask[part], label.kind) for _, label in labels]
    rows = zip(score_cells(signals[:, part], wanted), wanted, strict=True)
    return np.nan_to_num(np.array([excess(row, kind) for row, (_, _, kind) in rows]))


def _signals(network: Network, trained: overfitting.Overfitting) -> np.ndarray:
    """h of each cell at each character, (H, N)."""
    x = trained.vocabulary.encode(trained.whole).astype(np.intp)[:, None]
    _, _, trace = network.forward(x, network.zero_state(1))
    return np.ascontiguousarray(trace.layers[0]["h"][:, 0].T)
