"""Training steps of a single stream against torch and the classic loop, in processor time.

    python benchmarks/single_stream.py [--rounds 5] [--seconds 1]

A step at batch 1 is so short that other work on the machine decides what a clock shows. Here the sides take turns in
one process with one thread, and their processor time counts. Ratios are medians of those within a round. The last line
is one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
from sides import charrnn_train, classic_loop, common, torch_script

from charrnn.engines.threads import blas_threads


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    common.clock = time.process_time
    torch.set_num_threads(1)
    lstm, rnn = common.SHAPES["lstm-classic"], common.SHAPES["min-char-rnn"]
    sides = {
        "lstm fast": lambda: charrnn_train.bare_steps(lstm, given.seconds, "fast"),
        "lstm torch": lambda: torch_script.side(lstm, given.seconds, ""),
        "rnn fast": lambda: charrnn_train.bare_steps(rnn, given.seconds, "fast"),
        "rnn fast float64": lambda: charrnn_train.bare_steps(rnn, given.seconds, "fast", precision="float64"),
        "rnn classic": lambda: classic_loop.side(rnn, given.seconds, ""),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    with blas_threads(1):
        for n in range(given.rounds):
            for name in list(sides)[:: 1 if n % 2 else -1]:
                taken[name].append(1e6 * sides[name]()["step_seconds"])
            print("  ".join(f"{name} {values[-1]:.0f}" for name, values in taken.items()), flush=True)
    ratios = {
        f"{other} / {ours}": statistics.median(a / b for a, b in zip(taken[other], taken[ours], strict=True))
        for ours, other in (
            ("lstm fast", "lstm torch"),
            ("rnn fast", "rnn classic"),
            ("rnn fast float64", "rnn classic"),
        )
    }
    microseconds = {name: statistics.median(values) for name, values in taken.items()}
    print(json.dumps({"step_microseconds": microseconds, "ratios": ratios, **vars(given)}))


if __name__ == "__main__":
    main()
