"""Items drawn from a model, and searched for: where they begin, where they end, and how likely they are."""

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from helpers.item_models import item_model, log_p
from helpers.random_models import random_model

from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model
from charrnn.sampling import sampler as sampling
from charrnn.sampling.beam import likeliest, search
from charrnn.sampling.glimpse import LENGTH, glimpse
from charrnn.sampling.sampler import SampledText, Sampler, SamplingConfig
from charrnn.sampling.writer import sample
from charrnn.text.conditions import condition
from charrnn.text.corpus import read_corpus
from charrnn.text.records import ItemForm
from charrnn.text.sources import in_memory

LABELS = (("origin", ("Irish", "Welsh")), ("sex", ("f", "m", "x")))
COUNTS = {"corpus": {"label_counts": {"origin": {"Irish": 3, "Welsh": 1}, "sex": {"f": 1, "m": 0, "x": 1}}}}


def before(model: Model, one: SampledText, input: str = "") -> list[int]:
    """What the model has read before the first symbol of a text."""
    ids = model.vocab.encode
    return [*condition(model.vocab, one.label or {}, ids(input).tolist()), *ids(one.prime).tolist()]


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 1.0}, {"top_k": 3}, {"repetition_penalty": 1.5}], ids=str
)
@pytest.mark.parametrize("prime", ["", "ab"])
@pytest.mark.parametrize("count", [1, 40])
def test_an_item_ends_with_its_end_symbol_and_has_its_own_probability(
    settings: dict[str, Any], prime: str, count: int
) -> None:
    model = item_model("abc\n", LABELS, training=COUNTS, scale=0.5)
    config = SamplingConfig(seed=5, count=count, prime=prime, length=6, **settings)
    drawn = Sampler(model, config).draw()
    assert {one.ended for one in drawn} == ({"end", "length"} if count > 1 else {drawn[0].ended})
    for one in drawn:
        assert one.text.startswith(prime)
        symbols = model.vocab.encode(one.text[len(prime) :]).tolist()
        symbols += [model.vocab.end] * (one.ended == "end")
        assert (one.ended == "length") == (len(symbols) == 6 and symbols[-1] != model.vocab.end)
        expected = log_p(model, before(model, one), symbols).sum()
        assert one.log_probability_nats == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("stop", ["", "ba"])
def test_the_probability_of_a_stream_counts_the_stop_text(stop: str) -> None:
    model = random_model("\nabc", scale=0.5)
    config = SamplingConfig(seed=5, count=40, length=9, prime="c", temperature=1.4)
    drawn = Sampler(model, config, stop=stop or ()).draw()
    assert {one.ended for one in drawn} == ({"stop", "length"} if stop else {"length"})
    for one in drawn:
        symbols = model.vocab.encode(one.text + (stop if one.ended == "stop" else "")).tolist()
        expected = log_p(model, model.vocab.encode("c").tolist(), symbols).sum()
        assert one.log_probability_nats == pytest.approx(expected, abs=1e-9)
        assert (one.prime, one.label) == ("c", None)


def test_a_stop_text_ends_an_item_too() -> None:
    model = item_model("abc", scale=0.3)
    drawn = Sampler(model, SamplingConfig(seed=1, count=60), stop="b").draw()
    assert {one.ended for one in drawn} == {"end", "stop"}
    for one in drawn:
        assert "b" not in one.text
        symbols = [*model.vocab.encode(one.text), model.vocab.end if one.ended == "end" else 1]
        assert one.log_probability_nats == pytest.approx(log_p(model, [3], symbols).sum(), abs=1e-9)


def test_an_item_does_not_depend_on_those_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = item_model("abcdé\n", LABELS, scale=0.3)
    many = Sampler(model, SamplingConfig(seed=7, count=40, temperature=1)).draw()
    assert len({one.text for one in many}) > 20
    for k in (0, 1, 39):
        alone = Sampler(model, SamplingConfig(seed=7 + k, temperature=1)).draw()[0]
        assert (alone.text, alone.label, alone.ended) == (many[k].text, many[k].label, many[k].ended)
    monkeypatch.setattr(sampling, "GROUP", 3)
    monkeypatch.setattr(sampling, "ROUND", 9)
    monkeypatch.setattr(sampling, "SYMBOLS_AT_ONCE", 2)
    sampler = Sampler(model, SamplingConfig(seed=7, count=40, temperature=1))
    heard = [""] * 40

    def hear(k: int, piece: str) -> None:
        heard[k] += piece

    again = sampler.draw(hear)
    assert [(one.text, one.label) for one in again] == [(one.text, one.label) for one in many]
    assert heard == [one.text for one in many]


def test_labels_are_given_or_drawn_as_often_as_in_training() -> None:
    model = item_model("ab", LABELS, training=COUNTS)

    def labels(label: Any, count: int = 1) -> list[dict[str, str] | None]:
        return [
            one.label
            for one in Sampler(model, SamplingConfig(seed=1, count=count, length=1), label=label).draw()
        ]

    for both in (["sex=m", "origin=Welsh"], {"origin": "Welsh", "sex": "m"}):
        assert labels(both) == [{"origin": "Welsh", "sex": "m"}]
    drawn = Counter(tuple(one.values()) for one in labels((), 4000) if one)
    assert set(drawn) == {("Irish", "f"), ("Irish", "x"), ("Welsh", "f"), ("Welsh", "x")}  # nobody is m
    for (origin, _), times in drawn.items():  # five standard deviations
        assert times == pytest.approx(4000 * (3 / 8 if origin == "Irish" else 1 / 8), abs=160)
    assert {one["origin"] for one in labels("origin=Irish", 50) if one} == {"Irish"}
    assert {one["sex"] for one in labels("origin=Irish", 50) if one} == {"f", "x"}
    one_column = item_model("ab", LABELS[:1])
    assert Sampler(one_column, label="Welsh").labels == [{"origin": "Welsh"}]


@pytest.mark.parametrize(
    "card",
    [
        {},
        {"corpus": 1},
        {"corpus": {"label_counts": []}},
        {"corpus": {"label_counts": {"origin": {"Irish": -1, "Welsh": 2}}}},
        {"corpus": {"label_counts": {"origin": {"Irish": 0, "Welsh": 0}}}},
        {"corpus": {"label_counts": {"origin": {"Irish": "many", "Welsh": 2}}}},
    ],
    ids=str,
)
def test_labels_are_alike_where_the_card_does_not_tell(card: dict[str, Any]) -> None:
    model = item_model("ab", LABELS[:1], training=card)
    drawn = Counter(labels["origin"] for labels in Sampler(model, SamplingConfig(seed=1, count=1000)).labels)
    assert drawn["Irish"] == pytest.approx(500, abs=80)


@pytest.mark.parametrize(
    ("model", "settings", "error", "message"),
    [
        (item_model("ab", LABELS), {"label": "Irish"}, UsageError, "COLUMN=VALUE, with one of: origin, sex"),
        (item_model("ab", LABELS), {"label": "sex=q"}, DataError, "no label 'q'; its labels are f, m, x"),
        (item_model("ab", LABELS[:1]), {"label": "French"}, DataError, "no label 'French'; its labels are Irish, W"),
        (item_model("ab", LABELS), {"label": ["sex=f", "sex=m"]}, UsageError, "given twice"),
        (item_model("ab"), {"label": "Irish"}, UsageError, "trained without labels"),
        (random_model("ab"), {"label": "Irish"}, UsageError, "trained without labels"),
        (random_model("ab"), {"input": "a"}, UsageError, "--input is for a model of pairs"),
        (item_model("ab", pairs=True), {}, UsageError, "^--input is missing: the model was trained on pairs"),
    ],
)  # fmt: skip
def test_what_the_model_cannot_be_given(
    model: Model, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        sample(model, **settings)


def test_outputs_are_drawn_for_an_input() -> None:
    model = item_model("abc", LABELS[:1], pairs=True, scale=0.5)
    sampler = Sampler(model, SamplingConfig(seed=1, count=9, prime="c"), input="ab", label="Irish")
    ids = sampler.begins()
    assert [model.vocab.name(int(symbol)) for symbol in ids] == [
        "label origin=Irish",
        "a",
        "b",
        "boundary",
        "c",
    ]
    for one in sampler.draw():
        symbols = [*model.vocab.encode(one.text[1:]), model.vocab.end]
        expected = log_p(model, before(model, one, "ab"), symbols).sum()
        assert one.log_probability_nats == pytest.approx(expected, abs=1e-9)


def test_the_prime_is_part_of_an_item_and_of_a_stream_where_it_is_wanted() -> None:
    for model, usual in ((item_model("abc"), True), (random_model("abc"), False)):
        given: dict[str, Any] = {"prime": "ab", "seed": 1, "length": 5}
        without = sample(model, with_prime=False, **given)
        assert sample(model, with_prime=True, **given) == "ab" + without
        assert sample(model, **given) == ("ab" if usual else "") + without
        pieces = [piece for _, piece in Sampler(model, SamplingConfig(with_prime=True, **given))]
        assert "".join(pieces) == "ab" + without


@pytest.mark.parametrize("label", ["Irish", "Welsh"])
def test_a_wide_beam_finds_the_likeliest_item(label: str) -> None:
    model = item_model("ab", LABELS[:1], scale=0.8, seed=4)
    end = model.vocab.end
    begin = condition(model.vocab, {"origin": label})
    whole = [[*text, end] for n in range(6) for text in itertools.product(range(2), repeat=n)]
    best = max(whole, key=lambda symbols: log_p(model, begin, symbols).sum())
    found = likeliest(Sampler(model, SamplingConfig(length=6), label=label), 64)
    assert (found.text, found.ended, found.label) == (model.vocab.decode(best), "end", {"origin": label})
    assert found.log_probability_nats == pytest.approx(log_p(model, begin, best).sum(), abs=1e-9)


@pytest.mark.parametrize("width", [1, 3])
def test_searches_side_by_side_are_those_alone(width: int) -> None:
    models = [item_model("abc", LABELS[:1], pairs=True, seed=seed, scale=0.5) for seed in (1, 2)]
    begins = np.array([[5, 0, 4], [5, 1, 4], [6, 2, 4], [6, 0, 4]]).T  # label, input, boundary
    symbols, log_p_of, ended = search(models, begins, 7, width)
    for n in range(begins.shape[1]):
        [one], [alone], [over] = search(models, begins[:, n : n + 1], 7, width)
        assert models[0].vocab.decode(one) == models[0].vocab.decode(symbols[n])
        assert (alone, over) == (pytest.approx(log_p_of[n], abs=1e-9), ended[n])


def test_what_is_shown_while_training() -> None:
    stream = random_model("abc\n")
    assert glimpse(stream, np.zeros(9, int)) == sample(stream, length=LENGTH, seed=0)
    labelled = item_model("abc", LABELS, training=COUNTS)
    lines = glimpse(labelled, np.zeros(9, int)).split("\n")
    drawn = Sampler(labelled, SamplingConfig(seed=0, count=8)).draw()
    assert lines == [f"{one.label['origin']}, {one.label['sex']}: {one.text}" for one in drawn if one.label]
    corpus = read_corpus(in_memory("ab\tc\nba\tb\nc\ta\n"), items=ItemForm("pairs"))
    assert corpus.items is not None
    pairs = item_model("abc", pairs=True, scale=0.5)
    outputs = [sample(pairs, input=one, temperature=0, length=LENGTH) for one in ("ab", "ba", "c")]
    assert glimpse(pairs, corpus.items) == "\n".join(
        f"{one} → {output}" for one, output in zip(("ab", "ba", "c"), outputs, strict=True)
    )


@pytest.mark.parametrize("settings", [{}, {"top_k": 2}], ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_scoring_changes_no_text(settings: dict[str, Any], count: int) -> None:
    sampler = Sampler(item_model("abc", scale=0.5), SamplingConfig(seed=1, count=count, **settings))
    plain = sampler.draw(scored=False)
    assert [one.text for one in plain] == [one.text for one in sampler.draw()]
    assert {one.log_probability_nats for one in plain} == {None}
