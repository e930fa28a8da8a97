"""A model on the whole of its validation text, in two folds: what is fitted on one half is used on the other.

    python benchmarks/two_fold.py MODEL...

`charrnn eval --split validation --counts adaptive` reports the second half of that text alone, because it fits a
temperature and the gates of the counts on the first. Here each half is reported with what the other gave, so that
every character counts once and none has a part in what is fitted for it. Adaptive counts read the whole text in
its order; of the first half, the gate alone comes from what follows. Last line: JSON, with the mean over the models
and their spread where there are several.
"""

import argparse
import json
import statistics

import numpy as np

from charrnn.model.model import load_model
from charrnn.runs.folder import find_model
from charrnn.score.evaluation import splits_of, surprises_at
from charrnn.score.mixed import counts_of
from charrnn.score.mixture import Mixture
from charrnn.score.temperature import fitted


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("models", nargs="+", metavar="MODEL")
    rows = [two_fold(name) for name in options.parse_args().models]
    for row in rows:
        print("  ".join(f"{name} {value:.4f}" for name, value in row.items()), flush=True)
    names = [name for name in rows[0] if name != "temperature"]
    means = {name: statistics.mean(row[name] for row in rows) for name in names}
    spread = {name: max(row[name] for row in rows) - min(row[name] for row in rows) for name in names}
    print(json.dumps({"measurement": "two folds", "models": len(rows), "mean": means, "spread": spread}))


def two_fold(name: str) -> dict[str, float]:
    """Mean losses in nats per character of a model on both halves of its validation text."""
    model = load_model(find_model(name))
    parts, why_not = splits_of(model)
    if parts is None or not isinstance(text := parts["validation"], np.ndarray):
        raise SystemExit(f"{name}: {why_not or 'its text has items; this reads one stream'}")
    middle = len(text) // 2
    halves = (
        text[: middle + 1],
        text[middle:],
    )  # the last symbol of the first is the first that the second reads
    counts = counts_of([model], parts)
    sums = dict.fromkeys(("alone", "at the other half's temperature", "+ counts", "+ adaptive"), 0.0)
    temperatures = []
    for fit_on, half in ((halves[1], halves[0]), (halves[0], halves[1])):
        T = fitted(model.network, fit_on) or 1.0
        temperatures.append(T)
        candidates = (1.0, T)
        seen = np.concatenate([*surprises_at([model], fit_on, candidates)], axis=1)
        whole = np.concatenate([*surprises_at([model], text, candidates)], axis=1)
        reported = slice(0, middle) if half is halves[0] else slice(middle, None)
        sums["alone"] += whole[0, reported].sum(dtype=np.float64)
        sums["at the other half's temperature"] += whole[1, reported].sum(dtype=np.float64)
        for kind in ("+ counts", "+ adaptive"):
            mixture = Mixture.fitted(
                counts, fit_on, seen, adaptive=kind == "+ adaptive", temperatures=candidates
            )
            read = whole[candidates.index(mixture.gate.temperature)]
            mixed = np.concatenate([*mixture.losses(text, [read])])
            sums[kind] += mixed[reported].sum(dtype=np.float64)
    chars = len(text) - 1
    return {kind: float(total / chars) for kind, total in sums.items()} | {
        "temperature": statistics.mean(temperatures)
    }


if __name__ == "__main__":
    main()
