"""Which label a text has, by Bayes' rule from a model that writes texts of each label.

    p(label | text) = p(text | label) p(label) / Σ_l p(text | l) p(l)

p(text | label) is the model's, of all characters and the end; p(label) the share of the label among the items that it
was trained on, or the same for all. Of several columns of labels one is told, with the sum over the labels of the
others, which are taken as independent of it before a text is seen.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model
from charrnn.sampling.drawn_labels import label_counts
from charrnn.sampling.sampler import same_vocabulary
from charrnn.score.evaluation import item_losses
from charrnn.score.simple_models import NGrams
from charrnn.text.items import Items, after_end
from charrnn.text.records import Record
from charrnn.text.unknown import encode

PRIORS = ("training", "uniform")
MOST_COMBINATIONS = 10_000  # of labels of all columns, each of which reads every text
SYMBOLS_AT_ONCE = 2**20  # of all texts after all labels


@dataclass(frozen=True)
class Classified:
    """The likeliest label of a text, and the probability of each."""

    label: str
    probabilities: dict[str, float]


def classify(
    model: Model | Sequence[Model],
    texts: Sequence[str],
    *,
    inputs: Sequence[str] = (),
    column: str | None = None,
    prior: str = "training",
    unknown: str = "error",
) -> list[Classified]:
    """The label of each text, by a model of labelled items; the probabilities of several models are averaged.

    inputs : of a model of pairs, the input that each text belongs to
    column : which labels to tell, where the model has several columns of them
    prior : "training", as often as in the training text, or "uniform"
    unknown : how to treat unknown characters, as in `text.unknown.encode`

    Raises UsageError for a model without labels, DataError for unknown characters.
    """
    if inputs and len(inputs) != len(texts):
        raise UsageError(
            f"there are {len(inputs):,} inputs and {len(texts):,} texts; each text needs its own"
        )
    bayes = Classifier([model] if isinstance(model, Model) else model, column, prior, unknown)
    records = [
        Record(text, (), input) for text, input in zip(texts, inputs or [""] * len(texts), strict=True)
    ]
    found = []
    for part in bayes.blocks(records):
        for row in bayes.probabilities(bayes.encoded(part)):
            p = dict(zip(bayes.labels, row.tolist(), strict=True))
            found.append(Classified(bayes.labels[int(row.argmax())], p))
    return found


class Classifier:
    """Tells the labels of one column; the arguments are those of `classify`.

    labels : the labels (K,) that it tells
    counts : how often each was among the training items; None where the model's card does not say
    """

    def __init__(
        self,
        models: Sequence[Model],
        column: str | None = None,
        prior: str = "training",
        unknown: str = "error",
    ) -> None:
        self.models, self.unknown = list(models), unknown
        self.vocab = same_vocabulary(self.models)
        names = [name for name, _ in self.vocab.labels]
        if not names:
            raise UsageError(
                "the model was trained without labels, so it cannot tell any. Train one with --label-column, or fit "
                "a classifier on this model's state with charrnn probe"
            )
        if column is None and len(names) > 1:
            raise UsageError(
                f"the model has several columns of labels: choose one of {', '.join(names)} (--column NAME)"
            )
        if column is not None and column not in names:
            raise UsageError(f"the model has no column of labels {column!r}; it has {', '.join(names)}")
        if prior not in PRIORS:
            raise UsageError(f"--prior is {prior!r}; it must be one of: {', '.join(PRIORS)}")
        self._place = 0 if column is None else names.index(column)
        self.column, self.labels = self.vocab.labels[self._place]
        counted = {name: label_counts(self.models[0], name, values) for name, values in self.vocab.labels}
        self.counts = counted[self.column]
        shares = []
        for name, values in self.vocab.labels:
            counts = counted[name] if prior == "training" else None
            if counts is None and prior == "training" and name == self.column:
                raise DataError(
                    "the model file does not say how often each label occurs; give --prior uniform"
                )
            share = np.ones(len(values)) if counts is None else np.asarray(counts, np.float64)
            shares.append(share / share.sum())
        combinations = np.prod([len(values) for _, values in self.vocab.labels], dtype=float)
        if combinations > MOST_COMBINATIONS:
            raise UsageError(
                f"the model has {combinations:,.0f} combinations of labels, more than {MOST_COMBINATIONS:,}: each "
                "would read every text"
            )
        self._values = np.array(list(product(*(range(len(values)) for _, values in self.vocab.labels))))
        with np.errstate(divide="ignore"):
            self._log_prior = sum(np.log(p[self._values[:, k]]) for k, p in enumerate(shares))
            self.log_prior = np.log(shares[self._place])

    def blocks(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """The records in parts that are classified at once."""
        begin, symbols = 0, 0
        for n, record in enumerate(records):
            size = (len(record.text) + len(record.input) + 4) * len(self._values)
            if n > begin and symbols + size > SYMBOLS_AT_ONCE:
                yield records[begin:n]
                begin, symbols = n, 0
            symbols += size
        if begin < len(records):
            yield records[begin:]

    def encoded(self, records: Sequence[Record]) -> Items:
        """Texts after the end symbol in place of labels, or after their input."""
        vocab, L = self.vocab, len(self.vocab.labels)
        whole, conditions = [], []
        for record in records:
            condition = [vocab.end] * L
            if vocab.pairs:
                condition += [*self._ids(record.input).tolist(), vocab.boundary]
            whole.append(np.array([*condition, *self._ids(record.text).tolist(), vocab.end], vocab.dtype))
            conditions.append(len(condition))
        sizes = np.array([len(one) for one in whole])
        stops = np.cumsum(sizes)
        return Items(np.concatenate(whole), stops - sizes, stops, np.array(conditions))

    def _ids(self, text: str) -> np.ndarray:
        try:
            ids, _ = encode(text, self.vocab, self.unknown)
        except DataError as error:
            raise DataError(f"{text[:40]!r}: {error}") from None
        return ids

    @blas_threads()
    def probabilities(self, texts: Items) -> np.ndarray:
        """p(label | text), (N, K), of texts made by `encoded`."""
        N, M, S = len(texts), len(self._values), len(texts.ids)
        ids = np.tile(texts.ids, (M, 1))  # all texts after each combination of labels
        for k, (column, values) in enumerate(self.vocab.labels):
            symbols = np.array([self.vocab.label(column, value) for value in values])
            ids[:, texts.starts + k] = symbols[self._values[:, k], None]
        shift = (S * np.arange(M))[:, None]
        every = Items(
            ids.ravel(),
            (texts.starts + shift).ravel(),
            (texts.stops + shift).ravel(),
            np.tile(texts.conditions, M),
        )
        log_p = self._log_prior[:, None] - item_losses(self.models, every).reshape(M, N)
        joint = np.full((len(self.labels), N), -np.inf)
        for row, value in zip(log_p, self._values[:, self._place], strict=True):
            joint[value] = np.logaddexp(joint[value], row)
        return posterior(joint.T)


def posterior(log_joint: np.ndarray) -> np.ndarray:
    """p(label | text) from log p(text, label), both (N, K)."""
    p = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


class NGramBayes:
    """The same rule with an n-gram model of the training texts of each label: a baseline."""

    def __init__(self, training: Items, bayes: Classifier) -> None:
        self._bayes = bayes
        vocab = bayes.vocab
        place = [name for name, _ in vocab.labels].index(bayes.column)
        symbols = training.ids[training.starts + place]
        self._models = [
            NGrams(
                after_end(training[symbols == vocab.label(bayes.column, label)], vocab.end),
                len(vocab),
                written=vocab.written,
            )
            for label in bayes.labels
        ]

    def probabilities(self, texts: Items) -> np.ndarray:
        """p(label | text), (N, K)."""
        plain = after_end(texts, self._bayes.vocab.end)
        log_p = -np.stack([model.item_losses(plain) for model in self._models], axis=1)
        return posterior(log_p + self._bayes.log_prior)


@dataclass(frozen=True)
class Agreement:
    """How well labels that were told agree with the right ones.

    macro_f1 : the mean over the right labels of F1 = 2 hits / (times told + times right)
    """

    accuracy: float
    macro_f1: float

    @classmethod
    def of(cls, told: Sequence[str], right: Sequence[str]) -> "Agreement":
        times_told, times_right = Counter(told), Counter(right)
        hits = Counter(a for a, b in zip(told, right, strict=True) if a == b)
        f1 = [2 * hits[label] / (times_told[label] + n) for label, n in times_right.items()]
        return cls(sum(hits.values()) / len(right), sum(f1) / len(f1))


@dataclass(frozen=True)
class Report:
    """How well a file of labelled texts was classified.

    labels : how often each right label occurs
    confusion : right label -> label told -> how often
    majority : always the label that was commonest in training; ngrams : an n-gram model for each label; None where it
        is not known how often labels occurred, or where the training text is missing
    """

    texts: int
    labels: dict[str, int]
    model: Agreement
    confusion: dict[str, dict[str, int]]
    majority: Agreement | None = None
    majority_label: str | None = None
    ngrams: Agreement | None = None

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"texts": self.texts, **_json(self.model)}
        named: Mapping[str, Agreement | None] = {"majority": self.majority, "ngrams": self.ngrams}
        found["baselines"] = {name: _json(one) for name, one in named.items() if one is not None}
        if self.majority is not None:
            found["baselines"]["majority"]["label"] = self.majority_label
        return found | {"labels": self.labels, "confusion": self.confusion}


def _json(agreement: Agreement) -> dict[str, Any]:
    return {"accuracy": agreement.accuracy, "macro_f1": agreement.macro_f1}


def report(
    bayes: Classifier, told: Sequence[str], right: Sequence[str], by_ngrams: Sequence[str] | None
) -> Report:
    """How well texts were classified. Raises DataError where there are none.

    by_ngrams : what the n-gram models told, if there are any
    """
    if not right:
        raise DataError("there is no labelled text to measure on")
    confusion: dict[str, Counter[str]] = {label: Counter() for label in sorted(set(right))}
    for a, b in zip(told, right, strict=True):
        confusion[b][a] += 1
    majority = None if bayes.counts is None else bayes.labels[int(np.argmax(bayes.counts))]
    return Report(
        len(right),
        {label: sum(counts.values()) for label, counts in confusion.items()},
        Agreement.of(told, right),
        {label: dict(sorted(counts.items())) for label, counts in confusion.items()},
        None if majority is None else Agreement.of([majority] * len(right), right),
        majority,
        None if by_ngrams is None else Agreement.of(by_ngrams, right),
    )
