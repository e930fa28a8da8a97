"""Does the network use the cell? Hold it at its values inside and outside, and compare the predictions.

In every step of short windows the cell is clamped to its own median for each class of the label (or each tenth of a
count); everything else runs as usual. Two things are measured:

    the effect      how logit P(target) = log P(target) − log(1 − P(target)) changes from low to high, in nats,
                    positive in the direction that the text shows
    the loss        how much more a character costs when the cell is held low where the label is high, and high where it
                    is low, than when the cell runs freely; that needs no target

The controls are other cells of the layer that do not follow the label, with similar spread and outgoing weight, moved
between the same quantiles of their own values:

    p = (1 + #{controls that do as much}) / (1 + #controls)

A cell has two chances, so p is corrected for them: the controls have both too (`of_two`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.labels import Label, runs
from charrnn.interpret.recording import STEP, WARM_UP, Recording
from charrnn.interpret.scores import midranks
from charrnn.interpret.targets import Target, symbol_ids
from charrnn.model.model import Model
from charrnn.nn.network import Clamp

CONTROLS = 50
FEWEST_CONTROLS = 20  # with fewer, p cannot be below .05
OTHERS = 20
WINDOWS = 32
WINDOWS_TO_CHOOSE = 16  # on SELECT
SHORTEST_WINDOW, LONGEST_WINDOW = 10, 30  # symbols for which a cell is held
BATCH = 480  # windows run side by side
DOSES = 10
NEAREST_TO_ONE = 1 - 1e-6  # largest tanh(c) of a held cell: arctanh(±1) is infinite

Condition = Mapping[int, float]  # what a row of the recording's signals is held at


@dataclass(frozen=True)
class CausalTest:
    """The effect of holding a cell, in nats.

    effect : on logit P of the target from low to high, positive if as expected; controls : |effect| of other cells
    direction : 1 if the target should become likelier where the label is high, else -1
    others : the effect on other characters
    doses : logit P(target) at the cell's median for each tenth of a count (two values for a bool)
    loss_low, loss_high : rise of the loss per character where the label is low and the cell is held high, and the
        other way round; loss_right : the mean rise when it is held at what the label says
    loss_controls : of other cells, the mean of both rises; loss_p : as p_value, for the mean
    p_of_two, loss_p_of_two : both corrected, as from ``of_two``
    ignorant : controls that do not follow the label; where they are too few, others fill up their number
    """

    target: str
    direction: int
    effect: float
    p_value: float
    controls: tuple[float, ...]
    others: dict[str, float]
    doses: tuple[float, ...]
    loss_low: float
    loss_high: float
    loss_right: float
    loss_controls: tuple[float, ...]
    loss_p: float
    p_of_two: float
    loss_p_of_two: float
    ignorant: int

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

    def moves_target(self, alpha: float) -> bool:
        """Whether the cell moves its target as expected, and more than other cells do."""
        return self.p_of_two <= alpha and self.specific and self.graded

    def raises_loss(self, alpha: float) -> bool:
        """Whether a wrong value of the cell costs something more than the right one, and than in other cells."""
        wrong = (self.loss_low + self.loss_high) / 2
        return (
            self.loss_p_of_two <= alpha and min(self.loss_low, self.loss_high) > 0 and wrong > self.loss_right
        )

    def holds(self, alpha: float) -> bool:
        """Whether the network uses the cell as the concept expects."""
        return self.moves_target(alpha) or self.raises_loss(alpha)


@dataclass(frozen=True)
class Answers:
    """What a network predicts under each of several conditions.

    logits : (conditions, sets), mean logit P of each set of symbols
    losses : (conditions, 2), mean loss where the label is low, and where it is high
    """

    logits: np.ndarray
    losses: np.ndarray


class Experiment:
    """Windows of text in which predictions are measured while cells are held.

    Every condition starts from the state that the network has before a window: in a stream that of one pass, in an item
    after up to WARM_UP symbols. A window lies in one item, or in the stream. It lasts as long as the concept does.

    classes : as from ``targets.classes_of``; part : where windows end; windows : how many, at most
    """

    def __init__(
        self,
        model: Model,
        recording: Recording,
        label: Label,
        classes: np.ndarray,
        part: slice,
        windows: int = WINDOWS,
    ) -> None:
        self.model, self.recording, network = model, recording, model.network
        watched = np.zeros(len(recording.text), bool)
        watched[part] = _counted(recording, label)[part]
        chosen = _spread(np.flatnonzero(watched), label, windows)
        places, length = recording.ends[chosen], window_length(label)
        self.classes, is_watched = (
            np.full(len(recording.ids), -1, np.int8),
            np.zeros(len(recording.ids), bool),
        )
        is_watched[recording.ends[watched]] = True
        self.classes[recording.ends[watched]] = classes[watched]
        begins, stops = recording.spans
        which = np.searchsorted(begins, places, side="right") - 1
        first = np.maximum(begins[which], places + 1 - length)  # of each window, within its item
        steps = first + np.arange(length)[:, None]
        inside = steps < stops[which]
        steps = np.minimum(steps, len(recording.ids) - 1)
        self.watched = is_watched[steps] & inside  # (T, P)
        self.classes = np.where(self.watched, self.classes[steps], -1)
        self.symbols = recording.ids[steps].astype(np.intp)
        self.next_symbols = recording.ids[np.minimum(steps + 1, len(recording.ids) - 1)].astype(np.intp)
        if recording.begins is None:
            self.state = recording.states_before(network, first)
            return
        self.state = network.zero_state(len(places))
        before = np.minimum(WARM_UP, first - begins[which])  # symbols of its item read before each window
        for count in np.unique(before):
            alike = before == count
            state = network.zero_state(int(alike.sum()))
            for start in range(-count, 0, STEP):
                read = first[alike] + start + np.arange(min(STEP, -start))[:, None]
                _, state = network.record(recording.ids[read].astype(np.intp), state, ())
            self.state[:, :, alike] = state

    @property
    def has_both_classes(self) -> bool:
        return bool({0, 1} <= set(self.classes[self.watched].tolist()))

    def respond(self, conditions: Sequence[Condition], sets: Sequence[Sequence[int]]) -> Answers:
        """The predictions while cells are held, under each condition, of each set of symbols."""
        network, P = self.model.network, self.symbols.shape[1]
        L, H = network.config.layers, network.config.hidden

        def read(x: np.ndarray, state: np.ndarray, first: int, count: int) -> np.ndarray:
            mask = np.zeros((L, count, P, H), bool)
            values = np.zeros(mask.shape, network.theta.dtype)
            for row, held in enumerate(conditions[first : first + count]):
                for index, value in held.items():
                    layer, cell = divmod(index, H)
                    mask[layer, row, :, cell], values[layer, row, :, cell] = True, self.holdable(value)
            clamps = [
                Clamp(k, mask[k].reshape(-1, H), values[k].reshape(-1, H)) for k in range(L) if mask[k].any()
            ]
            return network.read(x, state, clamps)[0]

        return self.answers(len(conditions), read, sets)

    def answers(
        self,
        conditions: int,
        read: Callable[[np.ndarray, np.ndarray, int, int], np.ndarray],
        sets: Sequence[Sequence[int]],
    ) -> Answers:
        """The predictions of each set of symbols under so many conditions.

        read : gives the logits (T, count·P, V) of x (T, count·P) from a state, under ``count`` conditions from the
            ``first`` on; there may be fewer left
        """
        T, P = self.symbols.shape
        batches = -(-conditions // max(1, BATCH // P))
        at_once = -(-conditions // max(1, batches))  # one batch shape, so that its buffers are reused
        logits_of, losses = np.empty((conditions, len(sets))), np.empty((conditions, 2))
        x = np.concatenate([self.symbols] * at_once, axis=1)
        state = np.concatenate([self.state] * at_once, axis=2)
        for first in range(0, conditions, at_once):
            here = slice(first, min(first + at_once, conditions))
            logits = read(x, state, first, at_once).reshape(T, at_once, P, -1)
            its = logits[:, : here.stop - first].transpose(1, 0, 2, 3)
            logits_of[here], losses[here] = self._measured(its, sets)
        return Answers(logits_of, losses)

    def _measured(self, logits: np.ndarray, sets: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Means over what is watched of logits (conditions, T, P, V)."""
        seen = logits[:, self.watched].astype(float)  # (conditions, n, V)
        classes, following = self.classes[self.watched], self.next_symbols[self.watched]
        highest = seen.max(axis=-1, keepdims=True)
        total = np.log(np.exp(seen - highest).sum(axis=-1)) + highest[..., 0]
        loss = total - seen[:, np.arange(len(following)), following]
        means = [
            loss[:, classes == which].mean(axis=1) if (classes == which).any() else np.nan for which in (0, 1)
        ]
        by_class = np.stack(np.broadcast_arrays(*means, np.zeros(len(logits)))[:2], axis=1)
        return logits_of_sets(seen, sets).mean(axis=1), by_class

    def holdable(self, value: float) -> float:
        """A value that a cell can be held at."""
        if self.model.config.cell != "lstm":
            return float(value)
        return float(np.clip(value, -NEAREST_TO_ONE, NEAREST_TO_ONE))


def window_length(label: Label) -> int:
    """Symbols for which a cell is held: half of the stretches where the label is on, or a count above 0, are longer."""
    on = label.values > 0
    starts, lengths = runs(on, label.stretches)
    lengths = lengths[on[starts] & label.mask[starts]]
    typical = float(np.median(lengths)) if len(lengths) else SHORTEST_WINDOW
    return int(np.clip(typical, SHORTEST_WINDOW, LONGEST_WINDOW))


def _counted(recording: Recording, label: Label) -> np.ndarray:
    """Where the label's expectation can be measured, bool (N,); something follows there."""
    if label.after:  # here the label itself may start again, and be masked
        counted = np.fromiter((ch in label.after for ch in recording.text), bool, len(recording.text))
    else:
        counted = label.mask.copy()
    counted[-1:] = False
    return counted


def _spread(places: np.ndarray, label: Label, windows: int) -> np.ndarray:
    """Up to so many places, evenly over the text; for a bool, half of them on."""
    if label.kind == "bool" and not label.after:
        on = label.values[places]
        groups = [places[on], places[~on]]
    else:
        groups = [places]
    each = windows // len(groups)
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


@dataclass(frozen=True)
class Knowledge:
    """How well each cell follows a label on SELECT (L·H,), on the scale of ``excess``, and what chance reaches."""

    strengths: np.ndarray
    level: float

    @property
    def ignorant(self) -> np.ndarray:
        """The cells that follow the label no better than chance, bool (L·H,)."""
        with np.errstate(invalid="ignore"):
            return ~(np.abs(self.strengths) > self.level)


def matched_controls(
    model: Model, recording: Recording, index: int, knowledge: Knowledge
) -> tuple[list[int], int]:
    """Up to CONTROLS cells of the layer that do not follow the label, those most similar to one in spread and outgoing
    weight on a log scale first; and how many of them do not.

    Where fewer than FEWEST_CONTROLS do not, those that follow it least fill up the number.
    """
    layer, cell = recording.place(index)
    first = layer * recording.hidden
    spread = recording.spread[first : first + recording.hidden]
    params = model.network.params
    if layer + 1 < model.config.layers:
        outgoing = model.network.layer(params, layer + 1)["weight_ih"]
    else:
        outgoing = params["head.weight"]
    features = np.log(np.stack([spread, np.linalg.norm(outgoing, axis=0)]) + 1e-6)
    scale = features.std(axis=1, keepdims=True)
    distance = np.sum(((features - features[:, [cell]]) / np.where(scale > 0, scale, 1)) ** 2, axis=0)
    nearest = [int(m) for m in np.argsort(distance, kind="stable") if m != cell]
    usable = [first + m for m in nearest if np.isfinite(distance[m]) and spread[m] > 0]
    ignorant = [m for m in usable if knowledge.ignorant[m]][:CONTROLS]
    knowing = sorted(
        (m for m in usable if not knowledge.ignorant[m]), key=lambda m: abs(knowledge.strengths[m])
    )
    return ignorant + knowing[: max(0, FEWEST_CONTROLS - len(ignorant))], len(ignorant)


def same_quantiles(signals: np.ndarray, levels: np.ndarray, like: np.ndarray, part: slice) -> np.ndarray:
    """The values of other signals (M, N) at the quantiles that ``levels`` (2,) are of one (N,): (M, 2), on ``part``."""
    ordered = np.sort(like[part])
    ranks = [(np.searchsorted(ordered, v) + np.searchsorted(ordered, v, "right")) / 2 for v in levels]
    return np.quantile(signals[:, part], np.array(ranks) / len(ordered), axis=1).T


def p_of(effect: float, controls: np.ndarray) -> float:
    """The share of controls, and the cell itself, that do as much; one that is not a number is taken to."""
    return float((1 + np.sum(~(controls < effect))) / (1 + len(controls))) if np.isfinite(effect) else 1.0


def of_two(
    effect: float, controls: np.ndarray, rise: float, loss_controls: np.ndarray
) -> tuple[float, float]:
    """The p of an effect and that of a rise of the loss, corrected for there being two of them.

    Both are divided by the median of their sizes over all cells, and each cell has the larger of its two; p is the
    share of cells whose larger one is as large as the one in question (the maximum of a statistic by Westfall and Young
    1993). It needs no independence of the two, and p can be as small as that of a single test.
    """
    values = np.array([[effect, *controls], [rise, *loss_controls]])
    finite = np.isfinite(values)
    sizes = np.where(finite, np.abs(values), 0)
    scale = np.median(sizes, axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, sizes.max(axis=1, keepdims=True))
    relative = np.divide(values, scale, out=np.zeros_like(values), where=scale > 0)
    relative[~finite] = -np.inf
    larger = relative.max(axis=0)
    p, loss_p = (float(np.mean(larger >= one)) for one in relative[:, 0])
    return p, loss_p


def screened(
    experiment: Experiment,
    label: Label,
    candidates: Sequence[int],
    targets: Sequence[Target],
    knowledge: Knowledge,
    alpha: float,
) -> dict[int, tuple[Target, bool]]:
    """For each candidate the target that it moves most clearly, and whether it moves it, or raises the loss.

    Made on SELECT, to choose by: the candidates of a layer share FEWEST_CONTROLS controls, those of the first.
    """
    model, recording = experiment.model, experiment.recording
    signals, select = recording.signals, recording.select
    found: dict[int, tuple[Target, bool]] = {}
    if not targets or not experiment.watched.any():
        return found
    named = [list(symbol_ids(model, one.characters).values()) for one in targets]
    for layer in {m // recording.hidden for m in candidates}:
        mine = [m for m in candidates if m // recording.hidden == layer]
        levels = {m: dose_levels(signals[m], label, select)[[0, -1]] for m in mine}
        controls = matched_controls(model, recording, mine[0], knowledge)[0][:FEWEST_CONTROLS]
        ends = same_quantiles(signals[controls], levels[mine[0]], signals[mine[0]], select)
        conditions: list[Condition] = [{}]
        for m, (low, high) in [*levels.items(), *zip(controls, ends, strict=True)]:
            conditions += [{m: float(low)}, {m: float(high)}]
        held = Held.of(experiment.respond(conditions, named))
        for k, m in enumerate(mine):
            rises = [held.moved[k, j] * one.direction for j, one in enumerate(targets)]
            ps = [p_of(rise, np.abs(held.moved[len(mine) :, j])) for j, rise in enumerate(rises)]
            best = min(range(len(targets)), key=lambda j: (ps[j], -rises[j]))
            costs = (
                p_of(float(held.wrong[k]), held.either[len(mine) :]) <= alpha
                and held.low[k] > 0 < held.high[k]
            )
            found[m] = targets[best], bool((ps[best] <= alpha and rises[best] > 0) or costs)
    return found


@dataclass(frozen=True)
class Held:
    """What holding K cells low and high does, from answers to {}, then {cell low}, {cell high} of each.

    moved : (K, sets), from low to high; low, high : (K,), rise of the loss where the label is low and the cell is held
        high, and the other way round; right : where they agree
    """

    moved: np.ndarray
    low: np.ndarray
    high: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, answers: Answers) -> "Held":
        logits, losses = answers.logits, answers.losses - answers.losses[0]
        at_low, at_high = losses[1::2], losses[2::2]
        right = (at_low[:, 0] + at_high[:, 1]) / 2
        return cls(logits[2::2] - logits[1::2], at_high[:, 0], at_low[:, 1], right)

    @property
    def wrong(self) -> np.ndarray:
        """The mean rise of the loss of cells held against the label."""
        return (self.low + self.high) / 2

    @property
    def either(self) -> np.ndarray:
        """The same for a control, which need not rise with the label: held the way round that costs more."""
        return np.maximum(self.wrong, self.right)


def causal_test(
    experiment: Experiment, label: Label, index: int, target: Target, knowledge: Knowledge
) -> CausalTest | None:
    """Hold a cell and its matched controls.

    Returns None if there is nothing to test: no place to measure, or one class.
    """
    model, recording = experiment.model, experiment.recording
    signals, select = recording.signals, recording.select
    levels = dose_levels(signals[index], label, select)
    if not experiment.watched.any() or len(levels) < 2:
        return None
    controls, ignorant = matched_controls(model, recording, index, knowledge)
    ends = same_quantiles(signals[controls], levels[[0, -1]], signals[index], select)
    conditions: list[Condition] = [{}]
    for m, (low, high) in [(index, levels[[0, -1]]), *zip(controls, ends, strict=True)]:
        conditions += [{m: float(low)}, {m: float(high)}]
    conditions += [{index: float(v)} for v in levels[1:-1]]
    others = frequent_others(experiment, set(target.characters))
    symbols = list(symbol_ids(model, target.characters).values())
    answers = experiment.respond(conditions, [symbols, *([k] for k in others.values())])
    pairs = 1 + 2 * (1 + len(controls))
    held = Held.of(Answers(answers.logits[:pairs], answers.losses[:pairs]))
    between = answers.logits[pairs:, 0]
    effect = float(target.direction * held.moved[0, 0])
    moved, lost = np.abs(held.moved[1:, 0]), held.either[1:]
    p_of_two, loss_p_of_two = of_two(effect, moved, float(held.wrong[0]), lost)
    return CausalTest(
        target=target.characters,
        direction=target.direction,
        effect=effect,
        p_value=p_of(effect, moved),
        controls=tuple(map(float, moved)),
        others={ch: float(held.moved[0, k]) for k, ch in enumerate(others, 1)},
        doses=tuple(map(float, (answers.logits[1, 0], *between, answers.logits[2, 0]))),
        loss_low=float(held.low[0]),
        loss_high=float(held.high[0]),
        loss_right=float(held.right[0]),
        loss_controls=tuple(map(float, lost)),
        loss_p=p_of(float(held.wrong[0]), lost),
        p_of_two=p_of_two,
        loss_p_of_two=loss_p_of_two,
        ignorant=ignorant,
    )


def frequent_others(experiment: Experiment, named: set[str]) -> dict[str, int]:
    """The ids of the OTHERS commonest characters of CONFIRM that are not named."""
    text = experiment.recording.text[experiment.recording.confirm]
    frequent = sorted(set(text) - named, key=lambda ch: (-text.count(ch), ch))
    return dict(list(symbol_ids(experiment.model, frequent).items())[:OTHERS])
