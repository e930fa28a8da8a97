"""From a cell to its mechanism: train a small LSTM on the shipped book, take its first tracker, and explain it.

    python benchmarks/mechanism.py [--model RUN] [--steps N] [--concept NAME]

Prints what `charrnn inspect-cells` says of the cell and what `charrnn explain` does, then what happens to the cell and
to the whole model when its writers are cut, one after the other and all at once. --model takes a run that is there
already. The last line is one JSON object.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from charrnn.files.json_value import json_value
from charrnn.interpret import texts
from charrnn.interpret.findings import VERDICTS, Finding, inspect_cells
from charrnn.interpret.mechanism import cut_cell, explain_cell
from charrnn.model.model import Model, load_model
from charrnn.runs.folder import find_model
from charrnn.score.evaluation import evaluate
from charrnn.text.items import Items
from charrnn.training.session import train
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.mechanism_view import summary, view

ROOT = Path(__file__).parents[1]
SETTINGS: dict[str, Any] = {
    "cell": "lstm",
    "layers": 1,
    "hidden": 128,
    "seq_length": 80,
    "batch_size": 32,
    "optimizer": "adam",
    "lr": 0.005,
    "schedule": "cosine",
    "dropout": 0.1,
    "seed": 1,
    "threads": 1,
}


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--model")
    options.add_argument("--steps", type=int, default=4000)
    options.add_argument("--concept", action="append")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.model or Path(folder) / "run"
        if given.model is None:
            started = time.process_time()
            train(ROOT / "corpora/harbour.txt", out=path, max_steps=given.steps, **SETTINGS)
            print(f"trained in {time.process_time() - started:.0f} s of processor time", flush=True)
        model = load_model(find_model(path))
        text = texts.from_paragraph(texts.held_out_text(model))
        found = inspect_cells(model, text, given.concept)
        for one in found.findings:
            print(line_of(one), flush=True)
        chosen = min(found.findings, key=lambda one: VERDICTS.index(one.verdict))
        print(json.dumps(json_value(explained(model, text, chosen))))


def line_of(one: Finding) -> str:
    effect = f"{one.causal.effect:+.2f}" if one.causal else "-"
    return f"{one.concept:>10} {one.layer}:{one.cell:<4} {one.verdict:<12} {one.confirm_score:.3f}  cause {effect}"


def explained(model: Model, text: str | Items, finding: Finding) -> dict[str, object]:
    """The mechanism of the cell of a finding, and what cutting its writers does."""
    cell = finding.layer, finding.cell
    started = time.process_time()
    found = explain_cell(model, text, cell, finding.concept)
    seconds = time.process_time() - started
    console = Console(highlight=False, markup=False, width=100)
    console.print(view(found, console))
    ids = texts.stream_of(model, text)
    whole = evaluate(model, ids).loss_nats
    cuts = []
    names = [one.name for one in found.writers]
    for edges in [*([name] for name in names), names]:
        changed, before = cut_cell(model, text, cell, edges, finding.concept)
        assert before.together is not None
        score, odds = before.together
        loss = evaluate(changed, ids).loss_nats
        odds_told = "-" if odds is None else f"{odds:.2f}"
        print(
            f"cut {' '.join(edges):<50} score {score:.3f}  log-odds {odds_told}  loss {loss - whole:+.4f}",
            flush=True,
        )
        cuts.append({"cut": edges, "score": score, "log_odds": odds, "loss_nats": loss})
    return {
        "summary": summary(found),
        "processor_seconds": seconds,
        "loss_nats": whole,
        "cuts": cuts,
        **found.to_json(),
    }


if __name__ == "__main__":
    main()
