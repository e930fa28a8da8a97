"""charrnn, plain and fast, against a plain torch script, a JAX scan and the classic loop: one command.

    python benchmarks/suite.py [--rounds 3] [--seconds 1.5] [--quick] [--only SHAPE …] [--sides SIDE …]
                               [--jax-python PATH] [--json [FILE]]

Whole training steps with optimiser and clipping, on the shapes of sides/common.py. Each measurement is a process
of its own, one at a time; the sides of a shape take turns, and there are several rounds, so that other load
affects all of them alike. Figures are medians over the rounds, with the least and the most; ratios are
medians of the ratios within a round.

For charrnn, characters per second are those that `charrnn train` reports: for the real loop, with its reports and
checkpoints. Those of the others are of a loop of steps, after a few to warm up. The share of the peak is that of
bare steps, over what a large matrix product in float32 reached just before, in the same round. `flops` says what is
counted.

Then sampling (sampling.py), reading (sides/reading.py), the parts of `inspect-cells` (inspect_cells.py) and the time
to start (startup.py). All of it takes about 20 minutes on an idle machine of two cores; --quick about five. JAX may
be in another environment: name its Python. `--json` alone writes benchmarks/results/ with the machine in the file's
name; table.py puts that into README.md and docs/benchmarks.md. The last line is one JSON object.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import sampling
import startup
from sides.common import SHAPES, Shape

HERE = Path(__file__).parent
OURS = ("fast", "numpy")
SIDES = ("fast", "numpy", "torch", "torch-bf16", "jax", "classic")
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}
# What sets the speed of a matrix product, widest first; the flag's name and the one it is known by.
INSTRUCTION_SETS = {
    "amx_bf16": "AMX-BF16",
    "avx512_bf16": "AVX512-BF16",
    "avx512_vnni": "AVX512-VNNI",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "sve": "SVE",
    "asimd": "NEON",
}
OTHERS_CORES = 0.15  # if other processes use more than this during a measurement, it is reported
START_UPS = 5
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------------------------------------------
# The machine


def cpu_flags(cpuinfo: str) -> set[str]:
    """Instruction sets of the first core in the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that names the owner: instruction sets and cores."""
    path = Path("/proc/cpuinfo")
    flags = cpu_flags(path.read_text(encoding="utf-8")) if path.exists() else set()
    cores = len(os.sched_getaffinity(0))
    sets = [known for flag, known in INSTRUCTION_SETS.items() if flag in flags]
    return {
        "architecture": platform.machine(),
        "cores": cores,
        "instruction_sets": sets,
        "bfloat16": bool(flags & BFLOAT16_FLAGS),
        "name": f"{cores} cores, {platform.machine()}: {', '.join(sets)}",
    }


def file_name(made: Mapping[str, Any]) -> str:
    """Such as x86_64-2-cores-avx-512.json."""
    widest = next(
        (name.lower() for name in made["instruction_sets"] if name in ("AVX-512", "AVX2", "SVE")), ""
    )
    return "-".join(filter(None, [made["architecture"], str(made["cores"]), "cores", widest])) + ".json"


def busy_seconds() -> float:
    """Processor time that anyone has used since the machine started, and that a hypervisor kept from it."""
    numbers = [
        int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:9]
    ]
    user, nice, system, _idle, _iowait, irq, softirq, steal = numbers
    return (user + nice + system + irq + softirq + steal) / CLOCK_TICKS


# ------------------------------------------------------------------------------------------------
# One measurement


class Failed(Exception):
    """A side's process ended with an error."""


def run(command: list[str]) -> tuple[Any, float]:
    """The JSON that the process prints last, and the cores that others took while it ran."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    busy, began = busy_seconds(), time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - began
        others = (busy_seconds() - busy - usage.ru_utime - usage.ru_stime) / took
        if process.returncode:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["no message"])[-1]
            raise Failed(f"ended with {process.returncode}: {last[:200]}")
    return json.loads(printed.strip().splitlines()[-1]), max(0.0, others)


@dataclass
class Run:
    """All measurements of the suite, as they come."""

    seconds: float
    jax_python: str
    warnings: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def measure(self, what: str, module: str, *words: object, python: str = sys.executable) -> Any:
        """The output of a process, or None if it failed; reports if other processes used the machine meanwhile."""
        command = [python, *(["-m", module] if module.startswith("sides.") else [module]), *map(str, words)]
        try:
            found, others = run(command)
        except Failed as problem:
            self.failed[what] = str(problem)
            print(f"  {what} {problem}", flush=True)
            return None
        if others > OTHERS_CORES:
            self.warnings.append(f"{what}: other processes took {others:.1f} cores")
            print(f"  warning: {self.warnings[-1]}", flush=True)
        return found

    def side(self, side: str, shape: Shape) -> dict[str, Any] | None:
        modules = {
            "fast": ("sides.charrnn_train", "fast"),
            "numpy": ("sides.charrnn_train", "numpy"),
            "torch": ("sides.torch_script", ""),
            "torch-bf16": ("sides.torch_script", "bfloat16"),
            "jax": ("sides.jax_scan", ""),
            "classic": ("sides.classic_loop", ""),
        }
        module, variant = modules[side]
        python = self.jax_python if side == "jax" else sys.executable
        words = [shape.name, self.seconds, *([variant] if variant else [])]
        found: dict[str, Any] | None = self.measure(f"{shape.name} {side}", module, *words, python=python)
        return found


def absent(sides: Iterable[str], made: Mapping[str, Any], jax_python: str) -> dict[str, str]:
    """The sides that cannot be measured here, with the reason."""
    reasons = {}
    if "torch-bf16" in sides and not made["bfloat16"]:
        reasons["torch-bf16"] = "this CPU has neither AMX-BF16 nor AVX512-BF16"
    imports = {"fast": "llvmlite", "torch": "torch", "torch-bf16": "torch", "jax": "jax"}
    for side in sides:
        if side in imports and side not in reasons:
            python = jax_python if side == "jax" else sys.executable
            done = subprocess.run([python, "-c", f"import {imports[side]}"], capture_output=True, check=False)
            if done.returncode:
                reasons[side] = f"{imports[side]} cannot be imported"
    return reasons


# ------------------------------------------------------------------------------------------------
# Figures of several rounds


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, least and most."""
    found = list(values)
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def by_round(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of each of ours to each of the others, `fast/torch` and so on: the median of the ratios within a round."""
    names = {name for found in rounds for name in found}
    pairs = [
        (a, b) for a in OURS for b in SIDES if a in names and b in names and a != b and (a, b) != OURS[::-1]
    ]
    ratios = {
        f"{a}/{b}": [found[a] / found[b] for found in rounds if a in found and b in found] for a, b in pairs
    }
    return {pair: statistics.median(values) for pair, values in ratios.items() if values}


# Of a shape: what each side's process printed, and the peak just before.
Round = tuple[dict[str, dict[str, Any]], float | None]


def shape_result(shape: Shape, rounds: list[Round]) -> dict[str, Any]:
    """What the rounds found of one shape."""
    sides = {}
    for side in SIDES:
        found = [(of_round[side], peak) for of_round, peak in rounds if side in of_round]
        if not found:
            continue
        rates = [one["chars_per_second"] for one, _ in found]
        step_seconds = spread(one["step_seconds"] for one, _ in found)
        gflops = [shape.flops / one["step_seconds"] / 1e9 for one, _ in found]
        shares = [speed / peak for speed, (_, peak) in zip(gflops, found, strict=True) if peak]
        sides[side] = {
            "engine": found[-1][0]["engine"],
            "threads": found[-1][0].get("threads"),
            "chars_per_second": spread(rates),
            "chars_per_second_of_rounds": rates,
            "step_ms": {name: 1000 * value for name, value in step_seconds.items()},
            "gflops": statistics.median(gflops),
            "share_of_peak": statistics.median(shares) if shares else None,
            "memory_mib": max(one["memory_mib"] for one, _ in found),
        }
    rates_of = [{side: one["chars_per_second"] for side, one in of_round.items()} for of_round, _ in rounds]
    return asdict(shape) | {"flops": shape.flops, "sides": sides, "ratios": by_round(rates_of)}


def line(shape: Shape, found: Mapping[str, Mapping[str, Any]]) -> str:
    rates = "   ".join(f"{side} {one['chars_per_second']:,.0f}" for side, one in found.items())
    return f"  {shape.name:13} {rates}"


# ------------------------------------------------------------------------------------------------
# The suite


def steps(
    of: Run, shapes: list[Shape], sides: list[str], rounds: int
) -> tuple[list[float], dict[str, Any], dict[str, Any]]:
    """Load at the start of each round, the highest peak, and the result of each shape."""
    loads, peaks = [], []
    found: dict[str, list[Round]] = {shape.name: [] for shape in shapes}
    for n in range(rounds):
        loads.append(round(os.getloadavg()[0], 2))
        print(f"round {n + 1} of {rounds}, load {loads[-1]:.2f}; characters per second:", flush=True)
        for shape in shapes:
            peak = of.measure("peak", "sides.peak", min(1.0, of.seconds))
            peaks += [peak] if peak else []
            of_shape = {
                side: of.side(side, shape) for side in sides if side != "classic" or shape.classic
            }  # one after the other
            measured = {side: one for side, one in of_shape.items() if one}
            found[shape.name].append((measured, peak and peak["all_cores"]))
            print(line(shape, measured), flush=True)
    highest = {name: max(peak[name] for peak in peaks) for name in ("all_cores", "one_core")} if peaks else {}
    results = {shape.name: shape_result(shape, found[shape.name]) for shape in shapes}
    return loads, highest, results


def sampled(of: Run, rounds: int, with_torch: bool) -> dict[str, Any]:
    """Characters sampled per second: one text, with half weights too, and 64 texts at once; torch's usual loop."""
    sides = [side for side in sampling.SIDES if side != "torch" or with_torch]
    result: dict[str, Any] = {}
    for hidden in sampling.SIZES:
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                words = ["--seconds", of.seconds / 2, "--measure", side, hidden]
                found = of.measure(f"sampling 2x{hidden} {side}", "sampling.py", *words)
                rates[side] += [found] if found else []
        result[f"2x{hidden}"] = {side: spread(values) for side, values in rates.items() if values}
        told = "   ".join(f"{side} {one['median']:,.0f}" for side, one in result[f"2x{hidden}"].items())
        print(f"  sampling 2x{hidden}: {told}", flush=True)
    return result


def others(of: Run, rounds: int, with_torch: bool) -> dict[str, Any]:
    """All that is not a training step."""
    print("the rest:", flush=True)
    result: dict[str, Any] = {"sampling_chars_per_second": sampled(of, rounds, with_torch)}
    result["reading_chars_per_second"] = of.measure("reading", "sides.reading", of.seconds / 2)
    result["inspect_cells"] = of.measure("inspect-cells", "inspect_cells.py")
    with tempfile.TemporaryDirectory() as folder:
        result["startup_cpu_seconds"] = {
            name: spread(
                [startup.cpu_seconds(words) for _ in range(START_UPS + 1)][1:]
            )  # the first writes bytecode
            for name, words in startup.commands(Path(folder)).items()
        }
    for name in ("reading_chars_per_second", "inspect_cells", "startup_cpu_seconds"):
        print(f"  {name} {json.dumps(result[name])}", flush=True)
    return result


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("charrnn", "numpy", "llvmlite", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def table(results: Mapping[str, Any]) -> str:
    """For people to read while they wait for the JSON."""
    lines = []
    for one in results.values():
        lines.append(f"{one['title']}")
        for side, figures in one["sides"].items():
            rate, share = figures["chars_per_second"], figures["share_of_peak"]
            lines.append(
                f"  {side:11}{rate['median']:>11,.0f} chars/s ({rate['min']:,.0f} to {rate['max']:,.0f})"
                f"{figures['step_ms']['median']:>9.2f} ms per step{figures['gflops']:>8.1f} GFLOP/s"
                + (f" ({share:.0%} of the peak)" if share is not None else "")
                + f"{figures['memory_mib']:>7.0f} MiB"
            )
        lines.append("  " + "   ".join(f"{pair} {value:.2f}" for pair, value in one["ratios"].items()))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="number of rounds (3; with --quick 1)")
    parser.add_argument("--seconds", type=float, help="seconds per measurement (1.5; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="about five minutes instead of twenty")
    parser.add_argument(
        "--only", nargs="+", choices=SHAPES, metavar="SHAPE", help=f"shapes to measure: {', '.join(SHAPES)}"
    )
    parser.add_argument(
        "--sides", nargs="+", choices=SIDES, metavar="SIDE", help=f"sides to measure: {', '.join(SIDES)}"
    )
    parser.add_argument("--steps-only", action="store_true", help="measure training steps only")
    parser.add_argument("--jax-python", default=sys.executable, help="a Python with jax and numpy")
    parser.add_argument(
        "--json",
        nargs="?",
        const="",
        metavar="FILE",
        help="write the result to this file; without a name, to benchmarks/results/",
    )
    arguments = parser.parse_args()
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    seconds = arguments.seconds or (1.0 if arguments.quick else 1.5)
    shapes = [SHAPES[name] for name in arguments.only or SHAPES]
    asked, made = arguments.sides or list(SIDES), machine()
    skipped = absent(asked, made, arguments.jax_python)
    sides = [side for side in SIDES if side in asked and side not in skipped]
    print(made["name"])
    for side, reason in skipped.items():
        print(f"skipped: {side}, since {reason}")

    of, began = Run(seconds, arguments.jax_python), time.perf_counter()
    loads, peak, results = steps(of, shapes, sides, rounds)
    rest = {} if arguments.steps_only else others(of, rounds, "torch" in sides)
    if results:
        print(table(results))
    result = {
        "format": 1,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": made,
        "versions": versions(),
        "rounds": rounds,
        "seconds": seconds,
        "took_seconds": round(time.perf_counter() - began),
        "load_of_rounds": loads,
        "warnings": of.warnings,
        "failed": of.failed,
        "skipped": skipped,
        "peak_gflops": peak,
        "shapes": results,
        **rest,
    }
    if arguments.json is not None:
        path = Path(arguments.json) if arguments.json else HERE / "results" / file_name(made)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")
    print(json.dumps(rounded(result)))


def rounded(value: Any) -> Any:
    """Numbers to four figures after the first, which is more than any clock here is good for."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
