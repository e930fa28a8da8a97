"""CPU time of the first second: `charrnn --help`, which imports neither numpy nor torch, `charrnn sample` with a small
model (LSTM 2×128) to its first character, and the kernels of a new shape, compiled and then found in the cache.

    python benchmarks/startup.py [--runs 20]

Each run is a fresh process with its bytecode cached; user and system time of each is what the system
counted. `python -c pass` shows how much of it is Python's own. The last line is one JSON object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HIDDEN = 128
# A training engine and a network for reading: all kernels of a run.
KERNELS = f"""
import numpy as np
from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines.fast_backend import FastBackend
FastBackend(ModelConfig("lstm", 2, {HIDDEN}), TrainConfig(batch_size=50, seq_length=50), 65, 50, 1)
"""


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by its name; the model to sample from is written to a folder."""
    import sampling

    from charrnn.config import ModelConfig
    from charrnn.model.model import Model

    letters = "".join(map(chr, range(32, 32 + sampling.VOCAB)))
    model = folder / "model.safetensors"
    Model(ModelConfig("lstm", 2, HIDDEN), letters, sampling.weights(HIDDEN)).save(model)
    return {
        "python": ["-c", "pass"],
        "help": ["-m", "charrnn", "--help"],
        "train_help": ["-m", "charrnn", "train", "--help"],
        "first_character": ["-m", "charrnn", "sample", "--model", str(model), "--length", "1", "--seed", "1"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time to start.")
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    result: dict[str, float] = {"runs": runs}
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in commands(Path(folder)).items():
            cpu_seconds(arguments)  # writes the bytecode
            seconds = sorted(cpu_seconds(arguments) for _ in range(runs))
            result |= {
                f"{name}_median_cpu_seconds": round(statistics.median(seconds), 3),
                f"{name}_worst_cpu_seconds": round(seconds[-1], 3),
            }
        result |= {f"kernels_{name}_cpu_seconds": value for name, value in kernels(Path(folder)).items()}
    print(json.dumps(result))


def kernels(folder: Path) -> dict[str, float]:
    """CPU seconds of a process that makes the kernels of a run: all new, all in the cache, and without any."""
    cache = {"CHARRNN_CACHE": str(folder / "cache")}
    imports = "\n".join(KERNELS.splitlines()[:-1])
    cpu_seconds(["-c", imports])
    found = {"new": ["-c", KERNELS], "cached": ["-c", KERNELS], "none": ["-c", imports]}
    return {name: round(cpu_seconds(arguments, cache), 3) for name, arguments in found.items()}


def cpu_seconds(arguments: list[str], variables: Mapping[str, str] | None = None) -> float:
    environment = os.environ | (variables or {})
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
