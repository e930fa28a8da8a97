"""Fixed points of networks whose points can be worked out by hand."""

import itertools
import re

import numpy as np
import pytest
from helpers.machines import latches
from helpers.random_models import random_model

from charrnn.errors import DataError
from charrnn.interpret import fixed_points
from charrnn.interpret.fixed_points import Point, distinct, find_fixed_points, search
from charrnn.model.model import Model
from charrnn.model.steps import Steps

STRENGTH = 2.0


def settled(strength: float = STRENGTH) -> float:
    """The h > 0 with h = tanh(strength h)."""
    h = 1.0
    for _ in range(200):
        h = float(np.tanh(strength * h))
    return h


def setting_text(model: Model, n: int = 300) -> np.ndarray:
    return np.random.default_rng(1).integers(len(model.vocab), size=n)


def test_three_latches_have_eight_stable_points_and_nineteen_others() -> None:
    model, h = latches(3), settled()
    found = find_fixed_points(model, setting_text(model), starts=400)
    states = np.array([point.state for point in found.points])
    expected = np.array(list(itertools.product([-h, 0, h], repeat=3)))
    assert len(states) == 27
    np.testing.assert_allclose(states[np.lexsort(states.T[::-1].round(6))], expected, atol=1e-8)
    kinds = [point.kind for point in found.points]
    assert kinds == ["stable"] * 8 + ["saddle"] * 18 + ["unstable"]
    for point in found.points:
        # h = tanh(2 h) has the derivative 2 (1 - h²).
        by_hand = sorted(STRENGTH * (1 - point.state**2), reverse=True)
        np.testing.assert_allclose(point.eigenvalues, by_hand, atol=1e-7)
        assert point.unstable == (abs(point.state) < 0.1).sum()
        assert point.residual < 1e-9
    assert found.lost == 0
    assert sum(point.starts for point in found.points) == 400
    for point in found.points[:8]:
        likely = {c for c, _ in point.expects[: (point.state > 0).sum()]}
        assert likely == {letter for letter, s in zip("ABC", point.state, strict=True) if s > 0}


def test_each_step_is_told_as_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 searches, five at a time: how many have ended never falls; then each point has its eigenvalues."""
    model, told = latches(2), list[str]()
    monkeypatch.setattr(fixed_points, "NUMBERS", 5 * 2**2)
    found = find_fixed_points(model, setting_text(model), starts=12, begun=told.append)
    n = len(found.points)
    assert told[0] == "reading"
    assert told[-n:] == [f"eigenvalues of point {k} of {n}" for k in range(1, n + 1)]
    ended = [int(re.fullmatch(r"searching, (\d+) of 12 searches have ended", what)[1]) for what in told[1:-n]]
    assert ended == sorted(ended)
    assert (ended[0], ended[-1]) == (0, 12)
    assert {5, 10} <= set(ended)


def test_reading_a_symbol_again_and_again_has_other_points() -> None:
    model = latches(3)
    a = int(model.vocab.encode("A")[0])
    found = find_fixed_points(model, setting_text(model), a, starts=100)
    stable = np.array([point.state for point in found.points if point.kind == "stable"])
    assert len(stable) == 4
    assert (stable[:, 0] > 0.99).all()
    # Asked with a first, each point expects what it would after that.
    asked = find_fixed_points(
        model, setting_text(model), a, asked=model.vocab.encode("aB").tolist(), starts=100
    )
    for point in asked.points:
        (character, _), *_ = point.expects
        assert character in "BC"


def test_places_near_a_ghost_of_a_point_are_slow() -> None:
    """tanh(2 h + b) touches h at |b| = .533; a little further it has one point, and passes slowly by the other."""
    model = latches(1)
    weights = {name: tensor.copy() for name, tensor in model.weights.items()}
    weights["rnn.bias_ih_l0"][0] = 0.534
    slow = Model(model.config, model.vocab, weights)
    found = find_fixed_points(slow, setting_text(slow), starts=50)
    assert [point.kind for point in found.points] == ["stable", "slow"]
    assert found.points[0].state[0] > 0.9
    assert found.points[1].state[0] == pytest.approx(-np.sqrt(0.5), abs=0.01)  # where the derivative is 1
    assert 0 < found.points[1].residual < 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("embedding", [0, 3])
def test_points_of_any_network_are_points(cell: str, embedding: int) -> None:
    """Stepping with the network itself stays there; the eigenvalues are those of finite differences."""
    model = random_model("abc", cell=cell, hidden=4, embedding=embedding)
    found = find_fixed_points(model, setting_text(model), 1, starts=20)
    points = [point for point in found.points if point.kind != "slow"]
    assert points
    L, S, _, H = model.network.zero_state(1).shape
    for point in points:
        state = point.state.reshape(L, S, 1, H)
        _, _, trace = model.network.forward(np.array([[1]]), state)
        after = np.stack([[layer[n][-1] for n in model.network.cell.STATES] for layer in trace.layers])
        np.testing.assert_allclose(after, state, atol=1e-8)
        steps, push = Steps(model), 1e-5 * np.eye(len(point.state))
        symbols = np.ones(len(push), int)
        there, back = (steps.forward(point.state + sign * push, symbols) for sign in (1, -1))
        numeric = np.linalg.eigvals((there - back).T / 2e-5)
        assert max(abs(numeric)) == pytest.approx(point.radius, rel=1e-5)


def test_the_plane_holds_most_of_the_states_variance() -> None:
    model = latches(3)
    found = find_fixed_points(model, setting_text(model), starts=4)
    variances = np.sort(np.linalg.eigvalsh(np.cov(found.visited.T)))[::-1]
    assert found.variance == pytest.approx(variances[:2].sum() / variances.sum())
    places = found.places(found.visited)
    np.testing.assert_allclose(np.cov(places.T), np.diag(variances[:2]), atol=1e-12)


def test_searches_end_where_the_residual_is_least() -> None:
    steps = Steps(latches(2))
    begin = np.array([[0.3, -0.2], [0.9, 0.01], [-0.99, 0.99]])
    ended, residuals = search(steps, np.zeros(5), begin)
    after = steps.forward(ended, np.zeros((3, 5)))
    np.testing.assert_allclose(abs(after - ended).max(axis=1), residuals, atol=1e-15)
    assert (residuals < 1e-9).all()


def test_a_line_of_points_is_neutral() -> None:
    """A cell with the forget gate open and the input gate shut stays wherever it is: no push fades."""
    model = random_model("ab", cell="lstm", layers=1, hidden=1)
    params = model.network.params
    for value in params.values():
        value[...] = 0
    params["lstm.bias_l0"][:] = [-60, 60, 0, 0]  # i, f, g, o
    state = np.array([[0.1, 0.2]])  # h, c
    point = Point(state[0], 0.0, np.array([1 - 1e-13, 0]), 1, 0.0, ())
    assert point.kind == "neutral"
    _, (jacobian,) = Steps(model).jacobians(state, np.zeros((1, len(model.vocab))))
    assert abs(np.linalg.eigvals(jacobian)).max() == pytest.approx(1, abs=1e-12)


def test_near_states_are_one_point() -> None:
    states = np.array([[0.0, 1.0], [0.0, 1.00001], [0.5, 1.0], [0.0, 1.0]])
    assert distinct(states, np.array([3e-9, 1e-9, 0.0, 2e-9])) == [(2, 1), (1, 3)]


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(DataError, match="the text is empty"):
        find_fixed_points(latches(1), np.zeros(0, int))
