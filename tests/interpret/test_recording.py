"""Recorded signals against one plain pass over the text."""

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.errors import DataError
from charrnn.interpret import recording
from charrnn.interpret.reading import reading_of
from charrnn.interpret.recording import HALVES_GAP, WARM_UP, check_length, fresh_starts, halves, record
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
def test_segments_agree_with_one_pass_once_warm(cell):
    model, text = random_model(handmade.VOCAB, scale=0.4, hidden=5, cell=cell), handmade.dialogue(6_543)
    found = record(model, text)
    np.testing.assert_allclose(found.signals, plain_signals(model, text, "cell"), atol=2e-3)


def test_every_place_is_recorded_once():
    model, text = random_model(handmade.VOCAB, scale=0.4, hidden=5, cell="rnn"), handmade.dialogue(9_000)
    reading = reading_of(model, text)
    count = np.zeros(len(reading.ids), int)
    for places, recorded, _ in recording.read_side_by_side(model, reading):
        np.add.at(count, places[recorded], 1)
    assert (count == 1).all()


def test_a_toggle_is_right_in_every_segment():
    """Segments are approached from the beginning of a paragraph, where no quotation is open."""
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    text = handmade.dialogue(20_000)
    signal = record(handmade.model_of("lstm", weights), text).signals[5]
    inside = np.cumsum(np.array([ch == '"' for ch in text])) % 2 == 1
    after_first = slice(text.index('"'), None)
    np.testing.assert_array_equal(signal[after_first] > 0.5, inside[after_first])


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
    with pytest.raises(DataError, match="at least 2,000"):
        check_length(reading_of(model, "a" * 1999))
    check_length(reading_of(model, "a" * 2000))
    with pytest.raises(DataError, match="does not know"):
        record(random_model(handmade.VOCAB, scale=0.4, hidden=5, cell="rnn"), "é" * 3000)
    assert record(random_model(handmade.VOCAB, scale=0.4, hidden=5, cell="rnn"), "").signals.shape == (10, 0)
