"""The preset min-char-rnn follows the classic algorithm, as benchmarks/classic.py has it, step for step.

The two are compared in step: before each chunk charrnn takes over what the classic holds. Left to
themselves they part after some steps, as the classic does from itself when its weights change in the last
bit: see benchmarks/min_char_rnn.py.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from classic import smoothed  # noqa: E402
from min_char_rnn import Pair  # noqa: E402


def text(length):
    return (ROOT / "corpora/harbour.txt").read_text("utf-8")[:length]


@pytest.mark.parametrize("steps", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_in_step_with_the_classic(steps):
    pair = Pair(text(10 * steps))  # two and a half times through the text
    classic, charrnn, apart = np.array([*pair.in_step(steps)]).T
    difference = np.subtract([*smoothed(classic, pair.vocab_size)], [*smoothed(charrnn, pair.vocab_size)])
    assert np.abs(difference).max() < 1e-9
    np.testing.assert_allclose(charrnn, classic, rtol=1e-6)
    assert apart.max() < 1e-6  # weights, Adagrad's memory, hidden state
    assert np.mean(classic[-20:]) < 0.95 * classic[0]  # and it did learn something


def test_alone_the_first_steps_agree():
    pair = Pair(text(10_000))
    losses = np.array([[*pair.side(name, 5)] for name in ("classic", "charrnn")])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


@pytest.mark.slow
def test_alone_both_learn_as_well():
    pair = Pair(text(100_000))
    ends = [[*smoothed(pair.side(name, 1000), pair.vocab_size)][-1] for name in ("classic", "charrnn")]
    assert ends[1] == pytest.approx(ends[0], rel=0.03)
