"""Passages against exhaustive search and against the model's own probabilities."""

import numpy as np
import pytest
from helpers import handmade

from charrnn.errors import UsageError
from charrnn.interpret.findings import inspect_cells
from charrnn.interpret.labels import Label
from charrnn.interpret.passages import PASSAGE, best_and_worst, of_cell, of_findings, parse_cell, top_guesses
from charrnn.interpret.reading import reading_of
from charrnn.interpret.recording import Recording, halves
from charrnn.text.vocabulary import Vocabulary


def recording_of(text, signal):
    n = len(text)
    signals = np.stack([np.zeros(n), signal]).astype(np.float32)
    return Recording(text, np.zeros(n, int), np.arange(n), None, signals, signals, np.zeros(0), 2, *halves(n))


def bool_label(values, mask=None):
    return Label("x", "bool", values, np.ones(len(values), bool) if mask is None else mask, "", 1)


def lines(n, width=50):
    return "".join("\n" if t % width == width - 1 else "a" for t in range(n))


@pytest.mark.parametrize("sign", [1, -1])
def test_best_and_worst_by_the_share_of_wrong_characters(sign):
    n, rng = 8_000, np.random.default_rng(1)
    text = lines(n)
    values = np.arange(n) % 60 < 25
    signal = sign * (2.0 * values - 1)
    signal[5_000:5_500] *= -1  # all wrong
    signal[5_500:] = np.where(rng.random(2_500) < 0.3, -1, 1) * signal[5_500:]
    best, worst = best_and_worst(recording_of(text, signal), 1, bool_label(values), sign, 0.0)
    wrong = (sign * signal > 0) != values

    def share(passage):
        return wrong[passage.start : passage.start + PASSAGE].mean()

    starts = [t + 1 for t in range(4_200, n - PASSAGE) if text[t] == "\n"]
    shares = [wrong[t : t + PASSAGE].mean() for t in starts]
    assert share(best) <= min(shares) + 0.05
    assert share(worst) >= max(shares) - 0.05
    assert share(worst) == 1
    for passage in (best, worst):
        assert len(passage.text) == PASSAGE
        assert text[passage.start - 1] == "\n"
        assert passage.text == text[passage.start : passage.start + PASSAGE]
        np.testing.assert_array_equal(passage.signal, signal[passage.start : passage.start + PASSAGE])
        np.testing.assert_array_equal(passage.values, values[passage.start : passage.start + PASSAGE])


def test_of_equally_good_ones_the_one_that_changes_most():
    n = 8_000
    values = np.zeros(n, bool)
    values[4_500:4_510] = values[6_500:6_700:20] = True
    best, _ = best_and_worst(recording_of(lines(n), 1.0 * values), 1, bool_label(values), 1, 0.5)
    assert values[best.start : best.start + PASSAGE].sum() == 10
    assert 6_300 < best.start < 6_700


def test_masked_characters_count_for_nothing():
    n = 8_000
    values, mask = np.arange(n) % 60 < 25, np.ones(n, bool)
    signal = 1.0 * values
    signal[5_000:5_400] = 1 - signal[5_000:5_400]
    mask[4_950:5_450] = False
    signal[6_000:6_020] = 1 - signal[6_000:6_020]
    _, worst = best_and_worst(recording_of(lines(n), signal), 1, bool_label(values, mask), 1, 0.5)
    assert worst.start <= 6_000 < worst.start + PASSAGE


def test_a_count_is_judged_by_ranks():
    n = 8_000
    values = (np.arange(n) % 50).astype(np.int32)
    signal = np.exp(values / 10.0)
    signal[6_000:6_400] = np.exp((49 - values[6_000:6_400]) / 10.0)
    label = Label("x", "count", values, np.ones(n, bool), "", 1)
    best, worst = best_and_worst(recording_of(lines(n), signal), 1, label, 1, None)
    assert 6_000 - PASSAGE / 2 < worst.start < 6_400 - PASSAGE / 2
    assert best.start + PASSAGE <= 6_000 or best.start >= 6_400
    assert best.highest == 49


@pytest.mark.parametrize("text", ["a" * 3_000, "a" * 2_999 + "\n", "\n" * 3_000])
def test_texts_with_no_or_only_line_ends(text):
    values = np.arange(3_000) % 40 < 20
    for passage in best_and_worst(recording_of(text, 1.0 * values), 1, bool_label(values), 1, 0.5):
        assert len(passage.text) == PASSAGE
        assert passage.start >= halves(3_000)[1].start


def test_guesses_are_the_most_probable_next_characters():
    model = handmade.model_of("lstm", handmade.random_weights("lstm"))
    text = handmade.dialogue(700)
    logits, _ = model.logits(model.vocab.encode(text)[:, None])
    for t, guesses in zip(
        range(100, 130), top_guesses(model, reading_of(model, text), 100, 130), strict=True
    ):
        order = np.argsort(-logits[t, 0])[:5]
        assert guesses == "".join(model.vocab.symbols[k] for k in order)
    assert top_guesses(model, reading_of(model, text), 5, 5) == ()


def test_guesses_of_bytes_are_one_glyph_each():
    from charrnn.model.model import Model
    from charrnn.model.torch_layout import shapes

    config = handmade.ModelConfig(cell="gru", layers=1, hidden=3)
    weights = {n: np.zeros(s) for n, s in shapes(config, 256).items()}
    weights["head.bias"][[65, 200, 10]] = 3, 2, 1
    model = Model(config, Vocabulary.all_bytes(), weights)
    [guesses] = top_guesses(model, reading_of(model, "é"), 0, 1, 3)
    assert guesses == "A\ufffd\n"


def test_findings_that_are_any_are_shown():
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    model, text = handmade.model_of("lstm", weights), handmade.dialogue(12_000)
    found = inspect_cells(model, text, ["quote", "word_pos"], causal=False)
    shown = of_findings(model, found, 5)
    assert set(shown) == {k for k, f in enumerate(found.findings) if f.verdict != "none"}
    assert found.findings[0].concept == "quote"
    best, _ = shown[0]
    inside = (np.cumsum([ch == '"' for ch in text]) % 2 == 1)[best.start : best.start + PASSAGE]
    np.testing.assert_array_equal(best.values, inside)
    np.testing.assert_array_equal(best.signal > 0.5, inside)
    assert of_findings(model, found, 0) == {}


def test_cells_by_number():
    model = handmade.model_of("gru", handmade.random_weights("gru"))
    text = handmade.dialogue(900)
    assert parse_cell("0:31", model) == (0, 31)
    passage = of_cell(model, reading_of(model, text), 0, 31, 100)
    np.testing.assert_allclose(passage.signal, model.activations(text)["h"][:100, 0, 31], atol=1e-6)
    assert (passage.text, passage.values) == (text[:100], None)
    for wrong in ("31", "0:", "a:b", "0:1:2", "-1:3", "0:٣"):
        with pytest.raises(UsageError, match="LAYER:CELL"):
            parse_cell(wrong, model)
    for absent in ("1:0", "0:32"):
        with pytest.raises(UsageError, match="layers are 0 to 0, cells 0 to 31"):
            parse_cell(absent, model)
