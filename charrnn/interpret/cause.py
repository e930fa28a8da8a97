"""Does the network use the cell? Hold it at its values inside and outside, and compare the predictions.

On CONFIRM text the cell is clamped, in every step of short windows, to its own median for each class of the
label (or each tenth of a count); everything else runs as usual. The effect is the change of

    logit P(target) = log P(target) − log(1 − P(target))

from low to high, in nats, positive in the direction the concept expects. The controls are other cells of the
layer with similar spread and outgoing weight, moved between the same quantiles of their own values:

    p = (1 + #{controls whose effect is as large}) / (1 + #controls)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.labels import Label
from charrnn.interpret.reading import END, characters_of
from charrnn.interpret.recording import STEP, WARM_UP, Recording
from charrnn.interpret.scores import midranks
from charrnn.model.model import Model
from charrnn.nn.network import Clamp

CONTROLS = 50
OTHERS = 20
WINDOWS = 48
WINDOW = 20  # symbols for which the cell is held
BATCH = 480  # windows run side by side
DOSES = 10
NEAREST_TO_ONE = 1 - 1e-6  # largest tanh(c) of a held cell: arctanh(±1) is infinite


@dataclass(frozen=True)
class CausalTest:
    """The effect of holding a cell on the prediction of its target, in nats of logit P.

    effect : from low to high, positive if as expected; controls : |effect| of matched cells
    others : the effect on other characters; together : the effect of the layer's best three cells held at once
    doses : logit P(target) at the cell's median for each tenth of a count (two values for a bool)
    """

    target: str
    effect: float
    p_value: float
    controls: tuple[float, ...]
    others: dict[str, float]
    doses: tuple[float, ...]
    together: float

    @property
    def specific(self) -> bool:
        """Whether the effect on the target is above 0 and exceeds that on each of the other characters."""
        return self.effect > max(map(abs, self.others.values()), default=0.0)

    @property
    def graded(self) -> bool:
        """Whether the response grows with the dose: Spearman's ρ of at least 0.5 in the expected direction."""
        doses = np.array(self.doses)
        if np.ptp(doses) == 0:
            return False
        rho = np.corrcoef(np.arange(len(doses)), midranks(doses))[0, 1]
        return bool(rho * np.sign(self.effect) * np.sign(doses[-1] - doses[0]) >= 0.5)

    def holds(self, alpha: float) -> bool:
        """Whether the cell causes what the concept expects."""
        return self.p_value <= alpha and self.specific and self.graded


class Experiment:
    """Windows of text in which the prediction of a label's target is measured while cells are held.

    Reads up to WARM_UP symbols before each window once; every condition starts from the state after them. Window and
    warm-up lie in one item, or in the stream.
    """

    def __init__(self, model: Model, recording: Recording, label: Label, watched: np.ndarray) -> None:
        self.model = model
        places = recording.ends[_spread(np.flatnonzero(watched), label)]
        is_watched = np.zeros(len(recording.ids), bool)
        is_watched[recording.ends[watched]] = True
        begins, stops = recording.spans
        which = np.searchsorted(begins, places, side="right") - 1
        first = np.maximum(begins[which], places + 1 - WINDOW)  # of each window, within its item
        steps = first + np.arange(WINDOW)[:, None]
        inside = steps < stops[which]
        steps = np.minimum(steps, len(recording.ids) - 1)
        self.watched = is_watched[steps] & inside  # (WINDOW, P)
        self.symbols = recording.ids[steps]
        self.state = model.network.zero_state(len(places))
        before = np.minimum(WARM_UP, first - begins[which])  # symbols of its item read before each window
        for length in np.unique(before):
            alike = before == length
            state = model.network.zero_state(int(alike.sum()))
            for start in range(-length, 0, STEP):
                read = first[alike] + start + np.arange(min(STEP, -start))[:, None]
                _, state, _ = model.network.forward(recording.ids[read], state)
            self.state[:, :, alike] = state

    def respond(
        self, layer: int, conditions: Sequence[dict[int, float]], sets: Sequence[Sequence[int]]
    ) -> np.ndarray:
        """Mean logit P of each set of symbols, (conditions, sets), while cells are held: {cell: value}."""
        network, P = self.model.network, self.symbols.shape[1]
        at_once = BATCH // P
        answers = np.empty((len(conditions), len(sets)))
        for first in range(0, len(conditions), at_once):
            group = conditions[first : first + at_once]
            # one batch shape, so that its buffers are reused
            mask = np.zeros((at_once, P, network.config.hidden), bool)
            values = np.zeros(mask.shape, network.theta.dtype)
            for row, held in enumerate(group):
                for cell, value in held.items():
                    mask[row, :, cell], values[row, :, cell] = True, value
            clamp = Clamp(layer, mask.reshape(at_once * P, -1), values.reshape(at_once * P, -1))
            x = np.concatenate([self.symbols] * at_once, axis=1)
            state = np.concatenate([self.state] * at_once, axis=2)
            logits, _, _ = network.forward(x, state, clamp=clamp)
            logits = logits.reshape(WINDOW, at_once, P, -1)[:, : len(group)]
            change = np.where(self.watched[:, None, :, None], logits_of_sets(logits, sets), 0)
            answers[first : first + len(group)] = change.sum(axis=(0, 2)) / self.watched.sum()
        return answers


def watched_places(recording: Recording, label: Label) -> np.ndarray:
    """The places in CONFIRM where the label's expectation can be measured, bool (N,)."""
    watched = np.zeros(len(recording.text), bool)
    watched[recording.confirm] = True  # it begins later than the first WARM_UP + WINDOW symbols
    if label.after:  # here the label itself may start again, and be masked
        return watched & np.fromiter((ch in label.after for ch in recording.text), bool, len(recording.text))
    return watched & label.mask


def symbol_ids(model: Model, characters: Iterable[str]) -> dict[str, int]:
    """The id of each character for which the vocabulary has a single symbol."""
    known = characters_of(model.vocab)[: model.vocab.unwritten.start]
    symbols = {s: k for k, s in enumerate(known) if s.isascii() or s == END or model.vocab.level == "char"}
    return {ch: symbols[ch] for ch in characters if ch in symbols}


def _spread(places: np.ndarray, label: Label) -> np.ndarray:
    """Up to WINDOWS places, evenly over the text; for a bool, half of them on."""
    if label.kind == "bool":
        on = label.values[places]
        groups = [places[on], places[~on]]
    else:
        groups = [places]
    each = WINDOWS // len(groups)
    picked = [g[np.unique(np.linspace(0, len(g) - 1, min(each, len(g))).astype(int))] for g in groups]
    return np.concatenate(picked)


def logits_of_sets(logits: np.ndarray, sets: Sequence[Sequence[int]]) -> np.ndarray:
    """log P − log(1 − P) of each set of symbols (…, sets), from unnormalised log-probabilities (…, V).

    P is kept away from 0 and 1 by the resolution of the arithmetic.
    """
    weights = np.exp((logits - logits.max(axis=-1, keepdims=True)).astype(float))
    weights /= weights.sum(axis=-1, keepdims=True)
    chosen = np.stack([weights[..., list(symbols)].sum(axis=-1) for symbols in sets], axis=-1)
    tiny, epsilon = np.finfo(float).tiny, np.finfo(float).eps
    return np.log(np.maximum(chosen, tiny)) - np.log(np.maximum(1 - chosen, epsilon))


def dose_levels(signal: np.ndarray, label: Label, part: slice) -> np.ndarray:
    """The cell's median for each class of a bool, or each non-empty tenth of a count."""
    mask, y = label.mask[part], label.values[part]
    x, y = signal[part][mask], y[mask].astype(float)
    edges = [0.5] if label.kind == "bool" else np.unique(np.quantile(y, np.linspace(0, 1, DOSES + 1))[1:-1])
    bins = np.searchsorted(edges, y, side="left")
    return np.array([np.median(x[bins == b]) for b in np.unique(bins)])


def matched_controls(model: Model, recording: Recording, layer: int, cell: int) -> list[int]:
    """The CONTROLS cells of the layer most similar to ``cell`` in spread and outgoing weight, on a log scale."""
    spread = recording.of_layer(layer)[:, recording.select].std(axis=1)
    params = model.network.params
    if layer + 1 < model.config.layers:
        outgoing = model.network.layer(params, layer + 1)["weight_ih"]
    else:
        outgoing = params["head.weight"]
    features = np.log(np.stack([spread, np.linalg.norm(outgoing, axis=0)]) + 1e-6)
    scale = features.std(axis=1, keepdims=True)
    distance = np.sum(((features - features[:, [cell]]) / np.where(scale > 0, scale, 1)) ** 2, axis=0)
    nearest = [int(m) for m in np.argsort(distance, kind="stable") if m != cell]
    return [m for m in nearest if np.isfinite(distance[m]) and spread[m] > 0][:CONTROLS]


def causal_test(
    model: Model, recording: Recording, label: Label, layer: int, cell: int, best: Sequence[int]
) -> CausalTest | None:
    """Hold a cell, its matched controls, and the ``best`` cells of its layer together.

    Returns None if there is nothing to test: no target that the model knows, no place to measure, or one class.
    """
    watched, target = watched_places(recording, label), symbol_ids(model, label.target)
    signals, select = recording.of_layer(layer), recording.select
    levels = dose_levels(signals[cell], label, select)
    if not watched.any() or not target or len(levels) < 2:
        return None

    def holdable(value: float) -> float:
        return (
            float(np.clip(value, -NEAREST_TO_ONE, NEAREST_TO_ONE)) if model.config.cell == "lstm" else value
        )

    def ends(levels: np.ndarray) -> tuple[float, float]:
        return holdable(float(levels[0])), holdable(float(levels[-1]))

    # the controls move between the same quantiles of their own values
    ordered = np.sort(signals[cell, select])
    ranks = [
        (np.searchsorted(ordered, v) + np.searchsorted(ordered, v, "right")) / 2 for v in levels[[0, -1]]
    ]
    quantiles = np.array(ranks) / len(ordered)
    controls = matched_controls(model, recording, layer, cell)
    conditions: list[dict[int, float]] = [{cell: holdable(float(v))} for v in levels]
    for which in range(2):
        conditions.append({m: ends(dose_levels(signals[m], label, select))[which] for m in best})
    for m in controls:
        low, high = ends(np.quantile(signals[m, select], quantiles))
        conditions += [{m: low}, {m: high}]

    text = recording.text[recording.confirm]
    frequent = sorted(set(text) - set(label.target), key=lambda ch: (-text.count(ch), ch))
    others = dict(list(symbol_ids(model, frequent).items())[:OTHERS])
    experiment = Experiment(model, recording, label, watched)
    answers = experiment.respond(layer, conditions, [list(target.values()), *([k] for k in others.values())])
    D, towards = len(levels), label.direction
    effect = towards * (answers[D - 1, 0] - answers[0, 0])
    moved = np.abs(answers[D + 3 :: 2, 0] - answers[D + 2 :: 2, 0])
    return CausalTest(
        target="".join(target),
        effect=float(effect),
        p_value=float((1 + np.sum(moved >= effect)) / (1 + len(moved))),
        controls=tuple(map(float, moved)),
        others={ch: float(answers[D - 1, k] - answers[0, k]) for k, ch in enumerate(others, 1)},
        doses=tuple(map(float, answers[:D, 0])),
        together=float(towards * (answers[D + 1, 0] - answers[D, 0])),
    )
