"""Test the verdicts on texts and cells other than those used to choose the criteria.

    python benchmarks/ground_truth.py                all parts
    python benchmarks/ground_truth.py nulls rates    some of: memory, planted, nulls, rates

planted: cells whose use is known are planted among random ones, and get the whole protocol: copies, a copy delayed
by several steps, cells that vote, a fact spread over many cells, a cell of two concepts at once, a cell that holds and
does not show. nulls: untrained networks on all concepts, and networks trained on characters in random order. rates:
how often p is below .05 for labels that a network cannot know.

memory: cells built by hand are planted among random ones, in an LSTM, a GRU and a vanilla RNN, and judged without the
causal test. For each cell `memory/lasting verdict` is printed:

    a flash     is set by a mark and fades: it has an echo and no state, and must not be a correlate
    a latch     goes up at an opening and down at a closing mark and leaks; how far back it should be believed is a
                convention, but it must not depend on the kind of cell
    a ramp      falls from each newline on, the counterpart of a flash for a count: when it fades within ten
                characters it has no state
    chance      random networks on all concepts

`memory` is memory_score; `lasting` is matched_accuracy (bool) or steady_score (count). The last line is one JSON
object.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import handmade

from charrnn.config import ModelConfig
from charrnn.interpret.chance import own_p_value
from charrnn.interpret.concepts import telegraph
from charrnn.interpret.findings import MEMORY_FLOOR, Finding, inspect_cells
from charrnn.interpret.recording import record
from charrnn.interpret.scores import score_cells
from charrnn.interpret.user_concepts import parse_concept
from charrnn.model.model import Model, load_model
from charrnn.nn.init import initialise
from charrnn.nn.network import Network
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.session import train

CELLS = ("lstm", "gru", "rnn")
PLANTED = 5
KEEPS = (0.3, 0.5, 0.8, 0.95, 0.99)
NOISE = 0.02
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


Plant = Callable[[Weights], None]
TARGETS = {"lstm": 0.07, "gru": 0.08, "rnn": 0.25}  # weights in the head of cells that do nothing alone
NULL_NETWORKS, SHUFFLED = 48, 5  # of each of two sizes of weights, and of those trained on a shuffled text
NULL_CELLS, NULL_CHARACTERS = 48, 16_000
RATE_SEEDS = 300


def planted_cases() -> list[tuple[str, str, Plant, str, str, int, int, str]]:
    """Name, cell, what is planted, concept, text, hidden size, how many cells to report, and the verdict deserved."""
    talk, mixed = handmade.dialogue(12_000), handmade.overlapping(20_000)
    marked = handmade.marked(12_000, 3, *SPANS["alike"], marks="()")
    cases: list[tuple[str, str, Plant, str, str, int, int, str]] = []

    def copies(weights: Weights, cell: str) -> None:
        for k, out in enumerate((1.5, 3.0, 2.5, 2.0), 5):
            handmade.toggle(weights, cell, k, '"', {'"': out}, noise=0.1 * (k - 5), seed=k)

    def delayed(weights: Weights, cell: str, steps: int) -> None:
        handmade.toggle(weights, cell, 5, '"', {'"': 3.0}, hidden=64)
        for k in range(steps):
            handmade.follower(weights, cell, 6 + k, 5 + k, hidden=64)

    def shared(weights: Weights, cell: str, units: int, noise: float, hidden: int) -> None:
        members, out = range(2, 2 + units), TARGETS[cell]
        handmade.population(weights, cell, members, "(", ")", out, noise=noise, hidden=hidden)

    def both(weights: Weights, cell: str) -> None:
        handmade.toggle(weights, cell, 5, '"()', {'"': 3.0})

    def not_shown(weights: Weights) -> None:
        handmade.latch(weights, "lstm", 7, {"(": 1.0, ")": -1.0}, {}, seen=False)

    for cell in ("lstm", "gru"):
        cases.append(("4 copies", cell, partial(copies, cell=cell), "quote", talk, 32, 4, "tracker"))
        for steps in (3, 8, 15, 25):
            plant = partial(delayed, cell=cell, steps=steps)
            cases.append((f"copy after {steps}", cell, plant, "quote", talk, 64, 1, "tracker"))
        cases.append(("quote xor paren", cell, partial(both, cell=cell), "quote", mixed, 32, 1, "detector"))
    for cell in CELLS:
        for units, noise, hidden in ((3, 0.2, 32), (5, 0.2, 32), (7, 0.5, 32), (10, 0.8, 32), (30, 0.8, 64)):
            plant = partial(shared, cell=cell, units=units, noise=noise, hidden=hidden)
            name = f"{units} vote" if units < 10 else f"spread over {units}"
            cases.append((name, cell, plant, ASIDE, marked, hidden, 1, "distributed"))
    cases.append(("held, not shown", "lstm", not_shown, ASIDE, marked, 32, 1, "hidden"))
    return cases


def planted() -> dict[str, Any]:
    right = 0
    cases = planted_cases()
    for name, cell, plant, concept, text, hidden, top, deserved in cases:
        weights = handmade.random_weights(cell, hidden=hidden)
        plant(weights)
        model = handmade.model_of(cell, {k: w.astype(np.float32) for k, w in weights.items()}, hidden=hidden)
        found = inspect_cells(model, text, [parse_concept(concept)], top=top).findings
        verdicts = [f"{f.cell} {f.verdict}" for f in found]
        fits = (
            any(f.verdict == deserved for f in found)
            if deserved == "hidden"
            else all(f.verdict == deserved for f in found)
        )
        right += fits
        print(
            f"{name:>16} {cell:>4}  {'as it should' if fits else 'NOT ' + deserved}: {', '.join(verdicts)}",
            flush=True,
        )
    return {"planted": len(cases), "planted_right": right}


def nulls(seeds: Iterable[int] = range(NULL_NETWORKS), shuffled: int = SHUFFLED) -> dict[str, Any]:
    """Verdicts on networks that have learnt nothing: fresh ones, with weights of two sizes, and trained ones.

    The trained ones learnt how often each character comes, from a text in random order, and then read the text itself.
    """
    verdicts: dict[str, dict[str, int]] = {"untrained": {}, "large": {}, "shuffled": {}}
    began = time.process_time()

    def count(kind: str, seed: int, model: Model, text: str) -> None:
        found = inspect_cells(model, text).findings
        for finding in found:
            verdicts[kind][finding.verdict] = verdicts[kind].get(finding.verdict, 0) + 1
        told = [f"{f.concept} {f.cell} {f.verdict}" for f in found if f.verdict not in ("none", "detector")]
        seconds = time.process_time() - began
        print(
            f"{kind} {seed} {model.config.cell}: {len(found)} concepts, {told}, {seconds:.0f} s", flush=True
        )

    for seed in seeds:
        cell = CELLS[seed % len(CELLS)]
        text = handmade.dialogue(NULL_CHARACTERS, seed + 100)
        network = Network(ModelConfig(cell=cell, layers=1, hidden=NULL_CELLS), len(handmade.VOCAB))
        initialise(network, np.random.default_rng(1000 + seed))
        untrained = Model.of_network(network, Vocabulary("char", tuple(handmade.VOCAB)), {})
        count("untrained", seed, untrained, text)
        weights = {k: w.astype(np.float32) for k, w in handmade.random_weights(cell, seed=seed).items()}
        count("large", seed, handmade.model_of(cell, weights), text)
        if seed < shuffled:
            count("shuffled", seed, trained_on_nothing(cell, text, seed), text)
    for kind, found in verdicts.items():
        print(f"{kind}: {found}", flush=True)
    every = sum(map(Counter, verdicts.values()), Counter())
    print(f"all: {dict(every)} in {every.total()} findings", flush=True)
    return {f"null_{kind}": found for kind, found in verdicts.items()}


def trained_on_nothing(cell: str, text: str, seed: int) -> Model:
    """A network trained on another such text with its characters in random order."""
    other = handmade.dialogue(100_000, seed + 500)
    mixed = "".join(np.random.default_rng(seed).permutation(list(other + "".join(sorted(set(text))))))
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"optimizer": "adam", "lr": 0.005, "batch_size": 32, "seq_length": 50}
        settings |= {"layers": 1, "hidden": NULL_CELLS, "max_steps": 600, "threads": 1}
        run = train(text=mixed, out=Path(folder, "run"), cell=cell, seed=seed, **settings)
        return load_model(run.model)


def rates(seeds: int = RATE_SEEDS) -> dict[str, Any]:
    """The share of p below .05, of `telegraph` labels that no network can know: cell and sign chosen on SELECT."""
    small = of_all = 0
    for cell in CELLS:
        weights = handmade.random_weights(cell)
        text = handmade.dialogue(8_000, 1)
        r = record(handmade.model_of(cell, {k: w.astype(np.float32) for k, w in weights.items()}), text)
        for seed in range(seeds // len(CELLS)):
            values, mask = telegraph(text, seed)
            values, mask = values.astype(bool), mask.astype(bool)
            [scores] = score_cells(r.signals[:, r.select], [(values[r.select], mask[r.select], "bool")])
            best = int(np.nanargmax(np.abs(scores - 0.5)))
            sign = 1 if scores[best] >= 0.5 else -1
            label = values[r.confirm], mask[r.confirm], "bool"
            small += own_p_value(r.signals[best, r.confirm], label, sign) < 0.05
            of_all += 1
    print(f"p below .05 for {small} of {of_all} labels that nothing can know", flush=True)
    return {"null_p_below_05": small / of_all}


def memory() -> dict[str, Any]:
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

    return result


PARTS = {"memory": memory, "planted": planted, "nulls": nulls, "rates": rates}


def main() -> None:
    result: dict[str, Any] = {}
    for name in sys.argv[1:] or PARTS:
        result |= PARTS[name]()
    print(json.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in result.items()}))


if __name__ == "__main__":
    main()
