"""CPU time of `charrnn --help`, which imports neither numpy nor torch.

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

COMMANDS = {
    "python": ["-c", "pass"],
    "help": ["-m", "charrnn", "--help"],
    "train_help": ["-m", "charrnn", "train", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time to start.")
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    result: dict[str, float] = {"runs": runs}
    for name, arguments in COMMANDS.items():
        cpu_seconds(arguments)  # writes the bytecode
        seconds = sorted(cpu_seconds(arguments) for _ in range(runs))
        result |= {
            f"{name}_median_cpu_seconds": round(statistics.median(seconds), 3),
            f"{name}_worst_cpu_seconds": round(seconds[-1], 3),
        }
    print(json.dumps(result))


def cpu_seconds(arguments: list[str]) -> float:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
