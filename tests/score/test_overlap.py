"""The passages and items that a text shares with a training text, by looking at each one."""

import tracemalloc

import numpy as np
import pytest

from charrnn.score import overlap
from charrnn.score.overlap import PASSAGE, repeated
from charrnn.text.items import Items


def by_hand(text: np.ndarray, training: np.ndarray) -> int:
    whole = training.tobytes()
    pieces = [text[k : k + PASSAGE].tobytes() for k in range(0, len(text) - PASSAGE + 1, PASSAGE)]
    return PASSAGE * sum(piece in whole for piece in pieces)


@pytest.mark.parametrize("at_once", [100, 2**21])
def test_passages_are_those_that_a_search_finds(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "AT_ONCE", at_once)
    rng = np.random.default_rng(1)
    training = rng.integers(0, 50, 3_000).astype(np.uint8)
    text = rng.integers(0, 50, 1_000).astype(np.uint8)
    assert repeated(text, training) == 0
    text[100:400] = training[-300:]
    text[600:720] = training[:120]
    text[250] = 51  # a piece with one other symbol is no copy
    assert repeated(text, training) == by_hand(text, training) == 4 * PASSAGE
    assert repeated(training, training) == len(training) // PASSAGE * PASSAGE
    assert repeated(text[:PASSAGE], training) == repeated(text, training[: PASSAGE - 1]) == 0
    zeros = np.zeros(500, np.uint8)
    assert repeated(zeros, training) == 0
    assert repeated(zeros, np.r_[training, zeros[:PASSAGE]]) == 448


def test_memory_does_not_grow_with_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for 8 bytes per passage."""
    monkeypatch.setattr(overlap, "AT_ONCE", 2**15)
    text = np.zeros(2**22, np.uint8)
    tracemalloc.start()
    try:
        assert repeated(text, text[:100]) == len(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**22 + 4 * len(text) // PASSAGE * 8 + 2**20  # the first bits, the passages, a block


def items(*each: list[int]) -> Items:
    stops = np.cumsum([len(one) for one in each])
    return Items(np.concatenate(each).astype(np.uint16), np.r_[0, stops[:-1]], stops, np.ones(len(each), int))


@pytest.mark.parametrize("at_once", [5, 2**21])
def test_items_are_the_same_with_their_conditions(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "AT_ONCE", at_once)
    training = items([8, 1, 2, 9], [7, 1, 9], [8, 3, 3, 3, 9], [7, 9])
    text = items([8, 1, 2, 9], [7, 1, 2, 9], [8, 1, 9], [7, 9], [8, 3, 3, 9], [8, 1, 2, 9])
    assert repeated(text, training) == 3
    assert repeated(text, training[:0]) == repeated(text[:0], training) == 0
    assert repeated(text, np.asarray(training.ids)) == 0
    same_texts = overlap.of_items(text)  # without conditions
    assert same_texts[0] == same_texts[1] == same_texts[5] != same_texts[2]
