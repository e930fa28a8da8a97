"""Texts drawn by compiled kernels against those of the plain sampler."""

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.errors import ModelError
from charrnn.model.model import Model
from charrnn.sampling import compiled
from charrnn.sampling import sampler as sampling
from charrnn.sampling.sampler import SampledText, Sampler, SamplingConfig, next_distribution

needs_llvmlite = pytest.mark.skipif(
    not importlib.util.find_spec("llvmlite"), reason="llvmlite is not installed"
)

SYMBOLS = "\n abcdé"
CELLS = [{"cell": "lstm"}, {"cell": "gru"}, {"cell": "rnn"}, {"cell": "rnn", "nonlinearity": "relu"}]
FILTERS: list[dict[str, Any]] = [
    {"temperature": 1.3},
    {"temperature": 0},
    {"top_k": 3},
    {"top_p": 0.7},
    {"min_p": 0.3},
    {"top_k": 5, "top_p": 0.8, "min_p": 0.1, "temperature": 1.5},
    {"top_k": 99},
]


def drawn(monkeypatch: pytest.MonkeyPatch, worth: float, *args: Any, **settings: Any) -> list[SampledText]:
    monkeypatch.setattr(compiled, "WORTH", worth)
    return Sampler(*args, **settings).draw()


def both(
    monkeypatch: pytest.MonkeyPatch, *args: Any, **settings: Any
) -> tuple[list[SampledText], list[SampledText]]:
    """The texts of the plain sampler, and those of kernels."""
    plain = drawn(monkeypatch, np.inf, *args, **settings)
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "reader", None)  # only the plain sampler needs it
        fast = drawn(patch, 0, *args, **settings)
    return plain, fast


def assert_equal(plain: list[SampledText], fast: list[SampledText], error: float = 1e-9) -> None:
    """The same texts, and the same log-probabilities up to rounding."""
    for one, other in zip(plain, fast, strict=True):
        assert replace(other, log_probability_nats=None) == replace(one, log_probability_nats=None)
        assert other.log_probability_nats == pytest.approx(one.log_probability_nats, abs=error)


@needs_llvmlite
@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize(
    "model", [*({**cell, "layers": 3} for cell in CELLS), {"layers": 1, "embedding": 4}], ids=str
)
def test_the_same_texts_as_the_plain_sampler(
    model: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = random_model(SYMBOLS, scale=0.4, **model)
    texts = set()
    for filters in FILTERS:
        config = SamplingConfig(length=40, count=count, seed=3, prime="abc", **filters)
        plain, fast = both(monkeypatch, of, config)
        assert_equal(plain, fast)
        texts.add(fast[0].text)
    assert len(texts) >= len(FILTERS) - 1


def is_tie(model: Model, prime: str, one: SampledText, at: int, symbol: str, error: float) -> bool:
    """Whether the uniform number at this place lies within `error` of where `symbol` is drawn."""
    ids = model.vocab.encode(prime + one.text[:at])
    logits, _, _ = model.network.forward(ids[:, None], model.network.zero_state(1))
    edges = np.r_[0, np.cumsum(next_distribution(logits[-1, 0], one.temperature))]
    assert one.seed is not None
    u = (1 - np.random.default_rng(one.seed).random(at + 1))[at]
    place = model.vocab.encode(symbol)[0]
    return bool(edges[place] - error <= u <= edges[place + 1] + error)


def test_what_counts_as_a_tie() -> None:
    """The symbol that was drawn is within its edges; another one is only if the edge between them is near."""
    model = random_model(SYMBOLS, scale=0.4)
    [one] = Sampler(model, SamplingConfig(length=8, seed=3, prime="a")).draw()
    for at, symbol in enumerate(one.text):
        assert is_tie(model, "a", one, at, symbol, 1e-12)
        assert sum(is_tie(model, "a", one, at, other, 1e-6) for other in SYMBOLS) == 1
        assert all(is_tie(model, "a", one, at, other, 1.0) for other in SYMBOLS)


@needs_llvmlite
@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_in_single_precision_texts_part_only_at_ties(
    cell: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two groups of 20 texts, of sizes that are no multiples of a vector or a tile."""
    model = random_model(SYMBOLS + "xyz", scale=0.4, cell=cell, hidden=19, dtype=np.float32)
    exact = random_model(SYMBOLS + "xyz", scale=0.4, cell=cell, hidden=19, dtype=np.float64)
    config = SamplingConfig(length=100, count=count, seed=5, prime="ab", temperature=0.9)
    same = 0
    for one, other in zip(*both(monkeypatch, model, config), strict=True):
        if one.text == other.text:
            same += 1
            assert other.log_probability_nats == pytest.approx(one.log_probability_nats, abs=1e-3)
            continue
        at = next(k for k in range(100) if one.text[k] != other.text[k])
        assert is_tie(exact, "ab", other, at, other.text[at], 1e-5)
    assert same >= 0.9 * count


@needs_llvmlite
def test_every_uniform_number_gives_the_symbol_of_the_plain_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over logits that are alike, far apart and infinitely improbable, at extreme temperatures."""
    symbols = "".join(map(chr, range(97, 97 + 21)))
    model = random_model(symbols, scale=0, cell="rnn", layers=1, hidden=1)
    rng = np.random.default_rng(2)
    rows = [
        np.zeros(21),
        np.repeat([0.5, 0.5, -1.0], 7),
        rng.normal(0, 3, 21),
        np.r_[-800.0, 800.0, rng.normal(0, 300, 19)],
    ]
    filters = [
        {},
        {"top_k": 1},
        {"top_k": 9},
        {"top_p": 0.53},
        {"top_p": 0.99},
        {"min_p": 0.7},
        {"min_p": 1.0},
    ]
    temperatures = [0.0, 1e-320, 1e-4, 0.7, 1e300]
    for logits in rows:
        model.network.params["head.bias"][...] = logits
        for one in filters:
            config = SamplingConfig(length=16, count=2, seed=1, **one)
            plain, fast = both(monkeypatch, model, config, temperatures=temperatures)
            assert [other.text for other in fast] == [one.text for one in plain]


@needs_llvmlite
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_clamps(cell: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(SYMBOLS, cell=cell, scale=1.0)
    config = SamplingConfig(length=60, count=count, seed=3)
    plain, fast = both(monkeypatch, model, config, clamps=["1:3=0.9", "0:1=-0.5", "1:4=0"])
    assert_equal(plain, fast)
    assert fast != drawn(monkeypatch, 0, model, config)


@needs_llvmlite
@pytest.mark.parametrize("prime", ["", "ab"])
@pytest.mark.parametrize("count", [1, 40])
def test_items_with_labels_end_as_they_do(count: int, prime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = item_model("abc\n", (("origin", ("Irish", "Welsh")),), scale=0.5)
    config = SamplingConfig(seed=5, count=count, prime=prime, length=50, temperature=1.2)
    plain, fast = both(monkeypatch, model, config)
    assert_equal(plain, fast)
    assert count == 1 or {one.label["origin"] for one in fast if one.label} == {"Irish", "Welsh"}


@needs_llvmlite
@pytest.mark.parametrize("count", [1, 3])
def test_stop_texts_and_the_number_of_symbols(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(SYMBOLS, scale=0.3)
    for length in (0, 1, 50):
        config = SamplingConfig(length=length, count=count, seed=7, temperature=1.5)
        assert_equal(*both(monkeypatch, model, config, stop=["ab\ncd", "b\n", "ddd"]))


@needs_llvmlite
def test_a_single_text_comes_symbol_by_symbol_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "WORTH", 0)
    model = random_model(SYMBOLS, scale=0.3)
    sizes = [len(piece) for _, piece in Sampler(model, SamplingConfig(length=40, seed=1))]
    assert sizes == [1, 2, 4, 8, 16, 9]
    assert compiled.most_at_once(model.network) == compiled.MOST_AT_ONCE
    monkeypatch.setattr(compiled, "BLOCK", 4 * model.network.theta.size)
    assert max(len(piece) for _, piece in Sampler(model, SamplingConfig(length=40, seed=1))) == 4


@needs_llvmlite
@pytest.mark.parametrize("count", [1, 40])
def test_an_overflowing_model_is_told(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "WORTH", 0)
    model = random_model(SYMBOLS, cell="rnn", nonlinearity="relu", scale=50)
    with pytest.raises(ModelError, match="not finite"):
        Sampler(model, SamplingConfig(length=2000, seed=1, count=count)).draw()


@needs_llvmlite
def test_a_long_prime_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(SYMBOLS, scale=0.4)
    monkeypatch.setattr(compiled, "MOST_AT_ONCE", 4)
    for n in (1, 2, 5, 6, 23):
        config = SamplingConfig(length=20, seed=1, prime=(SYMBOLS * 4)[:n])
        assert_equal(*both(monkeypatch, model, config))


def test_when_kernels_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_model(SYMBOLS).network
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    config, enough = SamplingConfig(), -(-compiled.WORTH // (network.theta.size + compiled.PER_STEP))
    assert compiled.is_compiled([network], config, enough)
    assert not compiled.is_compiled([network], config, enough - 1)
    assert not compiled.is_compiled([network, network], config, enough)
    assert not compiled.is_compiled([network], SamplingConfig(repetition_penalty=1.2), enough)
    many = random_model("".join(map(chr, range(256, 256 + compiled.MOST_RANKED + 1)))).network
    assert compiled.is_compiled([many], SamplingConfig(top_k=40), enough)
    assert not compiled.is_compiled([many], SamplingConfig(top_p=0.9), enough)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not compiled.is_compiled([network], config, enough)
