"""How surprising each line of a text is, beyond what its length explains.

Each line is read on its own, from the zero state after a newline, so neither the lines around it nor
their order matter. Its total loss in nats is compared with the loss expected for its length:

    nats ≈ a + b n          n the number of predictions of a line, including its newline; a the extra cost of
                            its start, b the cost of each symbol, both fitted to these lines
    surprise = (nats - a - b n) / (s √n)

The losses of n symbols vary as √n, so the fit weighs each line by 1/n, and s is the standard deviation of the
residuals, per √symbol. So short lines, whose mean losses vary most, do not fill both ends of the ranking.
A weak prior pulls a towards 0 (standard deviation START s). It matters where lengths hardly vary: without it,
the fit would explain a single line of a different length completely.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import ModelError
from charrnn.model.model import Model
from charrnn.model.scores import in_bits
from charrnn.sampling.sampler import NOT_FINITE, same_vocabulary
from charrnn.score import scoring
from charrnn.score.evaluation import item_losses
from charrnn.score.items import mean_probability
from charrnn.score.mixed import mixed_surprises
from charrnn.score.mixture import Mixture
from charrnn.text.items import Items, runs
from charrnn.text.spool import Spool
from charrnn.text.vocabulary import Vocabulary, silent_symbol

ROWS = 64  # lines read side by side
STEPS = 32  # symbols per pass; always the same, because the network keeps buffers for each shape it meets
RANKED = 1_000_000  # most lines that are sorted by surprise, and so held in memory
ITEMS_AT_ONCE = 2**16
AT_ONCE = 1024  # lines made into objects at a time
START = 3.0  # standard deviation of a, in standard deviations of the loss of one symbol
PLACES = ("number", "start", "stop", "n")
RECORD = np.dtype([*((name, "i8") for name in PLACES), ("nats", "f8"), ("alone", "f8")])


def _nothing(symbols: int) -> None:
    pass


@dataclass(frozen=True)
class Line:
    """A line of a text, or an item: -log p(line and the newline that ends it | newline).

    exp(-total_nats) over all lines sums to 1. (A model without a newline reads `silent_symbol` instead, and the
    end of the line is not predicted.)

    expected_nats : the fitted loss of a line of this length
    surprise : total_nats - expected_nats, in standard deviations for this length; None if there are fewer than
        three lines or the fit leaves no residuals
    alone_nats : total_nats of the models alone, where counts are mixed in
    """

    number: int  # of the line or item, from 1
    start: int  # place of its first symbol in the text
    stop: int  # place of its newline or end, or the end of the text
    predictions: int
    total_nats: float
    expected_nats: float
    surprise: float | None
    alone_nats: float | None = None

    @property
    def loss_nats(self) -> float:
        """Mean loss per prediction."""
        return self.total_nats / self.predictions

    def to_json(self, unit: str = "line") -> dict[str, Any]:
        """unit : "line" or "item" """
        alone = self.alone_nats
        beside = {} if alone is None else {"network_loss_nats": alone / self.predictions}
        return {
            unit: self.number,
            "chars": self.predictions,
            "loss_nats": self.loss_nats,
            "bits_per_char": in_bits(self.loss_nats),
            "log_probability_nats": -self.total_nats,
            "expected_nats": self.expected_nats,
            "surprise": self.surprise,
            **beside,
        }


class LengthFit:
    """The expected loss of a line by its length, fitted from sums over lines, so no line is kept."""

    def __init__(self) -> None:
        self._sums = np.zeros(6)

    def add(self, n: np.ndarray, nats: np.ndarray) -> None:
        """Add lines: their numbers of predictions n (k,) and total losses (k,)."""
        sums = [len(n), (1 / n).sum(), n.sum(), (nats / n).sum(), nats.sum(), (nats**2 / n).sum()]
        self._sums += np.array(sums, np.float64)

    def coefficients(self) -> tuple[float, float, float]:
        """a, b and s; s is 0 if it cannot be estimated."""
        N, w, n, yw, y, yyw = self._sums.tolist()
        if not N:
            return 0.0, 0.0, 0.0
        w0 = w + START**-2
        determinant = w0 * n - N * N
        a, b = (yw * n - N * y) / determinant, (w0 * y - N * yw) / determinant
        rest = yyw - 2 * (a * yw + b * y) + a * a * w + 2 * a * b * N + b * b * n
        known = N > 2 and rest > 1e-12 * yyw  # less is rounding
        return a, b, math.sqrt(rest / (N - 2)) if known else 0.0


class LineScores:
    """The scores of a text's non-blank lines, on disk if there are many. Use it in a `with` block.

    mixed : whether they are those of a mixture
    """

    def __init__(self, mixed: bool = False) -> None:
        self.lines = 0
        self._mixed = mixed
        self._spool = Spool(RECORD)
        self._fit = LengthFit()

    def __enter__(self) -> "LineScores":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.__exit__(kind, error, trace)

    def add(self, records: np.ndarray) -> None:
        self.lines += len(records)
        self._spool.append(records)
        self._fit.add(records["n"], records["nats"])

    def in_order(self) -> Iterator[Line]:
        """The lines in the order of the text."""
        for block in self._spool.blocks():
            yield from self._made(block)

    def ranked(self) -> Iterator[Line]:
        """The most surprising lines first, at most RANKED; equally surprising ones in the order of the text."""
        best = np.empty(0, RECORD)
        for block in self._spool.blocks():
            best = np.concatenate([best, block])
            if len(best) > RANKED:
                best = best[self._order(best)[:RANKED]]
        order = self._order(best)
        for begin in range(0, len(order), AT_ONCE):
            yield from self._made(best[order[begin : begin + AT_ONCE]])

    def _order(self, records: np.ndarray) -> np.ndarray:
        a, b, _ = self._fit.coefficients()
        excess = (records["nats"] - a - b * records["n"]) / np.sqrt(records["n"])
        return np.lexsort((records["number"], -excess))

    def _made(self, records: np.ndarray) -> Iterator[Line]:
        a, b, s = self._fit.coefficients()
        for number, start, stop, n, nats, alone in records.tolist():
            expected = a + b * n
            surprise = (nats - expected) / (s * math.sqrt(n)) if s else None
            yield Line(number, start, stop, n, nats, expected, surprise, alone if self._mixed else None)


@blas_threads()
def score_lines(
    models: Sequence[Model],
    ids: np.ndarray,
    progress: Callable[[int], None] = _nothing,
    mixture: Mixture | None = None,
) -> LineScores:
    """Score the non-blank lines of a text; the probabilities of several models are averaged.

    ids : (N,) may be memory-mapped; memory does not grow with N
    progress : called with the number of symbols just scored
    mixture : static; counts too look no further back than to the newline before the line

    Raises ModelError for outputs that are not finite, CharRNNError if there is no space for temporary files.
    """
    vocab = same_vocabulary(models)
    first = silent_symbol(vocab)
    ends_lines = vocab.decode([first]) == "\n"
    blank = _blank(vocab)
    scores = LineScores(mixture is not None)
    try:
        for number, starts, stops in _line_blocks(ids, first if ends_lines else None):
            begin, end = int(starts[0]), int(stops[-1])
            written = np.add.reduceat(~blank[ids[begin : end + 1]], starts - begin) > 0
            records = np.zeros(int(written.sum()), RECORD)
            records["number"] = (number + np.arange(len(starts)))[written]
            records["start"], records["stop"] = starts[written], stops[written]
            records["n"] = records["stop"] - records["start"] + int(ends_lines)
            if mixture is not None:
                _mix(records, models, _as_items(ids, records, first), mixture, progress)
                scores.add(records)
                continue
            order = np.argsort(records["n"], kind="stable")
            for at in range(0, len(order), ROWS):  # lines of about the same length side by side
                rows = order[at : at + ROWS]
                # The network keeps buffers for each shape, so use few shapes: some lines are read more than once.
                filled = rows[np.minimum(np.arange(1 << (len(rows) - 1).bit_length()), len(rows) - 1)]
                totals = _totals(models, ids, records[filled], first, progress, len(rows))
                records["nats"][rows] = totals[: len(rows)]
            scores.add(records)
    except BaseException:
        scores.__exit__(None, None, None)
        raise
    return scores


@blas_threads()
def score_items(
    models: Sequence[Model],
    items: Items,
    progress: Callable[[int], None] = _nothing,
    mixture: Mixture | None = None,
) -> LineScores:
    """The same for items: each is read after its condition, and its end is counted."""
    scores = LineScores(mixture is not None)
    try:
        for begin in range(0, len(items), ITEMS_AT_ONCE):
            part = items[begin : begin + ITEMS_AT_ONCE]
            records = np.zeros(len(part), RECORD)
            records["number"] = 1 + begin + np.arange(len(part))
            records["start"], records["stop"] = part.starts + part.conditions, part.stops - 1
            records["n"] = part.scored
            if mixture is None:
                records["nats"] = item_losses(models, part, progress)
            else:
                _mix(records, models, part, mixture, progress)
            scores.add(records)
    except BaseException:
        scores.__exit__(None, None, None)
        raise
    return scores


def _as_items(ids: np.ndarray, records: np.ndarray, first: int) -> Items:
    """Some lines, each after the symbol `first`, which also ends it where its end is predicted."""
    stops = np.cumsum(records["n"] + 1)
    starts, lengths = stops - records["n"] - 1, records["stop"] - records["start"]
    flat = np.full(int(stops[-1]) if len(stops) else 0, first, ids.dtype)
    flat[runs(starts + 1, lengths)] = ids[runs(records["start"], lengths)]
    return Items(flat, starts, stops, np.ones(len(records), np.int32))


def _mix(
    records: np.ndarray,
    models: Sequence[Model],
    part: Items,
    mixture: Mixture,
    progress: Callable[[int], None],
) -> None:
    """Put the loss of each item by a mixture, and by the models alone, into its record."""
    if not len(part):
        return
    alone: list[np.ndarray] = []
    mixed = [*mixed_surprises(models, part, mixture, progress, alone.append)]
    firsts = np.cumsum(part.scored) - part.scored
    for name, losses in (("nats", mixed), ("alone", alone)):
        records[name] = np.add.reduceat(np.concatenate(losses), firsts, dtype=np.float64)


def _blank(vocab: Vocabulary) -> np.ndarray:
    """Whether each symbol is white space (V,)."""
    return np.array(
        [chr(s).isspace() and s < 128 if isinstance(s, int) else s.isspace() for s in vocab.symbols]
    )


def _line_blocks(ids: np.ndarray, newline: int | None) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The lines that end in each WINDOW of a text: number of the first, starts and stops (k,)."""
    begin, number = 0, 1
    for start in range(0, len(ids), scoring.WINDOW):
        stops = start + np.flatnonzero(ids[start : start + scoring.WINDOW] == newline)
        if newline is not None and len(stops):
            yield number, np.r_[begin, stops[:-1] + 1], stops
            begin, number = int(stops[-1]) + 1, number + len(stops)
    if begin < len(ids):  # the last line has no newline
        yield number, np.array([begin]), np.array([len(ids)])


def _totals(
    models: Sequence[Model],
    ids: np.ndarray,
    records: np.ndarray,
    first: int,
    progress: Callable[[int], None],
    counted: int,
) -> np.ndarray:
    """Total losses of the first `counted` lines; the symbol `first` is read before each line and ends it."""
    starts, n = records["start"], records["n"]
    total = np.zeros(len(starts))
    states = [model.network.zero_state(len(starts)) for model in models]
    before = np.full((1, len(starts)), first, np.intp)
    for begin in range(0, int(n.max()), STEPS):
        t = np.arange(begin, begin + STEPS)[:, None]
        targets = ids[np.minimum(starts + t, len(ids) - 1)].astype(np.intp)
        targets[starts + t >= len(ids)] = first  # the last line may have no newline
        losses = []
        with np.errstate(over="ignore", invalid="ignore"):
            for k, model in enumerate(models):
                (nats,), states[k] = model.network.losses(np.r_[before, targets[:-1]], targets, states[k])
                losses.append(nats)
            averaged = np.where(t < n, mean_probability(losses), 0)
            total += averaged.sum(axis=0, dtype=np.float64)
        before = targets[-1:]
        progress(int(np.clip(n[:counted] - begin, 0, STEPS).sum()))
    if not np.isfinite(total).all():
        raise ModelError(NOT_FINITE)
    return total
