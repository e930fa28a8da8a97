"""Chapter 11: a real text, its held-out part, and a network that learns too much of it by heart."""

from dataclasses import dataclass

import numpy as np

from charrnn.errors import DataError
from charrnn.learn.small import draw, make_network, train
from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network
from charrnn.text.batches import Streams
from charrnn.text.library import find, texts
from charrnn.text.vocabulary import Vocabulary

H, PASSES, LR, STREAMS, T = 48, 12, 0.02, 8, 25
READ, HELD_OUT = 8_000, 0.15  # characters of the text, and the share of them that is held out
FEWEST = 2_000
TEMPERATURE, LENGTH = 0.8, 58


@dataclass(frozen=True)
class Look:
    """The network after a number of passes. losses : nats per character, of the pass and of the held-out part"""

    passes: int
    train: float
    validation: float
    sample: str


@dataclass(frozen=True)
class Overfitting:
    """looks : after each pass; uniform : log V; name : of the text; read, held_out : characters"""

    name: str
    looks: list[Look]
    symbols: int
    read: int
    held_out: int

    @property
    def best(self) -> Look:
        """The look with the least loss of the held-out part."""
        return min(self.looks, key=lambda look: look.validation)

    @property
    def facts(self) -> dict[str, str]:
        last = self.looks[-1]
        return {
            "text": self.name,
            "read": f"{self.read:,}",
            "held_out": f"{self.held_out:,}",
            "V": str(self.symbols),
            "H": str(H),
            "passes": str(PASSES),
            "best": str(self.best.passes),
            "best_loss": f"{self.best.validation:.2f}",
            "last_train": f"{last.train:.2f}",
            "last_loss": f"{last.validation:.2f}",
            "what_then": "then it rose again"
            if last.validation > self.best.validation + 0.005
            else "it still falls: more passes would help",
            "gap": f"{last.validation - last.train:.2f}",
        }


def compute(own: tuple[str, str] | None = None) -> Overfitting:
    """A GRU on the beginning of the text that ships, or of a text of one's own, (name, text).

    Raises DataError for a text that is too short.
    """
    name, text = own or ("The Harbour Clock", b"".join(find(texts(), "shipped").blocks()).decode("utf-8"))
    text = text[:READ]
    if len(text) < FEWEST:
        raise DataError(f"{name} has {len(text):,} characters; the lesson needs at least {FEWEST:,}")
    vocabulary = Vocabulary.of(text)
    ids = vocabulary.encode(text).astype(np.intp)
    kept = int(len(ids) * (1 - HELD_OUT))
    streams, held_out = Streams(ids[:kept], STREAMS, T), ids[kept:, None]
    network = make_network("gru", H, vocab_size=len(vocabulary))
    validation, samples = [], []

    def look(network: Network) -> None:
        logits, _, _ = network.forward(held_out[:-1], network.zero_state(1))
        validation.append(float(cross_entropy(logits, held_out[1:]).mean()))
        samples.append(draw(network, vocabulary, text[:1], LENGTH, TEMPERATURE))

    steps = iter(range(PASSES * streams.chunks))

    def watch(network: Network) -> None:
        if (step := next(steps)) and step % streams.chunks == 0:
            look(network)

    chunks = ((*streams.chunk(k), streams.begins(k)) for k in range(PASSES * streams.chunks))
    losses = np.reshape(train(network, chunks, "adam", LR, meddle=watch), (PASSES, -1)).mean(axis=1).tolist()
    look(network)
    looks = [Look(k, *row) for k, row in enumerate(zip(losses, validation, samples, strict=True), 1)]
    return Overfitting(name, looks, len(vocabulary), kept, len(ids) - kept)
