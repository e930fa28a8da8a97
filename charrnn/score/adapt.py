"""Dynamic evaluation: a network that goes on learning while it reads a text (Krause et al. 2018).

The text is read in chunks of T symbols. Each chunk is scored, then the weights take a step along its gradient:

    θ ← θ - lr g / (r + ε r̄) + d (θ_0 - θ)

g the gradient of the chunk's loss, r the root of its mean square over chunks of the training text for each weight,
r̄ the mean of r, θ_0 the weights of the model. So weights that training moved often go fastest, and all drift back.
The state is carried from chunk to chunk. The model itself is not changed.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError, ModelError, UsageError
from charrnn.model.model import Model, plain_copy
from charrnn.nn.loss import cross_entropy, cross_entropy_gradient
from charrnn.nn.network import Network
from charrnn.sampling.sampler import NOT_FINITE
from charrnn.score.evaluation import surprises
from charrnn.score.halves import first_half, in_units, reported_words, skipped_of, sum_after, table
from charrnn.text.batches import Text
from charrnn.text.items import Items

CHUNK = 20  # T
SAMPLED = 200  # chunks of the training text
EPSILON = 0.1  # with less, weights that no sampled chunk moved would take far larger steps than others
DECAY = 1e-3  # d
RATES = (1e-4, 3e-4, 1e-3)  # lr that are tried
DIVERGED = "--adapt: with the step size {lr:g} the weights left all bounds. Give a smaller one"
NO_ITEMS = "--adapt is for models of a stream: items are read from the zero state, each on its own"
TRIED = 2**14  # symbols of the first half of the validation text that they are tried on


def _nothing(symbols: int) -> None:
    pass


class Adapting:
    """A network, and the size of its gradients on its training text.

    training : ids (N,)
    """

    def __init__(self, network: Network, training: np.ndarray) -> None:
        self._network = network
        squares = np.zeros_like(network.theta)
        reader = plain_copy(network)
        starts = np.linspace(0, max(0, len(training) - CHUNK - 1), SAMPLED).astype(int)
        with blas_threads():
            for start in starts:
                x, y = _chunk(training, start)
                logits, _, trace = reader.forward(x, reader.zero_state(1))
                reader.backward(trace, cross_entropy_gradient(logits, y)[1])
                squares += reader.grad**2
        root = np.sqrt(squares / SAMPLED)
        self._scale = 1 / np.maximum(root + EPSILON * root.mean(), np.finfo(root.dtype).tiny)

    def losses(
        self, ids: np.ndarray, lr: float, progress: Callable[[int], None] = _nothing
    ) -> Iterator[np.ndarray]:
        """-log p of ids[1], ids[2], … (N - 1,) in chunks, each scored before the weights learn from it.

        Raises ModelError for outputs that are not finite.
        """
        network = plain_copy(self._network)
        first = network.theta.copy()
        steps = network.theta.dtype.type(lr) * self._scale
        decay = network.theta.dtype.type(DECAY)
        state = network.zero_state(1)
        for start in range(0, len(ids) - 1, CHUNK):
            x, y = _chunk(ids, start)
            with blas_threads(), np.errstate(over="ignore", invalid="ignore"):
                logits, state, trace = network.forward(x, state)
                losses = cross_entropy(logits, y)[:, 0]
                if not np.isfinite(losses).all():
                    raise ModelError(NOT_FINITE if start == 0 else DIVERGED.format(lr=lr))
                _, d_logits = cross_entropy_gradient(logits, y)
                network.backward(trace, d_logits)
                network.theta += decay * (first - network.theta) - steps * network.grad
            yield losses
            progress(len(losses))

    def best_rate(self, ids: np.ndarray) -> float:
        """The one of RATES with the lowest loss on the beginning of a text that is not reported."""
        part = ids[:TRIED]
        totals = {lr: self._total(part, lr) for lr in RATES}
        return min(totals, key=totals.__getitem__)

    def _total(self, ids: np.ndarray, lr: float) -> float:
        """The sum of the losses; infinite where the weights diverge."""
        try:
            return sum(float(losses.sum()) for losses in self.losses(ids, lr))
        except ModelError:
            return math.inf


@dataclass(frozen=True)
class Adapted:
    """Mean losses in nats per predicted symbol, of the network as it is and of the same as it goes on learning.

    chars, second_half : as in `mixed.Mixed`; here the step size is chosen on the first half
    lr : the step size
    """

    chars: int
    second_half: bool
    network: float
    adapting: float
    lr: float

    def to_json(self) -> dict[str, Any]:
        losses = {name: in_units(nats) for name, nats in self._losses.items()}
        return {"chars": self.chars, "second_half": self.second_half, **losses, "lr": self.lr}

    @property
    def _losses(self) -> dict[str, float]:
        return {"network": self.network, "adapting": self.adapting}

    def in_words(self) -> str:
        heading = (
            f"learning while reading, step size {self.lr:g}, {reported_words(self.chars, self.second_half)}"
        )
        rows = table({"network alone": self.network, "+ learning": self.adapting})
        return f"{heading}\n{rows}\nthe model learns from this text as it reads it, each chunk after it is scored"


def adapted(
    model: Model,
    text: Text,
    parts: Mapping[str, Text],
    lr: float | None = None,
    progress: Callable[[int], None] = _nothing,
) -> Adapted:
    """The losses on a text, or on its second half where it is the validation text and the step size is chosen.

    parts : the texts "train" and "validation" of the model; lr : the step size, None chooses it

    Raises UsageError for items, which are read from the zero state each, DataError for a text with nothing to predict.
    """
    training, validation = parts["train"], parts["validation"]
    if isinstance(text, Items) or isinstance(training, Items) or isinstance(validation, Items):
        raise UsageError(NO_ITEMS)
    half = first_half(validation)
    if min(len(text), len(training), len(half) if lr is None else 2) < 2:
        raise DataError(
            "--adapt needs at least 2 symbols to score, to train on and in the first half of the validation text; "
            "there are fewer. Give a longer text"
        )
    reader = Adapting(model.network, training)
    chosen = reader.best_rate(half) if lr is None else lr
    skipped = skipped_of(text, validation) if lr is None else 0
    network = sum_after(skipped, surprises([model], text))
    adapting = sum_after(skipped, reader.losses(text, chosen, progress))
    chars = len(text) - 1 - skipped
    return Adapted(chars, skipped > 0, network / chars, adapting / chars, chosen)


def _chunk(ids: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The inputs and targets (T, 1) that begin at a place, fewer at the end of the text."""
    both = np.asarray(ids[start : start + CHUNK + 1])[:, None].astype(np.intp)
    return both[:-1], both[1:]
