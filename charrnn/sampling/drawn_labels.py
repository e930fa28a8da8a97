"""Labels as often as in the training text: counted there, and drawn for texts that are given none."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.model.model import Model
from charrnn.text.conditions import Labels


def labels_for(model: Model, given: Labels, seeds: Sequence[int]) -> list[Labels]:
    """The labels of each text, one of every column: those given, the others drawn as often as in the training text.

    seeds : of the texts, on which alone the draws depend
    """
    columns = model.vocab.labels
    drawn = [
        (column, _shares(model, column, values), values) for column, values in columns if column not in given
    ]
    if not drawn:
        return [given] * len(seeds)
    found = []
    for seed in seeds:
        u = np.random.default_rng([seed, 1]).random(len(drawn))  # not the numbers that draw the text
        labels = dict(given)
        for (column, shares, values), place in zip(drawn, u, strict=True):
            labels[column] = values[int(np.searchsorted(shares, place, side="right"))]
        found.append({column: labels[column] for column, _ in columns})
    return found


def _shares(model: Model, column: str, values: Sequence[str]) -> np.ndarray:
    """Cumulative shares of the labels of a column in the training text; all alike where the card does not tell."""
    counts = label_counts(model, column, values) or [1] * len(values)
    shares = np.cumsum(np.array(counts, np.float64))
    shares /= shares[-1]
    return shares


def label_counts(model: Model, column: str, values: Sequence[str]) -> list[int] | None:
    """How often each label of a column was in the training text, by the model's card; None where it does not tell."""
    card: Any = model.training.get("corpus")
    counts: Any = card.get("label_counts") if isinstance(card, dict) else None
    counted: Any = counts.get(column) if isinstance(counts, dict) else None
    numbers: list[Any] = [counted.get(value) if isinstance(counted, dict) else None for value in values]
    return numbers if all(type(n) is int and 0 <= n < 2**53 for n in numbers) and any(numbers) else None
