"""A model's loss on a text beside that of simple models, and the surprise of each of its lines."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.model.model import Model
from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network
from charrnn.sampling.sampler import NOT_FINITE, next_distribution, reader, same_vocabulary
from charrnn.score import scoring
from charrnn.score import simple_models as baselines
from charrnn.text.batches import split
from charrnn.text.corpus import read_corpus
from charrnn.text.sources import is_stream
from charrnn.text.vocabulary import silent_symbol

ROWS = 64  # lines read side by side
STEPS = 32  # symbols of them at once: always, as the network keeps buffers for each shape it meets
CONTEXT = 1024  # symbols read before a place to find what the model expected there
GUESSES = 5


def _nothing(symbols: int) -> None:
    pass


@dataclass(frozen=True)
class Evaluation:
    """Loss on a text of `chars` symbols (bytes at byte level): the mean over all but the first of them.

    baselines : name -> mean loss in nats of simple models on the same predictions
    """

    chars: int
    loss_nats: float
    baselines: dict[str, float] = field(default_factory=dict)

    @property
    def bits_per_char(self) -> float:
        return self.loss_nats / math.log(2)

    @property
    def perplexity(self) -> float:
        """e^loss: the number of equally likely symbols that would be as hard to guess among."""
        return _exp(self.loss_nats)

    def to_json(self) -> dict[str, Any]:
        perplexity = self.perplexity if math.isfinite(self.perplexity) else None
        measured = asdict(self) | {"bits_per_char": self.bits_per_char, "perplexity": perplexity}
        named = {
            name: {"loss_nats": nats, "bits_per_char": nats / math.log(2)}
            for name, nats in self.baselines.items()
        }
        return measured | {"baselines": named}

    def in_words(self) -> str:
        """A small table, the best first."""
        rows = sorted([("model", self.loss_nats), *self.baselines.items()], key=lambda row: row[1])
        lines = [f"{self.chars:,} characters", "             nats/char  bits/char  perplexity"]
        lines += [f"{name:<12} {n:9.4f}  {n / math.log(2):9.4f}  {_exp(n):10.3f}" for name, n in rows]
        return "\n".join(lines)


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < math.log(sys.float_info.max) else math.inf


@blas_threads()
def evaluate(
    model: Model | Sequence[Model],
    ids: np.ndarray,
    *,
    training: np.ndarray | None = None,
    progress: Callable[[int], None] = _nothing,
) -> Evaluation:
    """Score a text, read from the zero state with the state carried to its end.

    Probabilities of several models are averaged.

    ids : (N,) of the model's vocabulary, perhaps memory-mapped; memory does not grow with N
    training : the text the model was trained on, to fit baselines on; without it there is only "uniform"
    progress : called with the number of symbols just scored

    Raises DataError for a text of fewer than two symbols, ModelError for outputs that are not finite.
    """
    models = [model] if isinstance(model, Model) else list(model)
    vocab = same_vocabulary(models)
    if len(ids) < 2:
        raise DataError(f"the text has {len(ids)} symbols; it takes two to predict one. Give a longer text")
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for losses in _windows(models, ids, progress):
            total += float(losses.sum(dtype=np.float64))
    simple = {"uniform": math.log(len(vocab))}
    if training is not None and len(training):
        ngrams = baselines.NGrams(training, len(vocab))
        simple["unigram"] = ngrams.mean_loss(ids, 0)
        simple[f"order-{ngrams.order}"] = ngrams.mean_loss(ids)
        simple["xz"] = baselines.xz_loss(training, ids, vocab)
    return Evaluation(len(ids), total / (len(ids) - 1), simple)


@blas_threads()
def surprises(
    models: Sequence[Model], ids: np.ndarray, progress: Callable[[int], None] = _nothing
) -> np.ndarray:
    """-log p of each of ids[1:] in nats, (N - 1,), read as `evaluate` does; progress as there."""
    losses, done = np.zeros(max(0, len(ids) - 1)), 0
    with np.errstate(over="ignore", invalid="ignore"):
        for window in _windows(models, ids, progress):
            losses[done : done + len(window)] = window
            done += len(window)
    return losses


def _windows(
    models: Sequence[Model], ids: np.ndarray, progress: Callable[[int], None]
) -> Iterator[np.ndarray]:
    """`scoring.averaged`, told as it goes. Raises ModelError for outputs that are not finite."""
    for losses in scoring.averaged([m.network for m in models], ids):
        if not np.isfinite(losses).all():
            raise ModelError(NOT_FINITE)
        yield losses
        progress(len(losses))


def form_of(model: Model) -> dict[str, Any]:
    """How the training text was read, as `read_corpus` takes it: level, encoding, newlines.

    What the model's card does not tell is as it is by default.
    """
    settings = model.training.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    form: dict[str, Any] = {"level": model.vocab.level}
    for name, default in (("encoding", "utf-8"), ("newlines", "keep")):
        form[name] = value if isinstance(value := settings.get(name), str) else default
    return form


def splits_of(model: Model) -> tuple[dict[str, np.ndarray] | None, str]:
    """The training, validation and test text of a model, when its corpus is at hand unchanged.

    Returns {"train", "validation", "test"} -> ids, or None and why not.
    """
    card = model.training
    try:
        about, settings = card["corpus"], card["settings"]
        sources = about["sources"]
        if any(map(is_stream, sources)):  # to read it again would wait for a keyboard, or for ever
            return None, "the model's corpus came from stdin or a pipe"
        corpus = read_corpus(sources, **form_of(model), vocabulary=model.vocab, options=())
        parts = split(corpus.ids, settings["val_fraction"], settings["test_fraction"])
    except (KeyError, TypeError, ValueError, UsageError):
        return None, "the model file does not tell what it was trained on"
    except CharRNNError as error:
        return None, f"the model's corpus cannot be read: {error}"
    if corpus.sha256 != about["sha256"]:
        return None, f"the model's corpus ({', '.join(sources)}) has changed since"
    return dict(zip(("train", "validation", "test"), parts, strict=True)), ""


@dataclass(frozen=True)
class Line:
    """A line of a text and how surprising it is, on its own: read from the zero state after a newline.

    -log p(line and the newline that ends it | newline), so that neither the lines around it nor their
    order matter, and exp(-total_nats) over all lines sums to 1. (A model that knows no newline reads
    what `silent_symbol` says, and the end of the line is not predicted.)
    """

    number: int  # from 1
    start: int  # of its symbols in the text
    stop: int  # the newline, or the end of the text
    predictions: int
    total_nats: float

    @property
    def loss_nats(self) -> float:
        """The mean over its predictions."""
        return self.total_nats / max(1, self.predictions)

    def to_json(self) -> dict[str, Any]:
        return {
            "line": self.number,
            "chars": self.predictions,
            "loss_nats": self.loss_nats,
            "bits_per_char": self.loss_nats / math.log(2),
            "log_probability_nats": -self.total_nats,
        }


@blas_threads()
def score_lines(
    models: Sequence[Model], ids: np.ndarray, progress: Callable[[int], None] = _nothing
) -> list[Line]:
    """The lines of a text, the most surprising (by mean loss) first; progress as in `evaluate`."""
    vocab = same_vocabulary(models)
    first = silent_symbol(vocab)
    newlines = vocab.decode([first]) == "\n"
    ends = _places(ids, first) if newlines else np.empty(0, int)
    starts = np.r_[0, ends + 1]
    stops = np.r_[ends, len(ids)]
    if starts[-1] == stops[-1]:  # the text ends with a newline: no line follows
        starts, stops = starts[:-1], stops[:-1]
    predictions = stops - starts + int(newlines)
    totals = np.zeros(len(starts))
    order = np.argsort(predictions, kind="stable")
    for begin in range(0, len(order), ROWS):  # lines of about the same length side by side
        rows = order[begin : begin + ROWS]
        with np.errstate(over="ignore", invalid="ignore"):
            losses = [_row_losses(m.network, ids, starts[rows], predictions[rows], first) for m in models]
            totals[rows] = scoring.mean_probability(losses).sum(axis=0, dtype=np.float64)
        if not np.isfinite(totals[rows]).all():
            raise ModelError(NOT_FINITE)
        progress(int(predictions[rows].sum()))
    ranking = np.argsort(-totals / np.maximum(predictions, 1), kind="stable")
    return [
        Line(k + 1, int(starts[k]), int(stops[k]), int(predictions[k]), float(totals[k]))
        for k in ranking.tolist()
    ]


def _row_losses(
    network: Network, ids: np.ndarray, starts: np.ndarray, predictions: np.ndarray, first: int
) -> np.ndarray:
    """Loss of each symbol of each line, (T, B), 0 beyond its end; `first` is read before it and ends it."""
    steps = -(-int(predictions.max()) // STEPS) * STEPS
    losses = np.zeros((steps, len(starts)), network.theta.dtype)
    state, before = network.zero_state(len(starts)), np.full((1, len(starts)), first, np.intp)
    for begin in range(0, steps, STEPS):
        t = np.arange(begin, begin + STEPS)[:, None]
        places = np.minimum(starts + t, len(ids) - 1)
        targets = ids[places].astype(np.intp)
        targets[starts + t >= len(ids)] = first  # the last line may lack its newline
        logits, state, _ = network.forward(np.r_[before, targets[:-1]], state)
        losses[t[:, 0]] = np.where(t < predictions, cross_entropy(logits, targets), 0)
        before = targets[-1:]
    return losses


def _places(ids: np.ndarray, symbol: int) -> np.ndarray:
    """Where a symbol stands in a text that may be memory-mapped."""
    blocks = range(0, len(ids), scoring.WINDOW)
    found = [np.flatnonzero(ids[start : start + scoring.WINDOW] == symbol) + start for start in blocks]
    return np.concatenate([np.empty(0, int), *found])


@dataclass(frozen=True)
class Surprise:
    """A symbol the model did not see coming, and what it held likeliest in its place."""

    place: int
    nats: float
    guesses: list[tuple[int, float]]  # symbol and probability, best first


@blas_threads()
def worst_places(models: Sequence[Model], ids: np.ndarray, losses: np.ndarray, most: int) -> list[Surprise]:
    """The `most` places with the largest losses[n - 1] of ids[n], worst first.

    The guesses are those after the CONTEXT symbols before the place, read from the zero state.
    """
    found = []
    for place in (1 + np.argsort(-losses, kind="stable")[:most]).tolist():
        before = ids[max(0, place - CONTEXT) : place].tolist()
        p = next_distribution(reader(models, before[:-1])(before[-1]))
        likeliest = np.argsort(-p, kind="stable")[:GUESSES].tolist()
        found.append(Surprise(place, float(losses[place - 1]), [(s, float(p[s])) for s in likeliest]))
    return found
