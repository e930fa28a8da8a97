"""What options of the compiled update cost, as a share of a training step, in processor time.

    python benchmarks/update_cost.py [--hidden 128] [--batch-size 50] [--seq-length 50] [--rounds 60]

An engine without options and one for each option update their weights in turns, in one thread. The share is that of
the difference of the medians in the shortest of a few whole steps. The last line is one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from charrnn.config import configs
from charrnn.engines.fast_backend import FastBackend
from charrnn.engines.threads import blas_threads

VOCAB, LR = 65, 1e-4
OPTIONS: dict[str, dict[str, Any]] = {"average": {"average": 0.999}, "weight decay": {"weight_decay": 0.01}}


def seconds(call: Callable[..., Any], *arguments: Any) -> float:
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in {"hidden": 128, "batch-size": 50, "seq-length": 50, "rounds": 60}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    B, T = given.batch_size, given.seq_length
    same = {"layers": 2, "hidden": given.hidden, "batch_size": B, "seq_length": T, "optimizer": "adam"}
    engines = {
        name: FastBackend(*configs(**same, **option), VOCAB, B, 1)
        for name, option in {"plain": {}, **OPTIONS}.items()
    }
    x, y = np.random.default_rng(0).integers(0, VOCAB, (2, T, B))
    with blas_threads(1):
        step = min(seconds(engine.step, x, y, LR) for engine in [*engines.values()] * 3)
        taken: dict[str, list[float]] = {name: [] for name in engines}
        for k in range(given.rounds):
            for name in list(engines)[:: 1 if k % 2 else -1]:
                taken[name].append(seconds(engines[name]._update, LR, 1.0))
    update = {name: statistics.median(values) for name, values in taken.items()}
    shares = {name: (update[name] - update["plain"]) / step for name in OPTIONS}
    print(
        f"LSTM 2x{given.hidden}, {B} streams of {T}, Adam: {1000 * step:.1f} ms per step, "
        f"{1000 * update['plain']:.2f} ms of it for the update"
    )
    for name, share in shares.items():
        print(f"  {name:<14} {100 * share:+.2f} % of a step ({1000 * update[name]:.2f} ms)")
    print(json.dumps({**same, "step_seconds": step, "update_seconds": update, "shares": shares}))


if __name__ == "__main__":
    main()
