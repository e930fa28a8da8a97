"""The surprise of lines beyond what their lengths explain, on lines of known losses, and what it takes."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model

from charrnn.score import lines as line_scores
from charrnn.score.lines import RECORD, LineScores, score_lines


def scored(n: np.ndarray, nats: np.ndarray, at_once: int = 50) -> LineScores:
    """Lines of n predictions and these losses, one after the other."""
    records = np.zeros(len(n), RECORD)
    records["number"], records["n"], records["nats"] = 1 + np.arange(len(n)), n, nats
    scores = LineScores()
    for begin in range(0, len(n), at_once):
        scores.add(records[begin : begin + at_once])
    return scores


def usual(lengths: np.ndarray, seed: int, start: float = 7.0) -> np.ndarray:
    """Losses of lines that cost `start` and then, per symbol, 1.5 nats or so."""
    rng = np.random.default_rng(seed)
    return np.array([start + rng.exponential(1.5, n).sum() for n in lengths])


def test_lengths_alone_surprise_nobody() -> None:
    """Neither short nor long lines come first: ranks and lengths have nothing to do with each other."""
    rng = np.random.default_rng(1)
    n = rng.integers(2, 120, 4000)
    nats = usual(n, 2)
    with scored(n, nats) as scores:
        found = list(scores.ranked())
    short = n < 20
    first = np.array([line.predictions for line in found[:400]])
    assert abs((first < 20).mean() - short.mean()) < 0.05
    by_mean = n[np.argsort(-nats / n)[:400]]
    assert (by_mean < 20).mean() > 0.7  # what the mean loss would have ranked first
    surprise = np.array([line.surprise for line in found])
    assert surprise.std() == pytest.approx(1, abs=0.05)
    for some in (short, ~short):
        chosen = np.array([line.surprise for line in sorted(found, key=lambda line: line.number)])[some]
        assert chosen.std() == pytest.approx(1, abs=0.1)
        assert chosen.mean() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("lengths", [np.r_[2:80], np.full(60, 30), np.full(5, 30)], ids=["all", "one", "few"])
@pytest.mark.parametrize("odd", [10, 150])
def test_a_planted_odd_line_comes_first(lengths: np.ndarray, odd: int) -> None:
    n = np.r_[lengths, odd, lengths]
    nats = usual(n, 3)
    place = len(lengths)
    nats[place] += 3 * odd
    with scored(n, nats) as scores:
        assert next(scores.ranked()).number == place + 1


def test_the_fit_is_that_of_weighted_least_squares() -> None:
    n = np.random.default_rng(4).integers(2, 60, 300)
    nats = usual(n, 5)
    root = np.sqrt(n)
    rows = np.r_[np.c_[1 / root, root], [[1 / line_scores.START, 0]]]
    (a, b), *_ = np.linalg.lstsq(rows, np.r_[nats / root, 0])
    left = (nats - a - b * n) / root
    s = np.sqrt((left**2).sum() / (len(n) - 2))
    with scored(n, nats) as scores:
        for line, length, excess in zip(scores.in_order(), n, left / s, strict=True):
            assert line.expected_nats == pytest.approx(a + b * length)
            assert line.surprise == pytest.approx(excess)


def test_many_lines_are_ranked_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    n = np.random.default_rng(6).integers(2, 60, 500)
    with scored(n, usual(n, 7)) as scores:
        whole = list(scores.ranked())
        monkeypatch.setattr(line_scores, "RANKED", 20)
        monkeypatch.setattr("charrnn.text.spool.RECORDS_AT_ONCE", 30)
        assert list(scores.ranked()) == whole[:20]
        assert sorted(whole, key=lambda line: line.number) == list(scores.in_order())


def test_memory_does_not_grow_with_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.score.scoring.WINDOW", 1024)
    monkeypatch.setattr("charrnn.text.spool.IN_MEMORY", 1024)
    monkeypatch.setattr("charrnn.text.spool.RECORDS_AT_ONCE", 64)
    monkeypatch.setattr(line_scores, "RANKED", 32)
    model, rng = random_model("\nab", hidden=4, layers=1), np.random.default_rng(1)
    peaks = []
    for lines in (300, 1200, 300, 1200):  # the first two fill the buffers
        path = tmp_path / f"{lines}"
        np.tile(np.r_[rng.integers(1, 3, 20), 0].astype(np.uint8), lines).tofile(path)
        mapped = np.memmap(path, np.uint8, mode="r")
        tracemalloc.start()
        with score_lines([model], mapped) as scores:
            assert sum(1 for _ in scores.in_order()) == lines
            assert sum(1 for _ in scores.ranked()) == 32
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[3] < 1.1 * peaks[2] + 10_000
