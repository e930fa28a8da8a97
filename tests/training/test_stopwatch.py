"""Time that counts, and time in which nothing could be done."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.small_runs import write_text

from charrnn.training.stopwatch import Stopwatch


def laps(*took: float, kind: str = "step") -> list[float]:
    """What a stopwatch makes of laps that took so long."""
    now = 100.0
    watch = Stopwatch(lambda: now)
    counted = []
    for seconds in took:
        now += seconds
        counted.append(watch.lap(kind))
    return counted


def test_usual_laps_count_in_full() -> None:
    assert laps(0.5, 1.0, 0.25, 9.0) == [0.5, 1.0, 0.25, 9.0]


def test_a_lap_far_longer_than_usual_counts_as_a_usual_one() -> None:
    assert laps(1.0, 3.0, 1000.0, 2.0) == [1.0, 3.0, 2.0, 2.0]


def test_it_may_happen_again_and_again() -> None:
    assert laps(1.0, 50.0, 1.0, 40.0, 1.0, 5000.0, 1.0) == [1.0] * 7


def test_a_machine_that_becomes_slow_costs_one_lap() -> None:
    assert laps(1.0, 1.0, 30.0, 31.0, 29.0, 30.0, 1.0) == [1.0, 1.0, 1.0, 31.0, 29.0, 30.0, 1.0]


def test_seconds_of_a_busy_machine_count() -> None:
    assert laps(0.01, 0.01, 1.9, 0.01) == pytest.approx([0.01, 0.01, 1.9, 0.01])


def test_the_first_lap_of_a_kind_has_nothing_to_compare_with() -> None:
    now = 0.0
    watch = Stopwatch(lambda: now)
    for kind, seconds, counted in (("step", 1.0, 1.0), ("validation", 60.0, 60.0), ("step", 60.0, 1.0)):
        now += seconds
        assert watch.lap(kind) == counted


def test_time_between_the_laps_is_nobodys() -> None:
    now = 0.0
    watch = Stopwatch(lambda: now)
    now = 5.0
    watch.restart()
    now = 6.5
    assert watch.lap("step") == 1.5


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be stopped from outside here")
def test_a_process_that_was_stopped_trains_as_long_as_another(tmp_path: Path) -> None:
    """Four seconds of training with a stop of five in their midst."""
    out = tmp_path / "run"
    settings = (
        "--hidden 8 --layers 1 --backend numpy --threads 1 --eval-every 100 --max-minutes 0.0667 --json"
    )
    command = [sys.executable, "-m", "charrnn", "train", str(write_text(tmp_path / "text.txt")), "--quiet"]
    began = time.monotonic()
    with subprocess.Popen(
        [*command, "--out", str(out), *settings.split()],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    ) as process:
        while not (out / "metrics.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        stopped = time.monotonic()
        time.sleep(5)
        slept = time.monotonic() - stopped
        process.send_signal(signal.SIGCONT)
        told, _ = process.communicate()
        took = time.monotonic() - began
    assert process.returncode == 0
    result = json.loads(told)
    assert result["stopped_because"] == "max_minutes"
    assert 4 <= result["seconds"] <= took - slept
