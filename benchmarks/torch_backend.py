"""`--backend torch` against a plain torch training script, in one run; and two processes against one.

    python benchmarks/torch_backend.py --device cuda                         2×512, 3×1024, 3×2048, float32
    python benchmarks/torch_backend.py --device cuda --precision bfloat16    both by autocast
    python benchmarks/torch_backend.py --sizes 2x512 --batch 32 --steps 6    on a CPU
    python benchmarks/torch_backend.py --processes 2                         2×128: one thread each, against one

The plain script is the usual one without charrnn: one-hot input, `nn.LSTM`, `nn.Linear`, cross-entropy, the norm
clipped, Adam (fused), the loss read at each step. Both sides get the same chunks and take turns, a block of steps
each; figures are medians. The share of the peak is 6 operations per weight and character, over what a large
matrix product reaches in the same precision in the same run.

With --processes N, runs of `charrnn train` by themselves and under torchrun with N processes, once with as many
streams per process and once with as many in total, and the plain script under DistributedDataParallel, which
overlaps its all-reduce with the backward pass where it can. They take turns as well. The last line is one JSON
object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from charrnn.config import configs
from charrnn.engines.torch_backend import TorchBackend
from charrnn.text.batches import Streams

VOCAB = 65
LR, CLIP = 0.002, 5.0
CORPUS = Path(__file__).parents[1] / "corpora/harbour.txt"
WARM_UP_STEPS = 3


class Plain(torch.nn.Module):
    """The plain script's network."""

    def __init__(self, layers: int, hidden: int) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(VOCAB, hidden, layers)
        self.head = torch.nn.Linear(hidden, VOCAB)

    def forward(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        h, state = self.lstm(torch.nn.functional.one_hot(x, VOCAB).float(), state)
        return self.head(h), state


def plain_side(
    layers: int, hidden: int, device: str, precision: str, ddp: bool = False
) -> Callable[..., float]:
    """A function that trains the plain script's network on a chunk and returns the loss."""
    torch.manual_seed(1)
    model: torch.nn.Module = Plain(layers, hidden).to(device)
    if ddp:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    state = None

    def step(x: np.ndarray, y: np.ndarray) -> float:
        nonlocal state
        inputs, targets = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            logits, state = model(inputs, state)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        state = tuple(part.detach() for part in state)
        return loss.item()

    return step


def charrnn_side(
    layers: int, hidden: int, device: str, precision: str, batch: int, threads: int
) -> tuple[Callable[..., float], str]:
    model, config = configs(
        layers=layers,
        hidden=hidden,
        optimizer="adam",
        clip_value=0.0,
        clip_norm=CLIP,
        backend="torch",
        device=device,
        precision=precision,
    )
    backend = TorchBackend(model, config, VOCAB, batch, threads)
    return lambda x, y: backend.step(x, y, LR)[0], backend.engine


def matmul_peak(device: str, precision: str) -> float:
    """Operations per second of a large matrix product."""
    n = 8192 if device == "cuda" else 2048
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(8):
        began = time.perf_counter()
        (a @ b).sum().item()
        times.append(time.perf_counter() - began)
    return 2 * n**3 / min(times)


def compare(size: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both sides on one size, in turns."""
    layers, hidden = map(int, size.split("x"))
    device, precision, batch, chunk = arguments.device, arguments.precision, arguments.batch, arguments.chunk
    torch.set_num_threads(arguments.threads)
    ours, engine = charrnn_side(layers, hidden, device, precision, batch, arguments.threads)
    sides = {"plain": plain_side(layers, hidden, device, precision), "charrnn": ours}
    print(f"{size}: {engine}")
    ids = np.random.default_rng(0).integers(0, VOCAB, batch * chunk * 4 + 1)
    chunks = [Streams(ids, batch, chunk).chunk(k) for k in range(4)]
    times: dict[str, list[float]] = {name: [] for name in sides}
    for step in sides.values():
        for k in range(WARM_UP_STEPS):
            step(*chunks[k])
    for _ in range(arguments.blocks):
        for name, step in sides.items():
            for k in range(arguments.steps):
                began = time.perf_counter()
                step(*chunks[k % 4])
                times[name].append(time.perf_counter() - began)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    weights = sum(p.numel() for name, p in Plain(layers, hidden).named_parameters() if "weight" in name)
    operations = 6 * weights * batch * chunk
    peak = matmul_peak(device, precision)
    result: dict[str, Any] = {"size": size, "engine": engine, "matmul_tflops": round(peak / 1e12, 3)}
    for name, value in seconds.items():
        result[f"{name}_step_ms"] = round(1000 * value, 3)
        result[f"{name}_chars_per_second"] = round(batch * chunk / value)
        result[f"{name}_share_of_peak"] = round(operations / value / peak, 4)
    result["speedup"] = round(seconds["plain"] / seconds["charrnn"], 3)
    print(json.dumps(result))
    return result


# ------------------------------------------------------------------------------------------------
# Several processes


def torchrun(processes: int) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, f"--nproc-per-node={processes}"] if processes > 1 else [sys.executable]


def run_charrnn(processes: int, batch: int, arguments: argparse.Namespace) -> float:
    """Characters per second of `charrnn train`."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "charrnn", "train", str(CORPUS), "--out", f"{folder}/run", "--backend", "torch"]
        command += ["--layers", "2", "--hidden", "128", "--optimizer", "adam", "--threads", "1", "--quiet"]
        command += ["--seq-length", str(arguments.chunk), "--batch-size", str(batch), "--val-fraction", "0"]
        command += ["--max-steps", str(arguments.steps), "--eval-every", "1000000", "--json"]
        done = subprocess.run([*torchrun(processes), *command], check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout)["chars_per_second"])


def run_ddp(processes: int, batch: int, arguments: argparse.Namespace) -> float:
    """Characters per second of the plain script, with DistributedDataParallel for several processes."""
    command = [__file__, "--ddp-worker", "--batch", str(batch), "--chunk", str(arguments.chunk)]
    command += ["--steps", str(arguments.steps)]
    done = subprocess.run([*torchrun(processes), *command], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def ddp_worker(arguments: argparse.Namespace) -> None:
    """One process of `run_ddp`; the first prints the result."""
    torch.set_num_threads(1)
    processes, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if processes > 1:
        torch.distributed.init_process_group("gloo")
    batch = arguments.batch // processes
    step = plain_side(2, 128, "cpu", "float32", ddp=processes > 1)
    ids = np.random.default_rng(rank).integers(0, VOCAB, batch * arguments.chunk * 4 + 1)
    chunks = [Streams(ids, batch, arguments.chunk).chunk(k) for k in range(4)]
    for k in range(WARM_UP_STEPS):
        step(*chunks[k])
    began = time.perf_counter()
    for k in range(arguments.steps):
        step(*chunks[k % 4])
    seconds = time.perf_counter() - began
    if processes > 1:
        torch.distributed.destroy_process_group()
    if rank == 0:
        print(arguments.steps * arguments.batch * arguments.chunk / seconds)


def compare_processes(arguments: argparse.Namespace) -> dict[str, Any]:
    N, batch = arguments.processes, arguments.batch
    runs: dict[str, tuple[Callable[..., float], int, int]] = {
        "charrnn_one": (run_charrnn, 1, batch),
        "charrnn_many": (run_charrnn, N, N * batch),
        "charrnn_many_same_batch": (run_charrnn, N, batch),
        "plain_one": (run_ddp, 1, batch),
        "plain_ddp": (run_ddp, N, N * batch),
        "plain_ddp_same_batch": (run_ddp, N, batch),
    }
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.blocks):
        for name, (run, processes, streams) in runs.items():
            speeds[name].append(run(processes, streams, arguments))
            print(f"{name}: {speeds[name][-1]:,.0f} characters/s, load {os.getloadavg()[0]:.1f}", flush=True)
    result: dict[str, Any] = {"processes": N, "batch_of_one": batch, "chunk": arguments.chunk}
    result |= {f"{name}_chars_per_second": round(statistics.median(found)) for name, found in speeds.items()}
    for side, many in [("charrnn", "charrnn_many"), ("plain", "plain_ddp")]:
        for ending in ("", "_same_batch"):
            ratio = result[f"{many}{ending}_chars_per_second"] / result[f"{side}_one_chars_per_second"]
            result[f"{side}_speedup{ending}"] = round(ratio, 3)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="The torch backend against a plain torch script.")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--sizes", default="2x512,3x1024,3x2048")
    parser.add_argument("--batch", type=int, default=256, help="streams per process")
    parser.add_argument("--chunk", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10, help="steps per block of one side")
    parser.add_argument("--blocks", type=int, default=3, help="blocks of each side, in turns")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--ddp-worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ddp_worker:
        ddp_worker(arguments)
        return
    result: dict[str, Any] = {"torch": torch.__version__, "load": round(os.getloadavg()[0], 2)}
    if arguments.processes:
        result |= compare_processes(arguments)
    else:
        result |= {"batch": arguments.batch, "chunk": arguments.chunk, "precision": arguments.precision}
        result["sizes"] = [compare(size, arguments) for size in arguments.sizes.split(",")]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
