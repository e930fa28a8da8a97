"""What items are conditioned on, which a model reads before their text: labels, and of a pair its input."""

from collections.abc import Mapping, Sequence

from charrnn.errors import UsageError
from charrnn.text.vocabulary import Vocabulary

Given = str | Sequence[str] | Mapping[str, str]
Labels = dict[str, str]  # column -> label

NO_PAIRS = "--input is for a model of pairs, and this one was not trained on pairs"


def labels_of(given: Given, vocab: Vocabulary) -> Labels:
    """The labels that are given: "Irish" where there is one column, "origin=Irish", several of these, or a mapping.

    Raises UsageError for labels without a column, DataError (naming the known ones) for those that the model lacks.
    """
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        pairs = [_parsed(text, vocab) for text in ([given] if isinstance(given, str) else given)]
    for column, value in pairs:
        vocab.label(column, value)  # refuses one that is not known
    columns = [column for column, _ in pairs]
    if len(set(columns)) < len(columns):
        raise UsageError(
            f"--label is given twice for a column ({', '.join(columns)}): a text has one of each"
        )
    return dict(pairs)


def _parsed(text: str, vocab: Vocabulary) -> tuple[str, str]:
    columns = [column for column, _ in vocab.labels]
    column, found, value = text.partition("=")
    if found and column in columns:
        return column, value
    if len(columns) == 1:
        return columns[0], text
    if not columns:
        raise UsageError(f"--label is {text!r}, but the model was trained without labels")
    raise UsageError(
        f"--label is {text!r}; it must look like COLUMN=VALUE, with one of: {', '.join(columns)}"
    )


def condition(vocab: Vocabulary, labels: Mapping[str, str], input: Sequence[int] = ()) -> list[int]:
    """The symbols that stand before the text of an item: its labels, the input of a pair and a boundary, or the end
    of the item before.

    input : symbols of the input of a pair
    """
    symbols = [vocab.label(column, labels[column]) for column, _ in vocab.labels]
    if vocab.pairs:
        symbols += [*input, vocab.boundary]
    return symbols or [vocab.end]


def complete(labels: Mapping[str, str], vocab: Vocabulary) -> Mapping[str, str]:
    """The labels, if there is one of each column. Raises UsageError naming the columns that lack one."""
    if missing := [column for column, _ in vocab.labels if column not in labels]:
        raise UsageError(f"--label is missing for {', '.join(missing)}: the model was trained with labels")
    return labels


def begins_with(vocab: Vocabulary, label: Given = (), input: str | bytes = "") -> list[int]:
    """The condition for labels and an input as they are given; nothing where the text is one stream.

    Raises UsageError for labels or an input that the model has not, and for labels that are missing; DataError for
    unknown labels or characters.
    """
    if input and not vocab.pairs:
        raise UsageError(NO_PAIRS)
    labels = complete(labels_of(label, vocab), vocab)
    return [] if vocab.items is None else condition(vocab, labels, vocab.encode(input).tolist())
