"""Chapter 10: a text cut into streams that are read side by side, and what that does to the gradient."""

from dataclasses import dataclass

import numpy as np

from charrnn.learn.small import TEXT, VOCABULARY, make_network
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network
from charrnn.text.batches import Streams

H = 32
B, T = 4, 14
COMPARED = (1, 2, 4, 8)  # streams
SYMBOLS, STREAMS, CHUNK = 1_000_000, 50, 100  # of the question


@dataclass(frozen=True)
class Cut:
    """rows : the text of each of B streams; cosines : for each of COMPARED, the mean cosine between the gradient of
    a chunk and that of the whole text, of a fresh network"""

    rows: list[str]
    cosines: list[float]

    @property
    def facts(self) -> dict[str, str]:
        return {
            "B": str(B),
            "T": str(T),
            "length": str(len(self.rows[0])),
            "one": f"{self.cosines[0]:.2f}",
            "most": str(COMPARED[-1]),
            "many": f"{self.cosines[-1]:.2f}",
            "symbols": f"{SYMBOLS:,}",
            "streams": str(STREAMS),
            "chunk": str(CHUNK),
            "answer": str(SYMBOLS // (STREAMS * CHUNK)),
        }


def compute() -> Cut:
    """The streams of the text, and how well a chunk of some of them points where the whole text does."""
    ids = VOCABULARY.encode(TEXT)
    length = (len(ids) - 1) // B
    rows = [VOCABULARY.decode(ids[b * length : (b + 1) * length]) for b in range(B)]
    return Cut(rows, [_mean_cosine(ids, streams) for streams in COMPARED])


def _mean_cosine(ids: np.ndarray, batch_size: int) -> float:
    network = make_network("gru", H)
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
