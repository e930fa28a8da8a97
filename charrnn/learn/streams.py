"""Chapter 10: a text cut into streams that are read side by side, and what that does to the gradient."""

from dataclasses import dataclass

import numpy as np

from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network
from charrnn.text.batches import Streams

H = 32
B, T = 4, 14
COMPARED = (1, 2, 4, 8)  # streams
SYMBOLS = 1_000_000  # of the question, if the text is not the reader's
SIZES = (
    (50, 100),
    (10, 25),
    (B, T),
)  # streams and chunk of the question: the first that has FEWEST steps or more
FEWEST = 10


@dataclass(frozen=True)
class Cut:
    """rows : the text of each of B streams; cosines : for each of COMPARED, the mean cosine between the gradient of
    a chunk and that of the whole text, of a fresh network"""

    text: LessonText
    rows: list[str]
    cosines: list[float]

    @property
    def facts(self) -> dict[str, str]:
        symbols = self.text.length if self.text.own else SYMBOLS
        sizes = [(many, chunk, (symbols - 1) // many // chunk) for many, chunk in SIZES]
        many, chunk, steps = next((size for size in sizes if size[-1] >= FEWEST), sizes[-1])
        return {
            "own": self.text.own_flag,
            "B": str(B),
            "T": str(T),
            "length": str(len(self.rows[0])),
            "one": f"{self.cosines[0]:.2f}",
            "most": str(COMPARED[-1]),
            "many": f"{self.cosines[-1]:.2f}",
            "better": "yes" if self.cosines == sorted(self.cosines) else "",
            "symbols": f"{symbols:,}",
            "streams": str(many),
            "chunk": str(chunk),
            "each": f"{(symbols - 1) // many:,}",
            "answer": str(steps),
        }


def compute(text: LessonText) -> Cut:
    """The streams of the passage, and how well a chunk of some of them points where the whole passage does."""
    length = (len(text.passage) - 1) // B
    rows = [text.passage[b * length : (b + 1) * length] for b in range(B)]
    return Cut(text, rows, [_mean_cosine(text, streams) for streams in COMPARED])


def _mean_cosine(text: LessonText, batch_size: int) -> float:
    network = make_network("gru", H, len(text.vocabulary))
    ids = text.vocabulary.encode(text.passage)
    whole = _gradients(network, Streams(ids, 1, len(ids) - 1))[0]
    cosines = [
        float(g @ whole / np.linalg.norm(g) / np.linalg.norm(whole))
        for g in _gradients(network, Streams(ids, batch_size, T))
    ]
    return float(np.mean(cosines))


def _gradients(network: Network, streams: Streams) -> list[np.ndarray]:
    """The gradient of each chunk of one pass, with the state handed on."""
    found, state = [], network.zero_state(streams.batch_size)
    for step in range(streams.chunks):
        x, y = streams.chunk(step)
        logits, state, trace = network.forward(x, state)
        _, d_logits = cross_entropy_gradient(logits, y)
        network.backward(trace, d_logits)
        found.append(network.grad.copy())
    return found
