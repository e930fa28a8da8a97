"""Scores against definitions computed pair by pair."""

from itertools import product

import numpy as np
import pytest
from helpers.rank_scores import auc_by_pairs, ranks_by_counting, rho, with_a_bad_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.interpret.labels import Label
from charrnn.interpret.scores import (
    STEADY,
    Threshold,
    age_matched_accuracy,
    best_threshold,
    class_runs,
    eta_squared,
    excess,
    has_signal,
    memory_score,
    midranks,
    score,
    score_cells,
    steady,
    steady_score,
    without_character,
)


def test_all_cells_and_labels_at_once_equal_one_at_a_time():
    rng = np.random.default_rng(1)
    signals = np.round(rng.normal(size=(70, 300)), 1).astype(np.float32)
    everywhere, some = np.ones(300, bool), rng.random(300) < 0.7
    on, count = rng.random(300) < 0.3, rng.integers(0, 9, 300)
    labels = [(on, everywhere, "bool"), (count, some, "count"), (on, some, "bool"), (on, on, "bool")]
    together = score_cells(signals, labels)
    for k, (values, mask, kind) in enumerate(labels):
        for m in (0, 31, 32, 69):
            x, y = signals[m][mask], values[mask]
            single = np.nan if k == 3 else auc_by_pairs(x, y) if kind == "bool" else rho(x, y)
            np.testing.assert_allclose(together[k, m], single)


@pytest.mark.parametrize("bad", [0.0, 0.5, np.nan, np.inf])
def test_constant_dead_and_nan_cells_have_no_score(bad):
    signals, on, mask = with_a_bad_cell(bad)
    scores = score_cells(signals, [(on, mask, "bool"), (on.astype(int), mask, "count")])
    assert np.isnan(scores[:, 2]).all()
    assert np.isfinite(scores[:, [0, 1, 3]]).all()
    assert np.isnan(eta_squared(signals, on, mask)).tolist() == [False, False, True, False]


@pytest.mark.parametrize(("span", "moves"), [(1e-6, False), (1.01e-6, True)])
def test_a_signal_must_move_by_more_than_a_millionth(span, moves):
    x, everywhere = np.array([-span / 2, span / 2, -span / 2, span / 2]), np.ones(4, bool)
    on = x > 0
    assert has_signal(x) == moves
    assert np.isfinite(score(x, on, everywhere, "bool")) == moves
    assert np.isfinite(eta_squared(x[None], on, everywhere)[0]) == moves
    assert not has_signal(np.zeros(0))
    assert not has_signal(np.array([0, 1, np.inf]))


def test_the_ends_of_a_signal_decide_whether_it_moves():
    """All places but one are alike, whichever way that one lies."""
    for signal in ([0.0, 0, 0, 1], [1.0, 1, 1, 0], [-1.0, -1, -1, 1]):
        on = np.array([0, 1, 0, 1], bool)
        expected = auc_by_pairs(np.array(signal), on)
        assert score(np.array(signal), on, np.ones(4, bool), "bool") == expected


def test_chance_is_zero_and_the_best_is_one_on_the_scale_of_excess():
    assert [excess(auc, "bool") for auc in (0.0, 0.25, 0.5, 1.0)] == [-1, -0.5, 0, 1]
    assert [excess(rho, "count") for rho in (-1.0, 0.0, 0.25)] == [-1, 0, 0.25]


def test_memory_score_of_a_bool_counts_steady_places_only():
    n = 4000
    on = np.arange(n) % 40 >= 20
    label = Label("x", "bool", on, np.ones(n, bool), "", 1)
    age = np.arange(n) % 20
    assert steady(on)[:20].tolist() == [False] * 10 + [True] * 10
    tracker = on.astype(np.float32) + 0.01 * (age % 3)
    detector = np.where(age < 10, on, 0.5).astype(np.float32) + 0.001 * (age % 7)
    characters = np.zeros(n, int)
    assert score(detector, on, label.mask, "bool") > 0.7
    assert memory_score(tracker, label, characters, slice(0, n)) == pytest.approx(1)
    assert memory_score(detector, label, characters, slice(0, n)) == pytest.approx(0.5, abs=0.01)


def test_memory_score_of_a_count_removes_the_current_character():
    rng = np.random.default_rng(6)
    n = 3000
    characters = rng.integers(0, 3, n)
    values = characters * 5 + rng.integers(0, 5, n)
    label = Label("x", "count", values, np.ones(n, bool), "", 1)
    detector = characters * 0.1 + rng.normal(size=n) * 1e-3
    assert score(detector, values, label.mask, "count") > 0.8
    assert abs(memory_score(detector, label, characters, slice(0, n))) < 0.1
    assert memory_score(values * 0.1, label, characters, slice(0, n)) > 0.2
    mask = rng.random(n) < 0.5
    residual = without_character(detector, characters, mask)
    for c in range(3):
        assert np.median(residual[mask & (characters == c)]) == pytest.approx(0)
    np.testing.assert_array_equal(residual[~mask], detector[~mask])


def test_steady_score_of_a_count_leaves_out_ten_characters_after_each_jump():
    rng = np.random.default_rng(12)
    n = 3000
    place = np.concatenate([np.arange(rng.integers(15, 40)) for _ in range(200)])[:n].astype(np.int32)
    depth = np.repeat(rng.integers(0, 3, n // 25), 25).astype(np.int32)
    characters, mask = rng.integers(0, 4, n), rng.random(n) < 0.9
    depth[:25], mask[10] = 0, True  # the text begins at a depth of 0, as if it had been so before
    for values, part in product((place, depth), (slice(500, 2600), slice(0, 200))):
        kept, since = [], 0
        for t in range(n):
            step = values[t] - (values[t - 1] if t else 0)
            before = values[t - 1] - (values[t - 2] if t > 1 else 0) if t else None
            since = since + 1 if t and step == before else 0
            if part.start <= t < part.stop and mask[t] and since >= 10:
                kept.append(t)
        kept = np.array(kept)
        label = Label("x", "count", values, mask, "", 1)
        signal = (values + rng.normal(size=n) * 2 + 5 * characters).astype(np.float32)
        residual = signal.astype(float)
        for c in range(4):
            same = kept[characters[kept] == c]
            residual[same] -= np.median(residual[same])
        expected = rho(residual[kept], values[kept])
        assert steady_score(signal, label, characters, part) == pytest.approx(expected, abs=1e-6)
        assert expected > 0.2


def test_eta_squared_by_its_definition_with_bins_of_one_place_and_of_none():
    """Of eight values the tenths are cut between them: some bins hold one place, some none."""
    values = np.array([0, 1, 2, 3, 4, 5, 9, 9])
    x = np.array([3.0, -1, 4, 1, -5, 9, 2, 6])
    edges = np.quantile(values, np.arange(1, 10) / 10)
    bins = np.sum(values[:, None] > edges, axis=1)
    sizes = np.bincount(bins, minlength=10)
    assert {0, 1, 2} <= set(sizes)
    between = sum(np.sum(bins == b) * (x[bins == b].mean() - x.mean()) ** 2 for b in np.unique(bins))
    expected = between / np.sum((x - x.mean()) ** 2)
    assert eta_squared(x[None], values, np.ones(8, bool)) == pytest.approx([expected])
    masked = np.r_[x, 100.0], np.r_[values, 7], np.arange(9) < 8
    assert eta_squared(masked[0][None], *masked[1:]) == pytest.approx([expected])
    assert np.isnan(eta_squared(x[None], values, np.zeros(8, bool))).tolist() == [True]


def test_eta_squared_sees_what_rho_does_not():
    rng = np.random.default_rng(7)
    values = rng.integers(0, 100, 5000)
    humped = -((values - 50.0) ** 2) / 2500
    signals = np.stack([humped, values / 100, rng.normal(size=5000)]).astype(np.float32)
    mask = np.ones(5000, bool)
    found = eta_squared(signals, values, mask)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, 11))[1:-1])
    bins = np.sum(values[:, None] > edges, axis=1)
    for x, eta in zip(signals.astype(float), found, strict=True):
        between = sum(np.sum(bins == b) * (x[bins == b].mean() - x.mean()) ** 2 for b in np.unique(bins))
        assert eta == pytest.approx(between / np.sum((x - x.mean()) ** 2), abs=1e-5)
    assert abs(score(humped, values, mask, "count")) < 0.05
    assert found[0] > 0.9
    assert found[2] < 0.01


def test_threshold_is_the_best_of_all_cuts():
    rng = np.random.default_rng(8)
    for sign in (1, -1):
        truth = rng.random(60) < 0.3
        x = np.round(sign * truth + rng.normal(size=60), 1)
        cut = best_threshold(x, truth, sign)
        figures = cut.applied(x, truth)
        balanced = []
        for c in np.unique(x):
            on = sign * x >= sign * c
            balanced.append((np.mean(on[truth]) + np.mean(~on[~truth])) / 2)
        assert figures.balanced_accuracy == pytest.approx(max(balanced))
        on = sign * x > sign * cut.cut
        assert figures.mcc == pytest.approx(np.corrcoef(on, truth)[0, 1])
        precision, recall = np.mean(truth[on]), np.mean(on[truth])
        assert figures.f1 == pytest.approx(2 * precision * recall / (precision + recall))
        assert figures.prevalence == pytest.approx(truth.mean())


def test_a_cut_at_a_value_of_the_signal_is_off_there():
    truth = np.array([False, False, True, True])
    for sign in (1, -1):
        figures = Threshold(2.0 * sign, sign).applied(sign * np.array([1.0, 2, 2, 3]), truth)
        assert figures.balanced_accuracy == 0.75  # the second and third are off
        assert (figures.f1, figures.mcc) == pytest.approx((2 / 3, 1 / 3**0.5))


def test_the_figures_of_a_cut_by_their_definitions():
    """For every number of places, up to two of each kind: rightly on, wrongly on, wrongly off, rightly off."""
    for tp, fp, fn, tn in product(range(3), repeat=4):
        signal = np.repeat([2.0, 2, 1, 1], [tp, fp, fn, tn])
        truth = np.repeat([True, False, True, False], [tp, fp, fn, tn])
        on, off, true, false = tp + fp, fn + tn, tp + fn, fp + tn
        expected = {
            "balanced_accuracy": (tp / true + tn / false) / 2 if true and false else np.nan,
            "f1": tp / (tp + (fp + fn) / 2) if tp + fp + fn else np.nan,
            "mcc": (tp * tn - fp * fn) / (on * off * true * false) ** 0.5
            if on * off * true * false
            else np.nan,
            "prevalence": true / (true + false) if true + false else np.nan,
        }
        figures = Threshold(1.5, 1).applied(signal, truth)
        assert {name: getattr(figures, name) for name in expected} == pytest.approx(expected, nan_ok=True)


def test_the_best_cut_is_midway_whichever_places_are_true():
    x = np.array([0.0, 1, 1, 2, 5, 5])
    cuts = np.array([0.5, 1.5, 3.5])
    for truth in map(np.array, product([False, True], repeat=6)):
        if truth.all() or not truth.any():
            continue
        for sign in (1, -1):
            balanced = [Threshold(c, sign).applied(x, truth).balanced_accuracy for c in cuts]
            cut = best_threshold(x, truth, sign)
            assert cut.sign == sign
            assert balanced[cuts.tolist().index(cut.cut)] == pytest.approx(max(balanced))


def test_the_only_cut_lies_between_the_two_values():
    cut = best_threshold(np.array([3.0, 1, 3, 1]), np.array([True, False, True, False]), 1)
    assert (cut.cut, cut.sign) == (2, 1)
    assert best_threshold(np.array([7.0, 7]), np.array([True, False]), -1) == Threshold(7.0, -1)
    assert best_threshold(np.zeros(0), np.zeros(0, bool), 1) == Threshold(0.0, 1)
    assert best_threshold(np.array([7.0]), np.array([True]), 1) == Threshold(7.0, 1)


def test_a_single_place_of_a_class_weighs_as_much_as_all_of_the_other():
    x = np.arange(8.0)
    assert best_threshold(x, x != 6, 1).cut == 6.5
    assert best_threshold(x, x == 1, 1).cut == 0.5


@pytest.mark.parametrize("sign", [1, -1])
def test_matched_accuracy_pairs_places_of_like_age(sign):
    """Against a pass over single places: those 10 characters or longer after a change, by age within a tenth."""
    rng = np.random.default_rng(14)
    lengths = rng.integers(5, 60, 80)
    on = np.repeat(np.arange(80) % 2 == 1, lengths)
    n, part = len(on), slice(200, len(on) - 100)
    signal = np.round(sign * (on + rng.normal(size=n)), 1)
    mask = rng.random(n) < 0.8
    cut = Threshold(0.5 * sign, sign)
    assert (signal == cut.cut).any()  # such a place is off
    groups, age = {}, 0
    for t in range(n):
        age = age + 1 if t and on[t] == on[t - 1] else 0
        if part.start <= t < part.stop and mask[t] and age >= 10:
            right = (sign * signal[t] > 0.5) == on[t]
            groups.setdefault(int(np.log(age) / np.log(1.1)), {True: [], False: []})[bool(on[t])].append(
                right
            )
    both = [group for group in groups.values() if group[True] and group[False]]
    assert len(both) > 5
    pairs = [len(group[True]) * len(group[False]) for group in both]
    balanced = [(np.mean(group[True]) + np.mean(group[False])) / 2 for group in both]
    expected = np.average(balanced, weights=pairs)
    label = Label("x", "bool", on, mask, "", 1)
    assert age_matched_accuracy(signal, label, cut, part) == pytest.approx(expected)
    assert 0.6 < expected < 0.8


def test_matched_accuracy_needs_a_signal_and_places_of_both_classes():
    on = np.arange(120) % 40 >= 20
    label, whole, cut = Label("x", "bool", on, np.ones(120, bool), "", 1), slice(0, 120), Threshold(0.5, 1)
    assert age_matched_accuracy(on.astype(float), label, cut, whole) == 1
    assert np.isnan(age_matched_accuracy(np.ones(120), label, cut, whole))
    brief = Label("x", "bool", np.arange(120) % 10 >= 5, label.mask, "", 1)
    assert np.isnan(age_matched_accuracy(on.astype(float), brief, cut, whole))
    always = Label("x", "bool", np.ones(120, bool), label.mask, "", 1)
    assert np.isnan(age_matched_accuracy(on.astype(float), always, cut, whole))
    never = Label("x", "bool", np.zeros(120, bool), label.mask, "", 1)
    assert np.isnan(age_matched_accuracy(on.astype(float), never, cut, whole))
    # each class has one place that is old enough: it counts
    once = Label("x", "bool", np.arange(2 * STEADY + 2) > STEADY, np.ones(2 * STEADY + 2, bool), "", 1)
    ages = np.tile(np.arange(STEADY + 1), 2)
    assert age_matched_accuracy(once.values - 0.0, once, cut, slice(0, len(ages))) == 1


def test_class_runs():
    values = np.array([0, 0, 1, 1, 0, 1, 0], bool)
    assert class_runs(values, np.ones(7, bool), "bool") == (3, 2)
    assert class_runs(values, np.array([1, 1, 0, 0, 1, 1, 1], bool), "bool") == (3, 1)
    assert class_runs(values, np.array([1, 0, 0, 1, 0, 1, 1], bool), "bool") == (2, 2)  # masked in part
    assert class_runs(np.array([0, 3, 0, 0, 2]), np.ones(5, bool), "count") == (2, 2)
    assert class_runs(np.array([1, 9, 1, 2, 1]), np.ones(5, bool), "count") == (3, 2)  # the mean is 2.8
    assert class_runs(np.array([4, 9, 4, 5, 9]), np.array([1, 1, 1, 1, 0], bool), "count") == (2, 2)
    assert class_runs(np.ones(3, bool), np.ones(3, bool), "bool") == (0, 1)
    assert class_runs(np.zeros(3, bool), np.ones(3, bool), "bool") == (1, 0)
    for kind in ("bool", "count"):
        assert class_runs(np.zeros(0, bool), np.zeros(0, bool), kind) == (0, 0)


small = st.lists(st.integers(0, 4), min_size=1, max_size=25)


@given(x=small)
def test_midranks(x):
    np.testing.assert_allclose(midranks(np.array(x)), ranks_by_counting(np.array(x)))


@settings(max_examples=200, deadline=None)
@given(data=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 4)), min_size=2, max_size=30))
def test_scores_equal_their_definitions(data):
    x, mask, y = (np.array(column) for column in zip(*data, strict=True))
    x, on = x.astype(np.float32), y > 1
    kept = x[mask]
    no_signal = len(kept) == 0 or np.ptp(kept) == 0
    one_class = no_signal or on[mask].all() or not on[mask].any()
    expected = np.nan if one_class else auc_by_pairs(kept, on[mask])
    np.testing.assert_allclose(score(x, on, mask, "bool"), expected, atol=1e-12)
    constant = no_signal or np.ptp(y[mask]) == 0
    np.testing.assert_allclose(
        score(x, y, mask, "count"), np.nan if constant else rho(kept, y[mask]), atol=1e-12
    )
