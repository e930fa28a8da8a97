"""Characters read per second, with an LSTM of 2×128 and one of 2×512: `charrnn.evaluate`, a validation, the scores of
short lines, recordings of all cells, and a torch module's forward pass without gradient."""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable

import numpy as np
import sampling

import charrnn
from charrnn.config import ModelConfig
from charrnn.engines.threads import blas_threads
from charrnn.interpret.recording import record
from charrnn.score import scoring
from charrnn.score.lines import score_lines

CHARACTERS = 20_000
LINE = 40
STREAMS = 64  # of torch


def rate(read: Callable[[], object], characters: int, seconds: float) -> float:
    """Characters per second of a reading, repeated for a while."""
    read()
    began, times = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not times:
        read()
        times += 1
    return characters * times / (time.perf_counter() - began)


def torch_forward(hidden: int, ids: np.ndarray) -> Callable[[], object]:
    """One forward pass over the text in STREAMS streams, of one-hot symbols to logits."""
    import torch

    lstm = torch.nn.LSTM(sampling.VOCAB, hidden, 2)
    head = torch.nn.Linear(hidden, sampling.VOCAB)
    x = torch.from_numpy(ids[: len(ids) // STREAMS * STREAMS].reshape(STREAMS, -1).T.copy())

    def forward() -> object:
        with torch.no_grad():
            hidden_states, _ = lstm(torch.nn.functional.one_hot(x, sampling.VOCAB).float())
            return head(hidden_states)

    return forward


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    seconds = parser.parse_args().seconds
    letters = "".join(["\n", *map(chr, range(33, 32 + sampling.VOCAB))])
    ids = np.random.default_rng(1).integers(1, sampling.VOCAB, CHARACTERS)
    lines = ids.copy()
    lines[LINE - 1 :: LINE] = 0
    text = "".join(letters[k] for k in ids)
    rates: dict[str, dict[str, float]] = {}
    for hidden in sampling.SIZES:
        config = ModelConfig(cell="lstm", layers=2, hidden=hidden)
        model = charrnn.Model(config, letters, sampling.weights(hidden))

        def validate(model: charrnn.Model = model) -> float:
            with blas_threads():
                return scoring.mean_loss(model.network, ids)

        reads: dict[str, Callable[[], object]] = {
            "eval": lambda model=model: charrnn.evaluate(model, ids),  # type: ignore[misc]
            "validation": validate,
            "per_line": lambda model=model: score_lines([model], lines).__exit__(None, None, None),  # type: ignore[misc]
            "record": lambda model=model: record(model, text),  # type: ignore[misc]
        }
        if importlib.util.find_spec("torch") is not None:
            reads["torch_forward"] = torch_forward(hidden, ids)
        rates[f"2x{hidden}"] = {name: rate(read, CHARACTERS, seconds) for name, read in reads.items()}
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
