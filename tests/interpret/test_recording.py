"""Recorded signals against one plain pass over the text."""

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.errors import DataError
from charrnn.interpret import recording
from charrnn.interpret.reading import reading_of
from charrnn.interpret.recording import (
    HALVES_GAP,
    STEP,
    WARM_UP,
    check_length,
    fresh_starts,
    halves,
    record,
)
from charrnn.text.vocabulary import Vocabulary


def zero_weights(config, vocab):
    from charrnn.model.torch_layout import shapes

    return {name: np.zeros(shape) for name, shape in shapes(config, len(vocab)).items()}


def plain_signals(model, text, which):
    states = model.activations(text)
    values = np.tanh(states["c"]) if which == "cell" and "c" in states else states["h"]
    return values.reshape(len(values), -1).T


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("which", ["cell", "hidden"])
def test_a_short_text_is_one_pass_from_zero(cell, which):
    model, text = random_model(handmade.VOCAB, scale=0.4, hidden=5, cell=cell), handmade.dialogue(700)
    found = record(model, text, signal=which)
    np.testing.assert_allclose(found.signals, plain_signals(model, text, which), atol=1e-6)
    assert found.place(7) == (1, 2)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_segments_are_one_pass(cell):
    model, text = random_model(handmade.VOCAB, scale=0.4, hidden=5, cell=cell), handmade.dialogue(6_543)
    found = record(model, text)
    np.testing.assert_allclose(found.signals, plain_signals(model, text, "cell"), atol=1e-4)
    np.testing.assert_allclose(found.shown, plain_signals(model, text, "hidden"), atol=1e-3)


def test_every_place_is_recorded():
    model, text = random_model(handmade.VOCAB, scale=0.4, hidden=5, cell="rnn"), handmade.dialogue(9_000)
    reading = reading_of(model, text)
    count = np.zeros(len(reading.ids), int)
    for places, recorded, _ in recording.read_side_by_side(model, reading, ["h"]):
        np.add.at(count, places[recorded], 1)
    assert (count >= 1).all()
    assert count.sum() < 1.5 * len(
        count
    )  # segments that began wrong are read until they meet what was read before


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("beginning", ["", 'was said" and'])
@pytest.mark.parametrize("blank", ["\n\n", " "])
def test_a_toggle_is_that_of_one_pass_whatever_the_text(cell, beginning, blank):
    """Without a blank line, or from the middle of a quotation on: where a segment begins decides nothing."""
    weights = handmade.random_weights(cell)
    {"lstm": handmade.lstm_quote, "gru": handmade.gru_quote}[cell](weights)
    text = beginning + handmade.dialogue(20_000).replace("\n\n", blank)
    signal = record(handmade.model_of(cell, weights), text).signals[5]
    toggled = np.cumsum(np.array([ch == '"' for ch in text])) % 2 == 1
    after_first = slice(text.index('"'), None)
    np.testing.assert_array_equal(signal[after_first] > 0.5, toggled[after_first])


def test_a_counter_that_never_forgets_is_read_to_the_end():
    """c grows by .0001 a character: no guess of a segment's first state is right, and none meets what was read."""
    weights = handmade.random_weights("lstm")
    handmade.lstm_line_counter(weights)
    for g in (0, 1):
        handmade.gate(weights, "lstm", "weight_ih_l0", g, 5)[:] = 0
    handmade.gate(weights, "lstm", "bias_ih_l0", 2, 5)[:] = np.arctanh(1e-4)
    signal = record(handmade.model_of("lstm", weights), handmade.dialogue(9_000)[:9_000]).signals[5]
    np.testing.assert_allclose(signal, np.tanh(1e-4 * np.arange(1, 9_001)), rtol=1e-3)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_states_of_any_place(cell):
    model, text = random_model(handmade.VOCAB, scale=0.4, hidden=5, cell=cell), handmade.dialogue(4_100)
    found, ids = record(model, text), model.vocab.encode(text)
    places = np.array([0, 3, STEP, 2 * STEP - 1, 2047, 4000])
    expected = []
    for place in places:
        state = model.network.zero_state(1)
        if place:
            _, state = model.network.read(ids[:place, None].astype(np.intp), state)
        expected.append(state)
    found_states = found.states_before(model.network, places)
    np.testing.assert_allclose(found_states, np.concatenate(expected, axis=2), atol=1e-4)


def test_a_broken_network_is_read_all_the_same():
    model = random_model(handmade.VOCAB, hidden=5, cell="gru")
    model.network.theta[:] = np.nan
    assert np.isnan(record(model, handmade.dialogue(9_000)).signals).all()


def test_fresh_starts():
    text = "a\n\nb\n \n  c\nd\n\n\ne"
    assert [text[k] for k in fresh_starts(text)] == ["a", "b", "e"]
    assert fresh_starts("").tolist() == [0]


def test_halves_leave_warm_up_and_gap_out():
    select, confirm = halves(10_001)
    assert (select.start, confirm.stop) == (WARM_UP, 10_001)
    assert confirm.start - select.stop == HALVES_GAP
    assert abs((select.stop - select.start) - (confirm.stop - confirm.start)) <= 1


def test_bytes_are_recorded_where_characters_end():
    model = random_model(Vocabulary.all_bytes(), cell="gru")
    text = "naïve — “yes”\udcff\n" * 30
    found = record(model, text)
    ids = model.vocab.encode(text)
    states = []
    state = model.network.zero_state(1)
    for k in ids:
        _, state, trace = model.network.forward(np.array([[k]]), state)
        states.append(np.concatenate([layer["h"][0, 0] for layer in trace.layers]))
    ends = [len(text[: t + 1].encode("utf-8", "surrogateescape")) - 1 for t in range(len(text))]
    np.testing.assert_allclose(found.signals, np.array(states)[ends].T, atol=1e-6)


def test_texts_that_cannot_be_judged():
    model = random_model("a", cell="rnn")
    with pytest.raises(DataError, match=r"1,999 .*at least 2,000.* with --text FILE\. .*--val-fraction"):
        check_length(reading_of(model, "a" * 1999))
    check_length(reading_of(model, "a" * 2000))
    with pytest.raises(DataError, match="does not know"):
        record(random_model(handmade.VOCAB, scale=0.4, hidden=5, cell="rnn"), "é" * 3000)
    assert record(random_model(handmade.VOCAB, scale=0.4, hidden=5, cell="rnn"), "").signals.shape == (10, 0)
