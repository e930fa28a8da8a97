"""Speed of the preset min-char-rnn against the plain loop that it follows, with equal losses.

    python benchmarks/min_char_rnn.py [--text FILE] [--steps 1000] [--rounds 5] [--backend numpy]

Both sides train from the same weights on the same text for the same steps, each round in a process of its
own with one BLAS thread; sides take turns, so that other load affects both alike. The time is
that of the training steps: reading the text, making the weights and importing are left out. Numbers are
medians over the rounds, the ratio the median of the ratios within a round.

One more process compares the losses while both sides train in step: before each chunk charrnn copies
the weights, the memory and the hidden state of the plain loop. Two independent runs diverge soon,
since the beginning of training is chaotic: its first steps, of ±0.1 on weights of 0.01, drive the cells to ±1, and from
there a change in the last bit of the weights moves the smoothed loss by tenths of a nat. The benchmark shows
that too: how far charrnn, and the plain loop from weights changed in the last bit, go from the plain loop.

Losses are smoothed as in min-char-rnn, in nats per chunk. The last line is one JSON object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from classic import CHUNK, Classic, chunks, smoothed, train

from charrnn.config import TrainConfig, configs
from charrnn.engines.backend import NumpyBackend
from charrnn.engines.choice import settle
from charrnn.text.batches import Streams

HARBOUR = Path(__file__).parents[1] / "corpora/harbour.txt"
SIDES = ("classic", "charrnn")
WARM_UP_STEPS = 20
NAMES = {  # of the classic and of charrnn, in the order of the flat arrays
    "Wxh": "rnn.weight_ih_l0",
    "Whh": "rnn.weight_hh_l0",
    "bh": "rnn.bias_l0",
    "Why": "head.weight",
    "by": "head.bias",
}


class Pair:
    """Both sides on one text, with the weights that the preset draws."""

    def __init__(self, text: str, backend: str = "numpy", seed: int = 1) -> None:
        symbols = sorted(set(text))
        place = {symbol: n for n, symbol in enumerate(symbols)}
        self.vocab_size = len(symbols)
        self.ids = [place[symbol] for symbol in text]
        model, self.config = configs("min-char-rnn", seed=seed)
        engine = NumpyBackend
        if backend == "fast":
            from charrnn.engines.fast_backend import FastBackend as engine
        self.backend = engine(model, self.config, self.vocab_size, self.config.batch_size)
        self.streams = Streams(np.array(self.ids), self.config.batch_size, self.config.seq_length)
        params = self.backend.network().params
        self.classic = Classic({name: params[ours] for name, ours in NAMES.items()})

    def charrnn_step(self, step: int) -> float:
        """Train charrnn on the next chunk; returns the loss in nats, summed over the characters."""
        chunk = step % self.streams.chunks
        if chunk == 0:
            self.backend.reset_state()
        loss, _ = self.backend.step(*self.streams.chunk(chunk), self.config.learning_rate)
        return loss * CHUNK

    def side(self, name: str, steps: int) -> Iterator[float]:
        """The loss of each chunk in nats, of one side left to itself."""
        if name == "charrnn":
            return map(self.charrnn_step, range(steps))
        return train(self.classic, self.ids, steps)

    def of_classic(self) -> dict[str, np.ndarray]:
        """Weights, optimiser's memory and hidden state of the classic, as charrnn keeps them."""
        return {
            "theta": flat(self.classic.weights),
            "optimizer.square_sum": flat(self.classic.memory) + 1e-8,
            "state": self.classic.h.reshape(1, 1, 1, -1),
        }

    def in_step(self, steps: int) -> Iterator[tuple[float, float, float]]:
        """Train both on a chunk from the same start, that of the classic, and again on the next.

        Yields the losses of the classic and of charrnn, and the largest difference in what they then hold.
        """
        for step, (inputs, targets, from_the_top) in enumerate(chunks(self.ids, steps)):
            if from_the_top:
                self.classic.forget()
            self.backend.restore(self.backend.arrays() | self.of_classic())
            losses = self.classic.step(inputs, targets), self.charrnn_step(step)
            arrays = self.backend.arrays()
            yield *losses, max(float(np.abs(arrays[name] - a).max()) for name, a in self.of_classic().items())


def flat(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([arrays[name].ravel() for name in NAMES])


def time_side(name: str, text: str, steps: int, backend: str) -> float:
    """Median seconds per step of one side, after a few to warm up."""
    losses, times = Pair(text, backend).side(name, steps), list[float]()
    while True:
        began = time.perf_counter()
        if next(losses, None) is None:
            return statistics.median(times[min(WARM_UP_STEPS, steps // 2) :])
        times.append(time.perf_counter() - began)


def compare(text: str, steps: int, backend: str) -> dict[str, float]:
    """Largest differences of the smoothed losses at any step, in step and left to themselves."""
    classic, charrnn, apart = np.array([*Pair(text, backend).in_step(steps)]).T
    alone = {name: [*Pair(text, backend).side(name, steps)] for name in SIDES}
    nudged = Pair(text)
    for weight in nudged.classic.weights.values():
        np.nextafter(weight, 1, out=weight)
    alone["nudged"] = [*nudged.side("classic", steps)]

    def difference(a: Any, b: Any) -> float:
        return max(
            abs(p - q)
            for p, q in zip(smoothed(a, nudged.vocab_size), smoothed(b, nudged.vocab_size), strict=True)
        )

    return {
        "smooth_loss_difference_in_step_nats": difference(classic, charrnn),
        "largest_difference_after_a_step": float(apart.max()),
        "smooth_loss_difference_alone_nats": difference(alone["classic"], alone["charrnn"]),
        "smooth_loss_difference_nudged_nats": difference(alone["classic"], alone["nudged"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=Path, default=HARBOUR, help="text to train on (%(default)s)")
    parser.add_argument("--steps", type=int, default=1000, help="steps per round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (%(default)s)")
    installed = settle(TrainConfig()).backend
    parser.add_argument("--backend", choices=("numpy", "fast"), default=installed, help="(%(default)s)")
    parser.add_argument("--part", choices=(*SIDES, "compare"), help="run one part in this process")
    arguments = parser.parse_args()
    if arguments.part:
        text = arguments.text.read_text(encoding="utf-8")
        if arguments.part == "compare":
            print(json.dumps(compare(text, arguments.steps, arguments.backend)))
        else:
            print(time_side(arguments.part, text, arguments.steps, arguments.backend))
        return

    command = [sys.executable, __file__, "--text", str(arguments.text), "--steps", str(arguments.steps)]
    command += ["--backend", arguments.backend]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}

    def run(part: str) -> Any:
        done = subprocess.run([*command, "--part", part], env=environment, check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for n in range(arguments.rounds):
        for side in SIDES:
            seconds[side].append(run(side))
        classic, charrnn = (1000 * seconds[side][-1] for side in SIDES)
        print(f"round {n + 1}: classic {classic:.3f} ms per step, charrnn {charrnn:.3f} ms", flush=True)
    classic, charrnn = (statistics.median(seconds[side]) for side in SIDES)
    ratio = statistics.median(a / b for a, b in zip(*seconds.values(), strict=True))
    losses = run("compare")
    print(f"medians: classic {1000 * classic:.3f} ms per step, charrnn {1000 * charrnn:.3f} ms")
    print(f"charrnn is {ratio:.2f} times as fast")
    print(
        f"smoothed losses differ by at most {losses['smooth_loss_difference_in_step_nats']:.1e} nats in step, "
        f"{losses['smooth_loss_difference_alone_nats']:.2g} left to themselves, and the plain loop's own by "
        f"{losses['smooth_loss_difference_nudged_nats']:.2g} when its first weights change in the last bit"
    )
    times = {"classic_seconds_per_step": classic, "charrnn_seconds_per_step": charrnn, "speed_ratio": ratio}
    print(
        json.dumps(
            {"backend": arguments.backend, "steps": arguments.steps, "rounds": arguments.rounds}
            | times
            | losses
        )
    )


if __name__ == "__main__":
    main()
