"""How well a network mixed with counts of its training text predicts a text, beside the network alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from charrnn.errors import DataError
from charrnn.model.model import Model
from charrnn.sampling.sampler import same_vocabulary
from charrnn.score.counts import LOOKED_UP_AT_ONCE, Counts
from charrnn.score.evaluation import fitted_temperature, surprises_at
from charrnn.score.halves import first_half, in_units, reported_words, skipped_of, sum_after, table
from charrnn.score.mixture import ORDER, Gate, Mixture
from charrnn.score.temperature import fitted
from charrnn.text.batches import Text, predictions
from charrnn.text.items import Items
from charrnn.text.spool import Spool

LEAST_FITTED = 100  # predictions that a gate is fitted on


def _nothing(_: int | np.ndarray) -> None:
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
        losses = {name: in_units(nats) for name, nats in zip(names, self.rows.values(), strict=False)}
        fitted = {name: asdict(gate) | {"shares": gate.shares.tolist()} for name, gate in self.gates.items()}
        return {"chars": self.chars, "second_half": self.second_half, **losses, "fitted": fitted}

    def in_words(self) -> str:
        found = f"with counts of the training text, {reported_words(self.chars, self.second_half)}\n{table(self.rows)}"
        rows = {"static": "+ counts", "adaptive": "+ adaptive"}
        if at_it := [rows[name] for name, gate in self.gates.items() if gate.temperature != 1]:
            T = max((gate.temperature for gate in self.gates.values()), key=lambda T: abs(T - 1))
            where = "the first half of the validation text" if self.second_half else "the validation text"
            found += (
                f"\n{' and '.join(at_it)}: with the network at the temperature {T:.2f}, which fits {where}"
            )
        if self.adaptive is not None:
            found += (
                "\nadaptive counts learn from this text as they read it, each character after it is scored"
            )
        return found


def fitted_mixture(
    models: Sequence[Model],
    parts: Mapping[str, Text],
    counts: Counts,
    *,
    adaptive: bool = False,
    temperature: float | None = None,
) -> Mixture:
    """A mixture whose gate is fitted on the first half of the validation text, or on the beginning of a long one.

    parts : the texts "train" and "validation" of the models
    temperature : of the network, taken if it helps; by default the one in its card

    Raises DataError where that text is too short.
    """
    half = _beginning(first_half(parts["validation"]))
    if predictions(half) < LEAST_FITTED:
        raise DataError(
            f"counts are mixed in by a gate that is fitted on the first half of the validation text, and that has "
            f"{predictions(half):,} characters to predict; it needs {LEAST_FITTED}. Train with a longer validation text"
        )
    T = temperature or fitted_temperature(models)
    temperatures = (1.0, T) if T else (1.0,)
    losses = np.concatenate([*surprises_at(models, half, temperatures)], axis=1)
    return Mixture.fitted(counts, half, losses, adaptive=adaptive, temperatures=temperatures)


def counts_of(models: Sequence[Model], parts: Mapping[str, Text]) -> Counts:
    """The counts of the training text, from the cache or made now."""
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
    counts, skipped = counts_of(models, parts), skipped_of(text, parts["validation"])
    T = fitted_temperature(models)
    if T is not None and skipped:  # that one was fitted on what is reported, too
        T = fitted(models[0].network, first_half(text))
    mixtures = {"static": fitted_mixture(models, parts, counts, temperature=T)}
    if adaptive:
        mixtures["adaptive"] = fitted_mixture(models, parts, counts, adaptive=True, temperature=T)
    with Spool("f8") as alone, Spool("f8") as tempered:
        for losses in surprises_at(models, text, (1.0, T or 1.0), progress):
            alone.append(losses[0])
            tempered.append(losses[1])
        sums = [sum_after(skipped, alone.blocks())]
        for mixture in mixtures.values():
            read = alone if mixture.gate.temperature == 1 else tempered
            sums.append(sum_after(skipped, mixture.losses(text, read.blocks())))
    chars = predictions(text) - skipped
    network, static, *rest = (total / chars for total in sums)
    gates = {name: mixture.gate for name, mixture in mixtures.items()}
    return Mixed(chars, skipped > 0, network, static, rest[0] if rest else None, gates)


def mixed_surprises(
    models: Sequence[Model],
    text: Text,
    mixture: Mixture,
    progress: Callable[[int], None] = _nothing,
    alone: Callable[[np.ndarray], object] = _nothing,
) -> Iterator[np.ndarray]:
    """`surprises` by a mixture, in windows (n,); `alone` is called with those by the network, as they are read."""

    def mixed_in() -> Iterator[np.ndarray]:
        for plain, tempered in surprises_at(models, text, (1.0, mixture.gate.temperature), progress):
            alone(plain)
            yield tempered

    return mixture.losses(text, mixed_in())


def _beginning(text: Text) -> Text:
    """At most LOOKED_UP_AT_ONCE predicted symbols, or the first item."""
    if isinstance(text, Items):
        return text[: max(1, int(np.searchsorted(np.cumsum(text.scored), LOOKED_UP_AT_ONCE, side="right")))]
    return text[: LOOKED_UP_AT_ONCE + 1]
