"""How well a network mixed with counts of its training text predicts a text, beside the network alone."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from charrnn.errors import DataError
from charrnn.model.model import Model
from charrnn.sampling.sampler import same_vocabulary
from charrnn.score.counts import LOOKED_UP_AT_ONCE, Counts
from charrnn.score.evaluation import surprises
from charrnn.score.mixture import ORDER, Gate, Mixture
from charrnn.text.batches import Text, predictions
from charrnn.text.items import Items
from charrnn.text.spool import Spool

LEAST_FITTED = 100  # predictions that a gate is fitted on


def _nothing(symbols: int) -> None:
    pass


@dataclass(frozen=True)
class Mixed:
    """Mean losses in nats per predicted symbol: of the network alone, and mixed with counts.

    chars : predicted symbols that are reported; second_half : whether they are those of the second half of the
        validation text, because the gates are fitted on the first
    adaptive : with counts that also grow while the text is read; None where that was not wanted
    gates : name -> what was fitted
    """

    chars: int
    second_half: bool
    network: float
    static: float
    adaptive: float | None
    gates: Mapping[str, Gate]

    @property
    def rows(self) -> dict[str, float]:
        found = {"network alone": self.network, "+ counts": self.static}
        return found if self.adaptive is None else found | {"+ adaptive": self.adaptive}

    def to_json(self) -> dict[str, Any]:
        names = ("network", "static", "adaptive")
        losses = {
            name: {"loss_nats": nats, "bits_per_char": nats / math.log(2), "perplexity": math.exp(nats)}
            for name, nats in zip(names, self.rows.values(), strict=False)
        }
        fitted = {name: asdict(gate) | {"shares": gate.shares.tolist()} for name, gate in self.gates.items()}
        return {"chars": self.chars, "second_half": self.second_half, **losses, "fitted": fitted}

    def in_words(self) -> str:
        where = "of the second half; the gates are fitted on the first" if self.second_half else "of the text"
        lines = [
            f"with counts of the training text, {self.chars:,} characters {where}",
            "               nats/char  bits/char  perplexity",
        ]
        lines += [
            f"{name:<14} {nats:9.4f}  {nats / math.log(2):9.4f}  {math.exp(nats):10.3f}"
            for name, nats in self.rows.items()
        ]
        if self.adaptive is not None:
            lines.append(
                "adaptive counts learn from this text as they read it, each character after it is scored"
            )
        return "\n".join(lines)


def fitted_mixture(
    models: Sequence[Model], parts: Mapping[str, Text], counts: Counts, *, adaptive: bool = False
) -> Mixture:
    """A mixture whose gate is fitted on the first half of the validation text, or on the beginning of a long one.

    parts : the texts "train" and "validation" of the models

    Raises DataError where that text is too short.
    """
    half = _beginning(_halves(parts["validation"])[0])
    if predictions(half) < LEAST_FITTED:
        raise DataError(
            f"counts are mixed in by a gate that is fitted on the first half of the validation text, and that has "
            f"{predictions(half):,} characters to predict; it needs {LEAST_FITTED}. Train with a longer validation text"
        )
    return Mixture.fitted(counts, half, np.concatenate(list(surprises(models, half))), adaptive=adaptive)


def counts_of(models: Sequence[Model], parts: Mapping[str, Text]) -> Counts:
    """The counts of the training text, from the cache or made now. Raises CharRNNError if it cannot be written."""
    vocab = same_vocabulary(models)
    return Counts.kept(parts["train"], len(vocab), ORDER, vocab.written)


def mixed(
    models: Sequence[Model],
    text: Text,
    parts: Mapping[str, Text],
    *,
    adaptive: bool = False,
    progress: Callable[[int], None] = _nothing,
) -> Mixed:
    """The losses on a text, or on its second half where it is the validation text.

    adaptive : whether with counts that also grow
    The other arguments are those of `fitted_mixture` and `evaluate`.
    """
    counts = counts_of(models, parts)
    mixtures = {"static": fitted_mixture(models, parts, counts)}
    if adaptive:
        mixtures["adaptive"] = fitted_mixture(models, parts, counts, adaptive=True)
    second_half = _is_same(text, parts["validation"])
    skipped = predictions(text) - _reported(text) if second_half else 0
    with Spool("f8") as alone:
        for losses in surprises(models, text, progress):
            alone.append(losses)
        sums = [_sum_after(skipped, alone.blocks())]
        sums += [_sum_after(skipped, mixture.losses(text, alone.blocks())) for mixture in mixtures.values()]
    chars = predictions(text) - skipped
    network, static, *rest = (total / chars for total in sums)
    gates = {name: mixture.gate for name, mixture in mixtures.items()}
    return Mixed(chars, second_half, network, static, rest[0] if rest else None, gates)


def _halves(text: Text) -> tuple[Text, Text]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _reported(text: Text) -> int:
    """The predicted symbols of the second half: of a stream all of it, since the first half is read before it."""
    half = _halves(text)[1]
    return half.symbols if isinstance(half, Items) else len(half)


def _beginning(text: Text) -> Text:
    """At most LOOKED_UP_AT_ONCE predicted symbols, or the first item."""
    if isinstance(text, Items):
        return text[: max(1, int(np.searchsorted(np.cumsum(text.scored), LOOKED_UP_AT_ONCE, side="right")))]
    return text[: LOOKED_UP_AT_ONCE + 1]


def _is_same(one: Text, other: Text) -> bool:
    """Whether two texts have the same symbols, and as items the same ones."""
    if isinstance(one, Items) and isinstance(other, Items):
        return np.array_equal(one.scored, other.scored) and np.array_equal(one.predicted(), other.predicted())
    if isinstance(one, Items) or isinstance(other, Items):
        return False
    return np.array_equal(one, other)


def _sum_after(skipped: int, windows: Iterable[np.ndarray]) -> float:
    """The sum of all numbers after the first `skipped` of them."""
    total = 0.0
    for numbers in windows:
        total += float(numbers[skipped:].sum(dtype=np.float64))
        skipped = max(0, skipped - len(numbers))
    return total
