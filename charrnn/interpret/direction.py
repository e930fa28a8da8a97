"""Is what all cells know together used? Hold the whole state along the probe's direction, beside random directions.

    z = (s − mean) / spread       the state of all layers, h and c of the LSTM, on the scale of SELECT
    r = u·z,  |u| = 1             what the ridge probe of ``comparisons`` reads, up to scale and a constant
    z ← z + (v − r) u             after each step: r becomes v, and whatever is at right angles to u stays

Then the network goes on from that state. A step is a map of h and c together, and the prediction one of h alone: so
between two steps both can be set, exactly, while h of an LSTM alone would be written anew from c. Of v there are three:
the medians of r where the label is low and where it is high, as of a held cell, and 0, the mean, which leaves nothing
to be known from r.

The controls are random directions in the principal space of the state, at right angles to u and uncorrelated with r: to
move along them does not change what the probe reads, and what they read does not tell the label. Each has the variance
of the probe's direction, or the nearest in that space, and is held at the same three values: it moves the state as far.
Where a space has few axes, they would be one and the same direction over and over; then there is no test.

    p = (1 + #{controls that do as much}) / (1 + #controls), corrected as a cell's for having two chances
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.interpret.cause import Experiment, dose_levels, of_two, p_of
from charrnn.interpret.comparisons import PROBE_PLACES
from charrnn.interpret.labels import Label
from charrnn.interpret.recording import Recording
from charrnn.interpret.targets import Target, symbol_ids
from charrnn.nn.network import Network

CONTROLS = 50
PRINCIPAL = 0.99  # share of the variance in the principal space
FEWEST_AXES = 8  # of the principal space: with 3 all controls are one direction, with 6 about half differ
STEEPEST = 4.0  # power of the eigenvalues by which random directions are tilted
NEAREST_TO_ONE = np.float32(1 - 2**-23)  # largest |tanh c| of a recording from which c is told


@dataclass(frozen=True)
class DirectionTest:
    """What holding the state along the probe's direction does.

    effect : on logit P of the target, in nats, from low to high, positive if as expected; controls : |effect| of random
        directions
    loss : rise of the loss per character, in nats, where r is held at its mean; loss_controls : |rise| of random ones
    p_value, loss_p : each alone; p_of_two : the smaller one, corrected for there being two
    variance : of z along the direction; of a single number of the state it is 1
    """

    target: str
    effect: float
    p_value: float
    controls: tuple[float, ...]
    loss: float
    loss_p: float
    loss_controls: tuple[float, ...]
    p_of_two: float
    variance: float


def numbers_of(recording: Recording, places: np.ndarray | slice) -> np.ndarray:
    """All that a state has after n places, (D, n): c, from tanh(c), and h of an LSTM; h of the others."""
    signals = recording.signals[:, places]
    if recording.shown is recording.signals:
        return signals
    c = np.arctanh(np.clip(signals, -NEAREST_TO_ONE, NEAREST_TO_ONE))
    return np.concatenate([c, recording.shown[:, places].astype(np.float32)])


class StateSpace:
    """The states on SELECT: their scale, and the axes along which they vary most.

    mean, spread : (D,), of numbers in the order of ``numbers_of``; a spread of 0 says that a number is not used
    axes : (D, K) of the principal space, variances : (K,) along them
    """

    def __init__(self, recording: Recording) -> None:
        places = np.arange(recording.select.start, recording.select.stop)
        places = places[:: max(1, -(-len(places) // PROBE_PLACES))]
        s = numbers_of(recording, places)
        usable = np.isfinite(s).all(axis=1)
        s[~usable] = 0
        self.mean, self.spread = s.mean(axis=1, dtype=float), s.std(axis=1, dtype=float)
        scale = np.where(self.spread > 0, self.spread, 1)[:, None]
        z = (s - self.mean[:, None].astype(np.float32)) / scale.astype(np.float32)
        self.covariance = (z @ z.T / z.shape[1]).astype(float)
        variances, axes = np.linalg.eigh(self.covariance)
        order = np.argsort(-variances)
        share = np.cumsum(variances[order]) / max(variances.sum(), np.finfo(float).tiny)
        kept = order[: int(np.searchsorted(share, PRINCIPAL)) + 1]
        self.variances, self.axes = np.maximum(variances[kept], 0), axes[:, kept]

    def random(self, u: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
        """Unit vectors (count, D) in the principal space that neither move u·z nor go with it, of its variance.

        On the principal axes they are gᵢ λᵢˢ with random gᵢ, less what goes along u and along its covariances; s is
        sought so that the variance along them is that along u.
        """
        rng = np.random.default_rng(seed)
        wanted = float(u @ self.covariance @ u)
        barred, _ = np.linalg.qr(self.axes.T @ np.stack([u, self.covariance @ u], axis=1))
        found = np.empty((count, len(u)))
        for row in range(count):
            g = rng.normal(size=len(self.variances))

            def tilted(power: float, g: np.ndarray = g) -> np.ndarray:
                x = g * (self.variances / self.variances[0]) ** power
                x = x - barred @ (barred.T @ x)
                return np.asarray(x / np.linalg.norm(x))

            low, high = -STEEPEST, STEEPEST
            for _ in range(30):
                middle = (low + high) / 2
                more = self.variances @ tilted(middle) ** 2 < wanted
                low, high = (middle, high) if more else (low, middle)
            found[row] = self.axes @ tilted((low + high) / 2)
        return found


class Direction:
    """The direction of a probe, and random ones, to be held in one experiment or another.

    weights : of the probe, (D,) as ``numbers_of``; told : what it says of each place, up to a constant (N,)
    usable : whether there is a direction, and different ones to compare it with
    """

    def __init__(
        self, recording: Recording, space: StateSpace, label: Label, weights: np.ndarray, told: np.ndarray
    ) -> None:
        u = weights * space.spread
        size = float(np.linalg.norm(u))
        is_one = size > 0 and bool(np.isfinite(size))
        self.usable = is_one and len(space.variances) >= FEWEST_AXES
        self.space, self.u = space, u / size if is_one else u
        r = (told - weights @ space.mean) / size if is_one else told
        self.levels = dose_levels(r, label, recording.select)[[0, -1]]

    def test(self, experiment: Experiment, target: Target) -> DirectionTest:
        """The direction beside random ones."""
        directions = np.concatenate([self.u[None], self.space.random(self.u, CONTROLS)])
        moved, rises = self._held(experiment, directions, [target])
        effect, controls = float(target.direction * moved[0, 0]), np.abs(moved[1:, 0])
        loss, loss_controls = float(rises[0]), np.abs(rises[1:])  # a random one may help
        return DirectionTest(
            target.characters,
            effect,
            p_of(effect, controls),
            tuple(controls.tolist()),
            loss,
            p_of(loss, loss_controls),
            tuple(loss_controls.tolist()),
            min(of_two(effect, controls, loss, loss_controls)),
            float(self.u @ self.space.covariance @ self.u),
        )

    def chosen(self, experiment: Experiment, targets: Sequence[Target]) -> Target:
        """The target that the direction moves farthest as expected, on SELECT."""
        moved, _ = self._held(experiment, self.u[None], targets)
        rises = [one.direction * moved[0, k] for k, one in enumerate(targets)]
        return targets[int(np.argmax(np.nan_to_num(rises, nan=-np.inf)))]

    def _held(
        self, experiment: Experiment, directions: np.ndarray, targets: Sequence[Target]
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each direction (K, D) how far the targets move from low to high (K, targets), and the rise of the loss
        at the mean (K,)."""
        model = experiment.model
        sets = [list(symbol_ids(model, one.characters).values()) for one in targets]
        values = [*self.levels, 0.0]
        held = np.concatenate(
            [np.zeros((1, directions.shape[1])), np.repeat(directions, len(values), axis=0)]
        )
        reader = _Held(model.network, self.space, held, np.r_[0.0, np.tile(values, len(directions))])
        answers = experiment.answers(len(held), reader.read, sets)
        logits = answers.logits[1:].reshape(len(directions), len(values), -1)
        losses = np.nanmean(answers.losses - answers.losses[0], axis=1)[1:].reshape(len(directions), -1)
        return logits[:, 1] - logits[:, 0], losses[:, 2]


class _Held:
    """Reads while the state is held along one direction in each condition.

    directions : (C, D), of zeros to hold nothing; values : (C,)
    """

    def __init__(
        self, network: Network, space: StateSpace, directions: np.ndarray, values: np.ndarray
    ) -> None:
        self.network = network
        self.shape = network.zero_state(1)[:, :, 0].shape  # (L, S, H)
        dtype, scale = network.theta.dtype, np.where(space.spread > 0, space.spread, np.inf)
        self.reads = self._as_states(directions / scale).astype(dtype)
        self.moves = self._as_states(directions * space.spread).astype(dtype)
        self.values = (values + directions @ (space.mean / scale)).astype(dtype)
        self.largest = np.arctanh(NEAREST_TO_ONE)  # c beyond it cannot be told in a recording either

    def _as_states(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers (C, D) in the order of ``numbers_of``, c before h, in that of a state (C, L·S·H), h before c."""
        L, S, H = self.shape
        return numbers.reshape(-1, S, L, H)[:, ::-1].swapaxes(1, 2).reshape(len(numbers), -1)

    def read(self, x: np.ndarray, state: np.ndarray, first: int, count: int) -> np.ndarray:
        """The logits, as ``Experiment.answers`` asks for them."""
        network, (T, B) = self.network, x.shape
        here = np.minimum(np.arange(first, first + count), len(self.values) - 1)
        reads, moves, values = self.reads[here], self.moves[here], self.values[here]
        head, bias = network.params["head.weight"].T, network.params["head.bias"]
        logits = np.empty((T, B, len(bias)), network.theta.dtype)
        for t in range(T):
            _, state = network.record(x[t : t + 1], state, ())
            s = np.moveaxis(state, 2, 0).reshape(count, B // count, -1)
            told = s if len(network.cell.STATES) == 1 else np.clip(s, -self.largest, self.largest)
            r = np.matmul(told, reads[:, :, None])[..., 0]  # (count, B / count)
            s = s + (values[:, None] - r)[..., None] * moves[:, None]
            state = np.ascontiguousarray(np.moveaxis(s.reshape(B, *self.shape), 0, 2))
            logits[t] = state[-1, 0] @ head + bias
        return logits
