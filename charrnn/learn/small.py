"""Functions to create and train the lesson's small networks."""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from charrnn.config import ModelConfig
from charrnn.learn.lesson_text import LessonText
from charrnn.nn.clipping import clip, gradient_norm
from charrnn.nn.init import initialise
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network
from charrnn.nn.optimizers import OPTIMIZERS
from charrnn.sampling.sampler import next_distribution
from charrnn.sampling.stepper import Stepper
from charrnn.text.batches import Streams
from charrnn.text.vocabulary import Vocabulary

CLIP = 5.0
Chunk = tuple[np.ndarray, np.ndarray, bool]  # x and y of shape (T, B); whether it is read from the zero state


def make_network(cell: str, hidden: int, vocab_size: int, seed: int = 1) -> Network:
    """A fresh network of one layer, in float64."""
    network = Network(ModelConfig(cell, 1, hidden), vocab_size, np.float64)
    initialise(network, np.random.default_rng(seed))
    return network


def passes_over(text: LessonText, steps: int, batch_size: int = 1, seq_length: int = 43) -> Iterator[Chunk]:
    """`steps` chunks of a passage, which is read as often as needed, each time from the zero state."""
    streams = Streams(text.vocabulary.encode(text.passage), batch_size, seq_length)
    for step in range(steps):
        yield *streams.chunk(step), streams.begins(step)


def train(
    network: Network,
    chunks: Iterable[Chunk],
    optimizer: str,
    lr: float,
    clip_value: float = CLIP,
    meddle: Callable[[Network], None] = lambda network: None,
) -> list[float]:
    """Train on consecutive chunks; returns the loss of each in nats per character.

    meddle : called before each step, when the gradient is clipped, which it may read and change

    Stops early if a loss is not finite.
    """
    rule = OPTIMIZERS[optimizer](network.theta.size, network.theta.dtype)
    losses: list[float] = []
    state = np.empty(0)
    for x, y, begins in chunks:
        logits, state, trace = network.forward(x, network.zero_state(x.shape[1]) if begins else state)
        loss, d_logits = cross_entropy_gradient(logits, y)
        if not math.isfinite(loss):
            break
        network.backward(trace, d_logits)
        clip(network.grad, clip_value, 0.0, gradient_norm(network.grad))
        meddle(network)
        rule.step(network.theta, network.grad, lr)
        losses.append(loss / len(x))
    return losses


def draw(
    network: Network, vocabulary: Vocabulary, begin: str, length: int, temperature: float, seed: int = 7
) -> str:
    """`length` characters after a beginning."""
    stepper, rng = Stepper(network), np.random.default_rng(seed)
    for symbol in vocabulary.encode(begin).tolist():
        logits = stepper.step(symbol)
    drawn = []
    for _ in range(length):
        symbol = int(rng.choice(len(vocabulary), p=next_distribution(logits, temperature)))
        drawn.append(symbol)
        logits = stepper.step(symbol)
    return vocabulary.decode(np.array(drawn))
