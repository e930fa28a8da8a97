"""Sampling against brute force, and the texts it gives."""

import itertools
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.random_models import random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from charrnn.config import ModelConfig
from charrnn.errors import DataError, ModelError, UsageError
from charrnn.model.model import Model
from charrnn.nn.network import Clamp
from charrnn.sampling import sampler as sampling
from charrnn.sampling.beam import beam_search
from charrnn.sampling.sampler import Sampler, SamplingConfig, average, next_distribution, parse_clamp
from charrnn.sampling.writer import sample
from charrnn.text.vocabulary import Vocabulary

SYMBOLS = "\n abcdé"


def texts(sampler: Sampler) -> list[str]:
    collected = [""] * len(sampler.seeds)
    for k, piece in sampler:
        collected[k] += piece
    return collected


# --- the distribution ---

LOGITS = arrays(np.float64, st.integers(1, 9), elements=st.floats(-30, 30))


def brute_force(logits: np.ndarray, T: float, top_k: int, top_p: float, min_p: float) -> list[float]:
    """Each filter on its own as a set of symbols, in exact sums; then what is in all sets."""
    best = max(logits)
    weights = [math.exp((a - best) / T) for a in logits]
    p = [w / math.fsum(weights) for w in weights]
    ranking = sorted(range(len(p)), key=lambda s: (-p[s], s))
    in_top_k = set(ranking[:top_k] if top_k else ranking)
    in_top_p: set[int] = set()
    for symbol in ranking:
        if top_p < 1 and math.fsum(p[s] for s in in_top_p) >= top_p:
            break
        in_top_p.add(symbol)
    in_min_p = {s for s in ranking if p[s] >= min_p * p[ranking[0]]}
    kept = in_top_k & in_top_p & in_min_p
    total = math.fsum(p[s] for s in kept)
    return [p[s] / total if s in kept else 0.0 for s in range(len(p))]


@settings(max_examples=300, deadline=None)
@given(
    LOGITS,
    st.floats(0.05, 20),
    st.integers(0, 10),
    st.sampled_from([1.0, 0.9173, 0.5171, 0.1713]),
    st.sampled_from([0.0, 0.0513, 0.3317, 0.9713]),
)
def test_filters_agree_with_brute_force(
    logits: np.ndarray, T: float, top_k: int, top_p: float, min_p: float
) -> None:
    found = next_distribution(logits, T, top_k, top_p, min_p)
    np.testing.assert_allclose(found, brute_force(logits, T, top_k, top_p, min_p), atol=1e-12)


@given(LOGITS, st.sampled_from([0.0, 1e-320, 1e-300, 1e-4, 1e4, 1e300]), st.sampled_from([1.0, 1e6]))
def test_no_temperature_overflows_or_warns(logits: np.ndarray, T: float, scale: float) -> None:
    p = next_distribution(logits * scale, T)  # a warning is an error here
    assert np.isfinite(p).all()
    assert p.sum() == pytest.approx(1)
    if T == 0:
        assert p[logits.argmax()] == 1
    if T == 1e300:
        np.testing.assert_allclose(p, 1 / len(p))


def test_the_definitions_on_a_worked_example() -> None:
    p = np.array([0.1, 0.4, 0.2, 0.3])
    for options, kept in (
        ({"top_k": 2}, [0, 4, 0, 3]),
        ({"top_p": 0.69}, [0, 4, 0, 3]),
        ({"top_p": 0.71}, [0, 4, 2, 3]),
        ({"min_p": 0.49}, [0, 4, 2, 3]),
        ({"min_p": 0.51}, [0, 4, 0, 3]),
        ({"top_k": 3, "top_p": 0.71, "min_p": 0.7}, [0, 4, 0, 3]),
        ({"top_k": 9}, [1, 4, 2, 3]),
    ):
        expected = np.array(kept) / sum(kept)
        np.testing.assert_allclose(next_distribution(np.log(p), **options), expected, atol=1e-12)
    np.testing.assert_allclose(next_distribution(np.log(p), 0.5), p**2 / (p**2).sum())
    both = next_distribution(np.log([p, p]), np.array([0.0, 0.5]))
    np.testing.assert_allclose(both, [[0, 1, 0, 0], p**2 / (p**2).sum()])
    assert next_distribution(np.zeros(3), 0).tolist() == [1, 0, 0]


# --- the drawing ---


def critical_chi_square(freedom: int) -> float:
    """The value exceeded with probability 1e-4 (Wilson and Hilferty 1931)."""
    return freedom * (1 - 2 / (9 * freedom) + 3.719 * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize(
    "options",
    [{"temperature": 1.0}, {"temperature": 0.7, "top_k": 4}, {"temperature": 1.3, "top_p": 0.83}],
    ids=str,
)
@pytest.mark.parametrize("streams", [1, 300])
def test_sampled_symbols_follow_the_distribution(options: dict, streams: int) -> None:
    model = random_model(SYMBOLS, scale=0.4)
    logits, _ = model.logits(model.vocab.encode("ab")[:, None])
    p = next_distribution(logits[-1, 0], **options)
    drawn: Counter[str] = Counter()
    total = 1000 if streams == 1 else 6000
    for seed in range(0, total, streams):
        config = SamplingConfig(length=1, prime="ab", seed=seed, count=streams, **options)
        drawn.update(texts(Sampler(model, config)))
    counts = np.array([drawn[s] for s in SYMBOLS])
    assert counts.sum() == total
    assert (counts[p == 0] == 0).all()
    expected = total * p[p > 0]
    assert ((counts[p > 0] - expected) ** 2 / expected).sum() < critical_chi_square(len(expected) - 1)


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"repetition_penalty": 1.5}], ids=str)
def test_a_text_does_not_depend_on_those_beside_it(options: dict) -> None:
    model = random_model(SYMBOLS)
    many = texts(Sampler(model, SamplingConfig(length=60, count=5, seed=7, **options)))
    assert len(set(many)) == 5
    for k, text in enumerate(many):
        assert sample(model, length=60, seed=7 + k, **options) == text
        assert len(text) == 60


@pytest.mark.parametrize("options", [{}, {"top_p": 0.7}], ids=str)
def test_neither_groups_nor_blocks_nor_threads_change_a_text(
    options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(SYMBOLS, scale=0.3)
    config = SamplingConfig(length=50, count=7, seed=7, temperature=1.5, **options)
    stop = ["ab\ncd", "b\n", "ddd"]  # the second may be complete while the first may still become so
    whole = texts(Sampler(model, config))
    stopped = texts(Sampler(model, config, stop=stop))
    assert whole == [sample(model, length=50, seed=7 + k, temperature=1.5, **options) for k in range(7)]
    assert stopped == [
        sample(model, length=50, seed=7 + k, temperature=1.5, stop=stop, **options) for k in range(7)
    ]
    for group, block, cores in ((2, 8, 1), (3, 7, 4), (1, 50, 2), (32, 1, 1)):
        monkeypatch.setattr(sampling, "GROUP", group)
        monkeypatch.setattr(sampling, "SYMBOLS_AT_ONCE", block)
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert texts(Sampler(model, config)) == whole
        assert texts(Sampler(model, config, stop=stop)) == stopped
    assert texts(Sampler(model, SamplingConfig(length=0, count=40))) == [""] * 40


def test_a_stop_string_within_another_ends_the_text_where_it_is_complete() -> None:
    for text, stop, expected, read in (
        ("xabcdef", ["abcdef", "bc"], "xa", "xabc"),
        ("xabcdef", ["bcd", "abcd"], "x", "xabcd"),
        ("xabcdef", ["ef", "abz"], "xabcd", "xabcdef"),
        ("xabc", ["abcd"], "xabc", "xabc"),
    ):
        for size in (1, 2, 3, 7):
            vocab = Vocabulary.of("abcdefxz")
            ids = vocab.encode(text).tolist()
            out = sampling._Text(vocab.decoder(), tuple(stop))
            found = ""
            for begin in range(0, len(ids), size):
                if not out.ended:
                    log_p = [-(2.0**k) for k in range(begin, begin + size)]
                    found += out.push(ids[begin : begin + size], log_p)
            assert found + ("" if out.ended else out.flush()) == expected
            assert out.ended == ("length" if read == expected else "stop")
            assert out.log_p == 1 - 2 ** len(read)  # of all symbols up to the last one of the stop text


@pytest.mark.parametrize("temperature", [0, 1e-320, 1e-300, 1e-4, 1e4, 1e300])
@pytest.mark.parametrize("count", [1, 3])
def test_extreme_temperatures_give_texts_without_a_warning(temperature: float, count: int) -> None:
    model = random_model(SYMBOLS, scale=30)  # a warning is an error here
    config = SamplingConfig(length=40, count=count, seed=1, temperature=temperature)
    found = texts(Sampler(model, config))
    assert [len(text) for text in found] == [40] * count
    if temperature <= 1e-4:
        assert found == [sample(model, length=40, temperature=0)] * count


def test_temperatures_side_by_side() -> None:
    model = random_model(SYMBOLS)
    sampler = Sampler(model, SamplingConfig(length=40, count=2, seed=3), temperatures=[0, 0.5, 1e4])
    assert sampler.temperatures == [0, 0, 0.5, 0.5, 1e4, 1e4]
    assert sampler.seeds == [3, 4] * 3
    found = texts(sampler)
    assert found[0] == found[1] == sample(model, length=40, temperature=0, seed=99)
    for k, (T, seed) in enumerate(zip(sampler.temperatures, sampler.seeds, strict=True)):
        assert found[k] == sample(model, length=40, temperature=T, seed=seed)


def test_temperature_zero_takes_the_likeliest_each_time() -> None:
    model = random_model(SYMBOLS, scale=3)
    text = "ab"
    for _ in range(30):
        logits, _ = model.logits(model.vocab.encode(text)[:, None])
        text += SYMBOLS[int(logits[-1, 0].argmax())]
    assert sample(model, prime="ab", length=30, temperature=0) == text[2:]
    assert sample(model, prime="ab", length=30, temperature=1e-4, seed=5) == text[2:]


def test_without_a_prime_a_newline_is_read() -> None:
    model = random_model(SYMBOLS, scale=3)
    assert sample(model, length=30, seed=2) == sample(model, length=30, seed=2, prime="\n")
    assert sample(model, length=30, seed=2) != sample(model, length=30, seed=2, prime="a")
    lacking = random_model("xyz")
    assert sample(lacking, length=30, seed=2) == sample(lacking, length=30, seed=2, prime="x")


def test_no_seed_means_another_text_each_time() -> None:
    model = random_model(SYMBOLS)
    sampler = Sampler(model, SamplingConfig(length=40, temperature=2))
    assert texts(sampler) == [sample(model, length=40, temperature=2, seed=sampler.seeds[0])]
    assert sampler.seeds != Sampler(model).seeds


@pytest.mark.parametrize("count", [1, 3])
def test_stop_strings(count: int) -> None:
    model = random_model(SYMBOLS, scale=0.3)
    config = SamplingConfig(length=200, seed=4, count=count, temperature=1.5)
    whole = texts(Sampler(model, config))
    for stop in (["a"], ["ab"], ["ab", "\n\n", "ddd"], ["aa", "aab"], ["never there"]):
        expected = [min((w.split(s, 1)[0] for s in stop), key=len) for w in whole]
        assert texts(Sampler(model, config, stop=stop)) == expected
    for empty in ("", ["a", ""]):
        with pytest.raises(UsageError, match=r"^--stop is an empty text"):
            Sampler(model, config, stop=empty)


def test_a_string_is_one_stop_text_and_one_clamp() -> None:
    model = random_model(SYMBOLS, scale=0.3)
    settings: dict[str, Any] = {"length": 200, "seed": 4, "temperature": 1.5}
    whole = sample(model, **settings)
    for stop in ("a", "ab", "\n"):
        assert stop in whole  # else nothing is ended before its time
        assert sample(model, stop=stop, **settings) == whole.split(stop, 1)[0]
    held = sample(model, clamps="1:3=0.9", **settings)
    assert held == sample(model, clamps=["1:3=0.9"], **settings) != whole


def test_several_texts_come_as_a_list() -> None:
    model = random_model(SYMBOLS)
    one, two, three = (sample(model, length=70, seed=seed, stop="dd") for seed in (1, 2, 3))
    assert sample(model, length=70, seed=1, stop="dd", count=3) == [one, two, three]
    assert sample(model, length=70, seed=1, stop="dd", count=1) == [one]


def test_a_stop_text_that_cannot_come_is_told() -> None:
    model = random_model(SYMBOLS, scale=0.3)
    config = SamplingConfig(length=50, seed=4)
    assert Sampler(model, config, stop=["ab", "\n"]).notes == []
    never = Sampler(model, config, stop=["ab", "aX"])
    assert never.notes == ["the stop text 'aX' can never occur: the model lacks some of its characters"]
    assert texts(never) == texts(Sampler(model, config, stop="ab"))
    skipping = replace(config, unknown="skip")
    assert Sampler(model, skipping, stop="X").notes == [never.notes[0].replace("aX", "X")]
    read = Sampler(model, replace(config, unknown="nearest"), stop="Á")
    assert read.stop == ("a",)
    assert read.notes == ["stopping before 'a'; not known to the model: 'Á' (U+00C1) read as 'a' (U+0061)"]
    whole = Sampler(random_model(Vocabulary.all_bytes()), config, stop=["漢", "\ufffd"])
    assert whole.notes == []


def test_repetition_penalty_divides_probabilities() -> None:
    model = random_model(SYMBOLS, scale=0.3)
    repeated = []
    for penalty in (1.0, 1e9):
        text = sample(
            model, length=len(SYMBOLS) - 1, prime="a", seed=1, temperature=1, repetition_penalty=penalty
        )
        repeated.append(len("a" + text) - len(set("a" + text)))
    assert repeated[0] > 0  # else the next line would say nothing
    assert repeated[1] == 0


def test_bytes_become_characters_when_they_are_whole() -> None:
    # Weights that let the bytes of "é" follow one another for ever: 0xC3, 0xA9, 0xC3, …
    vocab = Vocabulary("byte", (0xA9, 0xC3))
    weights = random_model(vocab, scale=0.0, layers=1, hidden=2, cell="rnn").weights
    weights["rnn.weight_ih_l0"][...] = np.eye(2)
    weights["head.weight"][...] = 99 * (1 - np.eye(2))
    model = Model(ModelConfig(cell="rnn", layers=1, hidden=2), vocab, weights)
    config = SamplingConfig(length=5, prime="é", seed=1)
    pieces = [piece for _, piece in Sampler(model, config)]
    assert pieces == ["é", "é", "\ufffd"]


# --- primes ---


def test_unknown_characters_of_the_prime() -> None:
    model = random_model(SYMBOLS, scale=3)  # so that what it has read decides what it writes
    for unknown, prime, same in (
        ("skip", "aXbYX", "ab"),
        ("nearest", "Ab", "ab"),
        ("nearest", "aá\u00a0b", "aa b"),
        ("nearest", "É~", "éd"),
    ):
        sampler = Sampler(model, SamplingConfig(length=20, seed=1, prime=prime, unknown=unknown))
        assert texts(sampler) == [sample(model, length=20, seed=1, prime=same)]
        [note] = sampler.notes
        assert repr(next(c for c in prime if c not in SYMBOLS)) in note
    with pytest.raises(DataError, match=r"'X' \(U\+0058\) at position 1") as error:
        Sampler(model, SamplingConfig(prime="aXbY"))
    assert "'Y'" in str(error.value)
    assert "--unknown skip" in str(error.value)


def test_a_prime_has_the_replacement_character_for_what_was_rare_in_training() -> None:
    model = random_model(SYMBOLS + "\ufffd")
    sampler = Sampler(model, SamplingConfig(length=30, seed=1, prime="aXbY"))
    assert texts(sampler) == [sample(model, length=30, seed=1, prime="a\ufffdb\ufffd")]
    assert sampler.notes == [
        "not known to the model: 'X' (U+0058) read as '\ufffd' (U+FFFD), 'Y' (U+0059) read as '\ufffd' (U+FFFD)"
    ]
    skipped = Sampler(model, SamplingConfig(length=30, seed=1, prime="aXb", unknown="skip"))
    assert texts(skipped) == [sample(model, length=30, seed=1, prime="ab")]


# --- clamps ---


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_clamped_sampling_follows_the_clamped_network(cell: str) -> None:
    model = random_model(SYMBOLS, cell=cell, scale=3)
    clamp = parse_clamp("1:3=0.9", model)
    assert (clamp.layer, clamp.mask.nonzero()[1].tolist(), clamp.values[0, 3]) == (1, [3], 0.9)
    text = "ab"
    for _ in range(25):
        logits, _ = model.logits(model.vocab.encode(text)[:, None], clamp=clamp)
        text += SYMBOLS[int(logits[-1, 0].argmax())]
    settings = {"prime": "ab", "length": 25, "temperature": 0}
    assert sample(model, clamps=["1:3=0.9"], **settings) == text[2:]
    assert sample(model, clamps=["1:3=0.9", "0:1=-0.99", "0:2=0.99"], **settings) != sample(model, **settings)


@pytest.mark.parametrize(
    "text", ["", "3=0.9", "1:3", "1:3=x", "2:0=0.5", "0:8=0.5", "0:1=1", "0:1=nan", "-1:0=0"]
)
def test_malformed_clamps(text: str) -> None:
    with pytest.raises(UsageError, match="clamp"):
        parse_clamp(text, random_model(SYMBOLS))


# --- ensembles and beams ---


def test_an_ensemble_averages_probabilities() -> None:
    models = [random_model(SYMBOLS, seed=1), random_model(SYMBOLS, seed=2, cell="gru")]
    ids = models[0].vocab.encode("ab")[:, None]
    p = np.mean([next_distribution(m.logits(ids)[0][-1, 0]) for m in models], axis=0)
    logits = average([m.logits(ids)[0][-1, 0] for m in models])
    np.testing.assert_allclose(np.exp(logits), p, atol=1e-12)
    assert sample(models, prime="ab", length=1, temperature=0) == SYMBOLS[int(p.argmax())]
    assert sample([models[0]] * 3, length=50, seed=1) == sample(models[0], length=50, seed=1)
    with pytest.raises(UsageError, match="vocabularies"):
        sample([models[0], random_model("xyz")])


def test_a_wide_beam_finds_the_likeliest_text() -> None:
    model = random_model("abc", scale=1.5)
    prime, length = [0, 2], 4

    def log_probability(text: tuple[int, ...]) -> float:
        ids = np.array([*prime, *text])
        logits, _ = model.logits(ids[:, None])
        p = next_distribution(logits[:, 0])
        return sum(math.log(p[len(prime) - 1 + k, s]) for k, s in enumerate(text))

    best = max(itertools.product(range(3), repeat=length), key=log_probability)
    found, score = beam_search([model], prime, length, 27)
    assert tuple(found) == best
    assert score == pytest.approx(log_probability(best), abs=1e-9)
    greedy, _ = beam_search([model], prime, length, 1)
    assert model.vocab.decode(greedy) == sample(model, prime="ac", length=length, temperature=0)


def test_a_beam_feels_a_clamp() -> None:
    model = random_model(SYMBOLS, scale=3)
    clamps = [parse_clamp("1:3=0.9", model), parse_clamp("0:1=-0.99", model)]
    greedy, _ = beam_search([model], [0], 25, 1, clamps)
    settings = {"prime": SYMBOLS[0], "length": 25, "temperature": 0}
    assert model.vocab.decode(greedy) == sample(model, clamps=clamps, **settings)
    assert model.vocab.decode(greedy) != sample(model, **settings)


@pytest.mark.parametrize("other", [{"hidden": 9}, {"layers": 1}, {"cell": "gru"}], ids=str)
def test_a_clamp_is_for_cells_that_all_models_have(other: dict) -> None:
    models = [random_model(SYMBOLS), random_model(SYMBOLS, **other)]
    for order in (models, models[::-1]):
        with pytest.raises(UsageError, match="clamp"):
            sample(order, clamps=["0:3=0.9"], length=3)
    assert sample(
        [random_model(SYMBOLS), random_model(SYMBOLS, seed=2)], clamps=["0:3=0.9"], length=3, seed=1
    )


def test_an_overflowing_model_is_told() -> None:
    model = random_model(SYMBOLS, cell="rnn", nonlinearity="relu", scale=50)
    with np.errstate(all="ignore"), pytest.raises(ModelError, match="not finite"):
        sample(model, length=2000, seed=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0},
        {"min_p": 2},
        {"count": 0},
        {"length": -1},
        {"unknown": "guess"},
        {"repetition_penalty": 0},
    ],
    ids=str,
)
def test_settings_out_of_their_limits(settings: dict) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(settings))} is "):
        sample(random_model(SYMBOLS), **settings)


def test_a_clamp_object_will_do() -> None:
    model = random_model(SYMBOLS)
    clamp = Clamp(1, np.arange(8)[None] == 3, np.full((1, 8), 0.9))
    assert sample(model, length=30, seed=1, clamps=[clamp]) == sample(
        model, length=30, seed=1, clamps=["1:3=0.9"]
    )
