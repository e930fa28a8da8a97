"""The text to look at: what the user names, or what the model was not trained on."""

from collections.abc import Mapping, Sequence

from charrnn.errors import CharRNNError, DataError
from charrnn.model import Model
from charrnn.text.batches import split
from charrnn.text.corpus import Corpus, read_corpus

_WAY_OUT = "give it text it was not trained on: --text FILE"


def text_of(model: Model, sources: Sequence[str]) -> str:
    """Files, folders or - for stdin as one text of the model's symbols. Raises DataError where it is not."""
    return _decoded(model, read_corpus(sources, vocabulary=model.vocab), slice(None))


def held_out_text(model: Model) -> str:
    """The validation part of the corpus that ``model`` was trained on, or the test part where there is none.

    Raises DataError where the corpus is not told, is gone, has changed since, or was trained on whole.
    """
    corpus, settings = model.training.get("corpus"), model.training.get("settings")
    if not isinstance(corpus, Mapping) or not isinstance(settings, Mapping):
        raise DataError(f"the model does not tell what it was trained on; {_WAY_OUT}")
    sources = [str(source) for source in corpus.get("sources", ())]
    if not sources or "-" in sources:
        raise DataError(f"the model was trained on text from a pipe; {_WAY_OUT}")
    form = {name: settings[name] for name in ("encoding", "newlines") if name in settings}
    try:
        read = read_corpus(sources, vocabulary=model.vocab, **form)
    except CharRNNError as error:
        raise DataError(f"the text the model was trained on cannot be read: {error}. Or {_WAY_OUT}") from None
    names = ", ".join(sources)
    if read.sha256 != corpus.get("sha256"):
        raise DataError(f"{names} changed since the model was trained; {_WAY_OUT}")
    train, validation, test = split(read.ids, settings["val_fraction"], settings["test_fraction"])
    if not len(validation) + len(test):
        raise DataError(f"the model was trained on all of {names}; {_WAY_OUT}")
    stop = len(train) + (len(validation) or len(test))
    return _decoded(model, read, slice(len(train), stop))


def _decoded(model: Model, corpus: Corpus, part: slice) -> str:
    ids = corpus.ids[part]
    if model.vocab.level == "char":
        return model.vocab.decode(ids)
    # what is no UTF-8 stays one character a byte, so that encoding gives the same bytes again
    return bytes(model.vocab.codes[ids].tolist()).decode("utf-8", "surrogateescape")
