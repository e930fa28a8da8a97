"""The text a model was not trained on: found again, and refused where it cannot be trusted."""

import numpy as np
import pytest
from helpers import handmade

import charrnn
from charrnn.errors import DataError
from charrnn.interpret.texts import from_paragraph, held_out_text, text_of
from charrnn.model.model import Model
from charrnn.model.torch_layout import shapes
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary

TEXT = handmade.dialogue(3_000)


def trained_on(path, vocab=handmade.VOCAB, validation=0.1, test=0.0, **changes):
    """A model that says it was trained on a file."""
    settings = {"encoding": "utf-8", "val_fraction": validation, "test_fraction": test}
    text = read_corpus([path])
    corpus = {"sources": [str(path)], "sha256": text.sha256, "symbols": len(text.ids)}
    model = handmade.model_of("rnn", handmade.random_weights("rnn"), vocab=vocab)
    model.training = {"corpus": corpus, "settings": settings} | changes
    return model


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_it_is_the_validation_part(path):
    n = len(TEXT)
    held_out = held_out_text(trained_on(path))
    assert TEXT.endswith(held_out)
    assert abs(len(held_out) - n / 10) <= 1
    with_test = held_out_text(trained_on(path, test=0.2))
    start = TEXT.index(with_test)
    assert abs(start - 0.7 * n) <= 2
    assert abs(start + len(with_test) - 0.8 * n) <= 2
    assert TEXT.endswith(only_test := held_out_text(trained_on(path, validation=0.0, test=0.2)))
    assert abs(len(only_test) - n / 5) <= 1


@pytest.mark.parametrize(
    ("text", "whole"),
    [("b c\n\nd e\nf g", "d e\nf g"), ("a b c\n\nd", "a b c\n\nd"), ("a\n\n  b\nc", "a\n\n  b\nc")],
)
def test_a_text_begins_with_a_paragraph_of_its_first_half(text, whole):
    assert from_paragraph(text) == whole


def test_training_and_inspection_agree(tmp_path, path):
    """What a real run held out is what is looked at: its last tenth, of which it has seen nothing."""
    result = charrnn.train(
        path, out=tmp_path / "run", hidden=4, layers=1, max_steps=2, val_fraction=0.2, seed=1
    )
    held_out = held_out_text(charrnn.load_model(result.model))
    assert TEXT.endswith(held_out)
    assert abs(len(held_out) - len(TEXT) / 5) <= 1


def test_bytes_keep_what_is_no_utf8(tmp_path):
    path = tmp_path / "odd.txt"
    path.write_bytes(b"na\xc3\xafve \xff\xfe end\n" * 100)
    config = charrnn.ModelConfig(cell="rnn", layers=1, hidden=2)
    model = Model(config, Vocabulary.all_bytes(), {n: np.zeros(s) for n, s in shapes(config, 256).items()})
    text = text_of(model, [str(path)])
    assert text.startswith("naïve \udcff\udcfe end")
    assert model.vocab.encode(text).tolist() == list(path.read_bytes())


def test_a_text_is_read_as_the_training_text_was(tmp_path):
    vocab = Vocabulary("char", tuple(sorted(set("naïve café\n"))))
    model = handmade.model_of("rnn", handmade.random_weights("rnn", vocab=vocab), vocab=vocab)
    model.training = {"settings": {"encoding": "latin-1", "newlines": "lf"}}
    (tmp_path / "odd.txt").write_bytes("naïve\r\ncafé\r\n".encode("latin-1"))
    assert text_of(model, [str(tmp_path / "odd.txt")]) == "naïve\ncafé\n"


def test_a_changed_corpus_is_refused(path):
    model = trained_on(path)
    path.write_text(TEXT.replace("the", "eht", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"story\.txt\) has changed since training; .*--text FILE"):
        held_out_text(model)


def test_a_missing_corpus_is_refused(path):
    model = trained_on(path)
    path.unlink()
    with pytest.raises(DataError, match=r"story\.txt.*--text FILE"):
        held_out_text(model)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"corpus": None}, "does not name its training text"),
        ({"settings": None}, "does not name its training text"),
        ({"corpus": {"sha256": ""}}, "does not name its training text"),
        ({"corpus": {"sources": ["-"], "sha256": "", "symbols": 9}}, "from stdin or a pipe"),
        ({"corpus": {"sources": ["/dev/stdin"], "sha256": "", "symbols": 9}}, "from stdin or a pipe"),
    ],
)
def test_models_that_do_not_tell(path, training, message):
    with pytest.raises(DataError, match=f"{message}.*--text FILE"):
        held_out_text(trained_on(path, **training))


def test_a_model_trained_on_everything(path):
    with pytest.raises(DataError, match=r"trained on all of .*--text FILE"):
        held_out_text(trained_on(path, validation=0.0))


def test_text_with_characters_the_model_does_not_know(tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("déjà", encoding="utf-8")
    with pytest.raises(DataError, match="é"):
        text_of(handmade.model_of("rnn", handmade.random_weights("rnn")), [str(path)])
