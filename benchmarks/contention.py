"""How much slower does a step get while another process holds one core?

    python benchmarks/contention.py [--seconds 8] [--rounds 3] [--sides numpy fast] [--shape lstm-2x128]

`charrnn train` runs undisturbed for --seconds; then a busy loop is pinned to core 0 and the run continues for twice
as long. A second run begins with the busy loop already there. The ratios are of the median time of a step: busy
over quiet, in the same run (`arrives`: all that follows the loop's arrival; `settled`: the last half of it) and in
the second run (`from_the_start`), which is compared with the first one's quiet part. Each run is a process of its
own; both sides take turns; figures are medians over the rounds, the last line is one JSON object. The aim is at
most 3. It makes no sense on a machine with one core.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sides import charrnn_train
from sides.common import SHAPES, Shape

import charrnn
from charrnn.runs.records import Progress
from charrnn.training.observers import Observer

HOG = "import os\nif hasattr(os, 'sched_setaffinity'):\n    os.sched_setaffinity(0, {0})\nwhile True: pass"
AIM = 3.0
SETTLING = 0.2  # share of the quiet part that is left out


@contextlib.contextmanager
def hog() -> Iterator[None]:
    """A busy loop on core 0 while it lasts."""
    process = subprocess.Popen([sys.executable, "-c", HOG])
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Clock(Observer):
    """Notes how many steps were done at what time, and starts the hog after a while.

    after : seconds of training before the hog starts; None for no hog
    """

    def __init__(self, after: float | None, hogs: contextlib.ExitStack) -> None:
        self.after, self.hogs = after, hogs
        self.ticks: list[tuple[float, int]] = []  # seconds of the clock, steps
        self.arrived: float | None = None

    def tick(self, progress: Progress, chars_per_second: float, used: float) -> None:
        now = time.perf_counter()
        self.ticks.append((now, progress.step))
        if self.after is not None and self.arrived is None and now - self.ticks[0][0] >= self.after:
            self.hogs.enter_context(hog())
            self.arrived = time.perf_counter()

    def step_seconds(self, start: float, stop: float) -> float:
        """The median over the ticks between two moments."""
        between = [tick for tick in self.ticks if start <= tick[0] <= stop]
        pairs = itertools.pairwise(between)
        return statistics.median((b[0] - a[0]) / (b[1] - a[1]) for a, b in pairs if b[1] > a[1])


def train(
    shape: Shape, backend: str, seconds: float, hog_after: float | None, hogs: contextlib.ExitStack
) -> Clock:
    """A run of ``seconds``."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, clock = Path(folder, "text.txt"), Clock(hog_after, hogs)
        corpus.write_text(charrnn_train.text(shape), encoding="utf-8")
        settings = charrnn_train.settings(shape, backend) | {"max_minutes": seconds / 60, "val_fraction": 0.0}
        charrnn.train(corpus, out=Path(folder, "run"), observers=[clock], **settings)
    return clock


def side(shape: Shape, backend: str, seconds: float) -> dict[str, float]:
    """Seconds per step: quiet, after the hog arrives, once settled."""
    with contextlib.ExitStack() as hogs:
        clock = train(shape, backend, 3 * seconds, seconds, hogs)
    (first, _), (last, _) = clock.ticks[0], clock.ticks[-1]
    if clock.arrived is None:
        raise SystemExit("the run ended before the busy loop started; give a larger --seconds")
    return {
        "quiet": clock.step_seconds(first + SETTLING * seconds, clock.arrived),
        "arrives": clock.step_seconds(clock.arrived, last),
        "settled": clock.step_seconds((clock.arrived + last) / 2, last),
    }


def side_from_the_start(shape: Shape, backend: str, seconds: float) -> dict[str, float]:
    """Seconds per step of a run that begins beside the hog."""
    with contextlib.ExitStack() as hogs:
        hogs.enter_context(hog())
        clock = train(shape, backend, seconds, None, hogs)
    (first, _), (last, _) = clock.ticks[0], clock.ticks[-1]
    return {"from_the_start": clock.step_seconds(first + SETTLING * seconds, last)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="length of the undisturbed part (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (%(default)s)")
    parser.add_argument("--sides", nargs="+", choices=charrnn_train.BACKENDS, default=charrnn_train.BACKENDS)
    parser.add_argument(
        "--shape", choices=SHAPES, default="lstm-2x128", help="network and batch (%(default)s)"
    )
    parser.add_argument("--part", choices=("arrives", "from-the-start"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    shape, seconds = SHAPES[arguments.shape], arguments.seconds
    if arguments.part:
        measured = side if arguments.part == "arrives" else side_from_the_start
        print(json.dumps(measured(shape, arguments.sides[0], seconds)))
        return

    def run(backend: str, part: str) -> dict[str, float]:
        command = [sys.executable, __file__, "--seconds", str(seconds), "--shape", shape.name]
        done = subprocess.run(
            [*command, "--sides", backend, "--part", part], check=True, stdout=subprocess.PIPE
        )
        found: dict[str, float] = json.loads(done.stdout)
        return found

    found: dict[str, list[dict[str, float]]] = {backend: [] for backend in arguments.sides}
    for n in range(arguments.rounds):
        print(f"round {n + 1}, load {os.getloadavg()[0]:.2f}", flush=True)
        for backend in arguments.sides:
            times = run(backend, "arrives") | run(backend, "from-the-start")
            found[backend].append(times)
            told = "   ".join(f"{name} {1000 * value:.2f}" for name, value in times.items())
            print(f"  {backend:6} ms per step: {told}", flush=True)
    result: dict[str, object] = {
        "shape": shape.name,
        "seconds": seconds,
        "rounds": arguments.rounds,
        "aim": AIM,
    }
    for backend, rounds in found.items():
        quiet = statistics.median(one["quiet"] for one in rounds)
        ratios = {
            name: round(statistics.median(one[name] / one["quiet"] for one in rounds), 3)
            for name in ("arrives", "settled", "from_the_start")
        }
        verdict = "holds" if max(ratios.values()) <= AIM else "FAILS"
        print(f"{backend:6} {1000 * quiet:.2f} ms quiet; busy ÷ quiet: {ratios}, at most {AIM:g}: {verdict}")
        result[backend] = {"quiet_step_ms": round(1000 * quiet, 3), "busy_over_quiet": ratios}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
