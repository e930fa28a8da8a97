"""What gains after training: a temperature, counts of the training text, and several seeds together.

    python benchmarks/parts.py MODEL… --train FILE --val FILE

MODEL is a run, or a model file, trained on FILE after --train. Losses are in nats per character of FILE after --val,
for the first model and for all as an ensemble. Each half of that file is scored with what was fitted on the other half;
the adaptive counts have learnt from what was read before. With counts the network has the temperature where that fits
better.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from charrnn import load_model
from charrnn.model.model import Model
from charrnn.score.evaluation import surprises_at
from charrnn.score.mixed import counts_of
from charrnn.score.mixture import Mixture

TEMPERATURES = [1 + k / 50 for k in range(-5, 16)]  # 0.9 to 1.3
AS_IT_IS = TEMPERATURES.index(1)


def two_fold(models: Sequence[Model], training: np.ndarray, text: np.ndarray) -> dict[str, np.ndarray]:
    """The losses of all symbols of a text but the first, by the part that is added."""
    losses = np.concatenate([*surprises_at(models, text, TEMPERATURES)], axis=1)
    counts = counts_of(models, {"train": training})
    middle = losses.shape[1] // 2
    halves = slice(0, middle), slice(middle, None)
    texts = text[: middle + 1], text[middle:]
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("temperature", "counts", "adaptive")}
    for fitted, reported in ((1, 0), (0, 1)):
        best = int(losses[:, halves[fitted]].mean(axis=1).argmin())
        found["temperature"].append(losses[best, halves[reported]])
        tried = [AS_IT_IS, best]
        for name, adaptive in (("counts", False), ("adaptive", True)):
            mixture = Mixture.fitted(
                counts,
                texts[fitted],
                losses[tried, halves[fitted]],
                adaptive=adaptive,
                temperatures=[TEMPERATURES[k] for k in tried],
            )
            network = losses[TEMPERATURES.index(mixture.gate.temperature)]
            if adaptive:
                mixed = np.concatenate([*mixture.losses(text, [network])])[halves[reported]]
            else:
                mixed = np.concatenate([*mixture.losses(texts[reported], [network[halves[reported]]])])
            found[name].append(mixed)
    return {"alone": losses[AS_IT_IS]} | {name: np.concatenate(halves) for name, halves in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    for name in ("train", "val"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    given = parser.parse_args()
    models = [load_model(path) for path in given.models]
    training, text = (models[0].vocab.encode(file.read_bytes().decode()) for file in (given.train, given.val))
    rows = {}
    groups = {"the first": models[:1]} | ({f"all {len(models)}": models} if len(models) > 1 else {})
    for name, those in groups.items():
        rows[name] = {part: float(losses.mean()) for part, losses in two_fold(those, training, text).items()}
        print(f"{name:<10}", *(f"{part} {loss:.4f}" for part, loss in rows[name].items()), sep="  ")
    print(json.dumps({"models": len(models), "loss_nats": rows}))


if __name__ == "__main__":
    main()
