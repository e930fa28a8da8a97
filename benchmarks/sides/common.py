"""Shapes of training steps, the text they train on, and the clock: the same for every side."""

import argparse
import itertools
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

WARM_UP_STEPS = 3
FEWEST_STEPS = 8
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Shape:
    """A network, its chunks, and how it is trained.

    preset : of charrnn, whose settings the other fields repeat for the other sides
    clip_norm, clip_value : 0 is off
    """

    name: str
    title: str
    cell: str
    layers: int
    hidden: int
    batch: int
    chunk: int
    vocab: int = 65
    embedding: int = 0
    preset: str | None = None
    optimizer: str = "adam"
    lr: float = 0.002
    clip_norm: float = 5.0
    clip_value: float = 0.0
    classic: bool = False  # whether the classic loop trains this network

    @property
    def characters(self) -> int:
        """In a training step."""
        return self.batch * self.chunk

    @property
    def flops(self) -> int:
        """Operations of a step's matrix products.

        A weight is used three times for each character (forward, gradient of the input, gradient of the
        weight), by a multiplication and an addition. One-hot input needs no product.
        """
        gates, H, L = GATES[self.cell], self.hidden, self.layers
        recurrent = gates * H * H * L
        inputs = gates * H * (self.embedding + H * (L - 1))
        return 6 * self.characters * (recurrent + inputs + H * self.vocab)


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("lstm-2x128", "LSTM 2×128, batch 50, chunk 50", "lstm", 2, 128, 50, 50),
        Shape("lstm-2x256", "LSTM 2×256, batch 50, chunk 50", "lstm", 2, 256, 50, 50),
        Shape("lstm-2x512", "LSTM 2×512, batch 64, chunk 64", "lstm", 2, 512, 64, 64),
        Shape("lstm-3x512", "LSTM 3×512, batch 64, chunk 64", "lstm", 3, 512, 64, 64),
        Shape("lstm-classic", "LSTM 1×100, batch 1, chunk 25", "lstm", 1, 100, 1, 25),
        Shape(
            "min-char-rnn",
            "tanh RNN 1×100, batch 1, chunk 25, Adagrad (preset min-char-rnn)",
            "rnn",
            1,
            100,
            1,
            25,
            preset="min-char-rnn",
            optimizer="adagrad",
            lr=0.1,
            clip_norm=0.0,
            clip_value=5.0,
            classic=True,
        ),
        Shape(
            "gru-1x192",
            "GRU 1×192, batch 16, chunk 40",
            "gru",
            1,
            192,
            16,
            40,
            lr=0.008,
            clip_norm=40.0,
        ),
        Shape(
            "vocab-3000",
            "LSTM 2×256, batch 50, chunk 50, 3,000 symbols embedded in 256",
            "lstm",
            2,
            256,
            50,
            50,
            vocab=3000,
            embedding=256,
        ),
    )
}


def symbols(shape: Shape, length: int) -> np.ndarray:
    """(length,) symbol numbers, as uneven as those of a language: the n-th is drawn about 1/n as often."""
    shares = 1 / np.arange(1, shape.vocab + 1)
    rng = np.random.default_rng(1)
    ids = rng.choice(shape.vocab, length, p=shares / shares.sum())
    ids[: min(length, shape.vocab)] = np.arange(min(length, shape.vocab))  # each at least once
    return ids


def chunks(shape: Shape, count: int = 8) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets (T, B), int64."""
    T, B = shape.chunk, shape.batch
    ids = symbols(shape, count * T * B + 1)
    x, y = ids[:-1].reshape(B, count, T), ids[1:].reshape(B, count, T)
    return [
        (np.ascontiguousarray(x[:, k].T, np.int64), np.ascontiguousarray(y[:, k].T, np.int64))
        for k in range(count)
    ]


clock: Callable[[], float] = time.perf_counter  # single_stream.py measures processor time


def measure(step: Callable[..., float], shape: Shape, seconds: float, at_once: int = 1) -> dict[str, Any]:
    """Train for so many seconds, after a few steps to warm up.

    step : of x and y of a chunk; with `at_once`, of as many x and as many y
    """
    source = itertools.cycle(chunks(shape))
    for _ in range(WARM_UP_STEPS):
        step(*_given(source, at_once))
    times: list[float] = []
    began = clock()
    while (now := clock()) - began < seconds or len(times) < FEWEST_STEPS:
        loss = step(*_given(source, at_once))
        times.append((clock() - now) / at_once)
    took = clock() - began
    if not np.isfinite(loss):
        raise SystemExit(f"the loss is {loss} after {len(times) * at_once} steps")
    return {
        "chars_per_second": len(times) * at_once * shape.characters / took,
        "step_seconds": statistics.median(times),
        "memory_mib": memory_mib(),
    }


def _given(source: Iterator[tuple[np.ndarray, np.ndarray]], at_once: int) -> Iterable[Any]:
    return next(source) if at_once == 1 else zip(*itertools.islice(source, at_once), strict=True)


def memory_mib() -> float:
    """The most memory this process has held, resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(side: Callable[[Shape, float, str], dict[str, Any]]) -> None:
    """Run a side as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("seconds", type=float)
    parser.add_argument("variant", nargs="?", default="")
    arguments = parser.parse_args()
    print(json.dumps(side(SHAPES[arguments.shape], arguments.seconds, arguments.variant)))
