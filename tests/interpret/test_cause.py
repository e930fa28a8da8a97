"""The causal test against one-by-one computation, and its parts."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.interpret import cause
from charrnn.interpret.cause import (
    CausalTest,
    Experiment,
    causal_test,
    dose_levels,
    logits_of_sets,
    matched_controls,
    symbol_ids,
    watched_places,
)
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.labels import Label
from charrnn.interpret.recording import WARM_UP, record
from charrnn.nn.network import Clamp
from charrnn.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def quote_case():
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    model = handmade.model_of("lstm", weights)
    text = handmade.dialogue(9_000)
    return model, record(model, text), BUILT_IN["quote"].label(text)


def test_no_more_windows_are_read_at_once_than_a_batch(quote_case, monkeypatch):
    model, recording, label = quote_case
    watched = np.zeros(len(label.values), bool)
    watched[[6000, 6100, 7777]] = True
    experiment = Experiment(model, recording, label, watched)
    forward, shapes = model.network.forward, []

    def counted(x, state, **options):
        shapes.append((x.shape, state.shape[2]))
        return forward(x, state, **options)

    monkeypatch.setattr(model.network, "forward", counted)
    conditions = [{5: 0.7}, {}, {5: -0.7, 3: 0.2}, {4: 0.1}, {9: -0.9}]
    together = experiment.respond(0, conditions, [[1], [2, 3]])
    monkeypatch.setattr(cause, "BATCH", 7)  # two conditions of three windows, and one window to spare
    apart = experiment.respond(0, conditions, [[1], [2, 3]])
    np.testing.assert_allclose(apart, together, rtol=1e-6)
    assert shapes == [((20, 480), 480)] + 3 * [((20, 6), 6)]


def test_logit_of_a_set():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 6))
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    target = p[:, [1, 4]].sum(axis=-1)
    found = logits_of_sets(logits, [[1, 4], [0]])
    np.testing.assert_allclose(found[:, 0], np.log(target / (1 - target)))
    np.testing.assert_allclose(found[:, 1], np.log(p[:, 0] / (1 - p[:, 0])))
    assert np.isfinite(logits_of_sets(np.array([[1000.0, -1000.0]]), [[0], [1]])).all()


def test_doses_are_the_medians_of_classes_and_tenths():
    label = Label("x", "bool", np.array([0, 0, 0, 1, 1], bool), np.array([1, 1, 1, 1, 0], bool), "", 1)
    assert dose_levels(np.array([1.0, 2, 9, 5, 7]), label, slice(0, 5)).tolist() == [2, 5]
    count = Label("x", "count", np.arange(100), np.ones(100, bool), "", 1)
    np.testing.assert_allclose(dose_levels(np.arange(100.0), count, slice(0, 100)), np.arange(10) * 10 + 4.5)


def test_places_are_watched_where_the_label_counts_or_after_what_it_names():
    """What an indent makes likelier comes after a newline, where the indent of the next line is not known yet."""
    text = "".join(f"{' ' * (4 * (n % 3))}word {n % 7 * 'a'}\n" for n in range(700)) + "tail of it"
    model = handmade.model_of("gru", handmade.random_weights("gru"))
    recording = record(model, text)
    reachable = np.arange(len(text)) >= recording.confirm.start
    indent, line_pos = BUILT_IN["indent"].label(text), BUILT_IN["line_pos"].label(text)
    newlines = np.array([ch == "\n" for ch in text])
    assert not (indent.mask & newlines).any()
    np.testing.assert_array_equal(watched_places(recording, indent), reachable & newlines)
    np.testing.assert_array_equal(watched_places(recording, line_pos), reachable & line_pos.mask)
    test = causal_test(model, recording, indent, 0, 3, [3])
    assert test is not None
    assert test.target == " "


def test_windows_are_watched_one_by_one(quote_case):
    """The batched answer equals the mean over windows read alone, each after its own warm-up."""
    model, recording, label = quote_case
    watched = np.zeros(len(label.values), bool)
    watched[[6000, 6100, 7777]] = True
    experiment = Experiment(model, recording, label, watched)
    mark = model.vocab.symbols.index('"')
    [[held, _], [free, _]] = experiment.respond(0, [{5: 0.7, 3: -0.2}, {}], [[mark], [0, 1]])
    for answer, clamp in ((held, {5: 0.7, 3: -0.2}), (free, {})):
        alone = []
        for t in (6000, 6100, 7777):
            ids = recording.ids[t + 1 - cause.WINDOW - WARM_UP : t + 1, None]
            _, state = model.logits(ids[:WARM_UP])
            mask, values = np.zeros((1, 32), bool), np.zeros((1, 32))
            for cell, value in clamp.items():
                mask[0, cell], values[0, cell] = True, value
            logits, _ = model.logits(ids[WARM_UP:], state, clamp=Clamp(0, mask, values))
            p = np.exp(logits[-1, 0]) / np.exp(logits[-1, 0]).sum()
            alone.append(np.log(p[mark] / (1 - p[mark])))
        assert answer == pytest.approx(np.mean(alone), abs=1e-5)


def test_the_effect_is_what_the_head_says(quote_case):
    """The planted cell acts through the head alone: h moves between its two values with weight 3."""
    model, recording, label = quote_case
    test = causal_test(model, recording, label, 0, 5, [5])
    low, high = dose_levels(recording.signals[5], label, recording.select)
    assert test.effect == pytest.approx(3 * (high - low), rel=0.05)
    assert test.together == pytest.approx(test.effect, rel=1e-4)
    assert test.p_value == pytest.approx(1 / (1 + len(test.controls)))
    assert len(test.controls) == 31
    assert test.specific
    assert test.holds(0.05)
    assert len(test.others) == 20
    assert '"' not in test.others


def test_nothing_to_expect_gives_no_test(quote_case):
    model, recording, label = quote_case
    for changes in ({"target": ""}, {"target": "é"}, {"after": "é"}, {"values": np.zeros_like(label.values)}):
        other = Label(**{**vars(label), **changes})
        assert causal_test(model, recording, other, 0, 5, [5]) is None


@pytest.fixture(scope="module")
def two_layers():
    """A model of two layers of 12 cells, and what it does on a text."""
    model = random_model(handmade.VOCAB, cell="gru", hidden=12)
    return model, record(model, handmade.dialogue(3_000))


@pytest.mark.parametrize(("layer", "reader"), [(0, "gru.weight_ih_l1"), (1, "head.weight")])
def test_controls_are_alike_in_spread_and_in_the_weight_of_what_reads_them(
    two_layers, layer, reader, monkeypatch
):
    model, recording = two_layers
    signals = recording.signals[12 * layer : 12 * layer + 12, recording.select]
    spread = np.log(signals.std(axis=1) + 1e-6)
    weight = np.log(np.linalg.norm(model.network.params[reader], axis=0) + 1e-6)
    z = np.stack([spread / spread.std(), weight / weight.std()])
    for cell in range(12):
        nearest = np.argsort(np.linalg.norm(z - z[:, [cell]], axis=0)).tolist()
        assert matched_controls(model, recording, layer, cell) == nearest[1:]
    monkeypatch.setattr(cause, "CONTROLS", 4)
    assert matched_controls(model, recording, layer, 11) == nearest[1:5]


def test_a_spread_below_a_millionth_counts_as_none(two_layers):
    """Cells that hardly move are alike: a logarithm begins at 1e-6."""
    model, recording = two_layers
    signals = np.linspace(-1, 1, recording.signals.shape[1]) * np.logspace(-9, -1, 24)[:, None]
    recording = replace(recording, signals=signals)
    spread = np.log(signals[:12, recording.select].std(axis=1) + 1e-6)
    weight = np.log(np.linalg.norm(model.network.params["gru.weight_ih_l1"], axis=0) + 1e-6)
    z = np.stack([spread / spread.std(), weight / weight.std()])
    for cell in range(12):
        nearest = np.argsort(np.linalg.norm(z - z[:, [cell]], axis=0)).tolist()
        assert matched_controls(model, recording, 0, cell) == nearest[1:]


def test_cells_that_never_move_or_are_broken_are_no_controls(two_layers):
    model, recording = two_layers
    signals = recording.signals.copy()
    signals[12 + 3], signals[12 + 4] = 0.25, np.nan
    model = random_model(handmade.VOCAB, cell="gru", hidden=12)
    model.network.params["head.weight"][7, 5] = np.nan
    chosen = matched_controls(model, replace(recording, signals=signals), 1, 8)
    assert sorted(chosen) == [0, 1, 2, 6, 7, 9, 10, 11]


def test_cells_of_the_upper_layer_are_held_at_values_of_their_own(two_layers, monkeypatch):
    model, recording = two_layers
    label, asked = BUILT_IN["quote"].label(recording.text), []

    def respond(experiment, layer, conditions, sets):
        asked.append((layer, conditions[:3]))
        return np.arange(len(conditions))[:, None] * np.ones(len(sets))

    monkeypatch.setattr(Experiment, "respond", respond)
    causal_test(model, recording, label, 1, 4, [4, 7])
    levels = {m: dose_levels(recording.signals[12 + m], label, recording.select) for m in (4, 7)}
    [(layer, conditions)] = asked
    assert layer == 1
    assert conditions == [{4: levels[4][0]}, {4: levels[4][1]}, {m: levels[m][0] for m in (4, 7)}]


def test_symbols_of_characters():
    model = random_model("abc")
    assert symbol_ids(model, "cxa") == {"c": 2, "a": 0}
    model = random_model(Vocabulary("byte", (97, 99, 195, 233)))
    assert symbol_ids(model, "cbaé") == {"c": 1, "a": 0}  # é is two bytes; its code point is a byte too


@pytest.mark.parametrize("n", [100, 24, 5])
def test_places_are_spread_from_the_first_to_the_last(n):
    """Of a bool 24 of each class, of a count 48, or all that there are."""
    on = np.arange(200) % 2 == 1
    places = np.r_[np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)]

    def evenly(group, most):
        count = min(most, len(group))
        return [group[k * (len(group) - 1) // (count - 1)] for k in range(count)]

    label = Label("x", "bool", on, np.ones(200, bool), "", 1)
    chosen = cause._spread(np.sort(places), label)
    assert chosen.tolist() == evenly(range(1, 2 * n, 2), 24) + evenly(range(0, 2 * n, 2), 24)
    count = Label("x", "count", np.arange(200), np.ones(200, bool), "", 1)
    assert cause._spread(np.sort(places), count).tolist() == evenly(range(2 * n), 48)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"effect": -1.0}, False),
        ({"p_value": 0.06}, False),
        ({"others": {"a": -1.1}}, False),
        ({"others": {"a": -1.0}}, False),
        ({"others": {"a": -0.5, "b": 1.1}}, False),
        ({"others": {}, "effect": 0.5}, True),
        ({"p_value": 0.05}, True),
        ({"effect": 0.0, "others": {}}, False),
        ({"doses": (0.0, 2.0, 1.0, -1.0, 0.5)}, False),
        ({"doses": (0.0, 0.4, 0.3, 1.0)}, True),
        ({"doses": (1.0, 1.0)}, False),
    ],
)
def test_what_holds(changes, holds):
    test = CausalTest(
        **{
            "target": "x",
            "effect": 1.0,
            "p_value": 0.02,
            "controls": (0.1,),
            "others": {"a": -0.5},
            "doses": (0.0, 1.0),
            "together": 1.0,
            **changes,
        }
    )
    assert test.holds(0.05) == holds


@pytest.mark.parametrize(
    ("doses", "rho"),
    [
        ((0.0, 2.0, 1.0), 0.5),
        ((1.0, 0.0, 2.0), 0.5),
        ((-3.0, -1.0, -2.0), 0.5),
        ((2.0, 0.0, 1.0), -0.5),
        ((1.0, 2.0, 0.0), -0.5),
        ((2.0, 3.0, 1.0, 4.0), 0.4),
        ((1.0, 3.0, 2.0, 4.0), 0.8),
        ((0.0, 1.0, 0.0), 0.0),
        ((1.0, 1.0, 1.0), 0.0),
    ],
)
def test_doses_are_graded_from_half_a_rank_correlation_on(doses, rho):
    """In the direction that is expected: the effect is the last dose less the first, times that."""
    rises = np.sign(doses[-1] - doses[0])
    for direction in (1, -1):
        test = CausalTest("x", direction * rises, 0.02, (), {}, doses, 1.0)
        assert test.graded == (direction * rho >= 0.5)


@pytest.mark.parametrize("direction", [1, -1])
def test_direction_is_fixed_beforehand(quote_case, direction):
    model, recording, label = quote_case
    test = causal_test(model, recording, Label(**{**vars(label), "direction": direction}), 0, 5, [5])
    assert np.sign(test.effect) == direction
    assert test.holds(0.05) == (direction == 1)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_held_and_what_follows_from_the_answers(cell, monkeypatch):
    """Every condition and every figure, from answers that are given: what the network makes of them is tested above."""
    rng = np.random.default_rng(15)
    model = handmade.model_of(cell, handmade.random_weights(cell))
    text = handmade.dialogue(3_000)
    label = BUILT_IN["quote"].label(text)
    recording = record(model, text)
    signals = np.where(
        rng.random((handmade.H, len(text))) < 0.2, 0.0, rng.normal(size=(handmade.H, len(text)))
    )
    signals = np.clip(
        signals + label.values, -1, 1
    )  # many places share a value, and the highest are at the end
    recording = replace(recording, signals=signals)
    monkeypatch.setattr(cause, "CONTROLS", 4)
    controls = matched_controls(model, recording, 0, 7)
    assert len(controls) == 4
    #   the cell low, high; the best together low, high; then each control low, high: 2, 3.5, 1 and 0.5 apart
    target = [-1.0, 1.0, -2.0, 3.0, 0.0, 2.0, 3.5, 0.0, 1.0, 2.0, 0.25, 0.75]
    asked = {}

    def respond(experiment, layer, conditions, sets):
        asked.update(layer=layer, conditions=conditions, sets=sets)
        return np.array(target)[:, None] * (1 + np.arange(len(sets))) + np.arange(len(sets))

    monkeypatch.setattr(Experiment, "respond", respond)
    test = causal_test(model, recording, label, 0, 7, [7, 3, 11])

    part, limit = recording.select, 1 - 1e-6 if cell == "lstm" else 1
    on, seen = label.values[part], label.mask[part]

    def held(value):
        return pytest.approx(min(max(value, -limit), limit), abs=1e-12)

    def medians(k):
        return [np.median(signals[k, part][seen & (on == high)]) for high in (False, True)]

    low, high = medians(7)
    conditions = [{7: held(low)}, {7: held(high)}]
    conditions += [{k: held(medians(k)[end]) for k in (7, 3, 11)} for end in (0, 1)]
    x = signals[7, part]
    shares = [(np.mean(x < value) + np.mean(x <= value)) / 2 for value in (low, high)]
    for k in controls:
        conditions += [{k: held(np.quantile(signals[k, part], share))} for share in shares]
    assert any(
        1 in one.values() or limit in one.values() for one in asked["conditions"]
    )  # some had to be held back
    assert asked["layer"] == 0
    assert asked["conditions"] == conditions
    assert asked["sets"] == [[model.vocab.symbols.index('"')]] + [
        [model.vocab.symbols.index(ch)] for ch in test.others
    ]
    assert (test.target, test.effect, test.together) == ('"', 2, 5)
    assert test.controls == (2, 3.5, 1, 0.5)
    assert test.p_value == 3 / 5  # those that move it as much count: 2 and 3.5
    assert test.doses == (-1, 1)
    assert list(test.others.values()) == [2.0 * (2 + k) for k in range(20)]
    counts = {ch: text[recording.confirm].count(ch) for ch in set(text) - {'"'}}
    assert list(test.others) == sorted(counts, key=lambda ch: (-counts[ch], ch))[:20]


def test_cells_of_equal_weight_are_matched_by_spread_alone():
    weights = handmade.random_weights("gru")
    weights["head.weight"] = np.where(weights["head.weight"] > 0, 0.5, -0.5)
    model = handmade.model_of("gru", weights)
    recording = record(model, handmade.dialogue(3_000))
    spread = np.log(recording.signals[:, recording.select].std(axis=1))
    nearest = np.argsort(np.abs(spread - spread[9]), kind="stable")
    assert matched_controls(model, recording, 0, 9) == [m for m in nearest if m != 9]


def test_the_numbers_that_the_pages_speak_of():
    """Fifty controls bound the p-value at 1/51; up to 48 windows of 20 symbols are read."""
    model = handmade.model_of("rnn", handmade.random_weights("rnn", hidden=60), hidden=60)
    recording = record(model, handmade.dialogue(3_000))
    assert len(matched_controls(model, recording, 0, 9)) == 50
    label = BUILT_IN["quote"].label(recording.text)
    experiment = Experiment(model, recording, label, watched_places(recording, label))
    assert experiment.symbols.shape == (20, 48)
    count = BUILT_IN["line_pos"].label(recording.text)
    assert Experiment(model, recording, count, watched_places(recording, count)).symbols.shape == (20, 48)


def test_controls_of_a_count_move_between_its_first_and_last_tenth(quote_case, monkeypatch):
    model, recording, _ = quote_case
    label, asked = BUILT_IN["line_pos"].label(recording.text), []

    def respond(experiment, layer, conditions, sets):
        asked.extend(conditions)
        return np.arange(len(conditions))[:, None] * np.ones(len(sets))

    monkeypatch.setattr(Experiment, "respond", respond)
    test = causal_test(model, recording, label, 0, 5, [5])
    part = recording.select
    levels = dose_levels(recording.signals[9], label, part)
    assert (len(levels), len(test.doses), test.effect) == (10, 10, 9 * label.direction)
    asked.clear()
    causal_test(model, recording, label, 0, 9, [9])
    assert [one[9] for one in asked[:10]] == pytest.approx(levels)
    x = recording.signals[9, part]
    shares = [(np.mean(x < value) + np.mean(x <= value)) / 2 for value in (levels[0], levels[-1])]
    assert [asked[10][9], asked[11][9]] == pytest.approx([levels[0], levels[-1]])
    control = next(iter(asked[12]))
    held = [asked[12][control], asked[13][control]]
    assert held == pytest.approx(np.quantile(recording.signals[control, part], shares), abs=1e-5)
