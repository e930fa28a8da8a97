"""The causal test against one-by-one computation, and its parts."""

import numpy as np
import pytest
from helpers import handmade

from charrnn.interpret import cause
from charrnn.interpret.cause import (
    CausalTest,
    Experiment,
    causal_test,
    dose_levels,
    logits_of_sets,
    matched_controls,
    watched_places,
)
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.labels import Label
from charrnn.interpret.recording import WARM_UP, record
from charrnn.nn.network import Clamp


@pytest.fixture(scope="module")
def quote_case():
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    model = handmade.model_of("lstm", weights)
    text = handmade.dialogue(9_000)
    return model, record(model, text), BUILT_IN["quote"].label(text)


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


def test_controls_are_alike_in_spread_and_weight(quote_case, monkeypatch):
    model, recording, _ = quote_case
    monkeypatch.setattr(cause, "CONTROLS", 4)
    chosen = matched_controls(model, recording, 0, 9)
    spread = np.log(recording.signals[:, recording.select].std(axis=1) + 1e-6)
    weight = np.log(np.linalg.norm(model.network.params["head.weight"], axis=0) + 1e-6)
    z = np.stack([spread / spread.std(), weight / weight.std()])
    distance = np.linalg.norm(z - z[:, [9]], axis=0)
    assert sorted(chosen) == sorted(np.argsort(distance)[1:5])


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"effect": -1.0}, False),
        ({"p_value": 0.06}, False),
        ({"others": {"a": -1.1}}, False),
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


@pytest.mark.parametrize("direction", [1, -1])
def test_direction_is_fixed_beforehand(quote_case, direction):
    model, recording, label = quote_case
    test = causal_test(model, recording, Label(**{**vars(label), "direction": direction}), 0, 5, [5])
    assert np.sign(test.effect) == direction
    assert test.holds(0.05) == (direction == 1)
