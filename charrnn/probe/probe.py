"""A probe: a linear classifier of texts, on a model's state after the last character.

    p(class k | text) = softmax(W x + b)_k      x (F,): the states of all cells of all layers, c of the LSTM
                                                and h of the others, after the text's last symbol

(c rather than tanh(c), where all counting cells saturate at ±1: benchmarks/LOG.md has the difference.)

Each text is read from the zero state after a newline; by a model of items, after what its items begin with. The
network does not change: only W and b are fitted, by
logistic regression with an L2 penalty, whose strength is chosen by cross-validation on the training texts.
Radford, Jozefowicz and Sutskever, "Learning to Generate Reviews and Discovering Sentiment" (2017), did
this and found a single cell that does nearly as well; `best_cell` looks for one.
"""

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError, ModelError
from charrnn.files.reading import why_not_claimed
from charrnn.files.writing import atomic_write
from charrnn.install.extras import require
from charrnn.model import model_file
from charrnn.model.model import Model, load_model
from charrnn.text.table import Row, csv_text
from charrnn.text.unknown import encode
from charrnn.text.vocabulary import Vocabulary, silent_symbol

ROWS = 64  # texts read side by side
STEPS = 32  # symbols per pass; always the same, because the network keeps buffers for each shape it meets
STRENGTHS = [10.0**k for k in range(-4, 3)]  # C of scikit-learn: a large C is a weak penalty
FOLDS = 5
FEWEST = 5  # fewest texts per label
NGRAM_RANGE = (1, 5)  # characters of the n-grams that the baseline counts
PERMUTATIONS = 9999
Z_95 = 1.959963984540054


@blas_threads()
def features(model: Model, texts: Sequence[np.ndarray]) -> np.ndarray:
    """The states (N, L·H) after each text and what `around` says. texts : ids (n,) each, not empty."""
    L, H = model.config.layers, model.config.hidden
    found = np.empty((len(texts), L * H), model.network.theta.dtype)
    before, after = around(model)
    letter = "c" if model.config.cell == "lstm" else "h"
    lengths = np.array([len(text) + len(after) for text in texts])
    order = np.argsort(lengths, kind="stable")
    for begin in range(0, len(order), ROWS):  # texts of about the same length side by side
        rows = order[begin : begin + ROWS]
        lasts = len(before) + lengths[rows] - 1  # place of each text's last symbol
        steps = -(-(1 + int(lasts.max())) // STEPS) * STEPS
        x = np.zeros((steps, len(rows)), np.intp)  # symbols after a text's end have no effect
        for column, row in enumerate(rows):
            x[: lasts[column] + 1, column] = [*before, *texts[row], *after]
        state = model.network.zero_state(len(rows))
        for start in range(0, steps, STEPS):
            layers, state = model.network.record(x[start : start + STEPS], state, [letter])
            ending = np.flatnonzero(lasts // STEPS == start // STEPS)
            t = lasts[ending] - start
            for k, layer in enumerate(layers):
                found[rows[ending], k * H : (k + 1) * H] = layer[letter][t, ending]
    return found


def around(model: Model) -> tuple[list[int], list[int]]:
    """The symbols that are read before and after each text, as the model was trained.

    Before it a stream has a newline, and an item the end of another one, or of each column the label that was
    commonest in training: the same for all texts. To a model of pairs a text is an input, and the boundary follows.
    """
    vocab = model.vocab
    after = [vocab.boundary] if vocab.pairs else []
    labels = [vocab.label(column, _commonest(model, column, values)) for column, values in vocab.labels]
    return labels or ([] if vocab.pairs else [silent_symbol(vocab)]), after


def _commonest(model: Model, column: str, values: Sequence[str]) -> str:
    """The label of a column that most items of the training text have; the first one if the model does not tell."""
    counts: Any = model.training
    for name in ("corpus", "label_counts", column):
        counts = counts.get(name) if isinstance(counts, dict) else None
    known = {value: n for value, n in (counts if isinstance(counts, dict) else {}).items() if type(n) is int}
    return max(values, key=lambda value: known.get(value, 0))


def encode_rows(rows: Sequence[Row], vocab: Vocabulary, unknown: str = "error") -> list[np.ndarray]:
    """The symbols of each row's text. unknown : how to treat unknown characters, as in `text.unknown.encode`.

    Raises DataError naming the line of a text with refused characters, or without known ones.
    """
    found = []
    for row in rows:
        try:
            ids, _ = encode(row.text, vocab, unknown)
        except DataError as error:
            raise DataError(f"line {row.line}: {error}") from None
        if not len(ids):
            raise DataError(
                f"line {row.line}: the model knows none of this text's characters. Remove that row"
            )
        found.append(ids)
    return found


def save_features(
    path: str | Path, states: np.ndarray, lines: Sequence[int], labels: Sequence[str] | None, hidden: int
) -> None:
    """Write the states (N, L·H) after N texts durably: arrays in .npz, or .csv with one column per LAYER:CELL.

    lines : the texts' lines in the table that they came from
    """
    if Path(path).suffix == ".npz":
        arrays = {"states": states, "lines": np.array(lines)}
        if labels is not None:
            arrays["labels"] = np.array(labels, str)
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]  # numpy's stub mistakes them for allow_pickle
        data: bytes | memoryview = content.getbuffer()
    else:
        cells = [f"{layer}:{cell}" for layer, cell in (divmod(k, hidden) for k in range(states.shape[1]))]
        before = [[line] for line in lines] if labels is None else list(zip(lines, labels, strict=True))
        header = ["line", *(["label"] if labels is not None else []), *cells]
        table = ([*one, *state] for one, state in zip(before, states, strict=True))
        data = csv_text(header, table).encode("utf-8", "surrogateescape")
    with atomic_write(path) as file:
        file.write(data)


@dataclass(frozen=True)
class Share:
    """The share of texts classified correctly, with Wilson's 95 % interval (1927)."""

    right: int
    texts: int

    @property
    def accuracy(self) -> float:
        return self.right / self.texts

    @property
    def interval(self) -> tuple[float, float]:
        n, p, z2 = self.texts, self.accuracy, Z_95**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def to_json(self) -> dict[str, Any]:
        return {"accuracy": self.accuracy, "interval": list(self.interval)}


@dataclass(frozen=True)
class BestCell:
    """The single cell that predicts the labels best with one threshold, chosen on the training texts.

    above, below : the predicted label for states above the threshold, and for the others
    held_out : its share on the held-out texts; chance : the mean share for permuted labels of these;
    p_value : the share of permutations that reach at least `held_out`
    """

    layer: int
    cell: int
    threshold: float
    above: str
    below: str
    training: Share
    held_out: Share
    chance: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Probe:
    """The classifier, W (K, F) and b (K,) in float64, and the model whose states it reads.

    model_sha256 : of the model's tensors; model : the path of its file; report : a ProbeResult as JSON
    """

    labels: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray
    model_sha256: str = ""
    model: str = ""
    report: dict[str, Any] = field(default_factory=dict)

    @blas_threads()
    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """The labels' probabilities (N, K) for states x (N, F)."""
        a = x.astype(np.float64) @ self.weight.T + self.bias
        p = np.exp(a - a.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def save(self, path: str | Path) -> None:
        """Write it durably, in the format of the model file: safetensors, never pickle."""
        card = {
            "labels": list(self.labels),
            "cells": self.weight.shape[1],
            "model": self.model,
            "model_sha256": self.model_sha256,
            "report": self.report,
        }
        model_file.save(path, {"weight": self.weight, "bias": self.bias}, {"kind": "probe", "probe": card})


def load_probe(path: str | Path) -> Probe:
    """Read a probe. Raises ModelError if the file is missing, damaged or not a probe."""

    def layout(metadata: dict[str, Any]) -> model_file.Layout:
        card = metadata["probe"]
        labels, texts = card["labels"], [card["model"], card["model_sha256"]]
        if not isinstance(labels, list) or len(set(labels)) < max(2, len(labels)):
            raise ModelError("its labels must be at least two, all different")
        if not all(isinstance(text, str) for text in [*labels, *texts]) or type(card["cells"]) is not int:
            raise ModelError("its labels or its model are of the wrong type")
        return {
            "weight": ((len(labels), card["cells"]), np.float64),
            "bias": ((len(labels),), np.float64),
        }

    metadata, tensors = model_file.load(path, layout, kind="probe")
    card = metadata["probe"]
    return Probe(
        tuple(card["labels"]), tensors["weight"], tensors["bias"], card["model_sha256"], card["model"]
    )


def model_of(probe: Probe, probe_path: str | Path, path: str | Path | None = None) -> Model:
    """The model that a probe was fitted on: at `path`, beside the probe, or at its old path.

    Raises ModelError if it is missing or a different model.
    """
    if path is None:
        beside = Path(probe_path).parent / Path(probe.model).name
        path = beside if os.path.exists(beside) else Path(probe.model)
        if path != beside and (reason := why_not_claimed(probe.model)):
            raise ModelError(
                f"the model of {probe_path}, {path}, cannot be read ({reason}). Name it with --model"
            )
    model = load_model(path)
    if model_file.read_metadata(path)["sha256"] != probe.model_sha256:
        raise ModelError(
            f"{probe_path} was not fitted on {path}. Name the model it was fitted on, or fit a new probe"
        )
    if (cells := model.config.layers * model.config.hidden) != probe.weight.shape[1]:
        raise ModelError(f"{probe_path} has weights for {probe.weight.shape[1]} cells; {path} has {cells}")
    return model


@dataclass(frozen=True)
class ProbeResult:
    """The result of `charrnn probe`. All shares are on the same held-out texts.

    repeated_texts : held-out texts that were left out because they also occur among the training texts
    majority : always the commonest label of the training texts; ngrams : logistic regression on the TF-IDF of
    the texts' character 1- to 5-grams, regularised in the same way; strengths : the C chosen for each
    """

    labels: dict[str, int]
    training_texts: int
    held_out_texts: int
    repeated_texts: int
    state: Share
    ngrams: Share
    majority: Share
    majority_label: str
    cell: BestCell
    strengths: dict[str, float]
    seed: int


@blas_threads()
def fit(
    model: Model,
    texts: Sequence[str],
    ids: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    held_out: float = 0.2,
    seed: int = 1,
) -> tuple[Probe, ProbeResult]:
    """Fit a probe on a part of the texts and measure it on the rest.

    texts, ids : each text and its symbols; held_out : share of each label's texts to measure on

    Raises DataError for fewer than two labels or too few different texts of a label, UsageError if
    scikit-learn is not installed.
    """
    names, y = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(y, minlength=len(names))
    check_labels(names.tolist(), counts)
    _sklearn("linear_model")  # fail before the long work
    training, confirm = split(y, held_out, seed)
    left = np.bincount(y[training], minlength=len(names))
    if left.min() < 2 or (left == counts).any():
        rarest = str(names[int(counts.argmin())])
        raise DataError(
            f"--held-out {held_out:g} of the {counts.min()} texts labelled {rarest!r} leaves none to measure on, or "
            "too few to fit on. Give more texts, or another share"
        )
    fitted_on = {texts[k] for k in training}
    new = np.array([texts[k] not in fitted_on for k in confirm])
    if not new.any():
        raise DataError("all held-out texts also occur among the training texts. Give more different texts")
    repeated, confirm = int((~new).sum()), confirm[new]
    x = features(model, ids)
    weight, bias, strength = fit_linear(x[training], y[training], seed)
    probe = Probe(tuple(names.tolist()), weight, bias)
    told = probe.probabilities(x[confirm]).argmax(axis=1)
    counted = [texts[k] for k in training], [texts[k] for k in confirm]
    by_ngrams, ngram_strength = _ngram_baseline(*counted, y[training], seed)
    majority = int(np.bincount(y[training]).argmax())

    def share(predicted: np.ndarray | int) -> Share:
        return Share(int((predicted == y[confirm]).sum()), len(confirm))

    result = ProbeResult(
        dict(zip(names.tolist(), counts.tolist(), strict=True)),
        len(training),
        len(confirm),
        repeated,
        share(told),
        share(by_ngrams),
        share(majority),
        str(names[majority]),
        best_cell(x, y, training, confirm, names.tolist(), model.config.hidden, seed),
        {"state": strength, "ngrams": ngram_strength},
        seed,
    )
    return probe, result


def split(y: np.ndarray, held_out: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The texts to fit on and those to hold out: the same random share of each class y (N,)."""
    rng = np.random.default_rng(seed)
    classes = [rng.permutation(np.flatnonzero(y == k)) for k in range(y.max() + 1)]
    cuts = [round(held_out * len(places)) for places in classes]
    confirm = np.sort(np.concatenate([places[:cut] for places, cut in zip(classes, cuts, strict=True)]))
    return np.setdiff1d(np.arange(len(y)), confirm), confirm


def check_labels(names: Sequence[str], counts: np.ndarray) -> None:
    """Raise DataError unless there are at least two labels with enough texts each."""
    if len(names) < 2:
        have = f"all are {names[0]!r}" if len(names) else "there are none"
        raise DataError(f"the texts need at least two different labels; {have}")
    rarest = int(counts.argmin())
    if counts[rarest] < FEWEST:
        raise DataError(
            f"there are {counts[rarest]} texts labelled {names[rarest]!r}; each label needs at least {FEWEST}. "
            "Give more, or leave that label out"
        )


def fit_linear(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """W (K, F) and b (K,) in float64 for states x (N, F) and classes y (N,) in 0…K-1, and the chosen C."""
    x = x.astype(np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1
    best = _choose_strength((x - mean) / scale, y, seed)
    w, b = best.best_estimator_.coef_, best.best_estimator_.intercept_
    if len(w) == 1:  # two classes: softmax(0, a) is σ(a)
        w, b = np.r_[0 * w, w], np.r_[0 * b, b]
    weight = w / scale
    return weight, b - weight @ mean, float(best.best_params_["C"])


def _choose_strength(x: Any, y: np.ndarray, seed: int) -> Any:
    """Logistic regression on x (N, F), which may be sparse, with the C that is best in cross-validation."""
    selection = _sklearn("model_selection")
    folds = selection.StratifiedKFold(min(FOLDS, int(np.bincount(y).min())), shuffle=True, random_state=seed)
    regression = _sklearn("linear_model").LogisticRegression(max_iter=10_000)
    return selection.GridSearchCV(regression, {"C": STRENGTHS}, scoring="neg_log_loss", cv=folds).fit(x, y)


def _ngram_baseline(
    training: Sequence[str], held_out: Sequence[str], y: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """Classes of the held-out texts predicted from their character n-grams, and the chosen C."""
    vectorizer = _sklearn("feature_extraction.text").TfidfVectorizer(
        analyzer="char", ngram_range=NGRAM_RANGE, lowercase=False, sublinear_tf=True
    )
    best = _choose_strength(vectorizer.fit_transform(training), y, seed)
    return best.predict(vectorizer.transform(held_out)), float(best.best_params_["C"])


def best_cell(
    x: np.ndarray,
    y: np.ndarray,
    training: np.ndarray,
    confirm: np.ndarray,
    labels: Sequence[str],
    hidden: int,
    seed: int,
) -> BestCell:
    """The cell and threshold that classify most training texts correctly, and their share on the others.

    x : states (N, F); y : classes (N,); training, confirm : the texts to choose on and to measure on
    """
    stumps = [best_stump(x[training, k], y[training], len(labels)) for k in range(x.shape[1])]
    k = max(range(len(stumps)), key=lambda k: stumps[k][0])
    right, threshold, below, above = stumps[k]
    told = np.where(x[confirm, k] > threshold, above, below)
    correct = int((told == y[confirm]).sum())
    rng = np.random.default_rng(seed)
    permuted = np.array([(told == rng.permutation(y[confirm])).sum() for _ in range(PERMUTATIONS)])
    return BestCell(
        *divmod(k, hidden),
        threshold,
        labels[above],
        labels[below],
        Share(right, len(training)),
        Share(correct, len(confirm)),
        float(permuted.mean() / len(confirm)),
        float((1 + (permuted >= correct).sum()) / (1 + PERMUTATIONS)),
    )


def best_stump(signal: np.ndarray, y: np.ndarray, classes: int) -> tuple[int, float, int, int]:
    """The threshold on a signal (N,) that gets most classes y (N,) right if each side predicts its commonest.

    Returns the number it gets right, the threshold, the class up to the threshold and the class above it.
    """
    order = np.argsort(signal, kind="stable")
    values = signal[order].astype(np.float64)
    upto = np.cumsum(y[order][:, None] == np.arange(classes), axis=0)
    beyond = upto[-1] - upto
    right = upto.max(axis=1) + beyond.max(axis=1)
    right[:-1][values[1:] == values[:-1]] = -1  # no threshold lies between equal values
    k = int(right.argmax())
    threshold = values[k] if k + 1 == len(values) else (values[k] + values[k + 1]) / 2
    return int(right[k]), float(threshold), int(upto[k].argmax()), int(beyond[k].argmax())


def _sklearn(module: str) -> Any:
    """A module of scikit-learn. Raises UsageError if it is not installed."""
    import importlib

    with require("probe", "charrnn probe"):
        return importlib.import_module(f"sklearn.{module}")
