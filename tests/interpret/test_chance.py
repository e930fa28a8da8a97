"""The chance level against scores of labels that are shifted one by one."""

import numpy as np
import pytest
from helpers.rank_scores import auc_by_pairs, rho, with_a_bad_cell
from hypothesis import given
from hypothesis import strategies as st

from charrnn.interpret.chance import Chance, chance, smooth_length
from charrnn.interpret.scores import midranks, score


@pytest.mark.parametrize("kind", ["bool", "count"])
def test_chance_equals_direct_circular_shifts(kind):
    rng = np.random.default_rng(3)
    n = 600  # 2³ · 3 · 5²: nothing is dropped
    signals = np.round(rng.normal(size=(10, n)).cumsum(axis=1), 1).astype(np.float32)
    values = np.arange(n) % 110 < 40 if kind == "bool" else np.arange(n) % 70
    [null] = chance(signals, [(values, np.ones(n, bool), kind)])
    assert null.highest.shape == (n - 300,)
    for k in (150, 333, 449):
        moved = np.roll(values, k)
        direct = [2 * auc_by_pairs(x, moved) - 1 if kind == "bool" else rho(x, moved) for x in signals]
        np.testing.assert_allclose(null.highest[k - 150], np.max(np.abs(direct)), atol=1e-5)
    direct = [2 * auc_by_pairs(x, values) - 1 if kind == "bool" else rho(x, values) for x in signals]
    np.testing.assert_allclose(null.observed, direct, atol=1e-5)


@pytest.mark.parametrize("n", [600, 620, 607])  # 607 is cut to 600, of which a fourth is as smooth
@pytest.mark.parametrize("every", [2, 4])
def test_some_shifts_score_as_they_do_among_all(n, every):
    rng = np.random.default_rng(16)
    signals = rng.normal(size=(5, n)).cumsum(axis=1).astype(np.float32)
    labels = [
        (rng.random(n) < 0.5, rng.random(n) < 0.8, "bool"),
        (np.arange(n) % 70, np.ones(n, bool), "count"),
    ]
    cut = every * smooth_length(n // every)
    for sign in (0, 1, -1):
        some = chance(signals, labels, sign=sign, every=every)
        each = chance(signals[:, :cut], [(v[:cut], m[:cut], kind) for v, m, kind in labels], sign=sign)
        near = min(200, cut // 4)
        looked_at = np.arange(-(-near // every) * every, cut - near, every) - near
        for few, all_of_them in zip(some, each, strict=True):
            np.testing.assert_allclose(few.highest, all_of_them.highest[looked_at], atol=1e-6)
            np.testing.assert_allclose(few.observed, all_of_them.observed, atol=1e-6)


def test_chance_leaves_masked_places_out():
    rng = np.random.default_rng(4)
    n = 1000
    signals = rng.normal(size=(3, n)).astype(np.float32)
    values, mask = rng.random(n) < 0.5, rng.random(n) < 0.6
    [null] = chance(signals, [(values, mask, "bool")])
    [other] = chance(signals, [(np.where(mask, values, ~values), mask, "bool")])
    np.testing.assert_array_equal(null.highest, other.highest)
    assert null.highest.shape == (600,)  # shifts by less than 200 either way leave the label where it was
    # the scale is that of the score, but for ranks taken over the whole text
    exact = [2 * score(x, values, mask, "bool") - 1 for x in signals]
    np.testing.assert_allclose(null.observed, exact, atol=0.02)


def test_p_value_counts_shifts_that_do_as_well():
    null = Chance(np.array([0.5, -0.5, np.nan]), np.array([0.1, 0.5, 0.6, 0.2]))
    assert null.p_value(0, 1) == pytest.approx(3 / 5)
    assert null.p_value(1, -1) == pytest.approx(3 / 5)
    assert null.p_value(1, 1) == 1
    assert null.p_value(2, 1) == 1
    assert null.level(1.0) == 0.6
    assert Chance(null.observed, np.zeros(0)).p_value(0, 1) == 1
    assert np.isnan(Chance(null.observed, np.zeros(0)).level(0.5))
    assert chance(np.ones((1, 10), np.float32), [(np.ones(10, bool), np.ones(10, bool), "bool")]) == [None]


def test_chance_drops_the_last_characters_where_the_transform_would_be_slow():
    rng = np.random.default_rng(15)
    signals, on, mask = rng.normal(size=(3, 607)), rng.random(607) < 0.5, rng.random(607) < 0.8
    [longer], [shorter] = (chance(signals[:, :n], [(on[:n], mask[:n], "bool")]) for n in (607, 600))
    np.testing.assert_array_equal(longer.highest, shorter.highest)
    np.testing.assert_array_equal(longer.observed, shorter.observed)


@pytest.mark.parametrize("bad", [0.0, 0.5, np.nan, np.inf])
def test_cells_without_a_signal_have_no_chance(bad):
    signals, on, mask = with_a_bad_cell(bad)
    for null in chance(signals, [(on, mask, "bool"), (on.astype(int), mask, "count")]):
        assert np.isfinite(null.highest).all()
        assert np.isnan(null.observed).tolist() == [False, False, True, False]
        assert null.p_value(2, 1) == 1


def test_shifts_are_a_stricter_null_than_shuffles():
    """Slow cells and long runs agree by chance far more than shuffled letters do."""
    rng = np.random.default_rng(5)
    n = 6000
    signals = np.zeros((32, n), np.float32)
    noise = rng.normal(size=(32, n))
    for t in range(1, n):
        signals[:, t] = 0.97 * signals[:, t - 1] + noise[:, t]
    values = np.repeat(rng.random(100) < 0.5, 60)
    [null] = chance(signals, [(values, np.ones(n, bool), "bool")])
    ranks = np.stack([midranks(x) for x in signals]) - (n + 1) / 2
    on = values.sum()
    shuffled = [np.abs(2 * (ranks @ rng.permutation(values)) / (on * (n - on))).max() for _ in range(300)]
    assert null.level(0.99) > 1.8 * np.quantile(shuffled, 0.99)


@given(st.integers(1, 3000))
def test_smooth_length(n):
    def rest(k):
        for prime in (2, 3, 5):
            while k % prime == 0:
                k //= prime
        return k

    found = smooth_length(n)
    assert found <= n
    assert rest(found) == 1
    assert not any(rest(k) == 1 for k in range(found + 1, n + 1))
    assert smooth_length(0) == 0
