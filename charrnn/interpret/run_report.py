"""The content of a run's page: its records, and measurements on text that the model was not trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import CharRNNError, DataError
from charrnn.interpret.findings import MOST_CHARACTERS, Inspection, inspect_cells
from charrnn.interpret.network_flow import NetworkFlow, of_model
from charrnn.interpret.passages import Passage, of_findings
from charrnn.interpret.reading import END, reading_of, spread
from charrnn.interpret.recording import one_by_one
from charrnn.interpret.saturation import SIGMOIDS, GateSaturation, gate_saturation
from charrnn.interpret.texts import from_paragraph, held_out_text, stream_of, text_of
from charrnn.model.model import Model
from charrnn.model.scores import in_bits
from charrnn.nn.loss import log_softmax
from charrnn.runs.card import Info, read_info
from charrnn.runs.folder import RunFolder
from charrnn.score.evaluation import GUESSES, Evaluation, evaluate, splits_of
from charrnn.text.batches import Text
from charrnn.text.items import Items

LEAD = 1000  # characters read before a passage, so that the network knows where it is
PASSAGE_LENGTH = 2400  # characters of a passage
DISTANCE = 50  # steps that gradients go back, at most
CELLS_SHOWN = 6  # findings with a passage of their own

Part = TypeVar("Part")


@dataclass(frozen=True)
class Surprises:
    """N characters of a text, and how a model that has read everything before predicts each.

    start : place of the first character in the text
    bits : ndarray (N,), -log2 p(character | all before it); NaN where nothing is predicted, or p is not a number
    ranks : ndarray (N,), 1 if its first symbol was the model's best guess; 0 where nothing is predicted: at the
        beginning of a stream or item, and in the input of a pair
    guesses, probabilities : ndarrays (N, GUESSES or V), the likeliest symbols at its place, best first
    """

    text: str
    start: int
    bits: np.ndarray
    ranks: np.ndarray
    guesses: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class RunReport:
    """A run and its model.

    held_out : description of the text; characters : its length; read : how many of them gates and cells read
    missing : part -> why it is None: "evaluation", "surprises", "gates", "flow" or "cells"
    passages : the best passage of a finding, by its place among the findings
    """

    folder: RunFolder
    model: Model
    info: Info
    samples: Sequence[Mapping[str, Any]]
    held_out: str
    characters: int
    read: int
    evaluation: Evaluation | None
    surprises: Surprises | None
    gates: Sequence[GateSaturation] | None
    flow: NetworkFlow | None
    cells: Inspection | None
    passages: Mapping[int, Passage]
    causal: bool
    missing: Mapping[str, str]


def gather(
    folder: RunFolder,
    model: Model,
    text: str | None = None,
    *,
    causal: bool = False,
    begun: Callable[[str], None] = lambda what: None,
) -> RunReport:
    """Read a run and measure its model on text that it was not trained on.

    model : the model in the folder
    text : a text file to read; by default the text held out in training
    causal : whether to hold cells and measure the predictions, which takes most of the time
    begun : called with the name of each measurement that begins

    A part that cannot be measured is None, with the reason in ``missing``. Raises DataError for a ``text`` that
    cannot be read, ModelError for damaged records.
    """
    info, samples = read_info(folder.model, "bits"), folder.read_samples()
    missing: dict[str, str] = {}
    words: str | Items = ""
    try:
        words = held_out_text(model) if text is None else text_of(model, [text])
    except CharRNNError as error:
        if text is not None:
            raise
        missing = dict.fromkeys(("evaluation", "surprises", "gates", "flow", "cells"), str(error))

    def measured(part: str, make: Callable[[], Part]) -> Part | None:
        if part in missing:
            return None
        begun(part)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # a ReLU network may overflow
                return make()
        except CharRNNError as error:
            missing[part] = str(error)
            return None

    if not SIGMOIDS[model.config.cell]:
        missing["gates"] = "a vanilla RNN has no gates"
    looked = from_paragraph(words) if text is None else words
    beginning = reading_of(model, spread(looked, MOST_CHARACTERS), MOST_CHARACTERS)
    ids = words if isinstance(words, Items) else model.vocab.encode(words)
    cells = measured("cells", lambda: inspect_cells(model, beginning, causal=causal))
    return RunReport(
        folder,
        model,
        info,
        samples,
        Path(text).name if text is not None else "the text held out in training",
        len(words) if isinstance(words, str) else int(words.places.sum(dtype=np.int64)) + len(words),
        len(beginning.text),
        measured("evaluation", lambda: evaluate(model, ids, training=_training(model))),
        measured("surprises", lambda: surprises_of(model, words)),
        measured("gates", lambda: gate_saturation(model, beginning)),
        measured("flow", lambda: _flow(model, words, folder.model)),
        cells,
        {} if cells is None else {k: best for k, (best, _) in of_findings(model, cells, CELLS_SHOWN).items()},
        causal,
        missing,
    )


@blas_threads()
def surprises_of(model: Model, text: str | Items) -> Surprises:
    """What a model makes of a passage: PASSAGE_LENGTH characters from the first line that begins after LEAD of them.

    A shorter text is read from its beginning. Of items, whole ones from all over the text are shown. Raises DataError
    for a stream of fewer than two characters.
    """
    start, inputs = 0, np.zeros(0, int)
    if isinstance(text, Items):
        reading = reading_of(model, spread(text, PASSAGE_LENGTH), PASSAGE_LENGTH)
        inputs = np.flatnonzero(
            reading.inputs | (reading.marks & np.array([ch != END for ch in reading.text]))
        )
    else:
        if len(text) < 2:
            raise DataError(f"the text has {len(text)} characters; at least 2 are needed")
        if len(text) >= LEAD + PASSAGE_LENGTH:
            newline = text.find("\n", LEAD - 1, min(2 * LEAD, len(text) - PASSAGE_LENGTH))
            start = LEAD if newline < 0 else newline + 1
        reading = reading_of(model, text[: start + PASSAGE_LENGTH])
    symbols, ends = reading.ids.astype(np.intp), reading.ends
    begins = np.r_[0, ends[:-1] + 1][start:]  # place of each shown character in ids
    losses, ranks = np.full(len(symbols), np.nan), np.zeros(len(symbols), int)
    best = min(GUESSES, len(model.vocab))
    guesses, probabilities = np.zeros((len(symbols), best), int), np.zeros((len(symbols), best))
    head = model.network.params
    for places, recorded, layers in one_by_one(model, reading, ["h"]):
        predicts = recorded & (places + 1 < len(symbols))
        here = places[predicts] + 1
        logits = layers[-1]["h"][predicts] @ head["head.weight"].T + head["head.bias"]
        log_p = log_softmax(logits.astype(np.float64))
        mine = log_p[np.arange(len(here)), symbols[here]]
        losses[here] = -mine
        ranks[here] = 1 + np.sum(log_p > mine[:, None], axis=1)
        guesses[here] = np.argsort(-log_p, axis=1, kind="stable")[:, :best]
        probabilities[here] = np.exp(np.take_along_axis(log_p, guesses[here], axis=1))
    bits = in_bits(np.add.reduceat(losses, begins))
    ranks = ranks[begins]
    bits[inputs], ranks[inputs] = np.nan, 0
    return Surprises(reading.text[start:], start, bits, ranks, guesses[begins], probabilities[begins])


def _training(model: Model) -> Text | None:
    """The model's training text, to fit simple models on; None if it is not available."""
    parts, _ = splits_of(model)
    return None if parts is None else parts["train"]


def _flow(model: Model, text: str | Items, file: Path) -> NetworkFlow:
    ids = stream_of(model, text)
    if len(ids) < 3:
        raise DataError(f"the text has {len(ids)} symbols; a gradient through time needs at least 3")
    return of_model(model, ids, min(DISTANCE, len(ids) - 2), file=file)
