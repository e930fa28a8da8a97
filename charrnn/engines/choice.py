"""The choice of the engine and of its number of threads."""

import importlib.util
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines.threads import available_cores, blas_threads, choose_shards, given_threads
from charrnn.errors import UsageError
from charrnn.install.extras import how_to_install
from charrnn.nn.network import Network


def settle(config: TrainConfig) -> TrainConfig:
    """The configuration with `backend` "auto" decided: the fast path if it is installed.

    Raises UsageError if the fast path is requested but not installed.
    """
    installed = fast_is_installed()
    if config.backend == "fast" and not installed:
        raise UsageError(
            f"--backend fast needs the extra fast, which is not installed: {how_to_install('fast')}; "
            "or give --backend numpy"
        )
    if config.backend != "auto":
        return config
    return replace(config, backend="fast" if installed else "numpy")


def why_this_engine(config: TrainConfig) -> str:
    """Why numpy computes, and what to do about it; nothing of other engines."""
    if config.backend != "numpy":
        return ""
    if fast_is_installed():
        return "as --backend numpy asks"
    return f"the extra fast, about twice as fast on each core, is not installed: {how_to_install('fast')}"


def network_for_reading(config: ModelConfig, vocab_size: int, dtype: np.typing.DTypeLike) -> Network:
    """A network that reads with the compiled kernels on all cores if the fast path is installed, else a plain one."""
    if not fast_is_installed():
        return Network(config, vocab_size, dtype)
    from charrnn.fast.fast_network import FastNetwork, Threads

    network = FastNetwork(config, vocab_size, dtype)
    network.threads = Threads(given_threads() or available_cores())
    return network


def fast_is_installed() -> bool:
    """Whether the extra is there whose compiler the fast path needs."""
    return importlib.util.find_spec("llvmlite") is not None


def threads_for(
    config: TrainConfig, model: ModelConfig, vocab_size: int, batch_size: int, processes: int = 1
) -> int:
    """The number of threads of a new run: from --threads, else from a variable, else from sizes alone.

    processes : of this run on this machine, which share its cores
    """
    if config.threads is not None:
        return config.threads
    given = given_threads()
    if given is not None and (processes == 1 or given > 1):  # torchrun sets 1 where the user set nothing
        return given
    if processes > 1:
        return max(1, available_cores() // processes)
    if config.backend == "numpy":
        return 1
    per_character = 3 * Network.size(model, vocab_size)
    return choose_shards(batch_size, per_character * batch_size * config.seq_length)


def limited(config: TrainConfig, threads: int) -> AbstractContextManager[None]:
    """Within the context, matrix products use this many threads; on the fast path one, since each of its threads
    computes its own."""
    return blas_threads(1 if config.backend == "fast" else threads)
