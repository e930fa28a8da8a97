"""Characters sampled per second: charrnn against the usual torch loop, with half weights, and 64 texts at once.

    python benchmarks/sampling.py [--rounds 5] [--seconds 1] [--threads N]

For LSTMs of 2×128 and 2×512 with 65 symbols. The torch loop is one character, softmax, multinomial with
torch.nn.LSTM under torch.inference_mode. Both sides have the same random weights. Each measurement is a
process of its own; sides take turns, so that other load affects all of them alike. Numbers
are medians over the rounds, ratios medians of the ratios within a round; the last line is one JSON object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

SIZES = (128, 512)
VOCAB = 65
SIDES = {
    "torch": (1, ""),
    "one": (1, "full"),
    "half": (1, "half"),
    "many": (64, "full"),
}  # texts at once, --weights


def weights(hidden: int) -> dict[str, np.ndarray]:
    """Random tensors of a 2-layer LSTM under torch's names."""
    from charrnn.config import ModelConfig
    from charrnn.model import torch_layout

    rng = np.random.default_rng(1)
    shapes = torch_layout.shapes(ModelConfig(cell="lstm", layers=2, hidden=hidden), VOCAB)
    return {
        name: rng.uniform(-1, 1, shape).astype(np.float32) / hidden**0.5 for name, shape in shapes.items()
    }


def charrnn_rate(hidden: int, seconds: float, texts: int, precision: str) -> float:
    from charrnn.config import ModelConfig
    from charrnn.model.model import Model
    from charrnn.sampling.sampler import Sampler
    from charrnn.sampling.sampling_config import SamplingConfig

    symbols = "".join(map(chr, range(32, 32 + VOCAB)))
    model = Model(ModelConfig(cell="lstm", layers=2, hidden=hidden), symbols, weights(hidden))
    config = SamplingConfig(length=10**9, count=texts, seed=1, temperature=1.0, weights=precision)
    pieces = iter(Sampler(model, config))
    return rate(lambda: len(next(pieces)[1]), seconds)


def torch_rate(hidden: int, seconds: float) -> float:
    import torch

    network, head = torch.nn.LSTM(VOCAB, hidden, 2), torch.nn.Linear(hidden, VOCAB)
    tensors = {name: torch.from_numpy(array) for name, array in weights(hidden).items()}
    network.load_state_dict({n.removeprefix("lstm."): t for n, t in tensors.items() if n.startswith("lstm.")})
    head.load_state_dict({n.removeprefix("head."): t for n, t in tensors.items() if n.startswith("head.")})
    x, state, text = torch.zeros(1, 1, VOCAB), None, []

    def character() -> int:
        nonlocal x, state
        output, state = network(x, state)
        symbol = torch.multinomial(torch.softmax(head(output[0, 0]), 0), 1).item()
        text.append(chr(32 + symbol))
        x = torch.zeros(1, 1, VOCAB)
        x[0, 0, symbol] = 1
        return 1

    with torch.inference_mode():
        return rate(character, seconds)


def rate(draw: Callable[[], int], seconds: float) -> float:
    """Characters per second of a function that draws some and says how many; a fifth of the time to warm up."""
    for length in (seconds / 5, seconds):
        began, characters = time.perf_counter(), 0
        while time.perf_counter() - began < length:
            for _ in range(64):
                characters += draw()
    return characters / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description="Sampling speed.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds per measurement")
    parser.add_argument("--threads", type=int, help="torch's threads; default: its own choice")
    parser.add_argument("--measure", nargs=2, metavar=("SIDE", "HIDDEN"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        side, hidden = args.measure[0], int(args.measure[1])
        found = (
            torch_rate(hidden, args.seconds)
            if side == "torch"
            else charrnn_rate(hidden, args.seconds, *SIDES[side])
        )
        print(json.dumps(found))
        return
    environment = dict(os.environ)
    if args.threads:
        environment |= {"OPENBLAS_NUM_THREADS": str(args.threads), "OMP_NUM_THREADS": str(args.threads)}
    result: dict[str, float] = {}
    for hidden in SIZES:
        rates: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(args.rounds):
            for side in SIDES:
                command = [
                    sys.executable,
                    __file__,
                    "--seconds",
                    str(args.seconds),
                    "--measure",
                    side,
                    str(hidden),
                ]
                rates[side].append(json.loads(subprocess.check_output(command, env=environment)))
        one, torch, half, many = (rates[side] for side in ("one", "torch", "half", "many"))
        result |= {
            f"torch_2x{hidden}_chars_per_second": statistics.median(torch),
            f"charrnn_2x{hidden}_chars_per_second": statistics.median(one),
            f"charrnn_2x{hidden}_half_weights_chars_per_second": statistics.median(half),
            f"charrnn_2x{hidden}_64_texts_chars_per_second": statistics.median(many),
            f"charrnn_over_torch_2x{hidden}": statistics.median(
                a / b for a, b in zip(one, torch, strict=True)
            ),
            f"charrnn_half_weights_over_torch_2x{hidden}": statistics.median(
                a / b for a, b in zip(half, torch, strict=True)
            ),
            f"64_texts_over_one_2x{hidden}": statistics.median(a / b for a, b in zip(many, one, strict=True)),
        }
    for name, value in result.items():
        print(f"{name:45} {value:12,.1f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
