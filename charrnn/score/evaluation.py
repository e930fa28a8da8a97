"""A model's loss on a text beside that of simple models, and its predictions for single symbols."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.model.model import CHUNK, Model
from charrnn.model.scores import in_bits
from charrnn.python.results import Pictured, Rows
from charrnn.sampling.mixing import CONTEXT as MIXED_CONTEXT
from charrnn.sampling.mixing import Mix
from charrnn.sampling.sampler import NOT_FINITE, average, next_distribution, reader, same_vocabulary
from charrnn.score import items, scoring, simple_models, temperature
from charrnn.text.batches import Text
from charrnn.text.corpus import read_corpus
from charrnn.text.items import Items
from charrnn.text.records import TABLES
from charrnn.text.records import form_of as item_form
from charrnn.text.sources import MEMORY, claimed, in_memory

CONTEXT = 1024  # symbols read before a place to find the model's prediction there
GUESSES = 5
ITEM_SETTINGS = ("items", "text_column", "label_column", "input_column")  # how a text is cut into items


def _nothing(symbols: int) -> None:
    pass


@dataclass(frozen=True)
class ItemsLoss:
    """The loss on some items: the mean of each item as a whole, and of each predicted symbol."""

    items: int
    chars: int
    item_loss_nats: float
    loss_nats: float

    @classmethod
    def of(cls, items: int, chars: int, total_nats: float) -> "ItemsLoss":
        return cls(items, chars, total_nats / items, total_nats / chars)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"bits_per_char": in_bits(self.loss_nats)}


@dataclass(frozen=True, repr=False)
class Evaluation(Pictured, Rows):
    """Mean loss over the predicted symbols of a text: of a stream all but the first, of items text and end of each.

    chars : of a stream, the first one too; predicted symbols of items (bytes at byte level)
    baselines : name -> mean loss in nats per symbol of simple models on the same predictions
    temperature : the one in the model's card, fitted on its validation text
    tempered_loss_nats : the loss with the logits divided by it
    items : of a text of items
    per_label : of each column of labels, label -> the loss on the items that have it
    """

    chars: int
    loss_nats: float
    baselines: dict[str, float] = field(default_factory=dict)
    items: ItemsLoss | None = None
    per_label: dict[str, dict[str, ItemsLoss]] = field(default_factory=dict)
    temperature: float | None = None
    tempered_loss_nats: float | None = None

    @property
    def bits_per_char(self) -> float:
        return in_bits(self.loss_nats)

    @property
    def perplexity(self) -> float:
        """e^loss: a choice between this many equally likely symbols has the same loss."""
        return perplexity_of(self.loss_nats)

    def rows(self) -> list[dict[str, Any]]:
        """The loss of the model and of each baseline."""
        losses = {"model": self.loss_nats, **self.baselines}
        if self.tempered_loss_nats is not None:
            losses["model at its fitted temperature"] = self.tempered_loss_nats
        return [
            {
                "name": name,
                "loss_nats": nats,
                "bits_per_char": in_bits(nats),
                "perplexity": perplexity_of(nats),
            }
            for name, nats in losses.items()
        ]

    def __repr__(self) -> str:
        of_items = "" if self.items is None else f"{self.items.items:,} items, "
        loss = f"{self.bits_per_char:.4f} bits per character, {self.loss_nats:.4f} nats"
        return f"<Evaluation: {loss}, {of_items}{self.chars:,} characters>"

    def to_json(self) -> dict[str, Any]:
        named = {
            name: {"loss_nats": nats, "bits_per_char": in_bits(nats)} for name, nats in self.baselines.items()
        }
        found: dict[str, Any] = {
            "chars": self.chars,
            "loss_nats": self.loss_nats,
            "bits_per_char": self.bits_per_char,
            "perplexity": self.perplexity if math.isfinite(self.perplexity) else None,
            "baselines": named,
        }
        if self.tempered_loss_nats is not None:
            found["fitted_temperature"] = {
                "temperature": self.temperature,
                "loss_nats": self.tempered_loss_nats,
                "bits_per_char": in_bits(self.tempered_loss_nats),
            }
        if self.items is not None:
            found["items"] = {"count": self.items.items, "loss_nats": self.items.item_loss_nats}
            found["per_label"] = {
                column: {value: loss.to_json() for value, loss in losses.items()}
                for column, losses in self.per_label.items()
            }
        return found

    def in_words(self) -> str:
        """A small table, lowest loss first; of labelled items another, in the order of the labels."""
        rows = [("model", self.loss_nats), *self.baselines.items()]
        if self.tempered_loss_nats is not None:
            rows.append((f"model T={self.temperature:.2f}", self.tempered_loss_nats))
        rows.sort(key=lambda row: row[1])
        counted = f"{self.chars:,} characters"
        if self.items is not None:
            each = f"{self.items.item_loss_nats:.4f} nats per item"
            counted = f"{self.items.items:,} items, {counted} with the end of each, {each}"
        lines = [counted, "             nats/char  bits/char  perplexity"]
        lines += [f"{name:<12} {n:9.4f}  {in_bits(n):9.4f}  {perplexity_of(n):10.3f}" for name, n in rows]
        if self.tempered_loss_nats is not None:
            lines.append(
                f"T={self.temperature:.2f}: at the temperature that was fitted on the validation text"
            )
        for column, losses in self.per_label.items():
            width = max(12, *map(len, [column, *losses]))
            lines += ["", f"{column:<{width}}     items  nats/char  nats/item"]
            lines += [
                f"{value:<{width}} {loss.items:9,}  {loss.loss_nats:9.4f}  {loss.item_loss_nats:9.4f}"
                for value, loss in losses.items()
            ]
        return "\n".join(lines)


def perplexity_of(nats: float) -> float:
    return math.exp(nats) if nats < math.log(sys.float_info.max) else math.inf


@blas_threads()
def evaluate(
    model: Model | Sequence[Model],
    text: Text | str | bytes | Path,
    *,
    training: Text | str | bytes | Path | None = None,
    progress: Callable[[int], None] = _nothing,
) -> Evaluation:
    """The loss on a text that is read from the zero state, with the state carried to its end, or on items.

    The probabilities of several models are averaged. A single model with a fitted temperature in its card is also
    scored at this temperature.

    text : a text, which for a model of items is cut into them as its training text was, or into lines or pairs where
        that was a table; a file, as a Path, which is read as the training text was; ids (N,) of the model's vocabulary,
        which may be memory-mapped (memory does not grow with N); or items
    training : the model's training text, to fit the baselines; without it the only baseline is "uniform"
    progress : called with the number of symbols just scored

    Raises DataError for a text with nothing to predict, ModelError for outputs that are not finite.
    """
    models = [model] if isinstance(model, Model) else list(model)
    same_vocabulary(models)
    text = in_symbols(models[0], text)
    training = None if training is None else in_symbols(models[0], training)
    fitted = fitted_temperature(models)
    temperatures = (1.0,) if fitted is None else (1.0, fitted)
    found, (_, *tempered) = (
        _evaluate_items(models, text, training, temperatures, progress)
        if isinstance(text, Items)
        else _evaluate_stream(models, text, training, temperatures, progress)
    )
    return replace(found, temperature=fitted, tempered_loss_nats=tempered[0]) if tempered else found


def in_symbols(model: Model, text: Text | str | bytes | Path) -> Text:
    """A text in the symbols of a model; for a model of items it is cut into them.

    A file is read as the training text was. A text itself is no table, not even where the training text was one: its
    items are lines then, or pairs.

    Raises DataError for characters that the model does not know, for a text without the labels that the model was
    trained with, and for a file that cannot be read.
    """
    if isinstance(text, Path):
        names = [str(text)]
        corpus = read_corpus(names, **form_of(model, names), vocabulary=model.vocab, options=())
        return corpus.ids if corpus.items is None else corpus.items
    if not isinstance(text, str | bytes):
        return text
    vocab = model.vocab
    if vocab.items is None:
        return vocab.encode(text)
    if vocab.labels:
        columns = ", ".join(column for column, _ in vocab.labels)
        raise DataError(
            f"the model was trained on items with labels ({columns}), and a text has none. Give a table as a Path, or "
            "score one item at a time: model.score(item, label=…)"
        )
    form = form_of(model)
    if form["items"].is_table:
        form = form_of(model, items="pairs" if vocab.pairs else "line")
    source = in_memory(text if isinstance(text, str) else text.decode("utf-8", "surrogateescape"))
    corpus = read_corpus(source, **form, vocabulary=vocab, options=())
    assert corpus.items is not None
    return corpus.items


def fitted_temperature(models: Sequence[Model]) -> float | None:
    """The temperature at which `evaluate` scores a text too."""
    return temperature.of_card(models[0].training) if len(models) == 1 else None


# Both return what is found at the first temperature, and the mean loss at each one.


def _evaluate_stream(
    models: Sequence[Model],
    text: np.ndarray,
    training: Text | None,
    temperatures: Sequence[float],
    progress: Callable[[int], None],
) -> tuple[Evaluation, list[float]]:
    vocab = models[0].vocab
    if len(text) < 2:
        raise DataError(
            f"the text has {len(text)} symbols, but evaluation needs at least 2. Give a longer text"
        )
    total = np.zeros(len(temperatures))
    for losses in surprises_at(models, text, temperatures, progress):
        total += losses.sum(axis=1, dtype=np.float64)
    means = (total / (len(text) - 1)).tolist()
    simple = {"uniform": math.log(len(vocab))}
    if isinstance(training, np.ndarray) and len(training):
        ngrams = simple_models.NGrams(training, len(vocab))
        simple["unigram"] = ngrams.mean_loss(text, 0)
        simple[f"order-{ngrams.order}"] = ngrams.mean_loss(text)
        simple["xz"] = simple_models.xz_loss(training, text, vocab)
    return Evaluation(len(text), means[0], simple), means


def _evaluate_items(
    models: Sequence[Model],
    found: Items,
    training: Text | None,
    temperatures: Sequence[float],
    progress: Callable[[int], None],
) -> tuple[Evaluation, list[float]]:
    if not len(found):
        raise DataError("there is no item to score. Give a text that has some")
    vocab = models[0].vocab
    each = _item_losses(models, found, temperatures, progress)
    means, losses = (each.sum(axis=1) / found.symbols).tolist(), each[0]
    whole = ItemsLoss.of(len(found), found.symbols, float(losses.sum()))
    simple = {"uniform": math.log(vocab.written)}
    if isinstance(training, Items) and len(training):
        ngrams = simple_models.NGrams(training, len(vocab), written=vocab.written)
        simple["unigram"] = ngrams.mean_loss(found, 0)
        simple[f"order-{ngrams.order}"] = ngrams.mean_loss(found)
    per_label: dict[str, dict[str, ItemsLoss]] = {}
    for k, (column, _) in enumerate(vocab.labels):  # they come first in an item
        _, firsts, which = np.unique(found.ids[found.starts + k], return_index=True, return_inverse=True)
        sums = [np.bincount(which, weights) for weights in (None, found.scored, losses)]
        per_label[column] = {
            vocab.labels_of(found.of(first))[column]: ItemsLoss.of(int(n), int(chars), float(nats))
            for first, n, chars, nats in zip(firsts, *sums, strict=True)
        }
    return Evaluation(whole.chars, whole.loss_nats, simple, whole, per_label), means


def item_losses(
    models: Sequence[Model], found: Items, progress: Callable[[int], None] = _nothing
) -> np.ndarray:
    """-log p of each item given its condition, in nats, (N,); probabilities of several models are averaged.

    Raises ModelError for outputs that are not finite.
    """
    return _item_losses(models, found, (1.0,), progress)[0]


def _item_losses(
    models: Sequence[Model], found: Items, temperatures: Sequence[float], progress: Callable[[int], None]
) -> np.ndarray:
    """`item_losses` at each temperature, (K, N)."""
    with blas_threads(), np.errstate(over="ignore", invalid="ignore"):
        losses = items.losses([model.network for model in models], found, progress, temperatures)
    if not np.isfinite(losses).all():
        raise ModelError(NOT_FINITE)
    return losses


def surprises(
    models: Sequence[Model], text: Text, progress: Callable[[int], None] = _nothing
) -> Iterator[np.ndarray]:
    """-log p of ids[1], ids[2], …, or of the predicted symbols of all items in order, in nats, in windows.

    The text is read as by `evaluate`. Raises ModelError for outputs that are not finite.
    """
    for (losses,) in surprises_at(models, text, (1.0,), progress):
        yield losses


def surprises_at(
    models: Sequence[Model],
    text: Text,
    temperatures: Sequence[float],
    progress: Callable[[int], None] = _nothing,
) -> Iterator[np.ndarray]:
    """`surprises` with the logits divided by each of K temperatures, in one pass: windows (K, n)."""
    networks = [model.network for model in models]
    with blas_threads(), np.errstate(over="ignore", invalid="ignore"):
        windows = (
            items.in_order(networks, text, temperatures)
            if isinstance(text, Items)
            else scoring.averaged(networks, text, temperatures)
        )
        for losses in windows:
            if not np.isfinite(losses).all():
                raise ModelError(NOT_FINITE)
            yield losses
            progress(losses.shape[1])


def form_of(model: Model, names: Sequence[str] = (), **given: str | None) -> dict[str, Any]:
    """How to read a text for a model: the arguments level, encoding, newlines and items of `read_corpus`.

    It is read as the training text was, but for what is given. Values missing from the model's card are the defaults.

    names : of the files, whose suffixes say what kind of table they are
    given : encoding, newlines, or one of ITEM_SETTINGS; None is not given

    Raises UsageError for settings that the model, or a kind of items, does not have.
    """
    card = model.training.get("settings")
    card = card if isinstance(card, dict) else {}
    chosen = {name: value for name, value in given.items() if value is not None}

    def setting(name: str, default: str = "") -> str:
        return chosen.get(name, value if isinstance(value := card.get(name), str) else default)

    form: dict[str, Any] = {"level": model.vocab.level, "items": None}
    form |= {"encoding": setting("encoding", "utf-8"), "newlines": setting("newlines", "keep")}
    kind, *columns = map(setting, ITEM_SETTINGS)
    if model.vocab.items is None:
        if wrong := next((name for name in ITEM_SETTINGS if name in chosen), None):
            raise UsageError(
                f"--{wrong.replace('_', '-')} is for a model of items, and this one was trained on a stream"
            )
        return form
    kind, columns = _cut_as(model, names, chosen, kind, columns)
    text_column, label_column, input_column = columns
    form["items"] = item_form(kind, text_column, label_column, input_column, names)
    return form


def _cut_as(
    model: Model, names: Sequence[str], chosen: Mapping[str, str], kind: str, columns: list[str]
) -> tuple[str, list[str]]:
    """The kind of items in files and their columns, from those of the training text and those that are chosen."""
    if "items" in chosen and kind not in TABLES.values():  # the card's columns are of another kind
        columns = [chosen.get(name, "") for name in ITEM_SETTINGS[1:]]
    elif "items" not in chosen and (kind in TABLES.values() or chosen.keys() & set(ITEM_SETTINGS)):
        tables = [name for name in names if Path(name).suffix.lower() in TABLES]
        if names and (len(tables) == len(names) or kind not in TABLES.values()):
            kind = ""
        elif not chosen.keys() & set(ITEM_SETTINGS) and _no_tables(names, model):
            kind, columns = "", ["", "", ""]
    if not kind and not any(columns):
        kind = "pairs" if model.vocab.pairs else "line"
    return kind, columns


def _no_tables(names: Sequence[str], model: Model) -> bool:
    """Whether files are no tables, though the training text was one: by their names, or since it was no file."""
    corpus = model.training.get("corpus")
    sources = corpus.get("sources") if isinstance(corpus, dict) else None
    suffixes = {Path(name).suffix.lower() for name in names}
    if not suffixes or suffixes & TABLES.keys() or not isinstance(sources, list):
        return False
    named = all(Path(str(source)).suffix.lower() in TABLES for source in sources)
    return sources == [MEMORY] or (named and suffixes == {".txt"})


def splits_of(model: Model, moved: Sequence[str] = ()) -> tuple[dict[str, Any] | None, str]:
    """The training, validation and test text of a model, if its corpus still exists unchanged.

    moved : the files of the corpus, if they are not where the model's card says

    Returns {"train", "validation", "test"} -> ids, or Items of a model of items; or None and the reason.
    """
    card = model.training
    try:
        about, settings = card["corpus"], card["settings"]
        sha256 = about["sha256"]
        validation, test = settings.get("val") or None, settings.get("test") or None
        beside = [file for file in (validation, test) if file is not None]
        sources = list(moved) or about["sources"]
        files = sources + beside if isinstance(sources, list) else sources
        joined = bool(about.get("joined"))
        added = len(sources) if joined else 0  # newlines between files
        files = claimed(files, int(about["symbols"]) - added, dense=model.vocab.items is None)
        corpus = read_corpus(
            sources,
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
        if moved:
            return None, f"{', '.join(files)} is not the text that the model was trained on"
        return None, f"the model's corpus ({', '.join(files)}) has changed since training"
    return dict(zip(("train", "validation", "test"), parts, strict=True)), ""


def of_the_same_parts(models: Sequence[Model]) -> bool:
    """Whether all models say that they were trained on the same part of the same text."""
    return all(_part_of(model) == _part_of(models[0]) for model in models)


def _part_of(model: Model) -> list[Any] | None:
    """What a model's card says of the text that it was trained on; None without one."""
    about, settings = (model.training.get(name) for name in ("corpus", "settings"))
    if not isinstance(about, dict) or not isinstance(settings, dict):
        return None
    files = [bool(settings.get(name)) for name in ("val", "test")]  # whose content is in the hash
    return [about.get("sha256"), *files, settings.get("val_fraction"), settings.get("test_fraction")]


@dataclass(frozen=True)
class Surprise:
    """A symbol that the model did not expect, and the symbols it expected instead."""

    place: int
    nats: float
    guesses: list[tuple[int, float]]  # symbol and probability, best first


@blas_threads()
def worst_places(
    models: Sequence[Model],
    text: Text,
    losses: Iterable[np.ndarray],
    most: int,
    mix: Mix | None = None,
) -> list[Surprise]:
    """The `most` places with the largest losses, worst first; a place of items counts their predicted symbols alone.

    losses : -log p of ids[1], ids[2], …, or of the predicted symbols of items, in windows
    mix : what the guesses are mixed with; None for the models alone
    To find the guesses, the model reads the CONTEXT symbols before the place from the zero state; those before one
    of an item reach back to its beginning.
    """
    nats, places = np.empty(0), np.empty(0, int)
    done = 0 if isinstance(text, Items) else 1
    for window in losses:
        nats, places = np.r_[nats, window], np.r_[places, done + np.arange(len(window))]
        worst = np.lexsort((places, -nats))[:most]
        nats, places, done = nats[worst], places[worst], done + len(window)
    found = []
    ends = np.cumsum(text.scored) if isinstance(text, Items) else np.empty(0, int)
    for place, loss in zip(places.tolist(), nats.tolist(), strict=True):
        if isinstance(text, Items):
            n = int(np.searchsorted(ends, place, side="right"))
            before = text.of(n)[: int(text.conditions[n] + place - (ends[n] - text.scored[n]))].tolist()
            counted = before[int(text.conditions[n]) - 1 :]
        else:
            counted = before = text[max(0, place - CONTEXT) : place].tolist()
        p = next_distribution(reader(models, before[:-1])(before[-1]))
        if mix is not None:
            (p,) = mix(p[None], np.array([counted[-MIXED_CONTEXT:]]))
        found.append(Surprise(place, loss, _likeliest(p)))
    return found


@dataclass(frozen=True)
class Prediction:
    """A symbol of a text, its -log p in nats, and the likeliest symbols there, best first.

    The first symbol is not predicted. One more prediction, without a symbol, follows the last one. Of items the text
    and the end of each are predicted, and nothing else is given.

    place : in the text, or in the text of the item; item : its number, from 0
    alone : -log p by the models alone, where they are mixed with something
    """

    place: int
    symbol: int | None
    nats: float | None
    guesses: list[tuple[int, float]]
    item: int | None = None
    alone: float | None = None


def predictions(
    models: Sequence[Model],
    text: Text,
    progress: Callable[[int], None] = _nothing,
    mix: Mix | None = None,
) -> Iterator[Prediction]:
    """The prediction for each symbol of a text and for the one after its end. The text is read as by `evaluate`.

    mix : what the models are mixed with

    Raises ModelError for outputs that are not finite.
    """
    if isinstance(text, Items):
        for n in range(len(text)):
            symbols, condition = text.of(n), int(text.conditions[n])
            read = _read(models, symbols[:-1], symbols[1:], progress)
            for place, symbol, log_p, alone in _mixed(read, mix, symbols, condition - 1):
                if place >= condition:
                    yield Prediction(place - condition, *_predicted(symbol, log_p), n, alone)
        return
    if len(text):
        yield Prediction(0, int(text[0]), None, [])
    for place, symbol, log_p, alone in _mixed(_read(models, text, text[1:], progress), mix, text, 0):
        yield Prediction(place, *_predicted(symbol, log_p), alone=alone)


def _predicted(
    symbol: int | None, log_p: np.ndarray
) -> tuple[int | None, float | None, list[tuple[int, float]]]:
    """A symbol, its -log p, and the likeliest symbols by log_p (V,)."""
    return symbol, None if symbol is None else float(-log_p[symbol]), _likeliest(np.exp(log_p))


def _read(
    models: Sequence[Model], ids: np.ndarray, targets: np.ndarray, progress: Callable[[int], None]
) -> Iterator[tuple[int, int | None, np.ndarray]]:
    """Place and symbol of each target, counted from 1, and the log-probabilities (V,) there.

    targets : what follows each symbol; where it is one shorter, the last has no symbol
    """
    states = [model.network.zero_state(1) for model in models]
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
        for t, row in enumerate(log_p, start):
            yield t + 1, int(targets[t]) if t < len(targets) else None, row
        progress(len(symbols))


def _mixed(
    read: Iterable[tuple[int, int | None, np.ndarray]], mix: Mix | None, ids: np.ndarray, first: int
) -> Iterator[tuple[int, int | None, np.ndarray, float | None]]:
    """What `_read` gives, mixed, and `alone` of `Prediction`; first : the first symbol that counts may look at."""
    for place, symbol, log_p in read:
        context, alone = ids[max(first, place - MIXED_CONTEXT) : place], None
        if mix is not None and len(context):
            alone = None if symbol is None else float(-log_p[symbol])
            with np.errstate(divide="ignore"):
                (log_p,) = np.log(mix(np.exp(log_p)[None], np.asarray(context)[None]))
        yield place, symbol, log_p, alone


def _likeliest(p: np.ndarray) -> list[tuple[int, float]]:
    """The GUESSES likeliest symbols by p (V,), and their probabilities, best first."""
    return [(s, float(p[s])) for s in np.argsort(-p, kind="stable")[:GUESSES].tolist()]
