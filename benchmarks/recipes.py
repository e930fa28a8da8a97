"""How good a recipe is: its loss on text that it was not trained on, and that nothing was chosen by.

    python benchmarks/recipes.py RECIPE --text tinyshakespeare.txt [--seed 1] [--threads 2] [--tuning] [--take N]

The first 90 % of the characters are trained on; the last 10 % are scored once, when training has ended. With --tuning
the first 80 % are trained on and the 10 % after them are scored: settings are chosen by these, and the last tenth is
not read. --take N trains on the first N characters only. RECIPE is a name in RECIPES below. Other options are given to
`charrnn train`: on a busy machine, for example, --max-steps with as many steps as fit into a minute of an idle one.

The line of figures has the loss in nats per character, in one pass with the state carried, and what training reports.
"""

import argparse
from pathlib import Path

from measurement import Measurement, absent

# The preset quick until 2026-11-29.
QUICK_GRU = "--preset quick --cell gru --hidden 256 --dropout 0.1 --batch-size 16 --lr 0.008 --no-jitter"
# The preset quality until 2026-11-29, of 50 streams.
QUALITY_OF_50 = (
    "--preset quality --embedding 64 --batch-size 50 --seq-length 100 --no-jitter --lr 0.003 --clip-norm 100 "
    "--weight-drop 0 --epochs 19"
)
# The same in small, for comparing parts of it: as many weights per character of text, on the first 100,000.
SMALL = f"{QUALITY_OF_50} --hidden 128 --embedding 32 --batch-size 16 --seq-length 64 --lr 0.004 --epochs 15"

RECIPES = {
    "quick": "--preset quick",
    "quick-gru": QUICK_GRU,
    "quick-gru-no-dropout": f"{QUICK_GRU} --dropout 0",
    "quick-gru-narrow": f"{QUICK_GRU} --hidden 192 --seq-length 40 --dropout 0",  # until 2026-11-28
    "tiny": "--preset tiny",
    "quality": "--preset quality",
    "quality-of-50": QUALITY_OF_50,
    "small": SMALL,
}
ONCE = "--eval-every 1000000000"  # steps: nothing is validated before the end of the run


def divided(text: str, tuning: bool, take: int | None = None) -> tuple[str, str]:
    """The text to train on and the text to score."""
    tenths = (8, 9) if tuning else (9, 10)
    begin, end = (len(text) * k // 10 for k in tenths)
    return text[:begin][:take], text[begin:end]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--text", type=Path, default=Path("tinyshakespeare.txt"), metavar="FILE")
    parser.add_argument("--tuning", action="store_true", help="train on 80 %% and score the next 10 %%")
    parser.add_argument("--take", type=int, metavar="N", help="train on the first N characters only")
    measured = Measurement(__doc__, "recipes", 0, parser)
    given = measured.arguments
    if not given.text.is_file():
        absent(f"{given.text}", "Name a text with --text FILE")
    training, scored = divided(given.text.read_bytes().decode(), given.tuning, given.take)
    files = measured.folder / "train.txt", measured.folder / "scored.txt"
    for file, part in zip(files, (training, scored), strict=True):
        file.write_bytes(part.encode())
    _, trained = measured.train(
        files[0], given.recipe, f"{RECIPES[given.recipe]} --val {files[1]} {ONCE}", ""
    )
    measured.report(
        {
            "recipe": given.recipe,
            "scored": "the next 10 %" if given.tuning else "the last 10 %",
            "loss_nats": trained["val_loss_nats"],
            "training": trained,
        }
    )


if __name__ == "__main__":
    main()
