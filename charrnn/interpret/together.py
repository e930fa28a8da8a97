"""Do several cells hold a fact that none of them holds alone? Hold the best k together, beside random sets.

A cell that shares its fact with others is outvoted when it alone is held. The k cells that follow the label best,
over all layers, are moved together between their medians for each class. The controls are sets of k cells that do
not follow it, each like one of the k in layer, spread and outgoing weight and moved between the same quantiles, up or
down at random.

    p = (1 + #{control sets that move the target as far}) / (1 + #control sets)

k is chosen on SELECT, as the smallest that passes there, and tested on CONFIRM.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.cause import (
    Condition,
    Experiment,
    Knowledge,
    dose_levels,
    matched_controls,
    p_of,
    same_quantiles,
)
from charrnn.interpret.labels import Label
from charrnn.interpret.targets import Target, symbol_ids

SIZES = (1, 2, 3, 5, 8)
CONTROL_SETS = 50
ALIKE = 12  # controls of each cell among which those of a set are drawn


@dataclass(frozen=True)
class TogetherTest:
    """The effect of holding cells together on logit P(target), in nats, positive if as expected.

    cells : layer and cell of each; effects : the effect of the best 1, 2, 3, 5, 8
    controls : |effect| of the random sets
    """

    target: str
    cells: tuple[tuple[int, int], ...]
    effect: float
    p_value: float
    controls: tuple[float, ...]
    effects: dict[int, float]


class Together:
    """The best cells for one label, and random sets like them, to be held in one experiment or another.

    best : rows of signals, best first
    """

    def __init__(
        self, experiment: Experiment, label: Label, best: Sequence[int], knowledge: Knowledge
    ) -> None:
        recording = experiment.recording
        signals, select = recording.signals, recording.select
        self.best = list(best[: max(SIZES)])
        self.levels = {m: dose_levels(signals[m], label, select)[[0, -1]] for m in self.best}
        self.alike = {}
        for m in self.best:
            controls = matched_controls(experiment.model, recording, m, knowledge)[0][:ALIKE]
            ends = same_quantiles(signals[controls], self.levels[m], signals[m], select)
            self.alike[m] = dict(zip(controls, ends, strict=True))
        self.sizes = [k for k in SIZES if k <= len(self.best)]

    def effects(self, experiment: Experiment, targets: Sequence[Target]) -> list[dict[int, float]]:
        """The effect of the best k on each target, for each k."""
        conditions: list[Condition] = []
        for k in self.sizes:
            conditions += [{m: float(self.levels[m][end]) for m in self.best[:k]} for end in (0, 1)]
        moved = self._moved(experiment, conditions, targets)
        return [
            dict(zip(self.sizes, (one.direction * of_one).tolist(), strict=True))
            for one, of_one in zip(targets, moved.T, strict=True)
        ]

    def controls(self, experiment: Experiment, target: Target, k: int) -> np.ndarray:
        """|effect| of random sets of k; none if there are too few cells."""
        rng = np.random.default_rng(k)
        conditions: list[Condition] = []
        for _ in range(CONTROL_SETS):
            low: dict[int, float] = {}
            high: dict[int, float] = {}
            for m in self.best[:k]:
                free = [c for c in self.alike[m] if c not in low]
                if not free:
                    return np.zeros(0)
                chosen = int(rng.choice(free))
                ends = self.alike[m][chosen][:: rng.choice((1, -1))]
                low[chosen], high[chosen] = map(float, ends)
            conditions += [low, high]
        return np.abs(self._moved(experiment, conditions, [target])[:, 0])

    def test(self, experiment: Experiment, target: Target, k: int) -> TogetherTest:
        """The best k beside random sets."""
        [effects], controls = self.effects(experiment, [target]), self.controls(experiment, target, k)
        return TogetherTest(
            target.characters,
            tuple(map(experiment.recording.place, self.best[:k])),
            effects[k],
            p_of(effects[k], controls),
            tuple(controls.tolist()),
            effects,
        )

    def chosen(
        self, experiment: Experiment, targets: Sequence[Target], alpha: float
    ) -> tuple[Target, int] | None:
        """The target that all of the best move farthest, and the smallest k of two or more that passes on SELECT."""
        if len(self.sizes) < 2 or not targets:
            return None
        whole = self.effects(experiment, targets)
        effects, target = max(
            zip(whole, targets, strict=True), key=lambda one_and_target: one_and_target[0][self.sizes[-1]]
        )
        for k in self.sizes[1:]:
            if p_of(effects[k], self.controls(experiment, target, k)) <= alpha:
                return target, k
        return None

    def _moved(
        self, experiment: Experiment, conditions: Sequence[Condition], targets: Sequence[Target]
    ) -> np.ndarray:
        """How far logit P moves from each second condition to the one after it, (pairs, targets)."""
        sets = [list(symbol_ids(experiment.model, one.characters).values()) for one in targets]
        answers = experiment.respond(conditions, sets).logits
        return answers[1::2] - answers[::2]
