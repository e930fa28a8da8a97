"""Texts drawn from a network mixed with counts of its training text."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.model.model import Model
from charrnn.nn.loss import log_softmax
from charrnn.sampling.sampler import Sampler
from charrnn.sampling.sampling_config import SamplingConfig
from charrnn.score.counts import Counts
from charrnn.score.mixture import KINDS, ORDER, Gate, Mixture

SYMBOLS = "\nabc"


def mixture(model: Model, share: float = 0.3) -> Mixture:
    """Counts of a made-up text, mixed with the same share everywhere."""
    training = model.vocab.encode("abcabbacab\n" * 30)
    counts = Counts.of(training, len(model.vocab), ORDER, model.vocab.written)
    return Mixture(counts, Gate(5, 2, 0, np.full((ORDER + 2) * (len(KINDS) + 1), share)))


def expected_log_p(model: Model, mix: Mixture, before: str, drawn: str) -> float:
    """log p of a text by the mixture, from the losses that `eval` has."""
    ids = model.vocab.encode(before + drawn)
    logits, _ = model.logits(ids[:-1, None].astype(int))
    alone = -log_softmax(logits[:, 0])[np.arange(len(ids) - 1), ids[1:].astype(int)]
    (losses,) = mix.losses(ids, [alone])
    return -float(losses[len(before) - 1 :].sum())


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("prime", ["", "abca"])
def test_the_text_is_drawn_from_the_mixture_that_eval_scores(count: int, prime: str) -> None:
    model = random_model(SYMBOLS)
    mix = mixture(model)
    config = SamplingConfig(length=40, count=count, seed=1, prime=prime)
    mixed = Sampler(model, config, mix=mix.distribution).draw()
    for one in mixed:
        wanted = expected_log_p(model, mix, prime or "\n", one.text)
        assert one.log_probability_nats == pytest.approx(wanted, rel=1e-9)
    assert [one.text for one in Sampler(model, config).draw()] != [one.text for one in mixed]
    assert [one.text for one in Sampler(model, config, mix=mix.distribution).draw()] == [
        one.text for one in mixed
    ]


def test_texts_side_by_side_are_those_drawn_alone_and_cells_can_be_held() -> None:
    model = random_model(SYMBOLS)
    mix = mixture(model).distribution

    def drawn(**given: Any) -> list[str]:
        config = SamplingConfig(**({"length": 30, "seed": 4} | given))
        return [one.text for one in Sampler(model, config, mix=mix, clamps="0:1=0.9").draw()]

    together = drawn(count=3)
    assert together == [drawn(seed=4 + k)[0] for k in range(3)]
    filtered = drawn(count=2, top_k=3)
    assert filtered == [drawn(seed=4 + k, top_k=3)[0] for k in range(2)]


def test_a_share_of_one_is_the_network_and_of_none_are_the_counts() -> None:
    model = random_model(SYMBOLS)
    config = SamplingConfig(length=300, seed=2, temperature=1.0)
    alone = Sampler(model, config).draw()[0].text
    assert Sampler(model, config, mix=mixture(model, 1.0).distribution).draw()[0].text == alone
    copied = Sampler(model, config, mix=mixture(model, 0.0).distribution).draw()[0].text
    pairs = Counter(pairwise(copied))
    assert pairs["c", "a"] > 0.9 * sum(n for (first, _), n in pairs.items() if first == "c")


def test_items_are_drawn_after_their_condition() -> None:
    model = item_model("abc", (("kind", ("x", "y")),))
    label, end = model.vocab.label("kind", "x"), model.vocab.end
    seen: list[np.ndarray] = []

    def remember(p: np.ndarray, context: np.ndarray) -> np.ndarray:
        seen.append(context.copy())
        return p

    config = SamplingConfig(length=5, count=2, seed=1, prime="ab")
    Sampler(model, config, label="x", mix=remember).draw()
    first = model.vocab.encode("ab")
    np.testing.assert_array_equal(seen[0], [[label, *first]] * 2)
    assert len(seen) == 5
    assert end not in seen[0]
