"""A model's loss on a text beside that of simple models, and its predictions for single symbols."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.model.model import CHUNK, Model
from charrnn.sampling.sampler import NOT_FINITE, average, next_distribution, reader, same_vocabulary
from charrnn.score import scoring, simple_models
from charrnn.text.corpus import read_corpus
from charrnn.text.records import form_of as item_form
from charrnn.text.sources import claimed

CONTEXT = 1024  # symbols read before a place to find the model's prediction there
GUESSES = 5


def _nothing(symbols: int) -> None:
    pass


@dataclass(frozen=True)
class Evaluation:
    """Mean loss over all symbols of a text but the first; `chars` is their number (bytes at byte level).

    baselines : name -> mean loss in nats per symbol of simple models on the same predictions
    """

    chars: int
    loss_nats: float
    baselines: dict[str, float] = field(default_factory=dict)

    @property
    def bits_per_char(self) -> float:
        return self.loss_nats / math.log(2)

    @property
    def perplexity(self) -> float:
        """e^loss: a choice between this many equally likely symbols has the same loss."""
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
        """A small table, lowest loss first."""
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
    """The loss on a text that is read from the zero state, with the state carried to its end.

    The probabilities of several models are averaged.

    ids : (N,) of the model's vocabulary, may be memory-mapped; memory does not grow with N
    training : the model's training text, to fit the baselines; without it the only baseline is "uniform"
    progress : called with the number of symbols just scored

    Raises DataError for a text of fewer than two symbols, ModelError for outputs that are not finite.
    """
    models = [model] if isinstance(model, Model) else list(model)
    vocab = same_vocabulary(models)
    if len(ids) < 2:
        raise DataError(
            f"the text has {len(ids)} symbols, but evaluation needs at least 2. Give a longer text"
        )
    total = 0.0
    for losses in surprises(models, ids, progress):
        total += float(losses.sum(dtype=np.float64))
    simple = {"uniform": math.log(len(vocab))}
    if training is not None and len(training):
        ngrams = simple_models.NGrams(training, len(vocab))
        simple["unigram"] = ngrams.mean_loss(ids, 0)
        simple[f"order-{ngrams.order}"] = ngrams.mean_loss(ids)
        simple["xz"] = simple_models.xz_loss(training, ids, vocab)
    return Evaluation(len(ids), total / (len(ids) - 1), simple)


def surprises(
    models: Sequence[Model], ids: np.ndarray, progress: Callable[[int], None] = _nothing
) -> Iterator[np.ndarray]:
    """-log p of ids[1], ids[2], … in nats, in windows. The text is read as by `evaluate`.

    Raises ModelError for outputs that are not finite.
    """
    with blas_threads(), np.errstate(over="ignore", invalid="ignore"):
        for losses in scoring.averaged([m.network for m in models], ids):
            if not np.isfinite(losses).all():
                raise ModelError(NOT_FINITE)
            yield losses
            progress(len(losses))


def form_of(model: Model) -> dict[str, Any]:
    """How the training text was read: the arguments level, encoding, newlines and items of `read_corpus`.

    Values missing from the model's card are the defaults.
    """
    settings = model.training.get("settings")
    settings = settings if isinstance(settings, dict) else {}

    def setting(name: str, default: str) -> str:
        return value if isinstance(value := settings.get(name), str) else default

    form: dict[str, Any] = {"level": model.vocab.level, "items": None}
    form |= {name: setting(name, default) for name, default in (("encoding", "utf-8"), ("newlines", "keep"))}
    if model.vocab.items is not None:
        kind = setting("items", "pairs" if model.vocab.pairs else "line")
        columns = {name: setting(name, "") for name in ("text_column", "label_column", "input_column")}
        form["items"] = item_form(kind, **columns, names=())
    return form


def splits_of(model: Model) -> tuple[dict[str, Any] | None, str]:
    """The training, validation and test text of a model, if its corpus still exists unchanged.

    Returns {"train", "validation", "test"} -> ids, or Items of a model of items; or None and the reason.
    """
    card = model.training
    try:
        about, settings = card["corpus"], card["settings"]
        sha256 = about["sha256"]
        validation, test = settings.get("val") or None, settings.get("test") or None
        beside = [file for file in (validation, test) if file is not None]
        files = about["sources"] + beside if isinstance(about["sources"], list) else about["sources"]
        joined = bool(about.get("joined"))
        added = len(about["sources"]) if joined else 0  # newlines between files
        files = claimed(files, int(about["symbols"]) - added, dense=model.vocab.items is None)
        corpus = read_corpus(
            about["sources"],
            **form_of(model),
            vocabulary=model.vocab,
            validation=validation,
            test=test,
            joined=joined,
            options=(),
        )
        parts = corpus.parts(settings["val_fraction"], settings["test_fraction"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UsageError):
        return None, "the model file does not name its training text"
    except CharRNNError as error:
        return None, f"the model's corpus cannot be read: {error}"
    if corpus.sha256 != sha256:
        return None, f"the model's corpus ({', '.join(files)}) has changed since training"
    return dict(zip(("train", "validation", "test"), parts, strict=True)), ""


@dataclass(frozen=True)
class Surprise:
    """A symbol that the model did not expect, and the symbols it expected instead."""

    place: int
    nats: float
    guesses: list[tuple[int, float]]  # symbol and probability, best first


@blas_threads()
def worst_places(
    models: Sequence[Model], ids: np.ndarray, losses: Iterable[np.ndarray], most: int
) -> list[Surprise]:
    """The `most` places with the largest losses, worst first.

    losses : -log p of ids[1], ids[2], … in windows
    To find the guesses, the model reads the CONTEXT symbols before the place from the zero state.
    """
    nats, places, done = np.empty(0), np.empty(0, int), 1
    for window in losses:
        nats, places = np.r_[nats, window], np.r_[places, done + np.arange(len(window))]
        worst = np.lexsort((places, -nats))[:most]
        nats, places, done = nats[worst], places[worst], done + len(window)
    found = []
    for place, loss in zip(places.tolist(), nats.tolist(), strict=True):
        before = ids[max(0, place - CONTEXT) : place].tolist()
        p = next_distribution(reader(models, before[:-1])(before[-1]))
        found.append(Surprise(place, loss, _likeliest(p)))
    return found


@dataclass(frozen=True)
class Prediction:
    """A symbol of a text, its -log p in nats, and the likeliest symbols there, best first.

    The first symbol is not predicted. One more prediction, without a symbol, follows the last one.
    """

    symbol: int | None
    nats: float | None
    guesses: list[tuple[int, float]]


def predictions(
    models: Sequence[Model], ids: np.ndarray, progress: Callable[[int], None] = _nothing
) -> Iterator[Prediction]:
    """The prediction for each symbol of a text and for the one after its end. The text is read as by `evaluate`.

    Raises ModelError for outputs that are not finite.
    """
    states = [model.network.zero_state(1) for model in models]
    if len(ids):
        yield Prediction(int(ids[0]), None, [])
    for start in range(0, len(ids), CHUNK):
        symbols = ids[start : start + CHUNK, None].astype(np.intp)
        logits = []
        with blas_threads(), np.errstate(over="ignore", invalid="ignore"):
            for k, model in enumerate(models):
                one, states[k] = model.logits(symbols, states[k])
                logits.append(one[:, 0])
            log_p = average(logits, axis=1)
        if not np.isfinite(log_p.max(axis=1)).all():
            raise ModelError(NOT_FINITE)
        for t, row in enumerate(log_p, start + 1):
            symbol = int(ids[t]) if t < len(ids) else None
            yield Prediction(symbol, None if symbol is None else float(-row[symbol]), _likeliest(np.exp(row)))
        progress(len(symbols))


def _likeliest(p: np.ndarray) -> list[tuple[int, float]]:
    """The GUESSES likeliest symbols by p (V,), and their probabilities, best first."""
    return [(s, float(p[s])) for s in np.argsort(-p, kind="stable")[:GUESSES].tolist()]
