"""Where compiled kernels draw the texts, and where the plain sampler does."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from charrnn.engines.choice import fast_is_installed
from charrnn.nn.network import Clamp, Network
from charrnn.sampling.sampling_config import SamplingConfig

if TYPE_CHECKING:
    from charrnn.fast.drawing import Packed

# Compiling takes about as long as the plain sampler takes for so many multiplications, each of its steps counting as
# PER_STEP more. Decided by sizes alone: a text must not depend on what the cache has.
WORTH = 2**32
PER_STEP = 100_000
USUAL_ITEM = 100  # symbols of an item, where nothing is known of them
# Larger vocabularies are sorted where many ranks are looked at: that is quicker than the kernel, rank after rank.
MOST_RANKED = 1024
BLOCK = 2**28  # multiplications per call, some hundredths of a second: a text appears as it is drawn
MOST_AT_ONCE = 1024  # symbols per call


def is_compiled(networks: Sequence[Network], config: SamplingConfig, characters: int) -> bool:
    """Whether kernels draw texts of so many characters in total."""
    network, *others = networks
    if others or config.repetition_penalty != 1:
        return False
    ranks = config.top_p < 1 or config.min_p > 0 or config.top_k > MOST_RANKED // 4
    if ranks and network.vocab_size > MOST_RANKED:
        return False
    return characters * (network.theta.size + PER_STEP) >= WORTH and fast_is_installed()


def packed(network: Network, *, several: bool, clamps: Sequence[Clamp], half: bool) -> "Packed":
    """A copy of the weights for kernels; half : of float32 weights that are rounded to bfloat16."""
    from charrnn.fast.drawing import Packed

    half = half and network.theta.dtype == np.float32
    return Packed(network, several=several, clamped=bool(clamps), half=half)


def most_at_once(network: Network) -> int:
    """The most symbols of a single text that are drawn in one call."""
    return max(1, min(MOST_AT_ONCE, BLOCK // network.theta.size))


def block_drawer(
    packed: "Packed",
    config: SamplingConfig,
    temperatures: np.ndarray,
    begins: Sequence[int | np.ndarray],
    clamps: Sequence[Clamp],
    steps: int,
) -> Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray, bool]]:
    """A function from uniforms (n, B), n ≤ steps, to the next n symbols (n, B) of texts that begin with `begins`, and
    what else `Drawing.draw` returns."""
    from charrnn.fast.drawing import Drawing

    drawing = Drawing(
        packed,
        temperatures,
        steps,
        top_k=config.top_k,
        top_p=config.top_p,
        min_p=config.min_p,
        clamps=clamps,
    )
    *before, last = (np.broadcast_to(symbol, len(temperatures)) for symbol in begins)
    if before:
        drawing.read(np.array(before))

    def draw(uniforms: np.ndarray, scored: bool) -> tuple[np.ndarray, np.ndarray, bool]:
        nonlocal last
        symbols, log_p, is_finite = drawing.draw(last, uniforms, scored)
        last = symbols[-1]
        return symbols, log_p, is_finite

    return draw
