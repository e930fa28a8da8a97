"""The classic loop of benchmarks/classic.py, on min-char-rnn's network."""

from typing import Any

import numpy as np
from classic import Classic

from sides.common import Shape, main, measure


def side(shape: Shape, seconds: float, variant: str) -> dict[str, Any]:
    rng, H, V = np.random.default_rng(1), shape.hidden, shape.vocab
    weights = {name: 0.01 * rng.normal(size=size) for name, size in (("Wxh", (H, V)), ("Whh", (H, H)))}
    weights |= {"Why": 0.01 * rng.normal(size=(V, H)), "bh": np.zeros(H), "by": np.zeros(V)}
    classic = Classic(weights)
    found = measure(lambda x, y: classic.step([*x[:, 0]], [*y[:, 0]]), shape, seconds)
    return found | {"engine": f"numpy {np.__version__}, float64"}


if __name__ == "__main__":
    main(side)
