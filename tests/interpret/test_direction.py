"""The whole state held along the probe's direction: step by step, its controls, and facts that are read or not."""

import numpy as np
import pytest
from helpers import handmade

from charrnn.config import CELLS
from charrnn.interpret.cause import Experiment
from charrnn.interpret.comparisons import fit_probes
from charrnn.interpret.direction import CONTROLS, FEWEST_AXES, Direction, StateSpace, _Held, numbers_of
from charrnn.interpret.findings import inspect_cells
from charrnn.interpret.recording import record
from charrnn.interpret.targets import Target, classes_of
from charrnn.interpret.user_concepts import parse_concept

ASIDE = parse_concept("aside=between:(..)")
MARKED = handmade.marked(6_000, 3, (20, 120), (20, 120), marks="()")
CLOSING = Target(")", 1, 1.0)
OUT = {"lstm": 0.07, "gru": 0.08, "rnn": 0.25}


def population(cell, out, dtype=np.float32):
    """Ten cells that hold one fact by their mean, each with a small weight in the head."""
    weights = handmade.random_weights(cell)
    handmade.population(weights, cell, range(2, 12), "(", ")", out, noise=0.8)
    return handmade.model_of(cell, {name: w.astype(dtype) for name, w in weights.items()})


def case(model):
    recording = record(model, MARKED)
    label = ASIDE.label_of(recording)
    classes = classes_of(recording, label)
    halves = recording.select, recording.confirm
    select, confirm = (Experiment(model, recording, label, classes, part, windows=8) for part in halves)
    usable = np.isfinite(numbers_of(recording, slice(None))).all(axis=1)
    told = label.values, label.mask, label.kind
    [probe] = fit_probes(lambda places: numbers_of(recording, places), usable, [told], recording.select)
    assert probe is not None
    direction = Direction(recording, StateSpace(recording), label, probe.weights, probe.told)
    return direction, select, confirm


@pytest.mark.parametrize("cell", CELLS)
def test_a_fact_that_ten_cells_hold_is_used_if_they_are_read(cell):
    """One that is held is outvoted; the direction holds all, and no random one does."""
    direction, select, confirm = case(population(cell, OUT[cell]))
    assert direction.chosen(select, [Target("q", 1, 1.0), CLOSING, Target(")", -1, 1.0)]) == CLOSING
    read = direction.test(confirm, CLOSING)
    assert read.effect > max(read.controls)
    # each of the ten moves between about ±1 (±.76 of an LSTM), and has the same weight
    assert read.effect == pytest.approx(10 * OUT[cell] * (1.52 if cell == "lstm" else 2), rel=0.05)
    assert (read.p_value, read.p_of_two) == (pytest.approx(1 / (1 + CONTROLS)),) * 2
    direction, _, confirm = case(population(cell, 0.0))
    unread = direction.test(confirm, CLOSING)
    assert abs(unread.effect) < 0.02 < max(unread.controls)
    assert min(unread.p_value, unread.p_of_two, unread.loss_p) > 0.2


def test_an_effect_against_what_is_expected_is_none():
    direction, _, confirm = case(population("rnn", 0.25))
    against = direction.test(confirm, Target(")", -1, 1.0))
    assert against.effect < -4
    assert against.p_value == 1.0


@pytest.mark.parametrize("cell", CELLS)
def test_each_step_is_held_as_the_equation_says(cell):
    """z ← z + (v − u·z) u after each step of the plain network, and the head reads that."""
    model = population(cell, 0.25, np.float64)
    recording = record(model, MARKED)
    space, rng = StateSpace(recording), np.random.default_rng(4)
    directions = rng.normal(size=(2, len(space.mean)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = np.array([0.5, -1.5])
    x, first = (
        rng.integers(0, len(handmade.VOCAB), (5, 3)),
        rng.normal(size=model.network.zero_state(3).shape),
    )
    held = _Held(model.network, space, directions, values)
    both = held.read(np.concatenate([x, x], axis=1), np.concatenate([first, first], axis=2), 0, 2)
    params = model.network.params
    for row, (u, v) in enumerate(zip(directions, values, strict=True)):
        state = first
        for t in range(len(x)):
            _, state, _ = model.network.forward(x[t : t + 1], state)
            h_and_c = state[0] if cell != "lstm" else state[0][::-1]  # numbers_of has c first
            for b in range(3):
                z = (h_and_c[:, b].ravel() - space.mean) / space.spread
                z = z + (v - u @ z) * u
                assert u @ z == pytest.approx(v)
                h_and_c[:, b] = (z * space.spread + space.mean).reshape(-1, handmade.H)
            expected = state[0, 0] @ params["head.weight"].T + params["head.bias"]
            np.testing.assert_allclose(both[t].reshape(2, 3, -1)[row], expected, rtol=1e-9, atol=1e-9)


def test_random_directions_say_nothing_of_the_label_and_vary_as_much():
    direction, _, _ = case(population("lstm", 0.07))
    space = direction.space
    weak = space.axes @ np.random.default_rng(1).normal(size=space.axes.shape[1])
    for u in (direction.u, weak / np.linalg.norm(weak)):
        others = space.random(u, 8)
        np.testing.assert_allclose(np.linalg.norm(others, axis=1), 1)
        np.testing.assert_allclose(others @ u, 0, atol=1e-9)
        np.testing.assert_allclose(others @ space.covariance @ u, 0, atol=1e-6)
        np.testing.assert_allclose(others @ space.axes @ space.axes.T, others, atol=1e-9)
        assert abs(others @ others.T - np.eye(8)).max() < 0.999  # none is another's copy
    variances = np.einsum("ki,ij,kj->k", others, space.covariance, others)
    np.testing.assert_allclose(variances, u @ space.covariance @ u, rtol=1e-3)


@pytest.mark.parametrize(("hidden", "usable"), [(3, False), (32, True)])
def test_a_state_of_few_axes_has_no_random_directions_to_compare_with(hidden, usable):
    weights = handmade.random_weights("gru", hidden=hidden)
    model = handmade.model_of("gru", {k: w.astype(np.float32) for k, w in weights.items()}, hidden=hidden)
    direction, _, _ = case(model)
    assert (len(direction.space.variances) >= FEWEST_AXES, direction.usable) == (usable, usable)
    if usable:
        others = direction.space.random(direction.u, CONTROLS)
        assert len({tuple(np.round(v, 2)) for v in others * np.sign(others[:, :1])}) == CONTROLS


@pytest.mark.slow
@pytest.mark.parametrize(("out", "verdict"), [(0.25, "distributed"), (0.0, "correlate")])
def test_the_direction_gives_a_verdict(out, verdict, monkeypatch):
    """Of thirty cells hardly any set of eight outvotes the others; here none is tried."""
    monkeypatch.setattr("charrnn.interpret.together.SIZES", (1,))
    weights = handmade.random_weights("rnn", hidden=64)
    handmade.population(weights, "rnn", range(2, 32), "(", ")", out, noise=0.8, hidden=64)
    model = handmade.model_of("rnn", {k: w.astype(np.float32) for k, w in weights.items()}, hidden=64)
    [finding] = inspect_cells(
        model, handmade.marked(12_000, 3, (20, 200), (20, 200), marks="()"), [ASIDE]
    ).findings
    assert finding.together is None
    assert (finding.verdict, finding.direction.p_of_two <= 0.05) == (verdict, verdict == "distributed")
    told = finding.to_json()
    assert told["direction_p_of_two"] == finding.direction.p_of_two
    assert len(told["direction_controls"]) == CONTROLS
