"""Machines by themselves, and those extracted from networks that were built to be a known one."""

import itertools

import numpy as np
import pytest
from helpers.machines import machine_model

from charrnn.errors import DataError, UsageError
from charrnn.interpret.automaton import extract
from charrnn.interpret.clusters import k_means, nearest
from charrnn.interpret.machine import Difference, Machine, difference, machine_of, minimal
from charrnn.model.model import Model
from charrnn.text.known_processes import TOMITA, names, process

FINITE = [name for name in names() if name != "mess3"]


def allows(machine: Machine, text: str) -> bool:
    state = machine.start
    for character in text:
        v = machine.symbols.find(character)
        state = int(machine.following[state, v]) if v >= 0 else -1
        if state < 0:
            return False
    return True


# ------------------------------------------------------------------------------------------------
# Machines


@pytest.mark.parametrize("name", FINITE)
def test_a_minimal_machine_allows_the_same_texts(name: str) -> None:
    whole = machine_of(process(name))
    small, became = minimal(whole)
    assert difference(whole, small) is None
    assert len(small) == len(set(became.tolist()) - {-1})
    # No smaller one: any two of its states are told apart.
    for a, b in itertools.combinations(range(len(small)), 2):
        starts = (Machine(small.symbols, small.following, start) for start in (a, b))
        assert difference(*starts) is not None
    again, numbers = minimal(small)
    np.testing.assert_array_equal(again.following, small.following)
    assert numbers.tolist() == list(range(len(small)))


def test_equal_states_become_one_and_unreachable_ones_none() -> None:
    # 0 and 2 allow the same, 3 is never reached.
    small, became = minimal(Machine("ab", np.array([[1, -1], [-1, 2], [1, -1], [0, 0]]), 0))
    assert became.tolist() == [0, 1, 0, -1]
    assert small.following.tolist() == [[1, -1], [-1, 0]]
    assert small.edges() == [(0, 1, "a"), (1, 0, "b")]


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(TOMITA, 2)])
def test_a_difference_is_a_shortest_one(one: int, other: int) -> None:
    a, b = machine_of(process(f"tomita-{one}")), machine_of(process(f"tomita-{other}"))
    found = difference(a, b)
    assert found is not None
    whole = found.text + found.character
    assert allows(a, found.text)
    assert allows(b, found.text)
    assert (allows(a, whole), allows(b, whole)) == (found.allowed_by_first, not found.allowed_by_first)
    for length in range(len(whole)):
        for text in map("".join, itertools.product("01\n", repeat=length)):
            assert allows(a, text) == allows(b, text)


def test_a_character_that_only_one_machine_has() -> None:
    a, b = Machine("ab", np.array([[0, 0]]), 0), Machine("a", np.array([[0]]), 0)
    assert difference(a, b) == Difference("", "b", True)
    assert difference(b, a) == Difference("", "b", False)
    assert difference(b, Machine("ba", np.array([[-1, 0]]), 0)) is None


def test_mess3_is_no_machine() -> None:
    with pytest.raises(UsageError, match="mess3 is no finite machine"):
        machine_of(process("mess3"))


# ------------------------------------------------------------------------------------------------
# Clusters


def test_clusters_are_those_that_were_made() -> None:
    rng = np.random.default_rng(0)
    middles = 10 * rng.standard_normal((6, 4))
    which = rng.integers(6, size=300)
    points = middles[which] + 0.1 * rng.standard_normal((300, 4))
    centres = k_means(points, 6, rng)
    means = np.array([points[which == k].mean(axis=0) for k in range(6)])
    np.testing.assert_allclose(centres[nearest(means, centres)], means, atol=1e-9)
    assert sorted(nearest(means, centres)) == list(range(6))


def test_there_are_no_more_clusters_than_different_points() -> None:
    points = np.repeat(np.eye(3), 5, axis=0)
    centres = k_means(points, 8, np.random.default_rng(0))
    assert sorted(map(tuple, centres)) == sorted(map(tuple, np.eye(3)))


# ------------------------------------------------------------------------------------------------
# Extraction


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        *((f"tomita-{n}", 0.0) for n in TOMITA),
        *((name, 0.05) for name in ("tomita-1", "tomita-3", "counter", "dyck-1")),
    ],
)
def test_the_machine_of_a_network_that_is_one(name: str, noise: float) -> None:
    known = process(name)
    model = machine_model(known, noise=noise)
    symbols, _ = known.write(2000, np.random.default_rng(2))
    found = extract(model, model.vocab.encode(known.text(symbols)), process=known, most_clusters=64)
    assert found.comparison is not None
    assert found.comparison.difference is None
    assert len(found.machine) == found.comparison.states == len(minimal(machine_of(known))[0])
    assert found.fidelity == 1
    assert found.lost == 0
    assert found.agreement > 0.95
    # What may come at a state is as probable as the process says, so that the machine predicts as well as can be.
    assert found.loss_nats == pytest.approx(found.network_loss_nats, abs=2e-3)
    assert found.visits.sum() == pytest.approx(1)
    starts = found.machine.following[:, model.vocab.encode("\n")[0]]
    assert set(starts.tolist()) <= {-1, found.machine.start}


def test_cells_that_keep_what_does_not_matter_are_no_matter() -> None:
    """Most of what the state holds, by size, are echoes of the text that nothing is expected from."""
    known = process("tomita-5")
    model = machine_model(known, noise=30.0)
    symbols, _ = known.write(2000, np.random.default_rng(2))
    found = extract(model, model.vocab.encode(known.text(symbols)), process=known, most_clusters=16)
    assert found.comparison is not None
    assert found.comparison.difference is None
    assert len(found.machine) == 4
    assert found.fidelity == 1


def test_another_machine_is_told_with_an_example() -> None:
    known = process("tomita-4")
    model = machine_model(known)
    symbols, _ = known.write(2000, np.random.default_rng(2))
    ids = model.vocab.encode(known.text(symbols))
    found = extract(model, ids, process=process("tomita-6")).comparison
    assert found is not None
    assert found.states == 3
    expected = difference(machine_of(known), machine_of(process("tomita-6")))
    assert found.difference == expected == Difference("0", "\n", True)


def test_a_network_that_forgets_differs_from_its_process() -> None:
    known = process("tomita-5")
    model = machine_model(known)
    weights = {name: tensor.copy() for name, tensor in model.weights.items()}
    weights["rnn.weight_hh_l0"][...] = 0
    weights["rnn.bias_ih_l0"][...] = 0  # each unit now only sees the symbol that comes
    symbols, _ = known.write(2000, np.random.default_rng(2))
    ids = model.vocab.encode(known.text(symbols))
    found = extract(Model(model.config, model.vocab, weights), ids, process=known).comparison
    assert found is not None
    assert found.difference is not None


def test_texts_that_cannot_be_used() -> None:
    known = process("tomita-4")
    model = machine_model(known)
    symbols, _ = known.write(1000, np.random.default_rng(2))
    ids = model.vocab.encode(known.text(symbols))
    with pytest.raises(DataError, match="the text has 100 symbols; at least 200"):
        extract(model, ids[:100])
    with pytest.raises(DataError, match=r"has '\\n', which flip-flop never writes"):
        extract(model, ids, process=process("flip-flop"))
    with pytest.raises(UsageError, match="no finite machine"):
        extract(model, ids, process=process("mess3"))
