"""The text to look at: the one that the user names, or the model's held-out text."""

from collections.abc import Sequence

import numpy as np

from charrnn.errors import DataError
from charrnn.model.model import Model
from charrnn.score.evaluation import form_of, splits_of
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary

_WAY_OUT = "give it text it was not trained on: --text FILE"


def text_of(model: Model, sources: Sequence[str]) -> str:
    """Files, folders or - for stdin as one text of the model's symbols, read like its training text.

    Raises DataError if they cannot be read or have other symbols.
    """
    corpus = read_corpus(sources, **form_of(model), vocabulary=model.vocab, options=())
    return _text(corpus.vocabulary, corpus.ids)


def read_text(model: Model, sources: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Files as one stream with all characters, including those that the model lacks, and notes for the user."""
    corpus = read_corpus(sources, **{**form_of(model), "items": None}, options=())
    return _text(corpus.vocabulary, corpus.ids), corpus.notes


def held_out_text(model: Model) -> str:
    """The validation part of the corpus that ``model`` was trained on, or the test part if there is none.

    Raises DataError if the corpus is not recorded, is missing, has changed, or was used for training as a whole.
    """
    parts, why_not = splits_of(model)
    if parts is None:
        raise DataError(f"{why_not}; {_WAY_OUT}")
    held_out = parts["validation"] if len(parts["validation"]) else parts["test"]
    if not len(held_out):
        raise DataError(f"the model was trained on all of its text; {_WAY_OUT}")
    return _text(model.vocab, held_out)


def _text(vocab: Vocabulary, ids: np.ndarray) -> str:
    if vocab.level == "char":
        return vocab.decode(ids)
    # each byte that is not UTF-8 becomes one character, so that encoding restores the same bytes
    return bytes(vocab.codes[ids].tolist()).decode("utf-8", "surrogateescape")
