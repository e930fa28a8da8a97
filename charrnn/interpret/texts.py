"""The text to look at: the one that the user names, or the model's held-out text. Of a model of items it is items."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from charrnn.errors import DataError
from charrnn.interpret.reading import Reading, decoded, looked_at
from charrnn.interpret.recording import fresh_starts
from charrnn.model.model import Model
from charrnn.score.evaluation import form_of, in_symbols, splits_of
from charrnn.text.corpus import read_corpus
from charrnn.text.items import Items

_WAY_OUT = "give it text it was not trained on: --text FILE"


def text_of(model: Model, sources: Sequence[str]) -> str | Items:
    """Files, folders or - for stdin as a text of the model's symbols, read like its training text.

    Raises DataError if they cannot be read or have other symbols.
    """
    corpus = read_corpus(sources, **form_of(model, sources), vocabulary=model.vocab, options=())
    return looked_at(model, corpus.ids if corpus.items is None else corpus.items)


def as_trained(model: Model, text: str | Path | Items | Reading) -> str | Items | Reading:
    """A text as one of the model's kind: a file is read as its training text was, and a string cut into items."""
    if not isinstance(text, str | Path) or (isinstance(text, str) and model.vocab.items is None):
        return text
    return looked_at(model, in_symbols(model, text))


def stream_of(model: Model, text: str | Items) -> np.ndarray:
    """The symbols of a text that is one stream. Raises DataError for items."""
    if isinstance(text, Items):
        raise DataError("gradients through time are measured along one stream, and this model reads items")
    return model.vocab.encode(text)


def read_text(model: Model, sources: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Files as one stream with all characters, including those that the model lacks, and notes for the user."""
    corpus = read_corpus(sources, **form_of(model) | {"items": None}, options=())
    return decoded(corpus.vocabulary, corpus.ids), corpus.notes


def held_out_text(model: Model) -> str | Items:
    """The validation part of the corpus that ``model`` was trained on, or the test part if there is none.

    Raises DataError if the corpus is not recorded, is missing, has changed, or was used for training as a whole.
    """
    parts, why_not = splits_of(model)
    if parts is None:
        raise DataError(f"{why_not}; {_WAY_OUT}")
    held_out = parts["validation"] if len(parts["validation"]) else parts["test"]
    if not len(held_out):
        raise DataError(f"the model was trained on all of its text; {_WAY_OUT}")
    return looked_at(model, held_out)


def from_paragraph(text: str | Items) -> str | Items:
    """A stream from its first whole paragraph on, if that begins in the first half: no quotation is open there."""
    if isinstance(text, Items):
        return text
    start = next((start for start in fresh_starts(text)[1:].tolist() if start <= len(text) // 2), 0)
    return text[start:]


def to_judge(model: Model, named: str | None) -> str | Items:
    """The text that cells are judged on: the one named, or the held-out one from its first whole paragraph on."""
    return from_paragraph(held_out_text(model)) if named is None else text_of(model, [named])
