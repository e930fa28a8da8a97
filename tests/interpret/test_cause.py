"""The causal tests against one-by-one computation, and their parts."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.interpret import cause
from charrnn.interpret.cause import (
    Answers,
    CausalTest,
    Experiment,
    Held,
    Knowledge,
    causal_test,
    dose_levels,
    logits_of_sets,
    matched_controls,
    of_two,
    p_of,
    same_quantiles,
    screened,
    window_length,
)
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.labels import Label
from charrnn.interpret.recording import record
from charrnn.interpret.targets import Target, classes_of, symbol_ids, targets_of
from charrnn.interpret.together import Together
from charrnn.nn.network import Clamp
from charrnn.text.vocabulary import Vocabulary

QUOTE = Target('"', 1, 0.2)


def nothing_known(recording):
    return Knowledge(np.zeros(len(recording.signals)), 0.5)


def experiment_of(model, recording, label, **options):
    return Experiment(model, recording, label, classes_of(recording, label), recording.confirm, **options)


@pytest.fixture(scope="module")
def quote_case():
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    model = handmade.model_of("lstm", weights)
    text = handmade.dialogue(9_000)
    return model, record(model, text), BUILT_IN["quote"].label(text)


def test_no_more_windows_are_read_at_once_than_a_batch(quote_case, monkeypatch):
    model, recording, label = quote_case
    experiment = experiment_of(model, recording, label)
    (T, P), read, shapes = experiment.symbols.shape, model.network.read, []

    def counted(x, state, *options):
        shapes.append((x.shape, state.shape[2]))
        return read(x, state, *options)

    monkeypatch.setattr(model.network, "read", counted)
    conditions = [{5: 0.7}, {}, {5: -0.7, 3: 0.2}, {4: 0.1}, {9: -0.9}]
    together = experiment.respond(conditions, [[1], [2, 3]])
    monkeypatch.setattr(cause, "BATCH", 2 * P + 1)
    apart = experiment.respond(conditions, [[1], [2, 3]])
    np.testing.assert_allclose(apart.logits, together.logits, rtol=1e-6)
    np.testing.assert_allclose(apart.losses, together.losses, rtol=1e-6)
    assert shapes == [((T, 5 * P), 5 * P)] + 3 * [((T, 2 * P), 2 * P)]
    shapes.clear()
    monkeypatch.setattr(cause, "BATCH", 4 * P)
    experiment.respond(conditions, [[1]])  # as few as two batches of one shape can hold
    assert shapes == 2 * [((T, 3 * P), 3 * P)]


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


def test_windows_are_as_long_as_the_concept():
    values = np.repeat([0, 1, 0, 1, 0, 1, 0], [50, 5, 50, 17, 50, 300, 50]).astype(bool)
    label = Label("x", "bool", values, np.ones(len(values), bool), "", 1)
    assert window_length(label) == 17
    assert window_length(replace(label, mask=~(np.arange(len(values)) >= 122))) == 11
    assert window_length(replace(label, values=~values)) == cause.LONGEST_WINDOW
    assert window_length(replace(label, values=np.zeros(len(values), bool))) == cause.SHORTEST_WINDOW


def test_windows_are_measured_one_by_one(quote_case):
    """The batched answer equals the means over windows read alone, from the first character of the text on."""
    model, recording, label = quote_case
    experiment = experiment_of(model, recording, label, windows=4)
    mark = model.vocab.symbols.index('"')
    held = {5: 0.7, 3: -0.2}
    answers = experiment.respond([held, {}], [[mark], [0, 1]])
    ids, symbols = recording.ids, experiment.symbols
    part, (T, P) = recording.confirm, symbols.shape
    starts = [
        next(
            s
            for s in range(part.start - T, len(ids) - T + 1)
            if np.array_equal(ids[s : s + T], symbols[:, k])
        )
        for k in range(P)
    ]
    for row, clamped in enumerate((held, {})):
        logits_seen, losses = [], ([], [])
        for start in starts:
            _, state = model.logits(ids[:start, None])
            mask, values = np.zeros((1, 32), bool), np.zeros((1, 32))
            for cell, value in clamped.items():
                mask[0, cell], values[0, cell] = True, value
            logits, _ = model.logits(ids[start : start + T, None], state, clamp=Clamp(0, mask, values))
            for t in range(T):
                place = start + t
                if place >= part.start and label.mask[place] and place + 1 < len(ids):
                    p = np.exp(logits[t, 0]) / np.exp(logits[t, 0]).sum()
                    logits_seen.append(np.log(p[mark] / (1 - p[mark])))
                    losses[int(label.values[place])].append(-np.log(p[ids[place + 1]]))
        assert answers.logits[row, 0] == pytest.approx(np.mean(logits_seen), abs=1e-5)
        assert answers.losses[row] == pytest.approx([np.mean(one) for one in losses], abs=1e-5)


def test_the_effect_is_what_the_head_says(quote_case):
    """The planted cell acts through the head alone: h moves between its two values with weight 3."""
    model, recording, label = quote_case
    test = causal_test(experiment_of(model, recording, label), label, 5, QUOTE, nothing_known(recording))
    low, high = dose_levels(recording.signals[5], label, recording.select)
    assert test.effect == pytest.approx(3 * (high - low), rel=0.05)
    assert test.p_value == pytest.approx(1 / (1 + len(test.controls)))
    assert (len(test.controls), test.ignorant) == (31, 31)
    assert test.specific
    assert test.holds(0.05)
    assert len(test.others) == 20
    assert '"' not in test.others


@pytest.mark.parametrize("direction", [1, -1])
def test_direction_is_fixed_beforehand(quote_case, direction):
    model, recording, label = quote_case
    experiment = experiment_of(model, recording, label)
    test = causal_test(experiment, label, 5, Target('"', direction, 0.0), nothing_known(recording))
    assert np.sign(test.effect) == direction
    assert test.moves_target(0.05) == (direction == 1)


def test_one_class_gives_no_test(quote_case):
    model, recording, label = quote_case
    other = replace(label, values=np.zeros_like(label.values))
    experiment = experiment_of(model, recording, other)
    assert causal_test(experiment, other, 5, QUOTE, nothing_known(recording)) is None
    assert screened(experiment, other, [5], [], nothing_known(recording), 0.05) == {}


def test_a_label_is_high_where_it_is_on_or_in_its_highest_third(quote_case):
    _, recording, label = quote_case
    np.testing.assert_array_equal(classes_of(recording, label), np.where(label.mask, label.values, -1))
    n = len(recording.text)
    count = Label("x", "count", np.arange(n) % 10, np.arange(n) % 49 > 0, "", 1)
    expected = np.where(count.values <= 3, 0, np.where(count.values > 6, 1, -1))
    np.testing.assert_array_equal(classes_of(recording, count), np.where(count.mask, expected, -1))
    rare = replace(count, values=(np.arange(n) % 9 == 0).astype(int), mask=np.ones(n, bool))
    np.testing.assert_array_equal(classes_of(recording, rare), rare.values)


def test_an_indent_is_measured_after_newlines_by_the_line_before():
    text = "".join(f"{' ' * (4 * (n % 3))}word {n % 7 * 'a'}\n" for n in range(700)) + "tail of it"
    model = handmade.model_of("gru", handmade.random_weights("gru"))
    recording = record(model, text)
    label = BUILT_IN["indent"].label(text)
    classes = classes_of(recording, label)
    newlines = np.array([ch == "\n" for ch in text])
    assert not (label.mask & newlines).any()
    assert (classes[~newlines] == -1).all()
    before = np.flatnonzero(newlines) - 1
    widths = label.values[before]
    np.testing.assert_array_equal(classes[newlines], widths > 4)
    experiment = experiment_of(model, recording, label)
    assert set(experiment.symbols[experiment.watched]) == {model.vocab.symbols.index("\n")}


def test_targets_come_from_the_text():
    """In quotations a comma comes often, a semicolon never; the hint is tried first, whatever the text says."""
    rng = np.random.default_rng(0)
    pieces = []
    for _ in range(600):
        pieces += [' "a', *rng.choice(list("ab,"), 15, p=[0.4, 0.4, 0.2]), 'a" ']
        pieces += [*rng.choice(list("ab.,"), 15, p=[0.4, 0.35, 0.2, 0.05])]
    text = "".join(pieces)
    model = random_model('ab,." ', cell="gru", hidden=4)
    recording = record(model, text)
    label = BUILT_IN["quote"].label(text)
    found = targets_of(model, recording, label, classes_of(recording, label))
    assert found[0].characters == '"'
    told = {one.characters: (one.direction, one.log_odds) for one in found[1:]}
    assert {",", "."} <= told.keys()
    part = slice(recording.select.start, recording.select.stop - 1)
    following = np.array(list(text))[part.start + 1 : part.stop + 1]
    for ch, direction in ((",", 1), (".", -1)):
        rates = [np.mean(following[label.values[part] == on] == ch) for on in (True, False)]
        odds = [np.log(rate / (1 - rate)) if rate else -9.0 for rate in rates]
        assert told[ch][0] == direction
        if ch == ",":
            assert told[ch][1] == pytest.approx(odds[0] - odds[1], abs=0.05)
    given = replace(label, target="a", direction=-1, target_is_hint=False)
    [alone] = targets_of(model, recording, given, classes_of(recording, given))
    assert (alone.characters, alone.direction) == ("a", -1)


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
        nearest = 12 * layer + np.argsort(np.linalg.norm(z - z[:, [cell]], axis=0))
        found = matched_controls(model, recording, 12 * layer + cell, nothing_known(recording))
        assert found == (nearest[1:].tolist(), 11)
    monkeypatch.setattr(cause, "CONTROLS", 4)
    found = matched_controls(model, recording, 12 * layer + 11, nothing_known(recording))
    assert found == (nearest[1:5].tolist(), 4)


def test_controls_do_not_follow_the_label(two_layers, monkeypatch):
    """Those that do are left out; if too few are left, those that follow it least fill up their number."""
    model, recording = two_layers
    strengths = np.zeros(24)
    strengths[12:24] = [0, 0.1, -0.2, 0.6, -0.9, 0.7, 0.5, np.nan, 0.51, -0.8, 0.3, 0.4]
    knowledge = Knowledge(strengths, 0.5)
    chosen, ignorant = matched_controls(model, recording, 12, knowledge)
    assert ignorant == 6
    assert sorted(chosen[:6]) == [13, 14, 18, 19, 22, 23]
    assert chosen[6:] == [20, 15, 17, 21, 16]
    monkeypatch.setattr(cause, "FEWEST_CONTROLS", 8)
    assert matched_controls(model, recording, 12, knowledge)[0] == chosen[:8]


def test_cells_that_never_move_or_are_broken_are_no_controls(two_layers):
    model, recording = two_layers
    signals = recording.signals.copy()
    signals[12 + 3], signals[12 + 4] = 0.25, np.nan
    model = random_model(handmade.VOCAB, cell="gru", hidden=12)
    model.network.params["head.weight"][7, 5] = np.nan
    recording = replace(recording, signals=signals)
    chosen, _ = matched_controls(model, recording, 12 + 8, nothing_known(recording))
    assert sorted(chosen) == [12 + m for m in (0, 1, 2, 6, 7, 9, 10, 11)]


def test_controls_move_between_the_same_quantiles():
    rng = np.random.default_rng(1)
    x, others = rng.normal(size=500).round(1), rng.normal(size=(3, 500))
    part, levels = slice(100, 400), np.array([-0.4, 1.1])
    shares = [(np.mean(x[part] < value) + np.mean(x[part] <= value)) / 2 for value in levels]
    expected = np.stack([np.quantile(other[part], shares) for other in others])
    np.testing.assert_allclose(same_quantiles(others, levels, x, part), expected)


def test_cells_of_any_layer_are_held_and_those_of_an_lstm_short_of_one(two_layers, quote_case):
    model, recording = two_layers
    label = BUILT_IN["quote"].label(recording.text)
    experiment = experiment_of(model, recording, label)
    read, seen = model.network.read, []

    def watched(x, state, clamps):
        seen.append(clamps)
        return read(x, state, clamps)

    model.network.read = watched
    try:
        experiment.respond([{3: 0.25, 14: -0.5}, {15: 1.0}], [[0]])
    finally:
        del model.network.read
    [[lower, upper]] = seen
    P = experiment.symbols.shape[1]
    assert (lower.layer, upper.layer) == (0, 1)
    assert np.argwhere(lower.mask[:P].all(axis=0)).ravel().tolist() == [3]
    assert (lower.values[:P, 3] == 0.25).all()
    assert not lower.mask[P:].any()
    assert (upper.values[:P, 2] == -0.5).all()
    assert (upper.values[P : 2 * P, 3] == 1).all()
    lstm = experiment_of(*quote_case, windows=2)
    assert [lstm.holdable(v) for v in (1.0, -1.0, 0.5)] == [1 - 1e-6, -1 + 1e-6, 0.5]


def test_symbols_of_characters():
    model = random_model("abc")
    assert symbol_ids(model, "cxa") == {"c": 2, "a": 0}
    model = random_model(Vocabulary("byte", (97, 99, 195, 233)))
    assert symbol_ids(model, "cbaé") == {"c": 1, "a": 0}  # é is two bytes; its code point is a byte too


@pytest.mark.parametrize("n", [100, 16, 5])
def test_places_are_spread_from_the_first_to_the_last(n):
    """Of a bool half of each class, or all that there are."""
    on = np.arange(200) % 2 == 1
    places = np.r_[np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)]

    def evenly(group, most):
        count = min(most, len(group))
        return [group[k * (len(group) - 1) // (count - 1)] for k in range(count)]

    label = Label("x", "bool", on, np.ones(200, bool), "", 1)
    chosen = cause._spread(np.sort(places), label, 32)
    assert chosen.tolist() == evenly(range(1, 2 * n, 2), 16) + evenly(range(0, 2 * n, 2), 16)
    count = Label("x", "count", np.arange(200), np.ones(200, bool), "", 1)
    assert cause._spread(np.sort(places), count, 32).tolist() == evenly(range(2 * n), 32)


def test_what_holding_does_is_read_off_the_answers():
    """{}, low and high of a cell, low and high of a control."""
    logits = np.array([[0.0, 9.0], [-1.0, 9.0], [1.5, 9.0], [3.0, 9.0], [0.5, 9.0]])
    losses = np.array([[2.0, 1.0], [2.5, 1.75], [3.0, 1.25], [2.125, 1.0], [2.0, 1.5]])
    held = Held.of(Answers(logits, losses))
    np.testing.assert_allclose(held.moved[:, 0], [2.5, -2.5])
    np.testing.assert_allclose(held.low, [1.0, 0.0])  # held high where the label is low
    np.testing.assert_allclose(held.high, [0.75, 0.0])  # held low where it is high
    np.testing.assert_allclose(held.wrong, [0.875, 0.0])
    np.testing.assert_allclose(held.right, [0.375, 0.3125])
    np.testing.assert_allclose(held.either, [0.875, 0.3125])


def test_p_counts_controls_that_do_as_much():
    assert p_of(1.0, np.array([0.5, 1.0, 2.0, 0.1])) == 3 / 5
    assert p_of(float("nan"), np.array([0.5])) == 1
    assert p_of(1.0, np.zeros(0)) == 1


def test_two_chances_are_those_of_the_controls_too():
    rng = np.random.default_rng(1)
    controls, losses = rng.permutation(50.0 + np.arange(50)), rng.permutation(50.0 + np.arange(50))
    assert np.argmax(controls) != np.argmax(losses)
    assert of_two(100.0, controls, 100.0, losses) == (1 / 51, 1 / 51)
    assert of_two(1000.0, controls, 0.0, losses) == (1 / 51, 1.0)  # the medians are 75 and 74
    assert of_two(0.0, controls, 1000.0, losses) == (1.0, 1 / 51)
    as_large = {*controls.argsort()[-1:], *losses.argsort()[-2:]}  # 99 / 75, and 98 and 99 / 74
    assert of_two(98.5, controls, 0.0, losses)[0] == (1 + len(as_large)) / 51
    assert of_two(float("nan"), controls, 1000.0, losses) == (1.0, 1 / 51)
    assert (
        of_two(1.0, np.zeros(50), 0.0, losses)[0] == (1 + 26) / 51
    )  # 1 is the largest: as large as those above 74


def test_with_two_chances_no_more_than_their_share_pass():
    """Of cells that are like their controls, with effects and losses that have nothing or much in common."""
    rng = np.random.default_rng(2)
    for common in (0.0, 0.9):
        passed, once = 0, 0
        for _ in range(2000):
            shared = rng.normal(size=51)
            both = common * shared + (1 - common**2) ** 0.5 * rng.normal(size=(2, 51))
            effect, loss = both
            passed += min(of_two(effect[0], effect[1:], loss[0], loss[1:])) <= 0.05
            once += min(p_of(effect[0], effect[1:]), p_of(loss[0], loss[1:])) <= 0.05
        assert passed / 2000 <= 0.06
        assert once / 2000 > 1.25 * passed / 2000


def causal(**changes):
    values = {
        "target": "x",
        "direction": 1,
        "effect": 1.0,
        "p_value": 0.02,
        "controls": (0.1,),
        "others": {"a": -0.5},
        "doses": (0.0, 1.0),
        "loss_low": 0.0,
        "loss_high": 0.0,
        "loss_right": 0.0,
        "loss_controls": (0.1,),
        "loss_p": 1.0,
        "p_of_two": 0.02,
        "loss_p_of_two": 1.0,
        "ignorant": 50,
    }
    return CausalTest(**values | changes)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"effect": -1.0}, False),
        ({"p_of_two": 0.06}, False),
        ({"others": {"a": -1.1}}, False),
        ({"others": {"a": -1.0}}, False),
        ({"others": {"a": -0.5, "b": 1.1}}, False),
        ({"others": {}, "effect": 0.5}, True),
        ({"p_of_two": 0.05}, True),
        ({"effect": 0.0, "others": {}}, False),
        ({"doses": (0.0, 2.0, 1.0, -1.0, 0.5)}, False),
        ({"doses": (0.0, 0.4, 0.3, 1.0)}, True),
        ({"doses": (1.0, 1.0)}, False),
    ],
)
def test_what_moves_the_target(changes, holds):
    assert causal(**changes).moves_target(0.05) == holds
    assert causal(**changes).holds(0.05) == holds


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"loss_p_of_two": 0.06}, False),
        ({"loss_low": -0.01}, False),
        ({"loss_high": 0.0}, False),
        ({"loss_right": 0.25}, False),
        ({"loss_right": 0.19}, True),
    ],
)
def test_what_raises_the_loss(changes, holds):
    """A cell that is used need not move the target that was guessed."""
    test = causal(
        **{"p_of_two": 1.0, "loss_p_of_two": 0.05, "loss_low": 0.3, "loss_high": 0.1, "loss_right": 0.05}
        | changes
    )
    assert test.raises_loss(0.05) == holds
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
        assert causal(effect=direction * rises, doses=doses).graded == (direction * rho >= 0.5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_held_and_what_follows_from_the_answers(cell, monkeypatch):
    """Every condition and every figure, from answers that are given: what the network makes of them is tested above."""
    model = handmade.model_of(cell, handmade.random_weights(cell))
    text = handmade.dialogue(3_000)
    label = BUILT_IN["line_pos"].label(text)
    recording = record(model, text)
    monkeypatch.setattr(cause, "CONTROLS", 4)
    knowledge = nothing_known(recording)
    monkeypatch.setattr(cause, "FEWEST_CONTROLS", 2)
    controls, _ = matched_controls(model, recording, 7, knowledge)
    experiment = experiment_of(model, recording, label)
    #   nothing; the cell low, high; then each control low, high: 2, 3.5, 1 and 0.5 apart; then the doses between
    target = np.array([9, -1, 1, 0, 2, 3.5, 0, 1, 2, 0.25, 0.75, *np.linspace(-0.5, 0.5, 8)])
    asked = {}

    def respond(self, conditions, sets):
        asked.update(conditions=conditions, sets=sets)
        losses = np.stack([np.arange(len(conditions)), 2 * np.arange(len(conditions))], axis=1) / 10
        return Answers(target[:, None] * (1 + np.arange(len(sets))), losses)

    monkeypatch.setattr(Experiment, "respond", respond)
    test = causal_test(experiment, label, 7, Target("\n", 1, 1.0), knowledge)
    levels = dose_levels(recording.signals[7], label, recording.select)
    pairs = same_quantiles(
        recording.signals[controls], levels[[0, -1]], recording.signals[7], recording.select
    )
    expected = [{}, {7: levels[0]}, {7: levels[-1]}]
    for m, (low, high) in zip(controls, pairs, strict=True):
        expected += [{m: low}, {m: high}]
    expected += [{7: v} for v in levels[1:-1]]
    assert [list(one) for one in asked["conditions"]] == [list(one) for one in expected]
    for one, other in zip(asked["conditions"], expected, strict=True):
        assert list(one.values()) == pytest.approx(list(other.values()))
    assert asked["sets"] == [[model.vocab.symbols.index("\n")]] + [
        [model.vocab.symbols.index(ch)] for ch in test.others
    ]
    assert (test.target, test.effect, test.direction) == ("\n", 2, 1)
    assert test.controls == (2, 3.5, 1, 0.5)
    assert test.p_value == 3 / 5  # those that move it as much count: 2 and 3.5
    assert test.doses == pytest.approx((-1, *np.linspace(-0.5, 0.5, 8), 1))
    assert list(test.others.values()) == [2.0 * (2 + k) for k in range(20)]
    assert (test.loss_low, test.loss_high) == pytest.approx((0.2, 0.2))
    assert test.loss_right == pytest.approx((0.1 + 0.4) / 2)
    assert test.loss_controls == pytest.approx([max(k + 1 + 2 * k, k + 2 * k + 2) / 20 for k in (3, 5, 7, 9)])
    counts = {ch: text[recording.confirm].count(ch) for ch in set(text) - {"\n"}}
    assert list(test.others) == sorted(counts, key=lambda ch: (-counts[ch], ch))[:20]


def test_candidates_are_screened_by_what_they_move(quote_case):
    model, recording, label = quote_case
    targets = [Target("e", 1, 0.1), QUOTE]
    found = screened(
        experiment_of(model, recording, label), label, [3, 5], targets, nothing_known(recording), 0.05
    )
    assert found[5] == (QUOTE, True)
    assert found[3][1] is False


def test_the_numbers_that_the_pages_speak_of():
    """Fifty controls bound the p-value at 1/51; up to 32 windows of at most 30 symbols are read."""
    model = handmade.model_of("rnn", handmade.random_weights("rnn", hidden=60), hidden=60)
    recording = record(model, handmade.dialogue(3_000))
    assert len(matched_controls(model, recording, 9, nothing_known(recording))[0]) == 50
    label = BUILT_IN["quote"].label(recording.text)
    assert experiment_of(model, recording, label).symbols.shape == (30, 32)
    assert 1 / (1 + cause.FEWEST_CONTROLS) <= 0.05


def test_several_cells_are_held_together_beside_random_sets(quote_case, monkeypatch):
    model, recording, label = quote_case
    experiment = experiment_of(model, recording, label)
    several = Together(experiment, label, [5, 3, 9], nothing_known(recording))
    assert several.sizes == [1, 2, 3]
    asked = []

    def respond(self, conditions, sets):
        asked.append(conditions)
        answers = np.arange(len(conditions))[:, None] ** 2.0
        return Answers(np.repeat(answers, len(sets), axis=1), np.zeros((len(conditions), 2)))

    monkeypatch.setattr(Experiment, "respond", respond)
    assert several.effects(experiment, [QUOTE]) == [{1: 1.0, 2: 5.0, 3: 9.0}]
    against = Target("e", -1, 1.0)
    assert several.effects(experiment, [QUOTE, against])[1] == {1: -1.0, 2: -5.0, 3: -9.0}
    assert len(asked) == 2  # all targets are looked at while the cells are held once
    levels = {m: dose_levels(recording.signals[m], label, recording.select) for m in (5, 3, 9)}
    assert asked[0][2] == {5: pytest.approx(levels[5][0]), 3: pytest.approx(levels[3][0])}
    assert asked[0][3] == {5: pytest.approx(levels[5][1]), 3: pytest.approx(levels[3][1])}
    controls = several.controls(experiment, QUOTE, 2)
    np.testing.assert_allclose(controls, 4 * np.arange(50) + 1)
    assert all(len(one) == 2 and 5 not in one for one in asked[2])
    assert {len(set(low) ^ set(high)) for low, high in zip(asked[2][::2], asked[2][1::2], strict=True)} == {0}
