"""The lesson on texts of one's own, in a script without spaces and full of signs: its claims, against oracles."""

import math

import numpy as np
import pytest
from helpers.lesson import BY_NAME, CHINESE, SIGNS, TEXTS, computed, text_of_ones_own

from charrnn.errors import DataError
from charrnn.learn import followed, hello, losses, overfitting, streams, temperature, vanishing
from charrnn.learn.chapter import chosen, filled
from charrnn.learn.lesson_text import SHORTEST, TWISTER, LessonText

OWN = pytest.mark.parametrize("text", [CHINESE, SIGNS], ids=["chinese", "signs"])


@pytest.mark.parametrize("length", [0, 1, SHORTEST - 1])
def test_a_text_that_is_too_short_is_refused_with_the_length_it_must_have(length):
    with pytest.raises(DataError, match=f"{length} characters; the lesson needs at least {SHORTEST}"):
        text_of_ones_own("mine", ("ab" * 100)[:length])
    assert text_of_ones_own("mine", ("ab" * 100)[:SHORTEST]).passage == ("ab" * 100)[:SHORTEST]


def test_a_line_of_one_character_is_refused():
    with pytest.raises(DataError, match="mine begins with 38 times 'a'"):
        text_of_ones_own("mine", "a" * 38 + "b" * 200)


def test_what_is_picked_from_a_text():
    text = text_of_ones_own("mine", "Anna's banana, and Anna's bandana: no Hannah has a band. " * 4)
    assert text.line == text.text[:38]
    assert text.line[: text.cut] == "Anna's banana, "
    assert text.word == "ban"  # the first three different letters in a row
    before, other, now = text.two_befores
    pairs = [text.passage[k : k + 2] for k in range(SHORTEST - 1)]
    assert before + now in pairs
    assert other + now in pairs
    assert before != other
    assert text.commonest == "a"
    assert text.divider == " "
    assert (CHINESE.divider, CHINESE.word, len(CHINESE.line)) == ("。", "床前明", 24)
    assert "".join(CHINESE.two_befores[0:3:2]) in CHINESE.passage


def test_a_text_where_every_character_comes_after_the_same_one():
    before, other, now = text_of_ones_own("mine", "ab" * 100).two_befores
    assert {before, other, now} == {"a", "b"}
    assert before != other


@OWN
def test_a_picture_shows_some_of_many_symbols_with_those_of_the_word(text):
    data = computed("one_hot", text)
    V = len(set(text.passage))
    assert (data.facts["V"], data.facts["answer"]) == (str(V), str(4 * len(set(text.text))))
    assert len(data.shown) == 14 < V
    assert set(data.ids.tolist()) < set(data.shown)
    assert data.shown == sorted(data.shown)
    low, high, near = (data.symbols.index(data.facts[name]) for name in ("low", "high", "near"))
    assert low < near + 1 == high


@OWN
def test_one_step_adds_up_as_it_is_shown(text):
    data = computed("one_step", text)
    np.testing.assert_allclose(data.a, data.from_input + data.from_before + data.bias, rtol=1e-12)
    shown = np.round([data.from_input, data.from_before, data.bias, data.a], 2)
    np.testing.assert_allclose(shown[:3].sum(axis=0), shown[3], atol=1e-9)
    assert abs(data.h[0]) > 0.95  # saturated, as the words say
    assert math.dist(data.h, data.other_h) > 0.5


@OWN
def test_cutting_costs_nothing_and_the_rest_is_told(text):
    data = computed("unrolling", text)
    np.testing.assert_array_equal(data.carried, data.h[text.cut :])
    gaps = [math.dist(a, b) for a, b in zip(data.reset, data.h[text.cut :], strict=True)]
    assert data.facts["left"] == f"{100 * gaps[6] / gaps[0]:.2g}"
    assert bool(data.facts["fades"]) == (gaps[6] < 0.1 * gaps[0])
    assert data.facts["numbers"] == str(8 * (8 + len(set(text.passage))))


def test_a_word_of_the_text_is_learnt_if_one_shows_it_and_else_the_classic_one():
    own = hello.compute(text_of_ones_own("mine", "He never said a level word of it to anyone there. " * 4))
    assert own.word in ("never", "level", "there")
    first, second = own.twice
    assert own.word[first] == own.word[second]
    assert own.word[first + 1] != own.word[second + 1]
    for step in own.twice:
        assert own.symbols[own.trained.p[step].argmax()] == own.word[step + 1]
    assert own.trained.p_targets.min() > 0.8
    assert own.facts["found"]
    for text in (CHINESE, SIGNS, TWISTER):
        assert computed("hello", text).word == "hello"
    assert computed("hello", CHINESE).facts["not_found"]
    classic = hello.compute(text_of_ones_own("mine", "hello, said he to the cat. " * 7)).facts
    assert (classic["word"], classic["found"], classic["not_found"]) == ("hello", "yes", "")
    assert not computed("hello", TWISTER).facts["not_found"]


@pytest.mark.parametrize(
    ("word", "twice"),
    [
        ("hello", (2, 3)),
        ("level", (1, 3)),
        ("sells", (2, 3)),
        ("mamma", None),
        ("abcde", None),
        ("月月明光月", None),
    ],
)
def test_the_letter_that_comes_twice(word, twice):
    assert hello._twice(word) == twice


@OWN
def test_the_gradient_is_right_and_downhill_is_down(text):
    data = computed("backwards", text)
    np.testing.assert_allclose(data.analytic, data.numeric, rtol=1e-6)
    assert abs(data.analytic[0]) == max(map(abs, data.analytic)) > 0.01
    assert len({row for row, _ in data.checked}) == 3
    assert data.loss_after < data.loss < data.loss_uphill
    assert sum(row[-1] for row in data.followed) == pytest.approx(data.numeric[0], rel=1e-6)


@OWN
def test_streams_and_the_steps_of_a_pass(text):
    data = computed("streams", text)
    assert "".join(data.rows) == text.passage[:172]
    assert bool(data.facts["better"]) == (data.cosines == sorted(data.cosines))
    read = small_pass(text.length, int(data.facts["streams"]), int(data.facts["chunk"]))
    assert data.facts["answer"] == str(read)


def small_pass(symbols, many, chunk):
    """The steps of a pass, counted by cutting."""
    return streams.Streams(np.zeros(symbols, np.int32), many, chunk).chunks


def test_the_question_on_streams_suits_the_length():
    cut = computed("streams", CHINESE)
    for length, sizes in ((400, ("4", "14")), (3_000, ("10", "25")), (100_000, ("50", "100"))):
        text = LessonText("mine", CHINESE.text, length, 9)
        facts = streams.Cut(text, cut.rows, cut.cosines).facts
        assert (facts["streams"], facts["chunk"]) == sizes
        assert facts["answer"] == str(small_pass(length, *map(int, sizes)))


def test_the_longest_place_that_goes_on_differently():
    place, after = temperature.open_place("the cat and the cow and the cat")
    assert (place, dict(after)) == (" and the c", {"o": 1, "a": 1})
    assert temperature.open_place("abababab") == ("a", {"b": 4})
    assert temperature._listed(temperature.Counter("aab ")) == "a twice, b once and ␣ once"
    assert temperature._listed(temperature.Counter("a")) == "a once"


def test_a_fact_decides_between_words():
    words = "{{ if a }}yes {{ n }}{{ else }}no{{ end }}, {{ if b }}more{{ end }}."
    assert filled(words, {"a": "yes", "b": "", "n": "3"}) == "yes 3, ."
    assert filled(words, {"a": "", "b": "yes"}) == "no, more."
    assert chosen("{{ if a }}{{ n }}{{ end }}", {"a": "yes"}) == "{{ n }}"


# ------------------------------------------------------------------------------------------------
# What takes longer


@pytest.mark.slow
@OWN
def test_losses_temperature_and_gates(text):
    data = computed("losses", text)
    assert data.place == text.line[:-5]
    right = data.symbols.index(text.passage[len(data.place)])
    assert right == data.next in data.likeliest
    assert data.loss_fresh == pytest.approx(math.log(len(data.symbols)), abs=0.3)
    assert data.loss_trained < 0.2 < data.loss_fresh
    assert data.curve[-1] == pytest.approx(data.loss_trained, abs=0.05)
    assert data.facts["answer"] == f"{-math.log(text.passage.count(text.commonest) / SHORTEST):.4f}"
    warm = computed("temperature", text)
    follow = [
        text.passage[k + len(warm.place)]
        for k in range(SHORTEST - len(warm.place))
        if text.passage.startswith(warm.place, k)
    ]
    assert sorted(warm.after.elements()) == sorted(follow)
    assert len(set(follow)) > 1
    assert warm.entropies == sorted(warm.entropies)
    assert warm.followers[0] == pytest.approx(sum(warm.p[0][warm.symbols.index(ch)] for ch in set(follow)))
    gate = computed("gates", text)
    f = [value for value, ch in zip(gate.rows["f"], text.line, strict=True) if ch == text.divider]
    assert gate.facts["f_mark"] == f"{np.mean(f):.2f}"
    assert gate.f_mark < gate.f_other
    assert bool(gate.facts["by_word"]) == (text.divider == " " and gate.f_mark < 0.4 < gate.f_other)


@pytest.mark.slow
@OWN
def test_vanishing_bursts_and_faults(text):
    data = computed("vanishing", text)
    for norms, radius in zip(data.norms, vanishing.RADII, strict=True):
        assert (norms[25] / norms[0]) ** (1 / 25) == pytest.approx(radius, rel=0.07)
    assert data.burst.happens == bool(data.facts["bursts"])
    assert data.burst.clipped[-1] < data.burst.clipped[0]
    broken = computed("break_it", text)
    sound, dropped, zeroed, swapped = broken.outcomes
    assert sound.error < 1e-5
    assert (dropped.error, zeroed.error) == (pytest.approx(1), pytest.approx(1))
    assert swapped.error > 0.5
    assert sound.loss < swapped.loss < math.log(len(text.vocabulary))
    assert bool(broken.facts["worse"]) == (dropped.loss > sound.loss + 0.05)
    assert bool(broken.facts["hidden"]) == (zeroed.loss < sound.loss + 0.1)


@pytest.mark.slow
@OWN
def test_a_short_text_is_learnt_by_heart_in_more_passes(text):
    data = computed("overfitting", text)
    assert data.read + data.held_out == len(text.text)
    passes = [look.passes for look in data.looks]
    assert passes == list(range(passes[0], passes[0] * 12 + 1, passes[0]))
    assert passes[0] > 1
    assert data.looks[-1].train < 0.1 < data.looks[0].train
    rises = data.looks[-1].validation > data.best.validation + overfitting.RISE
    assert bool(data.facts["rises"]) == rises
    best = computed("counter", text).real.best
    if best is not None:
        assert best.score > best.fresh + followed.LEARNT
        assert best.text in text.text
        values = best.concept.label(text.text).values
        starts = [k for k in range(len(text.text)) if text.text.startswith(best.text, k)]
        assert any((best.values == values[k : k + len(best.text)]).all() for k in starts)
        assert np.count_nonzero(np.diff(values.astype(int)) < 0) >= followed.FEWEST
    assert computed("counter", text).real.name == text.name


@pytest.mark.slow
def test_the_same_text_gives_the_same_lesson():
    facts = []
    for _ in range(2):
        losses.trained_network.cache_clear()
        overfitting.trained_network.cache_clear()
        facts.append([BY_NAME[name].compute(SIGNS).facts for name in ("losses", "overfitting", "counter")])
    assert facts[0] == facts[1]


def test_every_text_of_the_tests_is_odd():
    assert not any(ch in CHINESE.text for ch in " \n\"'")
    assert {"*", "`", "{", "[", "\t", "\n"} <= set(SIGNS.text)
    assert len(TEXTS) == 3
