"""The next-character distribution, and texts drawn from it one character at a time.

    p(s) ∝ exp((a_s - max a) / T)       a the logits, T the temperature; T = 0 means argmax

top-k, top-p and min-p each keep a prefix of the symbols ranked by p: the k best, the fewest whose sum
reaches top-p (Holtzman et al. 2020), those with p ≥ min-p · max p (Nguyen et al. 2024). All three use
the same p, so their order does not matter: the shortest prefix is kept and scaled to sum 1.
"""

import math
import re
import secrets
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from copy import copy
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np

from charrnn.config import check
from charrnn.engines.threads import available_cores, blas_threads
from charrnn.errors import DataError, ModelError, UsageError
from charrnn.model.model import Model
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Clamp
from charrnn.sampling import compiled
from charrnn.sampling.drawn_labels import labels_for
from charrnn.sampling.half import rounded
from charrnn.sampling.mixing import Mix, mixed_reader
from charrnn.sampling.sampling_config import LENGTH, LONGEST_ITEM, REPETITION_WINDOW, SamplingConfig
from charrnn.sampling.stepper import Stepper
from charrnn.text.conditions import NO_PAIRS, Given, Labels, condition, labels_of
from charrnn.text.unknown import encode
from charrnn.text.vocabulary import Decoder, Vocabulary, silent_symbol

UNIFORMS_AT_ONCE = 1024
GROUP = 32  # texts drawn by one thread: with fewer, matrix products use less of a core
ROUND = 16 * GROUP  # texts drawn side by side: each group has a copy of the weights
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
    prime : what it goes on from; label : column -> label, None where the model has none
    ended : "end" with the end symbol of an item, "stop" before a stop text, "length" where it was cut
    log_probability_nats : of the text given prime and label, under the model as it is, at temperature 1 and without
        filters; the end symbol, or the symbols of the stop text, are counted in. None where it was not wanted
    """

    text: str
    seed: int | None = None
    temperature: float | None = None
    prime: str = ""
    label: Labels | None = None
    ended: str = "length"
    log_probability_nats: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Every field but a seed and a temperature that it has not."""
        found = asdict(self)
        return {name: value for name, value in found.items() if name == "label" or value is not None}


# The next symbols of each text, and their log p.
Block = tuple[Sequence[Sequence[int]], Sequence[Sequence[float]]]


def _nothing(k: int, piece: str) -> None:
    pass


class Sampler:
    """Texts drawn side by side from one model, or from several whose probabilities are averaged.

    Iterating yields pieces (k, text) as they are drawn: text k continues with `text`. A text ends after
    `length` symbols, before the first of the `stop` texts, or as an item with its end symbol. Text k has its own
    generator, with seed + k, so it can be drawn again alone; the number of texts beside it could matter only if two
    symbols lie within rounding of a draw. The prime is not counted, and returned where `with_prime` says so. A model
    of items begins with their condition: labels, input and boundary, or the end symbol. Any other model without a
    prime first reads one newline (or, if it has none, the first symbol of its vocabulary) from the zero state.

    temperatures : compared side by side with the same seeds; `count` texts each, in this order
    stop : one or several texts; characters that the model lacks are treated as in the prime
    clamps : cells held at a value, "layer:cell=value" or Clamp, one or several; the value is the cell's
        signal, tanh(c) for the LSTM, h for the others
    label : of a model with labels: "Irish", "origin=Irish", several, or {"origin": "Irish"}; a label that is not
        given is drawn for each text, by its seed and as often as in the training text
    input : of a model of pairs, the text whose outputs are drawn
    mix : turns the model's probabilities into those that are drawn from, before temperature and filters

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
        label: Given = (),
        input: str | None = None,
        mix: Mix | None = None,
    ) -> None:
        self.mix = mix
        self.given_models = self.models = [model] if isinstance(model, Model) else list(model)
        self.vocab = same_vocabulary(self.models)
        is_items = self.vocab.items is not None
        self.config = config = _complete(config or SamplingConfig(), is_items)
        if config.weights == "half":
            self.models = list(map(rounded, self.models))
        clamps = [clamps] if isinstance(clamps, str | Clamp) else clamps
        if clamps and any(other.config != self.models[0].config for other in self.models):
            raise UsageError("--clamp needs models of one architecture, since a clamp names a cell")
        self.clamps = [parse_clamp(c, self.models[0]) if isinstance(c, str) else c for c in clamps]
        ids, note = encode(config.prime, self.vocab, config.unknown)
        self.notes = [note] if note else []
        self.stop = tuple(map(self._stop_text, [stop] if isinstance(stop, str) else stop))
        self.prime = self.vocab.decode(ids)
        self.prime_ids = ids.tolist() or ([] if is_items else [silent_symbol(self.vocab)])
        self._labels = labels_of(label, self.vocab)
        self._input = self._input_ids(input)
        first = secrets.randbelow(2**32) if config.seed is None else config.seed
        temperatures = tuple(temperatures) or (config.temperature,)
        for temperature in temperatures:
            check(SamplingConfig(temperature=temperature))
        self.temperatures = [t for t in temperatures for _ in range(config.count)]
        self.seeds = [first + k for _ in temperatures for k in range(config.count)]
        self.labels = labels_for(self.models[0], self._labels, self.seeds)

    def of(self, seeds: Sequence[int], temperatures: Sequence[float]) -> "Sampler":
        """A sampler of other texts, by their seeds and temperatures, and all other settings unchanged."""
        other = copy(self)
        other.seeds, other.temperatures = list(seeds), list(temperatures)
        other.labels = labels_for(self.models[0], self._labels, other.seeds)
        return other

    def _input_ids(self, text: str | None) -> list[int]:
        if self.vocab.pairs == (text is not None):
            ids, note = encode(text or "", self.vocab, self.config.unknown)
            self.notes += [note] if note else []
            return ids.tolist()
        raise UsageError(
            "--input is missing: the model was trained on pairs and draws the outputs of one input. transform writes "
            "the outputs of many inputs"
            if text is None
            else NO_PAIRS
        )

    def begins(self, which: slice = slice(None)) -> list[int | np.ndarray]:
        """What the model reads before the texts `which`: symbols for all of them, or for each (B,)."""
        if self.vocab.items is None:
            return list(self.prime_ids)
        rows = np.array([condition(self.vocab, labels, self._input) for labels in self.labels[which]]).T
        return [*(int(row[0]) if (row == row[0]).all() else row for row in rows), *self.prime_ids]

    def _stop_text(self, text: str) -> str:
        """A stop text in the model's symbols; `notes` says so if the model cannot write it."""
        if not text:
            raise UsageError("--stop is an empty text; it must be the text to stop before")
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
        return self._pieces([self._text() for _ in self.seeds])

    def _text(self) -> "_Text":
        return _Text(self.vocab.decoder(), self.stop, self.end)

    @property
    def end(self) -> int | None:
        """The end symbol of items."""
        return None if self.vocab.items is None else self.vocab.end

    def _pieces(self, texts: Sequence["_Text"], scored: bool = False) -> Iterator[tuple[int, str]]:
        """The texts in pieces (k, text)."""
        if self.config.with_prime and self.prime:
            yield from ((k, self.prime) for k in range(len(texts)))
        running = list(enumerate(texts))
        for symbols, log_p in self.blocks(scored):
            for k, text in running:
                if piece := text.push(symbols[k], log_p[k]):
                    yield k, piece
            running = [(k, text) for k, text in running if not text.ended]
            if not running:
                break
        for k, text in running:
            if piece := text.flush():
                yield k, piece

    def draw(self, heard: Callable[[int, str], None] = _nothing, *, scored: bool = True) -> list[SampledText]:
        """The complete texts.

        heard : called with each piece (k, text) as it is drawn
        scored : whether with their log-probabilities, which take up to a fifth of the time
        """
        return [one for texts in self.rounds(heard, scored=scored) for one in texts]

    def rounds(
        self, heard: Callable[[int, str], None] = _nothing, *, scored: bool = True
    ) -> Iterator[list[SampledText]]:
        """The complete texts, at most ROUND at a time."""
        for first in range(0, len(self.seeds), ROUND):
            part = self.of(self.seeds[first : first + ROUND], self.temperatures[first : first + ROUND])
            texts = [self._text() for _ in part.seeds]
            pieces: list[list[str]] = [[] for _ in texts]
            for k, piece in part._pieces(texts, scored):
                heard(first + k, piece)
                pieces[k].append(piece)
            yield [
                replace(
                    one,
                    text="".join(written),
                    ended=text.ended,
                    log_probability_nats=text.log_p if scored else None,
                )
                for one, text, written in zip(part.unwritten, texts, pieces, strict=True)
            ]

    def whole(self, one: SampledText) -> str:
        """A text with its prime, whether or not that is part of it."""
        return one.text if self.config.with_prime else self.prime + one.text

    @property
    def unwritten(self) -> list[SampledText]:
        """The texts before their first character."""
        return [
            SampledText("", seed, T, self.config.prime, labels or None)
            for seed, T, labels in zip(self.seeds, self.temperatures, self.labels, strict=True)
        ]

    @property
    def input(self) -> str:
        """The text whose outputs are drawn, in the model's characters; empty where there is none."""
        return self.vocab.decode(self._input)

    def going_on(self, prime: str, seed: int) -> "Sampler":
        """A sampler of one text with this prime and seed, and all other settings unchanged."""
        config = replace(self.config, prime=prime, seed=seed, count=1, with_prime=False)
        return Sampler(
            self.given_models,
            config,
            temperatures=self.temperatures[:1],
            stop=self.stop,
            clamps=self.clamps,
            label=self.labels[0],
            input=self.input if self.vocab.pairs else None,
            mix=self.mix,
        )

    def blocks(self, scored: bool = False) -> Iterator[Block]:
        """The next symbols of each text, at most SYMBOLS_AT_ONCE at a time, `length` in total, and the log p of each,
        or 0 where they are not to be scored.

        Texts are drawn in groups of at most GROUP, each in its own thread. The number of threads changes no
        text, since the groups depend only on the number of texts.
        """
        with blas_threads():
            yield from self._blocks(scored)

    def _blocks(self, scored: bool) -> Iterator[Block]:
        streams, networks = len(self.seeds), [model.network for model in self.models]
        expected = self.length if self.end is None else min(self.length, compiled.USUAL_ITEM)
        is_compiled = self.mix is None and compiled.is_compiled(networks, self.config, streams * expected)
        if streams == 1 and self._is_plain and not is_compiled:
            yield from self._one_by_one(scored)
            return
        groups = -(-streams // GROUP)
        parts = [slice(*cut) for cut in pairwise(streams * k // groups for k in range(groups + 1))]
        if is_compiled:
            packed = compiled.packed(
                networks[0],
                several=streams > 1,
                clamps=self.clamps,
                half=self.config.weights == "half",
            )
            drawers = [self._compiled_drawer(part, packed, scored) for part in parts]
        else:
            drawers = [self._block_drawer(part, scored) for part in parts]
        drawn = [
            self._group(part.stop - part.start, draw_block)
            for part, draw_block in zip(parts, drawers, strict=True)
        ]
        if groups == 1:
            yield from ((symbols.tolist(), log_p.tolist()) for symbols, log_p in drawn[0])
            return
        from concurrent.futures import ThreadPoolExecutor

        # numpy keeps its error settings in the context, which a new thread does not inherit.
        contexts = [copy_context() for _ in drawn]
        with ThreadPoolExecutor(min(groups, available_cores())) as pool:
            for _ in self._sizes():
                waiting = [pool.submit(c.run, next, g) for c, g in zip(contexts, drawn, strict=True)]
                symbols, log_p = zip(*(group.result() for group in waiting), strict=True)
                yield np.concatenate(symbols).tolist(), np.concatenate(log_p).tolist()

    def _sizes(self) -> Iterator[int]:
        """How many symbols are drawn before they are shown: of a single text first one, then more each time."""
        size, most = SYMBOLS_AT_ONCE, SYMBOLS_AT_ONCE
        if len(self.seeds) == 1:
            size, most = 1, compiled.most_at_once(self.models[0].network)
        left = self.length
        while left:
            yield min(size, left)
            left -= min(size, left)
            size = min(2 * size, most)

    @property
    def length(self) -> int:
        """Most symbols of a text."""
        assert self.config.length is not None
        return self.config.length

    @property
    def _is_plain(self) -> bool:
        """Whether any symbol may be drawn, by its probability alone."""
        c = self.config
        filtered = c.top_k or c.top_p < 1 or c.min_p or c.repetition_penalty != 1
        return not filtered and min(self.temperatures) >= COLDEST

    def _reader(self, before: Sequence[int | np.ndarray], streams: int) -> Callable[[Any], np.ndarray]:
        """A function from the next symbol of each stream to logits, which has read all `before` it."""
        step = reader(self.models, before, streams, self.clamps)
        if self.mix is None:
            return step
        condition = max(0, len(before) - len(self.prime_ids))  # but for its last symbol
        return mixed_reader(step, self.mix, before[condition:], streams)

    def _one_by_one(self, scored: bool) -> Iterator[Block]:
        """The symbols of a single text, one at a time."""
        *before, symbol = self.begins()
        step = self._reader(before, 1)
        draw_one = _quick_drawer(len(self.vocab), self.temperatures[0], self.seeds[0], scored)
        for _ in range(self.length):
            symbol, log_p = draw_one(step(symbol))
            yield ((symbol,),), ((log_p,),)

    def _block_drawer(self, which: slice, scored: bool) -> "BlockDrawer":
        """Of the texts `which`."""
        config, V, seeds = self.config, len(self.vocab), self.seeds[which]
        temperatures, streams = np.array(self.temperatures[which]), len(seeds)
        *before, last = self.begins(which)
        step = self._reader(before, streams)
        if self._is_plain:
            draw = _plain_drawer(V, temperatures, seeds, scored)
        else:
            draw = _drawer(config, temperatures, seeds, self.prime_ids, scored)
        symbols = np.broadcast_to(last, streams)

        def draw_block(n: int) -> tuple[np.ndarray, np.ndarray]:
            nonlocal symbols
            block, log_p = np.empty((n, streams), np.intp), np.empty((n, streams))
            for t in range(n):
                logits = step(symbols if streams > 1 else int(symbols[0]))
                block[t], log_p[t] = draw(logits.reshape(V, streams))
                symbols = block[t]
            return block, log_p

        return draw_block

    def _compiled_drawer(self, which: slice, packed: "compiled.Packed", scored: bool) -> "BlockDrawer":
        """Of the texts `which`."""
        most = compiled.most_at_once(self.models[0].network) if len(self.seeds) == 1 else SYMBOLS_AT_ONCE
        temperatures, most = np.array(self.temperatures[which]), max(1, min(most, self.length))
        draw = compiled.block_drawer(packed, self.config, temperatures, self.begins(which), self.clamps, most)
        rngs = generators(self.seeds[which])

        def draw_block(n: int) -> tuple[np.ndarray, np.ndarray]:
            symbols, log_p, is_finite = draw(uniform(rngs, n), scored)
            if not is_finite:
                raise _not_finite()
            return symbols, log_p

        return draw_block

    def _group(self, streams: int, draw_block: "BlockDrawer") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The symbols of some texts and their log p, in blocks (B, n)."""
        ended = np.zeros(streams, bool)
        for n in self._sizes():
            if ended.all():  # those of other groups go on
                yield np.full((streams, n), self.end), np.zeros((streams, n))
                continue
            block, log_p = draw_block(n)
            if self.end is not None:
                ended |= (block == self.end).any(axis=0)
            yield block.T, log_p.T


def _complete(config: SamplingConfig, is_items: bool) -> SamplingConfig:
    """The settings with those decided that depend on the kind of model."""
    length = (LONGEST_ITEM if is_items else LENGTH) if config.length is None else config.length
    return replace(
        config, length=length, with_prime=is_items if config.with_prime is None else config.with_prime
    )


def reader(
    models: Sequence[Model],
    symbols: Sequence[int | np.ndarray],
    streams: int = 1,
    clamps: Sequence[Clamp] = (),
) -> Callable[[Any], np.ndarray]:
    """A function like `Stepper.step`: it reads the next symbol of each stream and returns logits.

    It has already read `symbols` from the zero state, each of them for all streams or (B,) for each. For several
    models the logits are the log of the mean p.
    """
    apart = any(np.ndim(symbol) for symbol in symbols)
    steppers = []
    for model in models:
        one = Stepper(model.network, streams if apart else 1, clamps)
        for symbol in symbols:
            one.step(np.broadcast_to(symbol, streams) if apart else int(symbol))
        stepper = one if one.streams == streams else Stepper(model.network, streams, clamps)
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
    """The vocabulary shared by all models. Raises UsageError if they differ, or there are none."""
    if not models:
        raise UsageError("model is an empty list; it must have at least one model")
    if any(model.vocab != models[0].vocab for model in models):
        raise UsageError(
            "the models have different vocabularies: only models trained on the same symbols can be combined"
        )
    return models[0].vocab


def parse_clamp(text: str, model: Model) -> Clamp:
    """Parse a clamp: "1:137=0.9" holds cell 137 of layer 1 (both counted from 0) at 0.9.

    Raises UsageError if it is malformed, or has no such cell or value.
    """
    match = re.fullmatch(r"(\d+):(\d+)=([-+.\deE]+)", text.strip())
    try:
        layer, cell, value = int(match[1]), int(match[2]), float(match[3])  # type: ignore[index]
    except (TypeError, ValueError):
        raise UsageError(
            f"--clamp is {text!r}; it must look like 1:137=0.9, which is layer:cell=value"
        ) from None
    L, H = model.config.layers, model.config.hidden
    if layer >= L or cell >= H:
        raise UsageError(f"--clamp {text}: the model has layers 0 to {L - 1} of cells 0 to {H - 1}")
    if not math.isfinite(value) or (model.config.cell == "lstm" and abs(value) >= 1):
        raise UsageError(
            f"--clamp {text}: the value must be greater than -1 and less than 1, as this model's signals are"
        )
    return Clamp(layer, np.arange(H)[None] == cell, np.full((1, H), value))


def generators(seeds: Sequence[int]) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def uniform(rngs: Sequence[np.random.Generator], n: int) -> np.ndarray:
    """The next numbers (n, B) in (0, 1]; those of a generator do not depend on the others, nor on n."""
    return 1 - np.stack([rng.random(n) for rng in rngs], axis=1)


def _uniforms(seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """All numbers in blocks (UNIFORMS_AT_ONCE, B)."""
    rngs = generators(seeds)
    while True:
        yield uniform(rngs, UNIFORMS_AT_ONCE)


def _quick_drawer(
    vocab_size: int, temperature: float, seed: int, scored: bool
) -> Callable[[np.ndarray], tuple[int, float]]:
    """A function from the logits (V,) of one stream to its next symbol and its log p, or 0, without filters.

    The inverse of the distribution function at u: the first s with p(0) + … + p(s) ≥ u Σp. Since u > 0, a
    symbol of probability 0 is never drawn.
    """
    a, p, cdf, T = np.empty(vocab_size), np.empty(vocab_size), np.empty(vocab_size), np.array(temperature)
    draws = chain.from_iterable(block[:, 0].tolist() for block in _uniforms([seed]))

    def draw(logits: np.ndarray) -> tuple[int, float]:
        np.subtract(logits, logits[logits.argmax()], a)
        np.divide(a, T, p)
        np.exp(p, p)
        np.add.accumulate(p, 0, None, cdf)
        total = cdf[-1]
        if not total >= 1:  # the likeliest symbol alone contributes e⁰ = 1
            raise _not_finite()
        symbol = int(cdf.searchsorted(next(draws) * total))
        if not scored:
            return symbol, 0.0
        return symbol, float(a[symbol]) - math.log(np.add.reduce(np.exp(a, p)))

    return draw


Drawer = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
BlockDrawer = Callable[[int], tuple[np.ndarray, np.ndarray]]  # n -> the next n symbols (n, B) and their log p


def _plain_drawer(vocab_size: int, temperatures: np.ndarray, seeds: Sequence[int], scored: bool) -> Drawer:
    """A function from logits (V, B) to the next symbols (B,) and their log p, or 0, without filters, drawn as
    `_quick_drawer` does."""
    a, p, cdf = (np.empty((vocab_size, len(seeds))) for _ in range(3))
    draws = chain.from_iterable(_uniforms(seeds))
    columns, nothing = np.arange(len(seeds)), np.zeros(len(seeds))

    def draw(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        np.subtract(logits, np.maximum.reduce(logits, 0), a)
        np.divide(a, temperatures, p)
        np.exp(p, p)
        np.add.accumulate(p, 0, None, cdf)
        total = cdf[-1]
        if not (total >= 1).all():
            raise _not_finite()
        symbols = np.add.reduce(cdf < next(draws) * total, 0, np.intp)
        if not scored:
            return symbols, nothing
        return symbols, a[symbols, columns] - np.log(np.add.reduce(np.exp(a, p), 0))

    return draw


def _drawer(
    config: SamplingConfig, temperatures: np.ndarray, seeds: Sequence[int], prime: Sequence[int], scored: bool
) -> Drawer:
    """A function from logits (V, B) to the next symbols (B,) and their log p, or 0, drawn as `_quick_drawer` does."""
    draws = chain.from_iterable(_uniforms(seeds))
    recent = deque((np.full(len(seeds), symbol) for symbol in prime), REPETITION_WINDOW)
    columns = np.arange(len(seeds))

    def draw(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_p = log_softmax(logits.T.astype(np.float64)) if scored else np.zeros(logits.T.shape)
        if config.repetition_penalty != 1 and recent:
            seen = np.zeros(logits.shape, bool)
            seen[np.array(recent), columns] = True
            logits = logits - seen * math.log(config.repetition_penalty)
        p = next_distribution(logits.T, temperatures, config.top_k, config.top_p, config.min_p)
        cdf = np.cumsum(p.T, axis=0)
        if not (cdf[-1] > 0).all():
            raise _not_finite()
        symbols = (cdf < next(draws) * cdf[-1]).sum(axis=0)
        recent.append(symbols)
        return symbols, log_p[columns, symbols]

    return draw


def _not_finite() -> ModelError:
    return ModelError(NOT_FINITE)


class _Text:
    """Decodes symbols to text up to its end, and holds back any possible beginning of a stop text.

    end : the end symbol of an item
    ended : as in `SampledText`; empty until the end
    log_p : of the symbols so far, those of the end symbol or the stop text included
    """

    def __init__(self, decoder: Decoder, stop: tuple[str, ...], end: int | None = None) -> None:
        self._decoder = decoder
        self._stop = stop
        self._end = end
        self._held = ""
        self.ended = ""
        self.log_p = 0.0

    def push(self, symbols: Sequence[int], log_p: Sequence[float]) -> str:
        count = symbols.index(self._end) if self._end in symbols else len(symbols)
        pieces = [self._decoder.push(symbol) for symbol in symbols[:count]]
        piece, held = "".join(pieces), len(self._held)
        if self._stop and piece:
            piece, complete = self._release(piece)
            if self.ended:
                count = bisect_left(list(accumulate(map(len, pieces), initial=held)), complete)
        if not self.ended and count < len(symbols):
            count += 1
            piece += self.flush("end")
        self.log_p += sum(log_p[:count])
        return piece

    def flush(self, ended: str = "length") -> str:
        """The rest of the text, which ends here."""
        piece, _ = self._release(self._decoder.flush())
        if not self.ended:
            piece, self.ended = piece + self._held, ended
        return piece

    def _release(self, piece: str) -> tuple[str, int]:
        """The part of the held text and this piece that cannot belong to a stop text, and where in them such a text
        is complete."""
        text = self._held + piece
        found = [(place + len(stop), place) for stop in self._stop if (place := text.find(stop)) >= 0]
        if found:  # the first that is complete, as if the symbols had been drawn one by one
            self.ended = "stop"
            complete, place = min(found)
            return text[:place], complete
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
        return text[:begin], 0
