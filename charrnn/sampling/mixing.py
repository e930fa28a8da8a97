"""The distribution of a network mixed with another one, which depends on the last symbols alone."""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from charrnn.nn.loss import log_softmax

CONTEXT = 16  # last symbols of each text that are remembered

# Distributions (B, V) by the network and the last symbols (B, L) of each text -> their mixture (B, V).
Mix = Callable[[np.ndarray, np.ndarray], np.ndarray]
Symbols = int | np.ndarray


def mixed_reader(
    step: Callable[[Symbols], np.ndarray], mix: Mix, before: Sequence[Symbols], streams: int
) -> Callable[[Symbols], np.ndarray]:
    """A function like `step`, which reads the next symbol of each stream and returns logits: here log p of the mixture.

    before : symbols that were read already and can be looked at, for all streams or (B,) for each
    """
    recent = deque((np.broadcast_to(symbol, streams) for symbol in before), CONTEXT)

    def mixed_step(symbols: Symbols) -> np.ndarray:
        recent.append(np.array(np.broadcast_to(symbols, streams)))
        logits = step(symbols)
        p = np.exp(log_softmax(logits.reshape(-1, streams).T.astype(np.float64)))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(mix(p, np.stack(recent, axis=1))).T.reshape(logits.shape))

    return mixed_step
