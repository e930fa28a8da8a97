"""Test the criteria for memory on texts and cells other than those used to choose them.

    python benchmarks/ground_truth.py

Cells built by hand are planted among random ones, in an LSTM, a GRU and a vanilla RNN, and judged without the
causal test. For each cell `memory/lasting verdict` is printed:

    a flash     is set by a mark and fades: it has an echo and no state, and must not be a correlate
    a latch     goes up at an opening and down at a closing mark and leaks; how far back it should be believed is a
                convention, but it must not depend on the kind of cell
    a ramp      falls from each newline on, the counterpart of a flash for a count: when it fades within ten
                characters it has no state
    chance      random networks on all concepts, and `telegraph` labels, which nothing can know

`memory` is memory_score; `lasting` is matched_accuracy (bool) or steady_score (count). The last line is one JSON
object.
"""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import handmade

from charrnn.interpret.chance import chance
from charrnn.interpret.concepts import telegraph
from charrnn.interpret.findings import ALPHA, MEMORY_FLOOR, Finding, inspect_cells
from charrnn.interpret.recording import record
from charrnn.interpret.scores import score_cells
from charrnn.interpret.user_concepts import parse_concept

CELLS = ("lstm", "gru", "rnn")
PLANTED = 5
KEEPS = (0.3, 0.5, 0.8, 0.95, 0.99)
NOISE = 0.02
TELEGRAPHS = 500
ASIDE = "aside=between:(..)"
SPANS = {  # lengths inside, outside
    "short inside": ((5, 40), (100, 400)),
    "alike": ((20, 200), (20, 200)),
    "long inside": ((100, 400), (10, 60)),
}
LINES = {"short lines": (20, 45), "usual lines": (55, 75), "long lines": (80, 300)}

Weights = dict[str, np.ndarray]


def judged(cell: str, plant: Callable[[Weights], None], concept: str, text: str, seed: int) -> Finding | None:
    """What is said of the planted cell, if it is among the best two."""
    weights = handmade.random_weights(cell, seed=seed)
    plant(weights)
    model = handmade.model_of(cell, {name: w.astype(np.float32) for name, w in weights.items()})
    found = inspect_cells(model, text, [parse_concept(concept)], top=2, causal=False)
    return next((finding for finding in found.findings if finding.cell == PLANTED), None)


def figures(finding: Finding | None) -> tuple[float, float, str]:
    if finding is None:
        return float("nan"), float("nan"), "-"
    lasting = finding.steady_score if finding.kind == "count" else finding.matched_accuracy
    return finding.memory_score, lasting, finding.verdict


def row(
    name: str, cell: str, concept: str, text: str, seed: int, sets: Mapping[str, float]
) -> list[tuple[float, float, str]]:
    """The planted cell at each rate of fading, as a line of the table."""
    found = []
    for keep in KEEPS:
        plant = partial(handmade.fading, cell=cell, keep=keep, sets=sets, noise=NOISE)
        found.append(figures(judged(cell, plant, concept, text, seed)))
    shown = "  ".join(f"{memory:5.2f}/{lasting:5.2f} {verdict[0]}" for memory, lasting, verdict in found)
    print(f"{name:>24} {cell:>4} seed {seed}  {shown}", flush=True)
    return found


def highest(found: list[tuple[float, float, str]]) -> tuple[float, float]:
    """The highest memory and lasting scores of those that have one."""
    memory, lasting = np.nanmax([scores[:2] for scores in found], axis=0)
    return float(memory), float(lasting)


def random_networks(cell: str, seed: int) -> list[Finding]:
    weights = {k: w.astype(np.float32) for k, w in handmade.random_weights(cell, seed=seed).items()}
    text = handmade.dialogue(20_000, seed + 10)
    return list(inspect_cells(handmade.model_of(cell, weights), text, causal=False).findings)


def telegraphs_confirmed(cell: str, seed: int, count: int) -> int:
    """Of `count` labels that nothing can know, how many the best cell of SELECT follows at level ALPHA on CONFIRM."""
    weights = handmade.random_weights(cell, seed=seed)
    {"lstm": handmade.lstm_quote, "gru": handmade.gru_quote, "rnn": handmade.rnn_bracket}[cell](weights)
    text = handmade.dialogue(12_000, seed)
    r = record(handmade.model_of(cell, {k: w.astype(np.float32) for k, w in weights.items()}), text)
    labels = [telegraph(text, number) for number in range(count)]
    halves = [[(v[part], m[part], "bool") for v, m in labels] for part in (r.select, r.confirm)]
    scores, nulls = score_cells(r.signals[:, r.select], halves[0]), chance(r.signals[:, r.confirm], halves[1])
    confirmed = 0
    for of_cells, null in zip(scores, nulls, strict=True):
        best = int(np.nanargmax(np.abs(of_cells - 0.5)))
        sign = 1 if of_cells[best] >= 0.5 else -1
        confirmed += null is not None and null.p_value(best, sign) <= ALPHA
    return confirmed


def main() -> None:
    result: dict[str, Any] = {
        "floors": {"bool": 0.5 + MEMORY_FLOOR["bool"] / 2, "count": MEMORY_FLOOR["count"]}
    }
    print(f"kept a character: {KEEPS}")
    flashes, ramps = [], []
    for cell in CELLS:
        for name, spans in SPANS.items():
            for seed in (1, 2):
                text = handmade.marked(16_000, seed, *spans, marks="()")
                flashes += row(f"flash, {name}", cell, ASIDE, text, seed, {"(": 1.0, ")": 1.0})
    for cell in CELLS:
        text = handmade.marked(16_000, 1, *SPANS["alike"], marks="()")
        row("latch, alike", cell, ASIDE, text, 1, {"(": 1.0, ")": -1.0})
    for cell in CELLS:
        for name, ends in LINES.items():
            for seed in (1, 2):
                text = handmade.lines(12_000, seed, *ends)
                found = row(f"ramp, {name}", cell, "line_pos", text, seed, {"\n": 1.0})
                ramps += found[:2]  # down to the noise within ten characters
    result["flash_memory_max"], result["flash_matched_max"] = highest(flashes)
    result["flash_correlates"] = sum(verdict == "correlate" for _, _, verdict in flashes)
    result["ramp_memory_max"], result["ramp_steady_max"] = highest(ramps)
    result["ramp_correlates"] = sum(verdict == "correlate" for _, _, verdict in ramps)

    networks = [finding for cell in CELLS for seed in range(4) for finding in random_networks(cell, seed)]
    for kind in ("bool", "count"):
        found = [figures(finding) for finding in networks if finding.kind == kind]
        result[f"random_{kind}_memory_max"], result[f"random_{kind}_lasting_max"] = highest(found)
    result["random_correlates"] = sum(finding.verdict == "correlate" for finding in networks)
    result["random_findings"] = len(networks)

    counts = {
        f"{cell} {seed}": telegraphs_confirmed(cell, seed, TELEGRAPHS) for cell in CELLS for seed in range(3)
    }
    print(f"telegraph, confirmed of {TELEGRAPHS} at level {ALPHA}: {counts}")
    result["telegraph_rate"] = sum(counts.values()) / (TELEGRAPHS * len(counts))
    print(json.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in result.items()}))


if __name__ == "__main__":
    main()
