"""What a table of characters and all cells together know of a label."""

import numpy as np
import pytest
from helpers.rank_scores import with_a_bad_cell

from charrnn.interpret import comparisons
from charrnn.interpret.comparisons import character_table, fit_probes, probe_score
from charrnn.interpret.scores import midranks, score, score_cells


def test_character_table_is_the_mean_after_the_same_three_characters():
    rng = np.random.default_rng(9)
    text = "".join(rng.choice(list("abc"), 400))
    values, mask = rng.integers(0, 5, 400), rng.random(400) < 0.8
    codes = np.array([ord(ch) for ch in text]) - 97
    guess = character_table(codes, values, mask, slice(0, 200))
    for t in (3, 50, 210, 399):
        for order in (3, 2, 1, 0):
            context = text[t + 1 - order : t + 1]
            same = [u for u in range(order - 1, 200) if mask[u] and text[u + 1 - order : u + 1] == context]
            if order == 0:
                same = [u for u in range(200) if mask[u]]
            if same:
                break
        assert guess[t] == pytest.approx(np.mean(values[same]))


def test_character_table_backs_off():
    codes = np.array([0, 1, 0, 1, 2, 2, 2, 2])
    values = np.array([0, 1, 0, 1, 0, 0, 0, 0])
    guess = character_table(codes, values, np.ones(8, bool), slice(0, 4))
    assert guess.tolist() == [0, 1, 0, 1, 0.5, 0.5, 0.5, 0.5]
    assert character_table(np.zeros(0, int), np.zeros(0), np.zeros(0, bool), slice(0, 0)).shape == (0,)


def test_probe_finds_what_no_single_cell_holds():
    rng = np.random.default_rng(10)
    n = 8000
    on = np.repeat(rng.random(n // 20) < 0.5, 20)
    signals = rng.normal(size=(40, n)) + 0.4 * (2 * on - 1)
    half = slice(0, n // 2), slice(n // 2, n)
    mask = np.ones(n, bool)
    single = np.nanmax(score_cells(signals[:, half[1]], [(on[half[1]], mask[half[1]], "bool")]))
    probe = probe_score([signals.astype(np.float32)], on, mask, "bool", *half)
    assert single < 0.75
    assert probe > 0.97


def test_probe_equals_least_squares_with_a_penalty(monkeypatch):
    rng = np.random.default_rng(11)
    signals, on = rng.normal(size=(5, 600)), rng.random(600) < 0.4
    half = slice(0, 300), slice(300, 600)
    monkeypatch.setattr(comparisons, "RIDGES", (0.2,))
    x = signals[:, half[0]].T
    z = (x - x.mean(0)) / x.std(0)
    y = on[half[0]] - on[half[0]].mean()
    stacked = np.vstack([z, np.sqrt(0.2 * 300) * np.eye(5)])
    weights = np.linalg.lstsq(stacked, np.r_[y, np.zeros(5)], rcond=None)[0] / x.std(0)
    expected = score(weights @ signals[:, half[1]], on[half[1]], np.ones(300, bool), "bool")
    assert probe_score([signals], on, np.ones(600, bool), "bool", *half) == pytest.approx(expected)


@pytest.mark.parametrize("places", [8192, 100])
def test_labels_with_masks_share_their_places_and_each_is_fitted_on_what_it_leaves(places, monkeypatch):
    """Of three labels one is unmasked, one lacks some places and one most, so that it has places of its own."""
    rng = np.random.default_rng(14)
    n, fit = 800, slice(20, 420)
    cells = (rng.normal(size=(6, n)) * rng.uniform(0.1, 30, (6, 1)) + 20).astype(np.float32)
    cells[3] += 40 * (np.arange(n) > 380)
    masks = np.ones(n, bool), rng.random(n) < 0.8, rng.random(n) < 0.3
    labels = [(rng.random(n) < 0.4, masks[0], "bool"), (rng.random(n) < 0.6, masks[1], "bool")]
    labels += [(rng.integers(0, 9, n), masks[1], "count"), (rng.random(n) < 0.5, masks[2], "bool")]
    monkeypatch.setattr(comparisons, "RIDGES", (0.05,))
    monkeypatch.setattr(comparisons, "PROBE_PLACES", places)
    probes = fit_probes(lambda where: cells[:, where], np.array([True] * 5 + [False]), labels, fit)
    for (values, mask, kind), probe in zip(labels, probes, strict=True):
        signal, weights = probe.told, probe.weights
        common = np.arange(20, 420)[:: 1 if places > 400 else 4]
        own = np.flatnonzero(mask[fit]) + 20
        used = common[mask[common]] if mask.mean() > 0.5 else own[:: -(-len(own) // places)]
        x = cells[:5, used].T.astype(float)
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        y = values[used].astype(float) if kind == "bool" else midranks(values[used])
        y -= y.mean()
        w = np.linalg.solve(z.T @ z / len(used) + 0.05 * np.eye(5), z.T @ y / len(used)) / x.std(axis=0)
        expected = w @ cells[:5]
        np.testing.assert_allclose(weights, [*w, 0], atol=2e-4 * np.abs(w).max())
        np.testing.assert_allclose(
            signal - signal.mean(), expected - expected.mean(), atol=2e-4 * np.ptp(expected)
        )


def test_the_ridge_of_a_label_is_the_best_on_its_last_quarter(monkeypatch):
    rng = np.random.default_rng(15)
    on = rng.random(4000) < 0.5
    cells = rng.normal(size=(300, 4000)).astype(np.float32)
    cells[:40] += 0.15 * (2 * on - 1)
    mask, fit = rng.random(4000) < 0.9, slice(0, 1200)

    def told(ridges):
        monkeypatch.setattr(comparisons, "RIDGES", ridges)
        [one] = fit_probes(lambda where: cells[:, where], np.ones(300, bool), [(on, mask, "bool")], fit)
        return one.told

    early, late = np.flatnonzero(mask[:900]), np.flatnonzero(mask[900:1200]) + 900
    x = cells[:, mask.nonzero()[0][mask.nonzero()[0] < 1200]].astype(float)
    mean, spread = x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
    z, y = (cells - mean) / spread, on - on[:1200][mask[:1200]].mean()
    scores = {}
    for ridge in (0.001, 3.0, 1000.0):
        gram = z[:, early] @ z[:, early].T / len(early) + ridge * np.eye(300)
        w = np.linalg.solve(gram, z[:, early] @ y[early] / len(early))
        scores[ridge] = score(w @ z[:, late], on[late], np.ones(len(late), bool), "bool")
    best = max(scores, key=scores.__getitem__)
    assert best == 3.0
    np.testing.assert_allclose(told((0.001, 3.0, 1000.0)), told((best,)), atol=1e-6)


def test_probe_is_not_led_astray_by_noise():
    """Many idle cells and few characters: one cell that knows keeps most of its score in the probe."""
    rng = np.random.default_rng(13)
    on = np.repeat(rng.random(60) < 0.5, 20)
    signals = rng.normal(size=(200, 1200)).cumsum(axis=1)
    signals[7] = on + 0.1 * rng.normal(size=1200)
    half = slice(0, 600), slice(600, 1200)
    assert probe_score([signals], on, np.ones(1200, bool), "bool", *half) > 0.8


@pytest.mark.parametrize("bad", [0.0, 0.5, np.nan, np.inf])
def test_cells_without_a_signal_are_left_out_of_the_probe(bad):
    signals, on, mask = with_a_bad_cell(bad)
    half = slice(0, 200), slice(200, 400)
    alone = probe_score([signals[[0, 1, 3]]], on, mask, "bool", *half)
    assert probe_score([signals], on, mask, "bool", *half) == pytest.approx(alone)
