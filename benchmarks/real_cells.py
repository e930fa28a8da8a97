"""Which cells of real models are trackers, and how do they do it?

    python benchmarks/real_cells.py                      all four texts
    python benchmarks/real_cells.py harbour python --cell lstm --seed 2
    python benchmarks/real_cells.py c --folder runs/real

Trains a network on each text (the number of steps is fixed, so that the same seed gives the same model), searches the
held-out tenth for all built-in concepts, and explains each tracker, or the first finding where there is none: its
edges are chosen on the first half of that text and cut on the second. A model that the folder has already is not
trained again.

    harbour       the shipped book
    python        the first megabyte of Python's standard library, without tests, in the order of paths
    c             C: the headers that come with this Python, in the order of paths
    shakespeare   tiny Shakespeare, which is downloaded once

Each line is printed when it is known, rows of tables as Markdown; the last line is one JSON object.
"""

import argparse
import json
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from suite import machine

import charrnn
from charrnn.files.json_value import json_value
from charrnn.interpret import texts
from charrnn.interpret.findings import Finding, Inspection, inspect_cells
from charrnn.interpret.mechanism import Explanation, Influence, explain_cell
from charrnn.model.model import Model
from charrnn.text import library
from charrnn.ui.terminal.findings_view import number
from charrnn.ui.terminal.mechanism_view import quoted, summary

MEGABYTE = 1_000_000
TRAINING: dict[str, Any] = {
    "layers": 1,
    "hidden": 192,
    "seq_length": 80,
    "optimizer": "adam",
    "schedule": "cosine",
    "final_lr": 0.01,
    "clip_value": 0,
    "clip_norm": 40,
    "eval_every": 500,
    "checkpoint_every": 600,
    "threads": 1,
}
BY_TEXT: dict[str, dict[str, Any]] = {
    "harbour": {"cell": "gru", "max_steps": 3600, "batch_size": 16, "lr": 0.006, "dropout": 0.3},
    "python": {"cell": "gru", "max_steps": 3000, "batch_size": 32, "lr": 0.005},
    "c": {"cell": "lstm", "max_steps": 2000, "batch_size": 32, "lr": 0.005},
    "shakespeare": {"cell": "gru", "max_steps": 1500, "batch_size": 32, "lr": 0.005},
}
FINDINGS = ("concept", "cell", "confirm", "memory", "spread", "p", "cause", "loss", "verdict")


def text_of(name: str, folder: Path) -> Path:
    """The file with a text, written to the folder unless it ships with the project."""
    if name == "harbour":
        return library.make(library.find(library.texts(), "shipped"))
    path = folder / f"{name}.txt"
    if name == "c":
        headers = sorted(Path(sysconfig.get_path("include")).rglob("*.h"))
        path.write_text("".join(one.read_text("utf-8") for one in headers), "utf-8")
        return path
    known = {"python": "python-stdlib", "shakespeare": "tinyshakespeare"}[name]
    return library.make(library.find(library.texts(MEGABYTE), known), path)


def trained(name: str, cell: str, seed: int, folder: Path) -> tuple[Model, float]:
    """The model of a text, and the processor seconds that its training took; 0 if it is there already."""
    run, began = folder / f"{name}-{cell}-{seed}", time.process_time()
    if (run / "model.safetensors").exists():
        return charrnn.load_model(run), 0.0
    text = text_of(name, folder)
    settings = TRAINING | BY_TEXT[name] | {"cell": cell, "seed": seed}
    charrnn.train(text, out=run, progress=False, **settings)
    return charrnn.load_model(run), time.process_time() - began


def measured(name: str, cell: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train, inspect and explain; tell each as it is known."""
    model, training_seconds = trained(name, cell, seed, folder)
    text, began = texts.to_judge(model, None), time.process_time()
    found = inspect_cells(model, text)
    inspection_seconds = time.process_time() - began
    loss = model.training["val_loss_nats"]
    seconds = f"{training_seconds:.0f} s and inspected in {inspection_seconds:.0f} s of processor time"
    print(f"\n{name}, {cell}, seed {seed}: {loss:.3f} nats per character; trained in {seconds}\n", flush=True)
    for row in findings_table(found):
        print(row, flush=True)
    explained = []
    trackers = [finding for finding in found.findings if finding.verdict == "tracker"]
    for finding in trackers or found.findings[:1]:
        began = time.process_time()
        one = explain_cell(model, text, (finding.layer, finding.cell), finding.concept)
        took = time.process_time() - began
        print("\n" + "\n".join(mechanism(one)), flush=True)
        explained.append({"summary": summary(one), "processor_seconds": took, **one.to_json()})
    return {
        "text": name,
        "cell": cell,
        "seed": seed,
        "loss_nats": loss,
        "training_processor_seconds": training_seconds,
        "inspection_processor_seconds": inspection_seconds,
        **found.to_json(),
        "explained": explained,
    }


def findings_table(found: Inspection) -> Iterator[str]:
    """A row per concept, best verdicts first; then what could not be judged."""
    yield f"| {' | '.join(FINDINGS)} |"
    yield "|---" * len(FINDINGS) + "|"
    for one in found.findings:
        yield f"| {' | '.join(row_of(one))} |"
    if found.refusals:
        yield f"\nnot judged: {', '.join(one.concept for one in found.refusals)}"


def row_of(one: Finding) -> list[str]:
    """The cells of a row, in the order of FINDINGS."""
    cause = loss = "-"
    if test := one.causal:
        cause = f"{quoted(shown(test.target))} {test.effect:+.2f} ({number(test.p_of_two)})"
        loss = f"{(test.loss_low + test.loss_high) / 2:+.3f} ({number(test.loss_p_of_two)})"
    if several := one.together:
        cause += f"; {len(several.cells)} cells {several.effect:+.2f} ({number(several.p_value)})"
    if along := one.direction:
        cause += f"; direction {along.effect:+.2f} ({number(along.p_value)})"
    sign = "+" if one.sign > 0 else "−"
    return [
        f"`{one.concept}`",
        f"{one.layer}:{one.cell} {sign}",
        number(one.confirm_score),
        number(one.memory_score),
        f"{one.visible:.2f}",
        number(one.p_value),
        cause,
        loss,
        one.verdict,
    ]


def shown(characters: str) -> str:
    return characters.replace("\n", "↵").replace("|", "\\|")


def mechanism(one: Explanation) -> Iterator[str]:
    """What is said of a cell, and each edge that was cut."""
    yield summary(one)
    for edge in (*one.writers, *one.shown_by, *one.readers, *one.head):
        yield edge_line(edge)
    if one.together is not None:
        score, odds = one.together
        told = "" if odds is None else f", log-odds {one.log_odds:.2f} to {odds:.2f}"
        yield f"  all writers shown: score {number(one.score or 0)} to {number(score)}{told}"
    yield f"  error of the sums {one.error:.1e}"


def edge_line(edge: Influence) -> str:
    """An edge, what its cut changes, and p corrected for all edges of the cell; a star where the cut tells."""
    cut, carries = edge.cut, "-" if edge.carries is None else f"{edge.carries:+.3f}"
    told = f"  {edge.name:<12} weight {edge.weight:+.2f} strength {edge.strength:.3f} carries {carries}"
    if cut is None:
        return told
    if cut.score_p is not None:
        told += f" score {number(cut.score)} to {number(cut.score_after)}"
    if cut.log_odds is not None and cut.log_odds_after is not None:
        told += f" log-odds {cut.log_odds:.2f} to {cut.log_odds_after:.2f}"
    return told + (f" p {number(cut.p)}" if cut.p is not None else "") + " *" * cut.holds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="*", default=list(BY_TEXT))
    parser.add_argument("--cell", choices=["lstm", "gru", "rnn"], help="default: as in the docs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs", "real-cells"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = [
        measured(name, given.cell or BY_TEXT[name]["cell"], given.seed, given.folder) for name in given.texts
    ]
    settings = {name: TRAINING | BY_TEXT[name] for name in given.texts}
    print(json.dumps({"machine": machine()["name"], "settings": settings, "rows": json_value(rows)}))


if __name__ == "__main__":
    main()
