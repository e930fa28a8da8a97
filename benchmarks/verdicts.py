"""One example of each verdict, from networks whose cells were built by hand among random ones.

    python benchmarks/verdicts.py [--folder runs/verdicts]

Writes a model and a text for each verdict into the folder, and prints the command and the output that docs/cells.md
shows. The truth is known, so that each answer can be checked:

    tracker      a toggle: up at a quotation mark, down at the next, and read by the head for the mark
    correlate    the same kind of cell for parentheses, which nothing reads
    distributed  five cells that hold by vote whether a parenthesis is open; one alone is outvoted
    hidden       a cell that keeps in c whether a parenthesis is open, behind a shut output gate
    detector     a cell that lights up at each quotation mark and fades
    none         no planted cell
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import handmade

Weights = dict[str, np.ndarray]
ASIDE = "aside=between:(..)"
WIDTH = 96


def toggle(weights: Weights) -> None:
    handmade.lstm_quote(weights)


def unread(weights: Weights) -> None:
    handmade.latch(weights, "lstm", 5, {"(": 1.0, ")": -1.0}, {})


def vote(weights: Weights) -> None:
    handmade.population(weights, "lstm", range(2, 7), "(", ")", 0.07, noise=0.2)


def shut(weights: Weights) -> None:
    handmade.latch(weights, "lstm", 7, {"(": 1.0, ")": -1.0}, {}, seen=False)


def flash(weights: Weights) -> None:
    handmade.lstm_leaky_quote(weights)


def nothing(weights: Weights) -> None:
    """All cells stay random."""


def examples() -> dict[str, tuple[Callable[[Weights], None], str, str]]:
    """By verdict: what is planted, the concept that is looked for, and the text."""
    talk = handmade.dialogue(16_000)
    asides = handmade.marked(12_000, 3, (20, 200), (20, 200), marks="()")
    return {
        "tracker": (toggle, "quote", talk),
        "distributed": (vote, ASIDE, asides),
        "correlate": (unread, ASIDE, asides),
        "hidden": (shut, ASIDE, asides),
        "detector": (flash, "quote", talk),
        "none": (nothing, ASIDE, asides),
    }


def write(verdict: str, folder: Path) -> list[str]:
    """Write the model and the text of an example; the arguments of the command that looks at them."""
    plant, concept, text = examples()[verdict]
    weights = handmade.random_weights("lstm")
    plant(weights)
    model = handmade.model_of("lstm", {name: w.astype(np.float32) for name, w in weights.items()})
    model.save(folder / f"{verdict}.safetensors")
    (folder / f"{verdict}.txt").write_text(text, "utf-8")
    files = ["--model", f"{verdict}.safetensors", "--text", f"{verdict}.txt"]
    return ["inspect-cells", *files, "--concept", concept, "--passages", "0"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("runs", "verdicts"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for verdict in examples():
        arguments = write(verdict, folder)
        print(f"$ {shlex.join(['charrnn', *arguments])}", flush=True)
        command = [sys.executable, "-m", "charrnn", *arguments]
        subprocess.run(command, cwd=folder, env=os.environ | {"COLUMNS": str(WIDTH)}, check=True)


if __name__ == "__main__":
    main()
