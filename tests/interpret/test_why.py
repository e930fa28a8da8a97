"""Why a character was expected: occlusion against a second pass, exact parts of cells, planted marks."""

import numpy as np
import pytest
from helpers.handmade import VOCAB, gru_quote, lstm_quote, model_of, random_weights, rnn_bracket
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.errors import DataError, UsageError
from charrnn.interpret.integrated import integrated_gradients
from charrnn.interpret.reading import beginning
from charrnn.interpret.why import symbol_of, why
from charrnn.text.vocabulary import Vocabulary

TEXT = "the cat sat on a mat"
KINDS = [
    {"cell": "lstm"},
    {"cell": "gru", "embedding": 3},
    {"cell": "rnn", "layers": 3},
    {"cell": "rnn", "nonlinearity": "relu", "scale": 0.3},
    {"cell": "lstm", "embedding": 3, "dtype": np.float32},
]


def softmax(logits):
    each = np.exp(logits - logits.max())
    return each / each.sum()


def log_odds(model, ids, C, D):
    """Of symbols (T,); of nothing, what the head alone says."""
    if not len(ids):
        bias = model.network.params["head.bias"]
        return bias[C] - bias[D]
    logits, _ = model.logits(np.asarray(ids)[:, None])
    return logits[-1, 0, C] - logits[-1, 0, D]


def of_vectors(model, x):
    """Log-probabilities after real inputs (T, F)."""
    network = model.network
    return network.forward(x[:, None], network.zero_state(1))[0][-1, 0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_occlusion_is_a_second_pass(kind):
    model = random_model(TEXT, **kind)
    tolerance = 1e-4 if kind.get("dtype") is np.float32 else 1e-9
    ids = model.vocab.encode(TEXT).astype(int)
    C, D = model.vocab.encode("ta").tolist()
    found = why(model, beginning(model, TEXT, ()), C, D)
    assert (found.text, found.place, found.target, found.against) == (TEXT, len(TEXT), "t", "a")
    base = log_odds(model, ids, C, D)
    assert found.log_odds == pytest.approx(base, abs=tolerance)
    p = softmax(model.logits(ids[:, None])[0][-1, 0].astype(float))
    assert (found.target_probability, found.against_probability) == pytest.approx((p[C], p[D]), abs=tolerance)
    removed = [base - log_odds(model, np.delete(ids, s), C, D) for s in range(len(ids))]
    np.testing.assert_allclose(found.removed, removed, atol=tolerance)
    rows = model.network.params.get("embedding.weight", np.eye(len(model.vocab)))
    for s in range(len(ids)):
        before = model.logits(ids[:s, None])[0][-1, 0] if s else model.network.params["head.bias"]
        x = rows[ids].copy()
        x[s] = softmax(before) @ rows
        logits = of_vectors(model, x)
        assert found.replaced[s] == pytest.approx(base - (logits[C] - logits[D]), abs=tolerance)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_parts_of_characters_and_of_cells_add_up(kind):
    model = random_model(TEXT, **kind)
    found = why(model, beginning(model, TEXT, ()), cells=4)
    assert found.completeness_error < 1e-3
    whole = found.log_odds - found.baseline_log_odds
    assert found.integrated.sum() == pytest.approx(whole, abs=1e-3)
    assert len(found.cells) == 8
    assert sum(one.contribution for one in found.cells) + found.bias == pytest.approx(found.log_odds)
    assert sum(one.change for one in found.cells) == pytest.approx(whole)
    sizes = [abs(one.change) for one in found.cells]
    assert sizes == sorted(sizes, reverse=True)
    assert [one.characters is None for one in found.cells] == [False] * 4 + [True] * 4
    for one in found.cells[:4]:
        assert one.characters.sum() == pytest.approx(one.change, abs=1e-3)
    assert found.layer == model.config.layers - 1
    # and the parts of the cells are those of the head's weights and the recorded outputs
    h = model.activations(TEXT)["h"][-1, -1]
    W, ids = model.network.params["head.weight"], model.vocab.encode(found.target + found.against)
    for one in found.cells:
        w = W[ids[0], one.cell] - W[ids[1], one.cell]
        assert one.contribution == pytest.approx(float(w * h[one.cell]), abs=1e-5)


def test_the_baseline_is_the_mean_of_what_was_expected():
    model = random_model(TEXT)
    ids = model.vocab.encode(TEXT).astype(int)
    logits = model.logits(ids[:, None])[0][:, 0]
    p = [softmax(model.network.params["head.bias"]), *map(softmax, logits[:-1])]
    baseline = np.tile(np.mean(p, axis=0), (len(ids), 1))
    found = why(model, beginning(model, TEXT, ()))
    C, D = model.vocab.encode(found.target + found.against)
    end = of_vectors(model, baseline)
    assert found.baseline_log_odds == pytest.approx(end[C] - end[D])
    w = model.network.params["head.weight"]
    own = integrated_gradients(
        model.network,
        np.eye(len(model.vocab))[ids],
        baseline,
        model.network.zero_state(1),
        (w[C] - w[D])[None],
    )
    np.testing.assert_allclose(found.integrated, own.parts[0], atol=1e-4)


def test_by_default_the_two_likeliest():
    model = random_model(TEXT)
    p = model.logits(model.vocab.encode(TEXT)[:, None])[0][-1, 0]
    first, second = np.argsort(-p)[:2]
    found = why(model, beginning(model, TEXT, ()))
    assert (found.target, found.against) == (model.vocab.name(first), model.vocab.name(second))
    turned = why(model, beginning(model, TEXT, ()), int(second))
    assert (turned.target, turned.against) == (found.against, found.target)
    np.testing.assert_allclose(turned.integrated, -found.integrated, atol=1e-6)


def test_what_stands_before_the_context_is_held():
    model = random_model(TEXT)
    C, D = model.vocab.encode("ta").tolist()
    whole = why(model, beginning(model, TEXT, ()), C, D)
    part = why(model, beginning(model, TEXT, ()), C, D, context=6)
    assert (part.text, part.place, part.log_odds) == (TEXT[-6:], 20, pytest.approx(whole.log_odds))
    np.testing.assert_allclose(part.removed, whole.removed[-6:], atol=1e-9)
    np.testing.assert_allclose(part.replaced, whole.replaced[-6:], atol=1e-9)
    assert part.integrated.sum() == pytest.approx(part.log_odds - part.baseline_log_odds, abs=1e-3)
    assert part.baseline_log_odds != pytest.approx(whole.baseline_log_odds, abs=1e-3)


def test_a_character_of_several_bytes_is_one():
    model = random_model(Vocabulary.all_bytes(), scale=0.3)
    text = "né à"
    found = why(model, beginning(model, text, ()), ord("t"), ord("a"))
    assert found.names == tuple(text)
    ids = model.vocab.encode(text).astype(int)  # 6 bytes
    base = log_odds(model, ids, ord("t"), ord("a"))
    without = [[1, 2, 3, 4, 5], [0, 3, 4, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3]]
    removed = [base - log_odds(model, ids[kept], ord("t"), ord("a")) for kept in without]
    np.testing.assert_allclose(found.removed, removed, atol=1e-9)
    x = np.eye(256)[ids]
    for s in (1, 2):  # both bytes of é by what was expected in their places
        x[s] = softmax(model.logits(ids[:s, None])[0][-1, 0])
    logits = of_vectors(model, x)
    assert found.replaced[1] == pytest.approx(base - (logits[ord("t")] - logits[ord("a")]), abs=1e-9)
    assert found.integrated.sum() == pytest.approx(base - found.baseline_log_odds, abs=1e-3)


PLANTED = {"lstm": (lstm_quote, 3.0, '""'), "gru": (gru_quote, 3.0, '""'), "rnn": (rnn_bracket, 1.5, "()")}


@pytest.mark.parametrize("cell", PLANTED)
def test_the_opening_mark_explains_the_closing_one(cell):
    plant, out, (opening, closing) = PLANTED[cell]
    weights = random_weights(cell)
    plant(weights, out=out)
    model = model_of(cell, weights)
    text = f"he said {opening}it was her with the"
    found = why(model, beginning(model, text, ()), VOCAB.index(closing), VOCAB.index("e"), cells=1)
    place = text.index(opening)
    for parts in (found.replaced, found.removed, found.integrated):
        assert int(np.argmax(np.abs(parts))) == place
        assert parts[place] > 2
    planted = found.cells[0]
    assert planted.cell == 5
    assert planted.characters[place] > 0.9 * planted.change > 2
    assert np.abs(np.delete(planted.characters, place)).max() < 0.05 * planted.change
    assert found.completeness_error < 1e-3


def test_labels_and_inputs_are_explained_too():
    model = item_model("abc", (("kind", ("p", "q")),), pairs=True)
    vocab = model.vocab
    given = [vocab.label("kind", "q"), *vocab.encode("ca").tolist(), vocab.boundary]
    found = why(model, beginning(model, "ab", given), vocab.end, vocab.encode("a")[0], place=2)
    assert [one["place"] for one in found.to_json()["characters"]] == [-4, -3, -2, -1, 0, 1]
    assert found.names == ("label kind=q", "c", "a", "boundary", "a", "b")
    assert found.target == "end"
    ids = np.array([*given, *vocab.encode("ab")])
    base = log_odds(model, ids, vocab.end, 0)
    removed = [base - log_odds(model, np.delete(ids, s), vocab.end, 0) for s in range(6)]
    np.testing.assert_allclose(found.removed, removed, atol=1e-9)


def test_what_cannot_be_asked():
    model = random_model("ab")
    with pytest.raises(DataError, match="no character before"):
        why(model, beginning(model, "", ()))
    with pytest.raises(UsageError, match="both 'b'"):
        why(model, beginning(model, "ab", ()), 1, 1)
    items = item_model("ab", (("kind", ("p", "q")),))
    with pytest.raises(UsageError, match="label kind=p is read by the model and never written"):
        why(items, beginning(items, "a", [3]), 3)
    single = random_model("a")
    with pytest.raises(UsageError, match="single symbol"):
        why(single, beginning(single, "aa", ()))
    wild = random_model("ab", cell="rnn", nonlinearity="relu", scale=1e200)
    with pytest.raises(DataError, match="overflows"):
        why(wild, beginning(wild, "abab", ()))


def test_the_symbol_an_option_names():
    vocab = item_model("ab\n\\").vocab
    assert symbol_of(vocab, "end", "--target") == vocab.end
    assert symbol_of(vocab, "\\n", "--target") == vocab.encode("\n")[0]
    assert symbol_of(vocab, "b", "--target") == vocab.encode("b")[0]
    assert symbol_of(Vocabulary.all_bytes(), "é", "--target") == 0xC3
    with pytest.raises(UsageError, match=r"--target is 'ab'; it must be one character, or end$"):
        symbol_of(vocab, "ab", "--target")
    with pytest.raises(UsageError, match=r"--against is 'end'; it must be one character$"):
        symbol_of(Vocabulary.of("abc"), "end", "--against")
    with pytest.raises(DataError, match="'z'"):
        symbol_of(vocab, "z", "--target")
