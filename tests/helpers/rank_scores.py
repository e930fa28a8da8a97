"""Scores and signals for the tests of scores, by their definitions."""

import numpy as np


def auc_by_pairs(x, y):
    on, off = x[y][:, None], x[~y][None, :]
    return np.mean((on > off) + 0.5 * (on == off))


def ranks_by_counting(x):
    return np.array([np.sum(x < a) + (np.sum(x == a) + 1) / 2 for a in x])


def rho(x, y):
    return np.corrcoef(ranks_by_counting(x), ranks_by_counting(y))[0, 1]


def with_a_bad_cell(bad):
    """Signals (4, 400) of which the third is constant or has one number that is not finite, and a label."""
    signals = np.random.default_rng(2).normal(size=(4, 400)).astype(np.float32)
    signals[2] = bad
    if not np.isfinite(bad):
        signals[2] = signals[1]
        signals[2, 7] = bad
    return signals, np.arange(400) % 40 < 20, np.ones(400, bool)
