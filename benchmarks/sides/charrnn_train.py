"""charrnn itself: the real loop of `charrnn train`, and bare steps of its engine. Variant: numpy or fast."""

import tempfile
from pathlib import Path
from typing import Any

import charrnn
from charrnn.config import ModelConfig, TrainConfig, configs
from charrnn.engines.backend import NumpyBackend
from charrnn.engines.choice import limited, threads_for
from sides.common import Shape, main, measure, memory_mib, symbols

BACKENDS = ("numpy", "fast")
CHARACTERS = 1_000_000
STEPS_OF_TRAINING = 24  # validations, samples and checkpoints come close together in the first few


def settings(shape: Shape, backend: str) -> dict[str, Any]:
    """As options of `charrnn train`. The fast path computes in float32, whatever the preset says."""
    if shape.preset:
        precision = {"precision": "float32"} if backend == "fast" else {}
        return {"preset": shape.preset, "backend": backend} | precision
    return {
        "cell": shape.cell,
        "layers": shape.layers,
        "hidden": shape.hidden,
        "embedding": shape.embedding,
        "batch_size": shape.batch,
        "seq_length": shape.chunk,
        "optimizer": shape.optimizer,
        "lr": shape.lr,
        "clip_norm": shape.clip_norm,
        "clip_value": shape.clip_value,
        "backend": backend,
    }


def text(shape: Shape) -> str:
    """Printable characters where there are few, Chinese ones where there are many."""
    first = 32 if shape.vocab < 95 else 0x4E00
    return "".join(map(chr, symbols(shape, CHARACTERS) + first))


def train(shape: Shape, seconds: float, backend: str) -> float:
    """Characters a second, as `charrnn train` tells them."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "text.txt")
        corpus.write_text(text(shape), encoding="utf-8")
        # Validation is not in the figure; a small part keeps it short in the benchmark too.
        run = {"out": Path(folder, "run"), "val_fraction": 0.01, "max_minutes": seconds / 60}
        return charrnn.train(corpus, **settings(shape, backend), **run).chars_per_second


def engine(shape: Shape, model: ModelConfig, config: TrainConfig) -> tuple[NumpyBackend, int]:
    """As a run makes it, and its number of threads."""
    threads = threads_for(config, model, shape.vocab, shape.batch)
    if config.backend == "numpy":
        return NumpyBackend(model, config, shape.vocab, shape.batch), threads
    from charrnn.engines.fast_backend import FastBackend

    return FastBackend(model, config, shape.vocab, shape.batch, threads), threads


def bare_steps(shape: Shape, seconds: float, backend: str, **more: Any) -> dict[str, Any]:
    """Steps of the engine and nothing else."""
    model, config = configs(**(settings(shape, backend) | more))
    made, threads = engine(shape, model, config)
    n, lr = made.at_once, config.learning_rate

    def step(x: Any, y: Any) -> float:
        return made.step(x, y, lr)[0] if n == 1 else made.steps([*zip(x, y, strict=True)], [lr] * n)[-1][0]

    with limited(config, threads):
        found = measure(step, shape, seconds, n)
    return found | {"threads": threads, "engine": made.engine}


def side(shape: Shape, seconds: float, backend: str) -> dict[str, Any]:
    bare = bare_steps(shape, seconds, backend)
    rate = train(shape, max(seconds, STEPS_OF_TRAINING * bare["step_seconds"]), backend)
    return bare | {"chars_per_second": rate, "memory_mib": memory_mib()}


if __name__ == "__main__":
    main(side)
