"""Which engine trains, with how many threads."""

import importlib.util
from contextlib import AbstractContextManager
from dataclasses import replace

from threadpoolctl import threadpool_limits

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.extras import how_to_install
from charrnn.nn.network import Network
from charrnn.train.threads import choose_shards, choose_threads


def settle(config: TrainConfig) -> TrainConfig:
    """The configuration with `backend` "auto" decided: the fast path where it is installed.

    Raises UsageError when the fast path is asked for and missing.
    """
    installed = importlib.util.find_spec("llvmlite") is not None
    if config.backend == "fast" and not installed:
        raise UsageError(
            f"--backend fast needs the extra fast, which is not installed: {how_to_install('fast')}; "
            "or give --backend numpy"
        )
    if config.backend != "auto":
        return config
    return replace(config, backend="fast" if installed else "numpy")


def threads_for(config: TrainConfig, model: ModelConfig, vocab_size: int, batch_size: int) -> int:
    """How many threads suit a run on this machine just now."""
    if config.backend == "fast":
        per_character = 3 * Network.size(model, vocab_size)
        return choose_shards(batch_size, per_character * batch_size * config.seq_length)
    return choose_threads(batch_size, model.hidden)


def blas_threads(config: TrainConfig, threads: int) -> AbstractContextManager[object]:
    """While it lasts, matrix products have so many threads; on the fast path one, since each of its threads
    makes its own."""
    return threadpool_limits(1 if config.backend == "fast" else threads, user_api="blas")
