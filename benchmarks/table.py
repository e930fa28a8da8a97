"""Put the results of suite.py into README.md and docs/benchmarks.md, between their markers.

python benchmarks/table.py benchmarks/results/*.json
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- benchmark table: written by benchmarks/table.py -->", "<!-- end of the benchmark table -->"
NAMES = {
    "fast": "charrnn fast",
    "numpy": "charrnn numpy",
    "torch": "torch script",
    "torch-bf16": "torch bfloat16",
    "jax": "JAX scan",
    "classic": "classic loop",
}
COMMAND = "python benchmarks/suite.py --json"


def rows(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def about(result: Mapping[str, Any]) -> str:
    """The machine and the run, in a sentence."""
    peak = result["peak_gflops"]
    tells = (
        f"; highest sgemm peak {peak['all_cores']:.0f} GFLOP/s, on one core {peak['one_core']:.0f} "
        "(shares are of the peak just before each shape)"
        if peak
        else ""
    )
    made, rounds = result["machine"]["name"], result["rounds"]
    return f"{made}{tells}. {result['date']}, medians of {rounds} {'round' if rounds == 1 else 'rounds'}."


def ratio(one: Mapping[str, Any], ours: str) -> str:
    found = one["ratios"].get(f"{ours}/torch")
    return f"{found:.2f}" if found else "–"


def steps_ratio(one: Mapping[str, Any]) -> str:
    """How much longer torch's step takes than a bare one of ours, without reports, samples and checkpoints."""
    fast, torch = (one["sides"].get(side, {}).get("step_ms", {}).get("median") for side in ("fast", "torch"))
    return f"{torch / fast:.2f}" if fast and torch else "–"


def share(one: Mapping[str, Any], side: str) -> str:
    found = one["sides"].get(side, {}).get("share_of_peak")
    return f"{found:.0%}" if found else "–"


def short(results: Sequence[Mapping[str, Any]]) -> str:
    """For the README: training characters per second of each program."""
    if not results:
        return f"No result is kept yet; `{COMMAND}` makes one."
    parts = []
    for result in results:
        shapes = result["shapes"].values()
        sides = [side for side in NAMES if any(side in one["sides"] for one in shapes)]
        header = ["characters per second", *(NAMES[side] for side in sides)]
        header += ["fast ÷ torch", "by bare steps", "numpy ÷ torch", "fast: share of peak"]
        body = [
            [
                one["title"],
                *(
                    f"{one['sides'][side]['chars_per_second']['median']:,.0f}"
                    if side in one["sides"]
                    else "–"
                    for side in sides
                ),
                ratio(one, "fast"),
                steps_ratio(one),
                ratio(one, "numpy"),
                share(one, "fast"),
            ]
            for one in shapes
        ]
        parts.append(f"{about(result)}\n\n{rows(header, body)}")
    return "\n\n".join(parts)


def full(results: Sequence[Mapping[str, Any]]) -> str:
    """For the docs: the same, then each figure with its spread, and all that is not a training step."""
    return "\n\n".join([short(results), *(details(result) for result in results)])


def details(result: Mapping[str, Any]) -> str:
    header = [
        "",
        "side",
        "characters per second: median (least to most)",
        "ms per step",
        "GFLOP/s",
        "of the peak",
    ]
    header += ["threads", "memory, MiB"]
    body = []
    for one in result["shapes"].values():
        for side, found in one["sides"].items():
            rate = found["chars_per_second"]
            cells = [
                one["title"],
                NAMES[side],
                f"{rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f})",
                f"{found['step_ms']['median']:.3g}",
                f"{found['gflops']:.3g}",
                share(one, side),
            ]
            body.append([*cells, str(found["threads"] or "–"), f"{found['memory_mib']:.0f}"])
    parts = [f"Each figure, on {result['machine']['name']}:", rows(header, body)]

    pairs = sorted({pair for one in result["shapes"].values() for pair in one["ratios"]})
    if pairs:
        header = ["times as fast", *(pair.replace("/", " ÷ ") for pair in pairs)]
        body = [
            [
                one["title"],
                *(f"{one['ratios'][pair]:.2f}" if pair in one["ratios"] else "–" for pair in pairs),
            ]
            for one in result["shapes"].values()
        ]
        parts += ["Ratios within a round, medians:", rows(header, body)]
    if "sampling_chars_per_second" in result:
        parts += the_rest(result)
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    loads = ", ".join(f"{load:.1f}" for load in result["load_of_rounds"])
    parts.append(f"{versions}. Load at the start of each round: {loads}.")
    parts += [f"Not measured: {NAMES[side]}, since {why}." for side, why in result["skipped"].items()]
    parts += [f"Failed: {what} {why}." for what, why in result["failed"].items()]
    if result["warnings"]:
        parts.append(f"In {len(result['warnings'])} measurements other processes took processor time.")
    return "\n\n".join(parts)


def the_rest(result: Mapping[str, Any]) -> list[str]:
    """Sampling, eval, inspect-cells and start-up."""
    sampled, evaluated = result["sampling_chars_per_second"], evaluated_of(result)
    names = {"torch": "torch loop", "one": "charrnn, one text", "many": "charrnn, 64 texts at once"}
    if any("half" in found for found in sampled.values()):
        names["half"] = "charrnn, one text with half weights"
    header = ["characters per second", *(f"sampling: {name}" for name in names.values()), "`charrnn eval`"]
    body = [
        [
            f"LSTM {size.replace('x', '×')}",
            *(f"{found[side]['median']:,.0f}" if side in found else "–" for side in names),
            f"{evaluated[size]:,.0f}" if size in evaluated else "–",
        ]
        for size, found in sampled.items()
    ]
    parts = ["Sampling and scoring:", rows(header, body)]
    if read := result.get("reading_chars_per_second"):
        kinds = {
            "eval": "`charrnn eval`",
            "validation": "a validation",
            "per_line": "lines of 40",
            "record": "all cells recorded",
        }
        kinds["torch_forward"] = "torch's forward pass without gradient"
        told = [
            f"LSTM {size.replace('x', '×')} "
            + ", ".join(f"{kinds[k]} {rate:,.0f}" for k, rate in found.items())
            for size, found in read.items()
        ]
        parts.append(f"Reading, characters per second: {'; '.join(told)}.")
    if inspected := result["inspect_cells"]:
        parts.append(
            f"Scoring {inspected['concepts']} concepts on 1,024 cells over 100,000 characters (`inspect-cells`): "
            f"{inspected['total_seconds']:.1f} s, {inspected['peak_mib']:,} MiB."
        )
    started = result["startup_cpu_seconds"]
    parts.append(
        f"`charrnn --help` takes {started['help']['median']:.3f} s of processor time, of which Python itself "
        f"{started['python']['median']:.3f} s."
    )
    if first := started.get("first_character"):
        parts[-1] += (
            f" `charrnn sample` with LSTM 2×128 takes {first['median']:.2f} s to its first character."
        )
    return parts


def evaluated_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Characters per second of `charrnn eval` by size; older results have nothing else of reading."""
    if "reading_chars_per_second" in result:
        return {size: found["eval"] for size, found in (result["reading_chars_per_second"] or {}).items()}
    return result["eval_chars_per_second"] or {}


def between_markers(page: str, block: str) -> str:
    """The page with the block in place of what stands between its markers.

    Raises ValueError when the markers are not there once each.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"the page must hold one {BEGIN!r} and one {END!r}")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="*", type=Path, help="what suite.py --json wrote")
    paths = parser.parse_args().results
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(paths)]
    for name, block in (("README.md", short(results)), ("docs/benchmarks.md", full(results))):
        page = ROOT / name
        page.write_text(between_markers(page.read_text(encoding="utf-8"), block), encoding="utf-8")


if __name__ == "__main__":
    main()
