"""Characters scored a second by `charrnn.evaluate`, with an LSTM of 2×128 and one of 2×512."""

import argparse
import json
import time

import numpy as np
import sampling

import charrnn
from charrnn.config import ModelConfig

CHARACTERS = 5_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    seconds = parser.parse_args().seconds
    letters = "".join(map(chr, range(32, 32 + sampling.VOCAB)))
    ids = np.random.default_rng(1).integers(0, sampling.VOCAB, CHARACTERS)
    rates = {}
    for hidden in sampling.SIZES:
        config = ModelConfig(cell="lstm", layers=2, hidden=hidden)
        model = charrnn.Model(config, letters, sampling.weights(hidden))
        charrnn.evaluate(model, ids[:2000])
        began, characters = time.perf_counter(), 0
        while time.perf_counter() - began < seconds or not characters:
            characters += charrnn.evaluate(model, ids).chars
        rates[f"2x{hidden}"] = characters / (time.perf_counter() - began)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
