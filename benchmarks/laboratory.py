"""What small networks learn of processes whose truth is known, and whether what is said of them is true.

    python benchmarks/laboratory.py                            all processes, an LSTM of 32 cells each
    python benchmarks/laboratory.py mess3 rrxor --cells lstm gru rnn
    python benchmarks/laboratory.py flip-flop --hidden 64 --steps 8000

For each process: the least possible loss on a text that was not trained on, the network's loss there, the share of the
exact beliefs' variance that a linear map reads from its state (and from the best of five untrained networks), the
automaton extracted from it and whether it equals the true one, cells for what the process keeps in mind, and the fixed
points of the flip-flop. The number of training steps is fixed, so that the same seed gives the same figures.

Each line is printed when it is known; the last line is one JSON object.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from suite import machine

import charrnn
from charrnn.files.json_value import json_value
from charrnn.interpret.automaton import extract
from charrnn.interpret.findings import inspect_cells
from charrnn.interpret.fixed_points import find_fixed_points
from charrnn.model.model import Model
from charrnn.model.steps import Steps
from charrnn.probe.beliefs import fit_beliefs, truth_of
from charrnn.text import known_processes
from charrnn.text.process import Process
from charrnn.text.process_files import Written, make

OTHER_SYMBOLS = 50_000  # of the text to measure on
TRAINING = {
    "layers": 1,
    "optimizer": "adam",
    "lr": 0.005,
    "schedule": "cosine",
    "final_lr": 0.01,
    "batch_size": 32,
    "seq_length": 50,
    "clip_value": 0,
    "clip_norm": 40,
    "eval_every": 1000,
    "checkpoint_every": 600,
    "val_fraction": 0.02,
    "threads": 1,
}
STEPS, MORE_STEPS = 3000, {"tomita-5": 8000, "tomita-6": 8000, "flip-flop": 12_000}  # of training
CONCEPTS = {  # what a process keeps in mind, in the words of inspect-cells
    "flip-flop": ["bit_a=between:A..a", "bit_b=between:B..b", "bit_c=between:C..c"],
    "dyck-1": ["nesting=depth:(|)"],
    "counter": [r"as=count:a;reset=\n"],
}
READ_AGAIN = {"flip-flop": [None, *"AaBbCc"]}  # whose fixed points are looked for; None is no symbol
ASKED = {"flip-flop": "?"}


def measured(
    process: Process, cell: str, folder: Path, symbols: int, steps: int, hidden: int, seed: int
) -> dict[str, Any]:
    """Train a network on a text of the process and say all of it."""
    name = f"{process.name}-{cell}"
    texts = [
        make(Written(process, length, number), folder / f"{process.name}-{number}.txt", force=True)[0]
        for number, length in ((1, symbols), (2, OTHER_SYMBOLS))
    ]
    began = time.process_time()
    trained = charrnn.train(
        texts[0],
        out=folder / name,
        force=True,
        cell=cell,
        hidden=hidden,
        max_steps=steps,
        seed=seed,
        **TRAINING,
    )
    seconds = time.process_time() - began
    model = charrnn.load_model(trained.model)
    text, truth = truth_of(texts[1])
    ids = model.vocab.encode(text)
    log_p = Steps(model).log_p(Steps(model).visited(ids))
    loss = float(-log_p[np.arange(len(ids) - 1), ids[1:]].mean())
    least = float(truth.losses[1:].mean())
    row: dict[str, Any] = {
        "process": process.name,
        "cell": cell,
        "steps": steps,
        "processor_seconds": round(seconds, 1),
        "least_loss_nats": least,
        "loss_nats": loss,
        "above_nats": loss - least,
    }
    if len(process.states) > 1:  # otherwise there is nothing to know
        row["beliefs"] = fit_beliefs(model, text, truth).to_json()
    if process.unifilar:
        row["automaton"] = json_value(extract(model, ids, process=process))
    if process.name in CONCEPTS:
        found = inspect_cells(model, text[:20_000], CONCEPTS[process.name])
        row["cells"] = [
            {
                "concept": f.concept,
                "cell": f"{f.layer}:{f.cell}",
                "verdict": f.verdict,
                "score": f.confirm_score,
                "probe_score": f.probe_score,
            }
            for f in found.findings
        ]
    row["points"] = [
        _points(model, ids, symbol, ASKED[process.name]) for symbol in READ_AGAIN.get(process.name, [])
    ]
    return row


def _points(model: Model, ids: np.ndarray, symbol: str | None, asked: str) -> dict[str, Any]:
    number = None if symbol is None else int(model.vocab.encode(symbol)[0])
    found = find_fixed_points(model, ids, number, asked=model.vocab.encode(asked).tolist())
    kinds = [point.kind for point in found.points]
    return {
        "reading": symbol,
        **{kind: kinds.count(kind) for kind in ("stable", "saddle", "unstable", "slow")},
        "expects": sorted(point.expects[0][0] for point in found.points if point.kind == "stable"),
        "radii": [round(point.radius, 4) for point in found.points if point.kind == "stable"],
    }


def line(row: dict[str, Any]) -> str:
    beliefs, found = row.get("beliefs"), row.get("automaton")
    words = [
        f"{row['process']:>9} {row['cell']:>4}  loss {row['loss_nats']:.4f}, {row['above_nats']:+.4f} above the least"
    ]
    if beliefs:
        untrained = max(beliefs["untrained_r2"])
        words.append(
            f"beliefs {beliefs['r2']:.4f} (untrained {untrained:.4f}, control {beliefs['control_r2']:.4f})"
        )
    if found:
        compared = found["comparison"]
        equal = "equal" if compared["equal"] else f"differs {json.dumps(compared['difference'])}"
        words.append(
            f"machine {len(found['states'])} of {compared['states']} states, {equal}, fidelity {found['fidelity']:.4f}"
        )
    words += [f"{c['concept']} {c['cell']} {c['verdict']} {c['score']:.3f}" for c in row.get("cells", ())]
    words += [
        f"points reading {p['reading']}: {p['stable']} stable, expecting {''.join(p['expects'])}"
        for p in row["points"]
    ]
    return "; ".join([*words, f"{row['processor_seconds']} s"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("processes", nargs="*", default=known_processes.names())
    parser.add_argument("--cells", nargs="*", default=["lstm"], choices=["lstm", "gru", "rnn"])
    parser.add_argument(
        "--steps", type=int, help="of training; by default 3000, and more where much has to be kept"
    )
    parser.add_argument("--symbols", type=int, default=200_000, help="of the text to train on")
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs", "laboratory"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in given.processes:
        for cell in given.cells:
            process = known_processes.process(name)
            steps = given.steps or MORE_STEPS.get(name, STEPS)
            rows.append(measured(process, cell, given.folder, given.symbols, steps, given.hidden, given.seed))
            print(line(rows[-1]), flush=True)
    settings = {"symbols": given.symbols, "hidden": given.hidden, "seed": given.seed, **TRAINING}
    print(
        json.dumps({"machine": machine()["name"], "settings": settings, "rows": json_value(rows)}),
        file=sys.stdout,
    )


if __name__ == "__main__":
    main()
