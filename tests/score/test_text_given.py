"""`evaluate` and `inspect_cells` take a text as well as its symbols."""

from pathlib import Path

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model
from helpers.small_runs import SETTINGS

import charrnn
from charrnn.errors import DataError
from charrnn.score.evaluation import in_symbols
from charrnn.text.vocabulary import Vocabulary


def test_a_stream() -> None:
    model = random_model("abc\n")
    text = "abca\ncab\n" * 5
    ids = model.vocab.encode(text)
    assert charrnn.evaluate(model, text) == charrnn.evaluate(model, ids)
    assert charrnn.evaluate(model, text, training="cab\n" * 30) == charrnn.evaluate(
        model, ids, training=model.vocab.encode("cab\n" * 30)
    )
    with pytest.raises(DataError, match="the text has 1 symbols"):
        charrnn.evaluate(model, "a")


def test_bytes() -> None:
    model = random_model(Vocabulary.all_bytes())
    assert charrnn.evaluate(model, "aé") == charrnn.evaluate(model, "aé".encode())
    assert charrnn.evaluate(model, "aé").chars == 3


def test_items(tmp_path: Path) -> None:
    """A text is cut into items as the training text was."""
    names = ["Ana", "Betan", "Cori", "Lis"] * 10
    result = charrnn.train(texts=names, out=tmp_path / "run", **{**SETTINGS, "max_steps": 5})
    model = result.load()
    text = "Ana\nBeta\n\nLisn\n"
    found = charrnn.evaluate(model, text)
    assert found.items is not None
    assert found.items.items == 3
    total = sum(model.score(name).log_probability_nats for name in ("Ana", "Beta", "Lisn"))
    assert found.loss_nats * found.chars == pytest.approx(-total, rel=1e-5)
    items = in_symbols(model, text)
    assert in_symbols(model, items) is items
    np.testing.assert_array_equal(items.starts, [0, 5, 11])  # type: ignore[union-attr]


TABLE = {"items": "csv", "text_column": "name", "label_column": "", "input_column": ""}


def of_table(**settings: str) -> dict[str, object]:
    """The card of a model that was trained on a table."""
    return {"settings": TABLE | settings, "corpus": {"sources": ["names.csv"]}}


def test_a_text_is_no_table_where_the_training_text_was_one(tmp_path: Path) -> None:
    model = item_model("abn", training=of_table())
    found = charrnn.evaluate(model, "ab\nban\n")
    total = sum(model.score(name).log_probability_nats for name in ("ab", "ban"))
    assert found.loss_nats * found.chars == pytest.approx(-total)
    pairs = item_model("abn", pairs=True, training=of_table(input_column="of"))
    found = charrnn.evaluate(pairs, "ab\tban\nn\tb\n")
    total = sum(pairs.score(name, input=of).log_probability_nats for of, name in (("ab", "ban"), ("n", "b")))
    assert found.loss_nats * found.chars == pytest.approx(-total)
    inspected = charrnn.inspect_cells(model, "ab\nban\n" * 400, "item_pos", causal=False, untrained=False)
    assert inspected.recording.text.count("a") == 800


def test_a_path_is_a_file_read_as_the_training_text_was(tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("kind,name\nx,ab\ny,ban\n")
    model = item_model("abn", (("kind", ("x", "y")),), training=of_table(label_column="kind"))
    found = charrnn.evaluate(model, table)
    total = sum(
        model.score(name, label=kind).log_probability_nats for kind, name in (("x", "ab"), ("y", "ban"))
    )
    assert found.loss_nats * found.chars == pytest.approx(-total)
    text = tmp_path / "text.txt"
    text.write_text("abca\ncab\n" * 300)
    stream = random_model("abc\n", layers=1)
    assert charrnn.evaluate(stream, text) == charrnn.evaluate(stream, text.read_text())
    found = charrnn.inspect_cells(stream, text, "line_pos", causal=False, untrained=False)
    assert found.recording.text == text.read_text()


def test_a_text_without_the_labels_of_the_model() -> None:
    model = item_model("abn", (("kind", ("x", "y")),), training=of_table(label_column="kind"))
    for function in (charrnn.evaluate, charrnn.inspect_cells):
        with pytest.raises(DataError) as refused:
            function(model, "ab\nban\n")  # type: ignore[operator]
        assert str(refused.value) == (
            "the model was trained on items with labels (kind), and a text has none. Give a table as a Path, or score "
            "one item at a time: model.score(item, label=…)"
        )


def test_cells() -> None:
    model = random_model("abc\n", layers=1)
    text = "abca\ncab\n" * 300
    found = charrnn.inspect_cells(model, text, "line_pos", causal=False, untrained=False)
    assert found.recording.text == text
