"""Beam search: the likeliest continuation found by keeping only the `width` best beginnings."""

from collections.abc import Sequence

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import ModelError
from charrnn.model.model import Model
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Clamp
from charrnn.sampling.sampler import NOT_FINITE, SampledText, Sampler, average
from charrnn.sampling.stepper import Stepper


def likeliest(sampler: Sampler, width: int) -> SampledText:
    """The text found by a search with `width` beams, with the prime, length and clamps of `sampler`."""
    symbols, log_p = beam_search(
        sampler.models, sampler.prime_ids, sampler.config.length, width, sampler.clamps
    )
    return SampledText(sampler.vocab.decode(symbols), log_probability_nats=log_p)


@blas_threads()
def beam_search(
    models: Sequence[Model], prime: Sequence[int], length: int, width: int, clamps: Sequence[Clamp] = ()
) -> tuple[np.ndarray, float]:
    """The symbols (length,) that follow `prime`, and their log probability in nats.

        score(s_1 … s_n) = Σ log p(s_k | prime, s_1 … s_{k-1})

    After each symbol the `width` best of all width·V continuations are kept; width 1 is argmax.
    The result is deterministic, and often repetitive.

    Raises ModelError when the model's outputs are not finite.
    """
    steppers = [Stepper(model.network, width, clamps) for model in models]
    for symbol in prime:
        logits = average([s.step(_all(s, symbol)).reshape(-1, width) for s in steppers])
    texts = np.zeros((width, 0), np.intp)
    scores = np.full(width, -np.inf)
    scores[0] = 0  # all beams are still the same: only one may continue
    for _ in range(length):
        candidates = (scores + log_softmax(logits.T).T).T.ravel()
        if np.isnan(candidates).any():
            raise ModelError(NOT_FINITE)
        best = np.argsort(-candidates, kind="stable")[:width]
        beams, symbols = np.divmod(best, len(logits))
        texts, scores = np.c_[texts[beams], symbols], candidates[best]
        for stepper in steppers:
            stepper.state = stepper.state[:, :, beams]
        logits = average(
            [s.step(symbols if width > 1 else int(symbols[0])).reshape(-1, width) for s in steppers]
        )
    return texts[0], float(scores[0])


def _all(stepper: Stepper, symbol: int) -> int | np.ndarray:
    return symbol if stepper.streams == 1 else np.full(stepper.streams, symbol)
