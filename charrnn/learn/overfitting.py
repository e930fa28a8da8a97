"""Chapter 11: a real text, its held-out part, and a network that learns too much of it by heart."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from charrnn.learn.lesson_text import READ, LessonText
from charrnn.learn.small import draw, make_network, train
from charrnn.nn.loss import cross_entropy
from charrnn.nn.network import Network
from charrnn.text.batches import Streams
from charrnn.text.library import find, texts
from charrnn.text.vocabulary import Vocabulary

H, LOOKS, LR, STREAMS, T = 48, 12, 0.02, 8, 25
HELD_OUT = 0.15  # share of the characters
CHUNKS = 34  # steps from one look to the next, at least: a short text has several passes in them
FEWEST = 6  # chunks that a stream has, if need be of fewer streams
RISE = 0.005  # nats per character that are told
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
    """looks : after each pass, or some; name : of the text; symbols : V; read, held_out : characters
    network, whole : the network at the end, and all that was read and held out"""

    name: str
    looks: list[Look]
    vocabulary: Vocabulary
    read: int
    held_out: int
    own: str
    network: Network
    whole: str

    @property
    def best(self) -> Look:
        """The look with the least loss of the held-out part."""
        return min(self.looks, key=lambda look: look.validation)

    @property
    def facts(self) -> dict[str, str]:
        first, last = self.looks[0], self.looks[-1]
        rises = last.validation > self.best.validation + RISE
        return {
            "own": self.own,
            "text": self.name,
            "read": f"{self.read:,}",
            "held_out": f"{self.held_out:,}",
            "V": str(len(self.vocabulary)),
            "H": str(H),
            "passes": str(last.passes),
            "best": str(self.best.passes),
            "pass": "pass" if self.best.passes == 1 else "passes",
            "best_loss": f"{self.best.validation:.2f}",
            "first_train": f"{first.train:.2f}",
            "last_train": f"{last.train:.2f}",
            "last_loss": f"{last.validation:.2f}",
            "rises": "yes" if rises else "",
            "still_falls": "yes" if self.best is last else "",
            "flat": "" if rises or self.best is last else "yes",
            "gap": f"{last.validation - last.train:.2f}",
        }


def compute(text: LessonText) -> Overfitting:
    """A GRU on the reader's text, or on the beginning of the one that ships."""
    if text.own:
        return trained_network(text.name, text.text, own=True)
    shipped = b"".join(find(texts(), "shipped").blocks()).decode("utf-8")
    return trained_network("The Harbour Clock", shipped[:READ], own=False)


@cache
def trained_network(name: str, text: str, own: bool) -> Overfitting:
    """Training on all but the end of a text, with a look at the end now and then."""
    vocabulary = Vocabulary.of(text)
    ids = vocabulary.encode(text).astype(np.intp)
    kept = int(len(ids) * (1 - HELD_OUT))
    streams = Streams(ids[:kept], max(1, min(STREAMS, (kept - 1) // (FEWEST * T))), T)
    held_out = ids[kept:, None]
    network = make_network("gru", H, len(vocabulary))
    each = max(1, round(CHUNKS / streams.chunks))  # passes from one look to the next
    validation, samples = [], []

    def look(network: Network) -> None:
        logits, _, _ = network.forward(held_out[:-1], network.zero_state(1))
        validation.append(float(cross_entropy(logits, held_out[1:]).mean()))
        samples.append(draw(network, vocabulary, text[:1], LENGTH, TEMPERATURE))

    steps = iter(range(LOOKS * each * streams.chunks))

    def watch(network: Network) -> None:
        if (step := next(steps)) and step % (each * streams.chunks) == 0:
            look(network)

    chunks = ((*streams.chunk(k), streams.begins(k)) for k in range(LOOKS * each * streams.chunks))
    losses = np.reshape(train(network, chunks, "adam", LR, meddle=watch), (LOOKS, each, -1))
    look(network)
    last = losses[:, -1].mean(axis=1).tolist()
    looks = [Look(k * each, *row) for k, row in enumerate(zip(last, validation, samples, strict=True), 1)]
    own_flag = "yes" if own else ""
    return Overfitting(name, looks, vocabulary, kept, len(ids) - kept, own_flag, network, text)
