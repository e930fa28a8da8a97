"""Time and memory of scoring every concept on every cell of a large model.

    python benchmarks/inspect_cells.py

1,024 signals (a 2×512 LSTM) over 100,000 characters: labels, scores, chance level and probes. The last
line is one JSON object.
"""

import json
import resource
import time

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.interpret.chance import EVERY, chance
from charrnn.interpret.comparisons import finite, fit_probes
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.scores import score_cells

CELLS, CHARACTERS = 1024, 100_000


@blas_threads()  # as in `inspect_cells`
def main() -> None:
    rng = np.random.default_rng(12)
    text = "".join(rng.choice(list("ab \"'(){}[]<>\n.,XY1/*#="), CHARACTERS))
    signals = np.tanh(rng.normal(size=(CELLS, CHARACTERS), scale=0.5).astype(np.float32))
    halves = slice(200, 49_900), slice(50_100, CHARACTERS)
    seconds = {}

    def timed(name: str, start: float) -> None:
        seconds[name] = round(time.perf_counter() - start, 2)

    start = time.perf_counter()
    labels = [concept.label(text) for concept in BUILT_IN.values()]
    parts = [[(one.values[half], one.mask[half], one.kind) for one in labels] for half in halves]
    timed("labels", start)
    start = time.perf_counter()
    score_cells(signals[:, halves[0]], parts[0])
    timed("scores", start)
    start = time.perf_counter()
    chance(signals[:, halves[1]], parts[1], every=EVERY)
    timed("chance", start)
    start = time.perf_counter()
    told = [(one.values, one.mask, one.kind) for one in labels]
    fit_probes(lambda places: signals[:, places], finite([signals], *halves), told, halves[0])
    timed("probes", start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, value in seconds.items():
        print(f"{name:>8} {value:7.2f} s")
    total = round(sum(seconds.values()), 2)
    print(
        json.dumps(
            {"concepts": len(labels), "seconds": seconds, "total_seconds": total, "peak_mib": round(peak)}
        )
    )


if __name__ == "__main__":
    main()
