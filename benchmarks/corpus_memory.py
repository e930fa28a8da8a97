"""Memory and time of reading and scoring a text too large to hold in memory.

    python benchmarks/corpus_memory.py [--bytes 2000000000] [--items 10000000] [--scored-bytes 20000000 60000000]
        [--counted-bytes 100000000] [--folder DIR]

Writes a text of --bytes to a temporary folder (which needs room for the text and its ids, about twice that size),
then reads it in three separate processes: for the first time, again from the cache, and as raw bytes; each then
goes through one epoch of chunks. The same is done with a list of --items short lines, read as items, one of which has
1 MB (0 leaves that out). Then `charrnn eval --per-line` and `--highlight` score texts of the sizes
--scored-bytes (0 leaves that out) with a small random network, into /dev/null, and the counts of a text of
--counted-bytes (0 leaves that out) are made, as `charrnn eval --counts static` makes them. The last line is one JSON
object; `*_peak_mb` is the peak resident memory of the whole process, Python and numpy included, in 10^6 bytes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model.model import Model
from charrnn.nn.network import Network
from charrnn.score.counts import Counts
from charrnn.score.mixture import ORDER
from charrnn.text.batches import Chunks, ItemBatches, Streams
from charrnn.text.corpus import read_corpus
from charrnn.text.records import ItemForm

FORMS = ("per-line", "highlight")
ITEMS, COUNTS = "items", "counts"


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of reading a large text.")
    parser.add_argument("--bytes", type=int, default=2_000_000_000, help="size of the text")
    parser.add_argument("--items", type=int, default=10_000_000, help="number of items of the list")
    parser.add_argument("--scored-bytes", type=int, nargs="+", default=[20_000_000, 60_000_000])
    parser.add_argument("--counted-bytes", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path, help="folder for the temporary folder")
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "LEVEL_OR_FORM"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        path, what = args.measure
        special = {ITEMS: measure_items, COUNTS: measure_counts, **dict.fromkeys(FORMS, measure_eval)}
        special.get(what, measure)(path, what)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path, cache = Path(folder, "large.txt"), Path(folder, "cache")
        scored: dict[str, float] = {}
        for size in filter(None, args.scored_bytes):
            write_text(path, size)
            for form in FORMS:
                scored |= in_fresh_process(f"scored_{size}_{form}", path, form, cache)
        result: dict[str, float] = {"bytes": args.bytes, "items": args.items}
        if args.counted_bytes:
            write_text(path, args.counted_bytes)
            result |= in_fresh_process("counts", path, COUNTS, cache)
        if args.items:
            write_list(path, args.items)
            result |= in_fresh_process("items", path, ITEMS, cache)
        if args.bytes:
            write_text(path, args.bytes)
            for name, level in (("first", "char"), ("cached", "char"), ("byte", "byte")):
                result |= in_fresh_process(name, path, level, cache)
    print(json.dumps(result | scored))


def write_text(path: Path, size: int) -> None:
    """Random words, some with letters outside ASCII, in lines of ten."""
    rng = np.random.default_rng(1)
    letters = np.array(list("eeetttaaoinshrdlucmfwypvbgkqjxzéñß—"))
    words = ["".join(rng.choice(letters, length)) for length in rng.integers(1, 10, 5000)]
    with open(path, "wb") as file:
        while file.tell() < size:
            lines = rng.choice(words, (10_000, 10))
            file.write("".join(" ".join(line) + "\n" for line in lines).encode())


def write_list(path: Path, items: int) -> None:
    """Words of 2 to 12 letters, one per line, and one item of 1 MB in the middle."""
    rng = np.random.default_rng(1)
    with open(path, "wb") as file:
        for start in range(0, items, 100_000):
            sizes = rng.integers(2, 13, min(100_000, items - start)) + 1
            letters = rng.integers(ord("a"), ord("z") + 1, sizes.sum(), np.uint8)
            letters[sizes.cumsum() - 1] = ord("\n")
            file.write(letters.tobytes())
            if start == items // 200_000 * 100_000:
                file.write(b"m" * 1_000_000 + b"\n")


def in_fresh_process(name: str, path: Path, what: str, cache: Path) -> dict[str, float]:
    """What `--measure PATH WHAT` prints, each figure under `name` and its own."""
    command = [sys.executable, __file__, "--measure", str(path), what]
    environment = os.environ | {"CHARRNN_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return {f"{name}_{key}": value for key, value in json.loads(done.stdout).items()}


def measure(path: str, level: str) -> None:
    start = time.perf_counter()
    corpus = read_corpus([path], level=level)
    measure_epoch(start, lambda: Streams(corpus.ids, 64, 100))


def measure_items(path: str, items: str) -> None:
    start = time.perf_counter()
    corpus = read_corpus([path], items=ItemForm("line"))
    measure_epoch(
        start, lambda: ItemBatches(corpus.parts(0.1, 0).training, 64, 100, 0, corpus.vocabulary.end)
    )


def measure_counts(path: str, counts: str) -> None:
    corpus = read_corpus([path])
    read_peak, start = peak_mb(), time.perf_counter()
    made = Counts.kept(corpus.ids, len(corpus.vocabulary), ORDER)
    result = {
        "symbols": len(corpus.ids),
        "order": made.order,
        "rows": [len(table.keys) for table in made.tables],
        "read_peak_mb": read_peak,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mb": peak_mb(),
    }
    print(json.dumps(result))


def measure_epoch(start: float, chunks: Callable[[], Chunks]) -> None:
    """Print what reading took since `start`, and an epoch of chunks takes now."""
    read = time.perf_counter()
    read_peak = peak_mb()
    streams = chunks()
    for k in range(streams.chunks):
        streams.chunk(k)
    result = {
        "read_seconds": round(read - start, 2),
        "read_peak_mb": read_peak,
        "epoch_seconds": round(time.perf_counter() - read, 2),
        "epoch_peak_mb": peak_mb(),
    }
    print(json.dumps(result))


def measure_eval(path: str, form: str) -> None:
    from charrnn.cli.app import app

    vocabulary = read_corpus([path]).vocabulary
    network = Network(ModelConfig(layers=1, hidden=16), len(vocabulary))
    network.theta[:] = np.random.default_rng(1).normal(0, 0.3, network.theta.shape)
    model = Path(path).with_name("model.safetensors")
    Model.of_network(network, vocabulary, {}).save(model)
    start, stdout = time.perf_counter(), sys.stdout
    with open(os.devnull, "w", encoding="utf-8") as sys.stdout:
        app(["eval", path, "--model", str(model), f"--{form}"], standalone_mode=False)
    sys.stdout = stdout
    print(json.dumps({"seconds": round(time.perf_counter() - start, 1), "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Peak resident memory of this program; ru_maxrss would count its parent's when it was started."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise SystemExit("this benchmark reads /proc/self/status, which only Linux has")


if __name__ == "__main__":
    main()
