"""`evaluate` and `inspect_cells` take a text as well as its symbols."""

from pathlib import Path

import numpy as np
import pytest
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


def test_cells() -> None:
    model = random_model("abc\n", layers=1)
    text = "abca\ncab\n" * 300
    found = charrnn.inspect_cells(model, text, "line_pos", causal=False, untrained=False)
    assert found.recording.text == text
