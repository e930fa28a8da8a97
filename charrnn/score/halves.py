"""What is fitted on the first half of the validation text is reported on other text: where, and in which form."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np

from charrnn.model.scores import in_bits
from charrnn.score.evaluation import perplexity_of
from charrnn.text.batches import Text, predictions
from charrnn.text.items import Items

Half = TypeVar("Half", np.ndarray, Items, Text)


def first_half(text: Half) -> Half:
    """The part that numbers may be fitted on."""
    return text[: len(text) // 2]


def skipped_of(text: Text, validation: Text) -> int:
    """How many of the first predictions of a text are not reported: none, or those of the first half of the
    validation text, where the text is that."""
    if not _is_same(text, validation):
        return 0
    half = text[len(text) // 2 :]
    return predictions(text) - (half.symbols if isinstance(half, Items) else len(half))


def _is_same(one: Text, other: Text) -> bool:
    """Whether two texts have the same symbols, and as items the same ones."""
    if isinstance(one, Items) and isinstance(other, Items):
        return np.array_equal(one.scored, other.scored) and np.array_equal(one.predicted(), other.predicted())
    if isinstance(one, Items) or isinstance(other, Items):
        return False
    return np.array_equal(one, other)


def sum_after(skipped: int, windows: Iterable[np.ndarray]) -> float:
    """The sum of all numbers after the first `skipped` of them."""
    total = 0.0
    for numbers in windows:
        total += float(numbers[skipped:].sum(dtype=np.float64))
        skipped = max(0, skipped - len(numbers))
    return total


def reported_words(chars: int, second_half: bool) -> str:
    """How many characters are reported, and of what."""
    where = "the second half; what is fitted is fitted on the first" if second_half else "the text"
    return f"{chars:,} characters of {where}"


def in_units(nats: float) -> dict[str, float | None]:
    """A loss in all units; None for a perplexity beyond all numbers."""
    perplexity = perplexity_of(nats)
    return {
        "loss_nats": nats,
        "bits_per_char": in_bits(nats),
        "perplexity": perplexity if math.isfinite(perplexity) else None,
    }


def table(losses: Mapping[str, float]) -> str:
    """name -> loss in nats, as a table of all units."""
    lines = ["               nats/char  bits/char  perplexity"]
    for name, nats in losses.items():
        lines.append(f"{name:<14} {nats:9.4f}  {in_bits(nats):9.4f}  {perplexity_of(nats):10.3f}")
    return "\n".join(lines)
