"""Texts into texts, by a model of pairs: for each input the likeliest output that a search finds."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from charrnn.errors import UsageError
from charrnn.model.model import Model
from charrnn.sampling.beam import search
from charrnn.sampling.sampler import same_vocabulary
from charrnn.sampling.sampling_config import LONGEST_OUTPUT
from charrnn.text.conditions import Given, complete, condition, labels_of
from charrnn.text.unknown import encode
from charrnn.text.vocabulary import Vocabulary

STREAMS = 256  # beams of all inputs that are read side by side


@dataclass(frozen=True)
class Output:
    """What a model makes of an input.

    ended : "end", or "length" where it was cut; log_probability_nats : of the output and its end
    """

    input: str
    text: str
    ended: str
    log_probability_nats: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def transform(
    model: Model | Sequence[Model],
    texts: Sequence[str],
    *,
    beam: int = 1,
    length: int = LONGEST_OUTPUT,
    unknown: str = "error",
    label: Given = (),
) -> list[str]:
    """The output of each input, in order, by a model that was trained on pairs.

    beam : beams of the search; with 1 each symbol is the likeliest one
    length : most characters of an output
    unknown : how to treat characters of the inputs that the model does not know
    label : of a model with labels, as in `Sampler`; one of every column

    Raises UsageError for a model of anything but pairs, DataError for unknown characters.
    """
    found: list[str] = [""] * len(texts)
    for n, output in outputs(model, texts, beam=beam, length=length, unknown=unknown, label=label):
        found[n] = output.text
    return found


def vocabulary_of_pairs(models: Sequence[Model]) -> Vocabulary:
    """The vocabulary of models; UsageError where they were not trained on pairs."""
    vocab = same_vocabulary(models)
    if not vocab.pairs:
        raise UsageError(
            "transform needs a model that was trained on pairs: charrnn train PAIRS --items pairs, or "
            "charrnn.train(texts=OUTPUTS, inputs=INPUTS)"
        )
    return vocab


def outputs(
    model: Model | Sequence[Model],
    texts: Sequence[str],
    *,
    beam: int = 1,
    length: int = LONGEST_OUTPUT,
    unknown: str = "error",
    label: Given = (),
    notes: list[str] | None = None,
) -> Iterator[tuple[int, Output]]:
    """(number of the input, its output), inputs of one length together; as `transform`.

    notes : gets messages on characters skipped or replaced
    """
    models = [model] if isinstance(model, Model) else list(model)
    vocab = vocabulary_of_pairs(models)
    if beam < 1:
        raise UsageError(f"--beam is {beam}; it must be at least 1")
    labels = complete(labels_of(label, vocab), vocab)
    encoded = [encode(text, vocab, unknown) for text in texts]
    if notes is not None:
        notes += dict.fromkeys(note for _, note in encoded if note)
    lengths = np.array([len(ids) for ids, _ in encoded], np.intp)
    order = np.argsort(lengths, kind="stable")
    edges = np.flatnonzero(np.diff(lengths[order], prepend=-1))
    rows = max(1, STREAMS // beam)
    for group in np.split(order, edges[1:]):
        for first in range(0, len(group), rows):
            which = group[first : first + rows].tolist()
            begins = np.array([condition(vocab, labels, encoded[n][0].tolist()) for n in which]).T
            symbols, log_p, ended = search(models, begins, length, beam)
            for n, one, nats, over in zip(which, symbols, log_p.tolist(), ended.tolist(), strict=True):
                yield n, Output(texts[n], vocab.decode(one), "end" if over else "length", nats)
