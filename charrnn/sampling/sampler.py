"""The next-character distribution, and texts drawn from it one character at a time.

    p(s) ∝ exp((a_s - max a) / T)       a the logits, T the temperature; T = 0 means argmax

top-k, top-p and min-p each keep a prefix of the symbols ranked by p: the k best, the fewest whose sum
reaches top-p (Holtzman et al. 2020), those with p ≥ min-p · max p (Nguyen et al. 2024). All three use
the same p, so their order does not matter: the shortest prefix is kept and scaled to sum 1.
"""

import math
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, Literal, overload

import numpy as np

from charrnn.config import check
from charrnn.engines.threads import available_cores, blas_threads
from charrnn.errors import DataError, ModelError, UsageError
from charrnn.model.model import Model
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Clamp
from charrnn.sampling.sampling_config import REPETITION_WINDOW, SamplingConfig
from charrnn.sampling.stepper import Stepper
from charrnn.text.unknown import encode
from charrnn.text.vocabulary import Decoder, Vocabulary, silent_symbol

UNIFORMS_AT_ONCE = 1024
GROUP = 32  # texts drawn by one thread: with fewer, matrix products use less of a core
SYMBOLS_AT_ONCE = 32  # symbols drawn per text before they are decoded, if there are several texts
NOT_FINITE = "the model's outputs are not finite numbers: its state overflowed. Train a new model"
COLDEST = 1e-6  # lowest temperature that logits can be divided by without care


def next_distribution(
    logits: np.ndarray,
    temperature: float | np.ndarray = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> np.ndarray:
    """Probabilities (…, V) of the next symbol, float64; no temperature overflows.

    logits : (…, V); temperature : one number, or one per row (…)
    Equally likely symbols rank in the order of the vocabulary.
    """
    logits = np.asarray(logits, np.float64)
    T = np.asarray(temperature, np.float64)[..., None]
    p = logits - logits.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):  # at very low temperatures: exp(-∞) = 0 is right
        p /= np.where(T > 0, T, 1)
    np.exp(p, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    if (T == 0).any():
        likeliest = np.arange(p.shape[-1]) == logits.argmax(axis=-1)[..., None]
        p = np.where(T > 0, p, likeliest)
    if top_k or top_p < 1 or min_p > 0:
        order = np.argsort(-p, axis=-1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=-1)
        keep = ranked >= min_p * ranked[..., :1]
        keep &= np.cumsum(ranked, axis=-1) - ranked < top_p
        if top_k:
            keep[..., top_k:] = False
        np.put_along_axis(p, order, np.where(keep, ranked, 0), axis=-1)
        p /= p.sum(axis=-1, keepdims=True)
    return p


@dataclass(frozen=True)
class SampledText:
    """A text from a model, and how it was made.

    seed, temperature : of the draw; None for a text from `beam.likeliest`, which draws nothing
    log_probability_nats : of a text from `beam.likeliest`; None for a drawn one
    """

    text: str
    seed: int | None = None
    temperature: float | None = None
    log_probability_nats: float | None = None


def _nothing(k: int, piece: str) -> None:
    pass


class Sampler:
    """Texts drawn side by side from one model, or from several whose probabilities are averaged.

    Iterating yields pieces (k, text) as they are drawn: text k continues with `text`. A text ends after
    `length` symbols, or before the first of the `stop` texts. Text k has its own generator, with seed + k,
    so it can be drawn again alone; the number of texts beside it could matter only if two symbols lie within
    rounding of a draw. The prime is neither returned nor counted. Without a prime the model first reads one
    newline (or, if it has none, the first symbol of its vocabulary) from the zero state.

    temperatures : compared side by side with the same seeds; `count` texts each, in this order
    stop : one or several texts; characters that the model lacks are treated as in the prime
    clamps : cells held at a value, "layer:cell=value" or Clamp, one or several; the value is the cell's
        signal, tanh(c) for the LSTM, h for the others

    `notes` : messages for the user about characters skipped or replaced and stop texts that cannot occur

    Raises UsageError for a value out of its limits and for clamps on models of different architectures,
    DataError for unknown characters in the prime.
    """

    def __init__(
        self,
        model: Model | Sequence[Model],
        config: SamplingConfig | None = None,
        *,
        temperatures: Sequence[float] = (),
        stop: str | Sequence[str] = (),
        clamps: str | Clamp | Sequence[str | Clamp] = (),
    ) -> None:
        self.models = [model] if isinstance(model, Model) else list(model)
        self.config = config = config or SamplingConfig()
        self.vocab = same_vocabulary(self.models)
        clamps = [clamps] if isinstance(clamps, str | Clamp) else clamps
        if clamps and any(other.config != self.models[0].config for other in self.models):
            raise UsageError("clamps need models of one architecture, since a clamp names a cell")
        self.clamps = [parse_clamp(c, self.models[0]) if isinstance(c, str) else c for c in clamps]
        ids, note = encode(config.prime, self.vocab, config.unknown)
        self.notes = [note] if note else []
        self.stop = tuple(map(self._stop_text, [stop] if isinstance(stop, str) else stop))
        self.prime_ids = ids.tolist() or [silent_symbol(self.vocab)]
        first = secrets.randbelow(2**32) if config.seed is None else config.seed
        temperatures = tuple(temperatures) or (config.temperature,)
        for temperature in temperatures:
            check(SamplingConfig(temperature=temperature))
        self.seeds = [first + k for _ in temperatures for k in range(config.count)]
        self.temperatures = [t for t in temperatures for _ in range(config.count)]

    def _stop_text(self, text: str) -> str:
        """A stop text in the model's symbols; `notes` says so if the model cannot write it."""
        if not text:
            raise UsageError("stop is an empty text; it must be the text to stop before")
        try:
            ids, note = encode(text, self.vocab, self.config.unknown)
        except DataError:
            ids, note = np.empty(0, int), None
        if not len(ids):
            self.notes.append(
                f"the stop text {text!r} can never occur: the model lacks some of its characters"
            )
        elif note:
            text = self.vocab.decode(ids)
            self.notes.append(f"stopping before {text!r}; {note}")
        return text

    def __iter__(self) -> Iterator[tuple[int, str]]:
        texts = [_Text(self.vocab.decoder(), self.stop) for _ in self.seeds]
        running = list(enumerate(texts))
        for block in self.blocks():
            for k, text in running:
                if piece := text.push(block[k]):
                    yield k, piece
                if text.ended:
                    running = [(j, other) for j, other in running if not other.ended]
            if not running:
                break
        for k, text in running:
            if piece := text.flush():
                yield k, piece

    def draw(self, heard: Callable[[int, str], None] = _nothing) -> list[SampledText]:
        """The complete texts. heard : called with each piece (k, text) as it is drawn."""
        pieces: list[list[str]] = [[] for _ in self.seeds]
        for k, piece in self:
            heard(k, piece)
            pieces[k].append(piece)
        empty = self.unwritten
        return [replace(one, text="".join(text)) for one, text in zip(empty, pieces, strict=True)]

    @property
    def unwritten(self) -> list[SampledText]:
        """The texts before their first character."""
        return [SampledText("", seed, t) for seed, t in zip(self.seeds, self.temperatures, strict=True)]

    def going_on(self, prime: str, seed: int) -> "Sampler":
        """A sampler of one text with this prime and seed, and all other settings unchanged."""
        config = replace(self.config, prime=prime, seed=seed, count=1)
        return Sampler(
            self.models, config, temperatures=self.temperatures[:1], stop=self.stop, clamps=self.clamps
        )

    def blocks(self) -> Iterator[Sequence[Sequence[int]]]:
        """The next symbols of each text, at most SYMBOLS_AT_ONCE at a time, `length` in total.

        Texts are drawn in groups of at most GROUP, each in its own thread. The number of threads changes no
        text, since the groups depend only on the number of texts.
        """
        with blas_threads():
            yield from self._blocks()

    def _blocks(self) -> Iterator[Sequence[Sequence[int]]]:
        streams = len(self.seeds)
        if streams == 1 and self._is_plain:
            yield from self._one_by_one()
            return
        groups = -(-streams // GROUP)
        cuts = [streams * k // groups for k in range(groups + 1)]
        drawn = [self._group(slice(*cut)) for cut in pairwise(cuts)]
        if groups == 1:
            yield from (block.tolist() for block in drawn[0])
            return
        # numpy keeps its error settings in the context, which a new thread does not inherit.
        contexts = [copy_context() for _ in drawn]
        with ThreadPoolExecutor(min(groups, available_cores())) as pool:
            left = -(-self.config.length // SYMBOLS_AT_ONCE)
            while left:
                parts = [pool.submit(c.run, next, g) for c, g in zip(contexts, drawn, strict=True)]
                left -= 1
                yield np.concatenate([part.result() for part in parts]).tolist()

    @property
    def _is_plain(self) -> bool:
        """Whether any symbol may be drawn, by its probability alone."""
        c = self.config
        filtered = c.top_k or c.top_p < 1 or c.min_p or c.repetition_penalty != 1
        return not filtered and min(self.temperatures) >= COLDEST

    def _one_by_one(self) -> Iterator[Sequence[Sequence[int]]]:
        """The symbols of a single text, one at a time."""
        step = reader(self.models, self.prime_ids[:-1], 1, self.clamps)
        draw_one = _quick_drawer(len(self.vocab), self.temperatures[0], self.seeds[0])
        symbol = self.prime_ids[-1]
        for _ in range(self.config.length):
            symbol = draw_one(step(symbol))
            yield ((symbol,),)

    def _group(self, which: slice) -> Iterator[np.ndarray]:
        """The symbols of the texts `which`, in blocks (B, n)."""
        config, V, seeds = self.config, len(self.vocab), self.seeds[which]
        temperatures, streams = np.array(self.temperatures[which]), len(seeds)
        step = reader(self.models, self.prime_ids[:-1], streams, self.clamps)
        if self._is_plain:
            draw = _plain_drawer(V, temperatures, seeds)
        else:
            draw = _drawer(config, temperatures, seeds, self.prime_ids)
        symbols = np.full(streams, self.prime_ids[-1])
        for begin in range(0, config.length, SYMBOLS_AT_ONCE):
            block = np.empty((min(SYMBOLS_AT_ONCE, config.length - begin), streams), np.intp)
            for t in range(len(block)):
                logits = step(symbols if streams > 1 else int(symbols[0]))
                symbols = block[t] = draw(logits.reshape(V, streams))
            yield block.T


@overload
def sample(model: Model | Sequence[Model], *, count: Literal[1] = 1, **settings: Any) -> str: ...


@overload
def sample(model: Model | Sequence[Model], *, count: int, **settings: Any) -> str | list[str]: ...


def sample(model: Model | Sequence[Model], *, count: int = 1, **settings: Any) -> str | list[str]:
    """A text from a model; with `count` > 1, a list of that many texts, with seed, seed + 1, …

    settings : fields of SamplingConfig, or `stop` and `clamps` of Sampler
    """
    of_sampler = {name: settings.pop(name) for name in ("stop", "clamps") if name in settings}
    sampler = Sampler(model, SamplingConfig(count=count, **settings), **of_sampler)
    texts = [drawn.text for drawn in sampler.draw()]
    return texts[0] if count == 1 else texts


def reader(
    models: Sequence[Model], symbols: Sequence[int], streams: int = 1, clamps: Sequence[Clamp] = ()
) -> Callable[[Any], np.ndarray]:
    """A function like `Stepper.step`: it reads the next symbol of each stream and returns logits.

    It has already read `symbols` from the zero state. For several models the logits are the log of the mean p.
    """
    steppers = []
    for model in models:
        one = Stepper(model.network, 1, clamps)
        for symbol in symbols:
            one.step(int(symbol))
        stepper = one if streams == 1 else Stepper(model.network, streams, clamps)
        stepper.state = one.state
        steppers.append(stepper)
    if len(steppers) == 1:
        return steppers[0].step
    return lambda symbols: average([stepper.step(symbols) for stepper in steppers])


def average(logits: Sequence[np.ndarray], axis: int = 0) -> np.ndarray:
    """log of the mean of several models' probabilities; `axis` is that of the symbols."""
    each = np.stack(
        [np.moveaxis(log_softmax(np.moveaxis(a, axis, -1).astype(np.float64)), -1, axis) for a in logits]
    )
    return np.logaddexp.reduce(each, axis=0) - math.log(len(each))


def same_vocabulary(models: Sequence[Model]) -> Vocabulary:
    """The vocabulary shared by all models. Raises UsageError if they differ."""
    if any(model.vocab != models[0].vocab for model in models):
        raise UsageError(
            "the models have different vocabularies: only models trained on the same symbols can be combined"
        )
    return models[0].vocab


def parse_clamp(text: str, model: Model, name: str = "clamp") -> Clamp:
    """Parse a clamp: "1:137=0.9" holds cell 137 of layer 1 (both counted from 0) at 0.9.

    name : its name in messages. Raises UsageError if it is malformed, or has no such cell or value.
    """
    match = re.fullmatch(r"(\d+):(\d+)=([-+.\deE]+)", text.strip())
    try:
        layer, cell, value = int(match[1]), int(match[2]), float(match[3])  # type: ignore[index]
    except (TypeError, ValueError):
        raise UsageError(
            f"{name} is {text!r}; it must look like 1:137=0.9, which is layer:cell=value"
        ) from None
    L, H = model.config.layers, model.config.hidden
    if layer >= L or cell >= H:
        raise UsageError(f"{name} {text}: the model has layers 0 to {L - 1} of cells 0 to {H - 1}")
    if not math.isfinite(value) or (model.config.cell == "lstm" and abs(value) >= 1):
        raise UsageError(
            f"{name} {text}: the value must be greater than -1 and less than 1, as this model's signals are"
        )
    return Clamp(layer, np.arange(H)[None] == cell, np.full((1, H), value))


def _uniforms(seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """Blocks (UNIFORMS_AT_ONCE, B) of numbers in (0, 1]; a seed's numbers do not depend on the other seeds."""
    rngs = [np.random.default_rng(seed) for seed in seeds]
    while True:
        yield 1 - np.stack([rng.random(UNIFORMS_AT_ONCE) for rng in rngs], axis=1)


def _quick_drawer(vocab_size: int, temperature: float, seed: int) -> Callable[[np.ndarray], int]:
    """A function from the logits (V,) of one stream to its next symbol, without filters.

    The inverse of the distribution function at u: the first s with p(0) + … + p(s) ≥ u Σp. Since u > 0, a
    symbol of probability 0 is never drawn.
    """
    p, cdf, T = np.empty(vocab_size), np.empty(vocab_size), np.array(temperature)
    draws = chain.from_iterable(block[:, 0].tolist() for block in _uniforms([seed]))

    def draw(logits: np.ndarray) -> int:
        np.subtract(logits, logits[logits.argmax()], p)
        np.divide(p, T, p)
        np.exp(p, p)
        np.add.accumulate(p, 0, None, cdf)
        total = cdf[-1]
        if not total >= 1:  # the likeliest symbol alone contributes e⁰ = 1
            raise _not_finite()
        return int(cdf.searchsorted(next(draws) * total))

    return draw


def _plain_drawer(
    vocab_size: int, temperatures: np.ndarray, seeds: Sequence[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from logits (V, B) to the next symbols (B,), without filters, drawn as `_quick_drawer` does."""
    p, cdf = np.empty((vocab_size, len(seeds))), np.empty((vocab_size, len(seeds)))
    draws = chain.from_iterable(_uniforms(seeds))

    def draw(logits: np.ndarray) -> np.ndarray:
        np.subtract(logits, np.maximum.reduce(logits, 0), p)
        np.divide(p, temperatures, p)
        np.exp(p, p)
        np.add.accumulate(p, 0, None, cdf)
        total = cdf[-1]
        if not (total >= 1).all():
            raise _not_finite()
        return np.add.reduce(cdf < next(draws) * total, 0, np.intp)

    return draw


def _drawer(
    config: SamplingConfig, temperatures: np.ndarray, seeds: Sequence[int], prime: Sequence[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from logits (V, B) to the next symbols (B,), drawn as `_quick_drawer` does."""
    draws = chain.from_iterable(_uniforms(seeds))
    recent = deque((np.full(len(seeds), symbol) for symbol in prime), REPETITION_WINDOW)
    columns = np.arange(len(seeds))

    def draw(logits: np.ndarray) -> np.ndarray:
        if config.repetition_penalty != 1:
            seen = np.zeros(logits.shape, bool)
            seen[np.array(recent), columns] = True
            logits = logits - seen * math.log(config.repetition_penalty)
        p = next_distribution(logits.T, temperatures, config.top_k, config.top_p, config.min_p)
        cdf = np.cumsum(p.T, axis=0)
        if not (cdf[-1] > 0).all():
            raise _not_finite()
        symbols = (cdf < next(draws) * cdf[-1]).sum(axis=0)
        recent.append(symbols)
        return symbols

    return draw


def _not_finite() -> ModelError:
    return ModelError(NOT_FINITE)


class _Text:
    """Decodes symbols to text, and holds back any possible beginning of a stop text."""

    def __init__(self, decoder: Decoder, stop: tuple[str, ...]) -> None:
        self._decoder = decoder
        self._stop = stop
        self._held = ""
        self.ended = False

    def push(self, symbols: Sequence[int]) -> str:
        piece = "".join(map(self._decoder.push, symbols))
        return self._release(piece) if self._stop and piece else piece

    def flush(self) -> str:
        piece = self._release(self._decoder.flush())
        return piece if self.ended else piece + self._held

    def _release(self, piece: str) -> str:
        """The part of the held text and this piece that cannot belong to a stop text."""
        text = self._held + piece
        found = [(place + len(stop), place) for stop in self._stop if (place := text.find(stop)) >= 0]
        if found:  # the first that is complete, as if the symbols had been drawn one by one
            self.ended = True
            return text[: min(found)[1]]
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        begin = next(
            (
                k
                for k in range(max(0, len(text) - longest), len(text))
                if any(s.startswith(text[k:]) for s in self._stop)
            ),
            len(text),
        )
        self._held = text[begin:]
        return text[:begin]
