"""What a temperature, counts and several seeds gain on the whole of a validation text, in two folds.

    python benchmarks/two_fold.py MODEL... [--ensemble]

`charrnn eval --split validation --counts adaptive` reports the second half of that text alone, because it fits a
temperature and the gates of the counts on the first. Here each half is reported with what the other gave, so that
every character counts once and none has a part in what is fitted for it. Adaptive counts read the whole text in
its order; of the first half, the gate alone comes from what follows. Last line: JSON, with the mean over the models
and their spread where there are several; with --ensemble their probabilities are averaged, as of one model.
"""

import argparse
import json
import statistics
from collections.abc import Sequence

import numpy as np

from charrnn.model.model import Model, load_model
from charrnn.runs.folder import find_model
from charrnn.score.evaluation import splits_of, surprises_at
from charrnn.score.mixed import counts_of
from charrnn.score.mixture import Mixture

TEMPERATURES = [1 + k / 50 for k in range(-5, 16)]  # 0.9 to 1.3
AS_IT_IS = TEMPERATURES.index(1)
TEMPERATURE = "at the other half's temperature"


def two_fold(models: Sequence[Model], training: np.ndarray, text: np.ndarray) -> dict[str, np.ndarray]:
    """The losses of all symbols of a text but the first, by the part that is added."""
    losses = np.concatenate([*surprises_at(models, text, TEMPERATURES)], axis=1)
    counts = counts_of(models, {"train": training})
    middle = losses.shape[1] // 2
    halves = slice(0, middle), slice(middle, None)
    texts = text[: middle + 1], text[middle:]
    found: dict[str, list[np.ndarray]] = {name: [] for name in (TEMPERATURE, "+ counts", "+ adaptive")}
    for fitted, reported in ((1, 0), (0, 1)):
        best = int(losses[:, halves[fitted]].mean(axis=1).argmin())
        found[TEMPERATURE].append(losses[best, halves[reported]])
        tried = [AS_IT_IS, best]
        for name, adaptive in (("+ counts", False), ("+ adaptive", True)):
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


def texts_of(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The training and the validation text."""
    parts, why_not = splits_of(model)
    if parts is None or not isinstance(parts["validation"], np.ndarray):
        raise SystemExit(why_not or "the model's text has items; this reads one stream")
    return parts["train"], parts["validation"]


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("models", nargs="+", metavar="MODEL")
    options.add_argument("--ensemble", action="store_true", help="all models as one")
    given = options.parse_args()
    models = [load_model(find_model(name)) for name in given.models]
    rows = []
    for those in [models] if given.ensemble else [[model] for model in models]:
        found = two_fold(those, *texts_of(those[0]))
        rows.append({name: float(losses.mean()) for name, losses in found.items()})
        print("  ".join(f"{name} {value:.4f}" for name, value in rows[-1].items()), flush=True)
    means = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    spread = {name: max(row[name] for row in rows) - min(row[name] for row in rows) for name in rows[0]}
    print(json.dumps({"measurement": "two folds", "models": len(models), "mean": means, "spread": spread}))


if __name__ == "__main__":
    main()
