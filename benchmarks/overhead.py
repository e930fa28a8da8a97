"""Share of a run's time spent on validation, reports, samples and checkpoints.

    python benchmarks/overhead.py TEXT [--minutes 3] [--preset default] [--backend auto]

A real run of `charrnn train` on the text, such as tiny-shakespeare, with the default cadence. Everything except the
steps is timed where the loop calls it, in this process. Two fractions are reported: of this run, including the
closing checkpoint and validation, and of a long run, in which each piece takes its typical time at its usual
interval: a validation with its sample once in `eval_every` steps, a report ten times as often, a checkpoint every
`checkpoint_every` seconds. The aim is less than 3 %. The last line is one JSON object.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import charrnn
from charrnn.score import scoring
from charrnn.training import session
from charrnn.training.loop import TICK_SECONDS, Trainer

AIM = 0.03
PIECES = ("validation", "samples", "reports", "models", "copies of the state", "checkpoints", "ticks")


class Timer:
    """Seconds of each call, by the piece it belongs to."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def wrap(self, piece: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[piece].append(time.perf_counter() - began)

        return timed


def timed_trainer(timer: Timer, made: list[Trainer]) -> Callable[..., Trainer]:
    """Makes trainers that are timed, and keeps them."""

    def make(*arguments: Any, **named: Any) -> Trainer:
        trainer = Trainer(*arguments, **named)
        for owner, method, piece in (
            (trainer, "draw", "samples"),
            (trainer, "_report", "reports"),
            (trainer, "_remember_good", "copies of the state"),
            (trainer, "_step", "steps"),
            (trainer.observers[0], "model", "models"),
            (trainer.observers[0], "checkpoint", "checkpoints"),
            (trainer.observers[0], "tick", "ticks"),
        ):
            setattr(owner, method, timer.wrap(piece, getattr(owner, method)))
        made.append(trainer)
        return trainer

    return make


def measure(text: Path, minutes: float, settings: dict[str, Any]) -> dict[str, Any]:
    """Train and report where the time went."""
    timer, made = Timer(), list[Trainer]()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(session, "Trainer", timed_trainer(timer, made)),
        mock.patch.object(scoring, "mean_loss", timer.wrap("validation", scoring.mean_loss)),
    ):
        began = time.perf_counter()
        result = charrnn.train(text, out=Path(folder, "run"), max_minutes=minutes, **settings)
        took = time.perf_counter() - began
    (trainer,) = made
    return shares(timer.seconds, trainer, result.steps) | {"run_seconds": round(took, 1)}


def shares(seconds: dict[str, list[float]], trainer: Trainer, steps: int) -> dict[str, Any]:
    """Of this run and of a long one, from the seconds of each call."""
    # A report in the course of an epoch is made inside a step, the one thing that is.
    inside = len(seconds["reports"]) - len(seconds["validation"])
    typical = {piece: statistics.median(seconds[piece]) if seconds[piece] else 0.0 for piece in PIECES}
    step = statistics.median(seconds["steps"])
    in_steps = sum(seconds["steps"]) - inside * typical["reports"]
    spent = {piece: sum(seconds[piece]) for piece in PIECES}

    between = trainer.eval_every * in_steps / len(seconds["steps"])  # seconds between two validations
    reports = trainer.eval_every / trainer.report_every
    times = {  # each comes so often between two validations
        "validation": 1.0,
        "samples": 1.0,
        "reports": reports,
        "models": 1.0,  # at most: of a run whose every validation is its best
        "copies of the state": 1.0,
        "checkpoints": between / trainer.config.checkpoint_every,
        "ticks": between / TICK_SECONDS,
    }
    long_run = {piece: times[piece] * typical[piece] for piece in PIECES}
    whole = between + sum(long_run.values())
    return {
        "steps": steps,
        "step_ms": 1000 * step,
        "eval_every": trainer.eval_every,
        "typical_ms": {piece: 1000 * value for piece, value in typical.items()},
        "calls": {piece: len(seconds[piece]) for piece in PIECES},
        "share_of_this_run": {
            piece: value / (in_steps + sum(spent.values())) for piece, value in spent.items()
        },
        "share_of_a_long_run": {piece: value / whole for piece, value in long_run.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0, help="(%(default)s)")
    parser.add_argument("--preset", default="default", help="(%(default)s)")
    parser.add_argument("--backend", default="auto", help="(%(default)s)")
    arguments = parser.parse_args()
    settings = {"preset": arguments.preset, "backend": arguments.backend}
    found = measure(arguments.text, arguments.minutes, settings)
    here, long_run = found["share_of_this_run"], found["share_of_a_long_run"]
    print(f"{found['steps']} steps of {found['step_ms']:.2f} ms, a validation every {found['eval_every']}")
    print(f"{'':22}{'calls':>7}{'typical':>12}{'this run':>11}{'a long run':>12}")
    for piece in PIECES:
        calls, typical = found["calls"][piece], found["typical_ms"][piece]
        print(f"{piece:22}{calls:>7}{typical:>9.2f} ms{here[piece]:>11.2%}{long_run[piece]:>12.2%}")
    print(f"{'together':41}{sum(here.values()):>11.2%}{sum(long_run.values()):>12.2%}", end="")
    print(f"   (aim: below {AIM:.0%})")
    print(json.dumps(settings | found | {"total_of_a_long_run": sum(long_run.values()), "aim": AIM}))


if __name__ == "__main__":
    main()
