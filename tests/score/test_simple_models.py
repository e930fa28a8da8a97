"""Simple models against counting by hand."""

import lzma
import math
import random
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest

from charrnn.runs.yardstick import Yardstick
from charrnn.score.simple_models import NGrams, xz_loss, yardstick_of
from charrnn.text.batches import split, spread_part
from charrnn.text.vocabulary import Vocabulary


def witten_bell(training: str, symbols: str, context: str, s: str) -> float:
    """p(s | context), straight from the definition by counting in strings."""
    shorter = witten_bell(training, symbols, context[1:], s) if context else None
    k = len(context)
    followers = Counter(training[i + k] for i in range(len(training) - k) if training[i : i + k] == context)
    n, t = sum(followers.values()), len(followers)
    shorter = 1 / len(symbols) if shorter is None else shorter
    return (followers[s] + t * shorter) / (n + t) if n else shorter


@pytest.mark.parametrize("vocab_size", [3, 5000])  # exact keys, and hashed ones
def test_ngrams_agree_with_counting(vocab_size: int) -> None:
    rng = np.random.default_rng(1)
    training = "".join(rng.choice(list("abc"), 400, p=[0.6, 0.3, 0.1]))
    text = "".join(rng.choice(list("abc"), 60))
    symbols = [chr(k) for k in range(97, 97 + vocab_size)]
    ids = {s: k for k, s in enumerate(symbols)}

    def encode(t: str) -> np.ndarray:
        return np.array([ids[c] for c in t], np.uint16)

    model = NGrams(encode(training), vocab_size)
    for order in (0, 1, 5):
        expected = [
            -math.log(witten_bell(training, "".join(symbols), text[max(0, i - order) : i], text[i]))
            for i in range(len(text))
        ]
        np.testing.assert_allclose(model.losses(encode(text), order), expected, rtol=1e-9)
        assert model.mean_loss(encode(text), order) == pytest.approx(np.mean(expected[1:]))


def test_probabilities_sum_to_one() -> None:
    rng = np.random.default_rng(2)
    training = rng.integers(0, 4, 300)
    model = NGrams(training, 6)  # two symbols never seen
    for context in ([], [0], [1, 2, 3, 0, 1], [5, 4, 0], list(training[7:12])):
        p = [math.exp(-model.losses(np.array([*context, s]))[-1]) for s in range(6)]
        assert sum(p) == pytest.approx(1)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    model, ids = NGrams(rng.integers(0, 3, 500), 3), rng.integers(0, 3, 333)
    whole = model.mean_loss(ids)
    monkeypatch.setattr("charrnn.score.simple_models.LOOKED_UP_AT_ONCE", 10)
    assert model.mean_loss(ids) == pytest.approx(whole, rel=1e-12)


def test_short_training_texts() -> None:
    for training in ([], [1], [1, 1, 1]):
        losses = NGrams(np.array(training, int), 4).losses(np.array([1, 2, 1]))
        assert np.isfinite(losses).all()


@pytest.mark.parametrize("vocab", [Vocabulary.of("abcdefgé"), Vocabulary.all_bytes()], ids=["char", "byte"])
def test_xz(vocab: Vocabulary) -> None:
    rng = np.random.default_rng(4)
    train, text = ("".join(rng.choice(list("abcdefgé"), n)) for n in (5000, 3000))
    ids = vocab.encode(text)
    whole, part = (len(lzma.compress(t.encode(), preset=6)) for t in (train + text, train))
    assert xz_loss(vocab.encode(train), ids, vocab) == pytest.approx(
        8 * (whole - part) * math.log(2) / len(ids), rel=1e-3
    )
    assert xz_loss(ids, ids, vocab) < 0.1 * xz_loss(ids[:1], ids, vocab)


# ------------------------------------------------------------------------------------------------
# The yardstick of a run


def names(count: int = 2500) -> list[str]:
    """Made-up names, whose letters go together as their syllables do."""
    rng = random.Random(3)
    syllables = [a + b + c for a in "bdfgklmnprstvwz" for b in "aeiou" for c in ("", "l", "n", "r")]
    return ["".join(rng.choices(syllables, k=rng.choice((2, 3)))) for _ in range(count)]


def yardstick(text: str) -> Yardstick:
    vocabulary = Vocabulary("char", tuple(sorted(set(text))))
    training, validation, _ = split(vocabulary.encode(text), 0.1, 0.0)
    return yardstick_of(training, validation, vocabulary)


def test_a_yardstick_is_what_the_simple_models_make_of_the_validation_text() -> None:
    text = "\n".join(names(300))  # about 2,000 characters
    vocabulary = Vocabulary("char", tuple(sorted(set(text))))
    training, validation, _ = split(vocabulary.encode(text), 0.1, 0.0)
    whole = NGrams(training, len(vocabulary))
    assert yardstick(text) == Yardstick(
        math.log(len(vocabulary)), whole.mean_loss(validation, 0), whole.mean_loss(validation, 5)
    )


def test_a_sorted_list_is_unlike_its_end_and_a_shuffled_one_is_not() -> None:
    shuffled, ordered = (yardstick("\n".join(lines)) for lines in (names(), sorted(names())))
    assert ordered.unlike
    assert not shuffled.unlike
    assert shuffled.order_2 == pytest.approx(shuffled.held_out, rel=0.05)
    assert ordered.order_2 is not None
    assert ordered.held_out is not None
    assert ordered.order_2 > 1.25 * ordered.held_out
    assert ordered.held_out == pytest.approx(shuffled.held_out, rel=0.1)


def test_the_card_gives_the_yardstick_back_and_nothing_that_is_forged() -> None:
    for made in (Yardstick(4.0, 3.0, 2.0), Yardstick(4.0, 3.0, 2.0, 2.5, 2.4)):
        assert Yardstick.from_card(asdict(made)) == made
    good = asdict(Yardstick(4.0, 3.0, 2.0, 2.5, 2.4))
    for forged in (
        {"unigram": "3"},
        {"order_5": 10**400},
        {"uniform": -1},
        {"held_out": None},
        {"more": 1.0},
    ):
        assert Yardstick.from_card(good | forged) is None
    assert Yardstick.from_card({"uniform": 4.0}) is None
    assert Yardstick.from_card(None) is None


def test_a_part_is_spread_evenly_over_the_whole() -> None:
    ids = np.arange(10_000)
    assert spread_part(ids, 10_000) is ids
    part = spread_part(ids, 640)
    pieces = part.reshape(64, 10)
    assert (np.diff(pieces, axis=1) == 1).all()
    assert (part[0], part[-1]) == (0, 9999)
    assert set(np.diff(pieces[:, 0])) == {158, 159}  # 9990 / 63
