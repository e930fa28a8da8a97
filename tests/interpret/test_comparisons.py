"""What a table of characters and all cells together know of a label."""

import numpy as np
import pytest
from helpers.rank_scores import with_a_bad_cell

from charrnn.interpret import comparisons
from charrnn.interpret.comparisons import character_table, probe_score
from charrnn.interpret.scores import score, score_cells


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
