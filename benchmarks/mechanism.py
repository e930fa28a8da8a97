"""From a cell to its mechanism: the best finding of a model of `real_cells.py`, explained to the end.

    python benchmarks/mechanism.py harbour --concept quote
    python benchmarks/mechanism.py c --concept comment

Trains the model unless the folder has it, prints what `charrnn inspect-cells` says of the concept and what `charrnn
explain` says of the cell, then what happens to the cell and to the whole model when its writers are cut, one after the
other and all at once. --model takes any other run. The last line is one JSON object.
"""

import argparse
import json
import time
from pathlib import Path

from real_cells import BY_TEXT, trained

from charrnn.files.json_value import json_value
from charrnn.interpret import texts
from charrnn.interpret.findings import VERDICTS, Finding, inspect_cells
from charrnn.interpret.mechanism import cut_cell, explain_cell
from charrnn.model.model import Model, load_model
from charrnn.runs.folder import find_model
from charrnn.score.evaluation import evaluate
from charrnn.text.items import Items
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.mechanism_view import summary, view


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("text", nargs="?", choices=list(BY_TEXT), default="harbour")
    options.add_argument("--model")
    options.add_argument("--concept", action="append")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path, default=Path("runs", "real-cells"))
    given = options.parse_args()
    if given.model is not None:
        model = load_model(find_model(given.model))
    else:
        given.folder.mkdir(parents=True, exist_ok=True)
        model, _ = trained(given.text, BY_TEXT[given.text]["cell"], given.seed, given.folder)
    text = texts.to_judge(model, None)
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
