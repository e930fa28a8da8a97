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
    """The text found by a search with `width` beams, with the prime, label, length and clamps of `sampler`."""
    begin = np.array(sampler.begins())[:, None]
    [symbols], [log_p], [ended] = search(sampler.models, begin, sampler.length, width, sampler.clamps)
    return SampledText(
        (sampler.prime if sampler.config.with_prime else "") + sampler.vocab.decode(symbols),
        prime=sampler.config.prime,
        label=sampler.labels[0] or None,
        ended="end" if ended else "length",
        log_probability_nats=float(log_p),
    )


def beam_search(
    models: Sequence[Model], prime: Sequence[int], length: int, width: int, clamps: Sequence[Clamp] = ()
) -> tuple[np.ndarray, float]:
    """`search` for a single text: its symbols, and their log probability in nats."""
    [symbols], [log_p], _ = search(models, np.array(prime)[:, None], length, width, clamps)
    return symbols, float(log_p)


@blas_threads()
def search(
    models: Sequence[Model], begins: np.ndarray, length: int, width: int, clamps: Sequence[Clamp] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symbols that follow each of N beginnings, their log probability in nats, and whether they end as items do.

        score(s_1 … s_n) = Σ log p(s_k | begin, s_1 … s_{k-1})

    After each symbol the `width` best of all width·V continuations are kept; width 1 is argmax. Of a model of items,
    a text that has ended stays as it is, and the search is over once the best one has: longer ones are only less
    likely. The result is deterministic, and often repetitive.

    begins : (P, N) symbols, P at least 1
    Returns symbols (N, n), which after the end of an item are its end symbol, log p (N,) and ended (N,).

    Raises ModelError when the model's outputs are not finite.
    """
    vocab, N = models[0].vocab, begins.shape[1]
    readers = [Stepper(model.network, N, clamps) for model in models]
    for symbols in begins:
        logits = _step(readers, symbols)
    V = len(vocab)
    steppers = [Stepper(model.network, N * width, clamps) for model in models]
    for stepper, reading in zip(steppers, readers, strict=True):
        stepper.state = np.repeat(reading.state, width, axis=2)
    logits = np.repeat(logits, width, axis=1)
    rows = np.arange(N)[:, None]
    history: list[
        tuple[np.ndarray, np.ndarray]
    ] = []  # of each symbol: the beam it goes on from, and itself (N, width)
    ended = np.zeros((N, width), bool)
    scores = np.full((N, width), -np.inf)
    scores[:, 0] = 0  # all beams are still the same: only one may continue
    only_end = np.where(np.arange(V) == (len(vocab.symbols) if vocab.items else V), 0, -np.inf)
    for _ in range(length):
        log_p = np.where(ended[..., None], only_end, log_softmax(logits.T).reshape(N, width, V))
        candidates = (scores[..., None] + log_p).reshape(N, width * V)
        if np.isnan(candidates).any():
            raise ModelError(NOT_FINITE)
        best = np.argsort(-candidates, axis=1, kind="stable")[:, :width]
        beams, symbols = np.divmod(best, V)
        scores = candidates[rows, best]
        history.append((beams, symbols))
        ended = only_end[symbols] == 0
        if ended[:, 0].all():
            break
        for stepper in steppers if width > 1 else ():
            stepper.state = stepper.state[:, :, (rows * width + beams).ravel()]
        logits = _step(steppers, symbols.ravel())
    return _traced(history, N), scores[:, 0], ended[:, 0]


def _traced(history: Sequence[tuple[np.ndarray, np.ndarray]], N: int) -> np.ndarray:
    """The symbols (N, n) of the best beams, followed from the last one back to the first."""
    found, rows, beam = np.zeros((N, len(history)), np.intp), np.arange(N), np.zeros(N, np.intp)
    for k in range(len(history) - 1, -1, -1):
        beams, symbols = history[k]
        found[:, k] = symbols[rows, beam]
        beam = beams[rows, beam]
    return found


def _step(steppers: Sequence[Stepper], symbols: np.ndarray) -> np.ndarray:
    """The logits (V, n) after a symbol of each of n streams."""
    read = symbols if len(symbols) > 1 else int(symbols[0])
    logits = [stepper.step(read).reshape(-1, len(symbols)) for stepper in steppers]
    return average(logits) if len(logits) > 1 else logits[0]
