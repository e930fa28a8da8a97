"""What networks that have learnt nothing reach: the same shape, fresh weights, the same text.

The last character alone tells something of most concepts, and any recurrent network echoes a few characters. A cell
that does no better than the best cells of untrained networks is no finding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.engines.choice import network_for_reading
from charrnn.interpret.labels import Label
from charrnn.interpret.reading import Reading
from charrnn.interpret.recording import WARM_UP, Recording, record
from charrnn.interpret.scores import excess, memory_score, score_cells
from charrnn.model.model import Model
from charrnn.nn.init import initialise

NETWORKS = 5
CHARACTERS = 20_000  # of CONFIRM that they read
REMEMBERING = 8  # cells whose memory is scored: those that follow the label best


@dataclass(frozen=True)
class Reach:
    """The best that cells of untrained networks do for one label, on the scale of ``excess``."""

    score: float
    memory: float


def untrained_reach(model: Model, recording: Recording, labels: Sequence[Label]) -> Mapping[str, Reach]:
    """What the best cell of any of NETWORKS untrained networks of the model's shape reaches, for each label."""
    start = recording.confirm.start
    piece = _piece(recording, start)
    counted = slice(0 if piece.begins is not None else min(WARM_UP, len(piece.text) // 2), len(piece.text))
    parts = [_moved(label, start, len(piece.text)) for label in labels]
    best = np.zeros((len(labels), 2))
    network = network_for_reading(model.config, len(model.vocab), model.network.theta.dtype)
    for seed in range(NETWORKS):
        initialise(network, np.random.default_rng(seed))
        other = record(Model.of_network(network, model.vocab, {}), piece)
        characters = other.characters()
        found = score_cells(
            other.signals[:, counted], [(one.values[counted], one.mask[counted], one.kind) for one in parts]
        )
        for k, (label, scores) in enumerate(zip(parts, found, strict=True)):
            strengths = np.nan_to_num(np.abs(excess(scores, label.kind)))
            ranked = np.argsort(-strengths, kind="stable")[:REMEMBERING]
            memories = [memory_score(other.signals[m], label, characters, counted) for m in ranked]
            memory = np.nan_to_num(np.abs(excess(np.array(memories), label.kind))).max()
            best[k] = np.maximum(best[k], (strengths.max(), memory))
    return {label.name: Reach(*map(float, row)) for label, row in zip(labels, best, strict=True)}


def _piece(recording: Recording, start: int) -> Reading:
    whole = recording.part(start, recording.confirm.stop)
    return whole.first(CHARACTERS)


def _moved(label: Label, start: int, length: int) -> Label:
    part = slice(start, start + length)
    stretches = None if label.stretches is None else label.stretches[part]
    return Label(
        *(label.name, label.kind, label.values[part], label.mask[part], label.target, label.direction),
        stretches=stretches,
    )
