"""What a model's state knows of a process: a linear map from the state to the exact belief.

    η[t] ≈ W s[t] + b,    s[t] the whole state after x[t]: h, and c of the LSTM, of every layer

η[t] is what a reader who knows the process can know of its hidden state after x[0], …, x[t] (text/process.py). W and b
are fitted by ridge regression on the first part of a text; its penalty is chosen on the end of that part. On the rest,
the share of the beliefs' variance that they explain is reported,

    R² = 1 - Σ_t ‖η[t] - W s[t] - b‖² / Σ_t ‖η[t] - mean η‖²

(Shai et al., "Transformers represent belief state geometry in their residual stream", 2024), and beside it that of two
regressions which know nothing of beliefs. Untrained networks of the same shape: any recurrent network echoes what it
read. And a control task (Hewitt and Liang, "Designing and interpreting probes with control tasks", 2019): each context,
the last K symbols, gets the belief of another, random one. K is the least with more contexts than the state has
numbers, so that a linear map cannot learn them by heart. The selectivity is the difference of both R².

A window of the last k symbols tells most of many beliefs, and any network echoes it. What it does not tell is measured
apart: from beliefs and states their means after the same k symbols are subtracted,

    η[t] - E[η | x[t-k+1], …, x[t]] ≈ W (s[t] - E[s | x[t-k+1], …, x[t]]),

which is linear regression beside all functions of the last k symbols (Frisch and Waugh 1933); R² is of what is left.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError
from charrnn.files.reading import read_file
from charrnn.model.model import Model
from charrnn.model.steps import Steps
from charrnn.nn.init import initialise
from charrnn.text.process_files import STATES, Truth, read_truth

SYMBOLS = 50_000  # of the text that are read
FEWEST = 1000
LARGEST = 10**8  # bytes of a text
WARM_UP = 50  # symbols at the beginning that are not used
PENALTIES = [10.0**k for k in range(-8, 3)]  # times the number of places
UNTRAINED = 5
CHOSEN_ON = 0.2  # of the part to fit on
LONGEST = 100  # symbols of a context
FEWEST_SEEN = 50  # held-out symbols whose context came before
LAST = 3  # symbols beyond which beliefs are looked for
LEAST_LEFT = 1e-6  # of the beliefs' variance: less is rounding


@dataclass(frozen=True)
class Beyond:
    """R² of what the last ``symbols`` symbols do not tell, of the model and of untrained networks; None if that is
    nothing. left : its share of the beliefs' variance"""

    symbols: int
    left: float
    r2: float | None
    untrained_r2: tuple[float, ...] | None


@dataclass(frozen=True)
class BeliefResult:
    """The result of `charrnn probe --beliefs`; R² are on held-out symbols, of the control task on known contexts.

    r2_by_state : of each hidden state's probability, None where that hardly changes; variance : of the beliefs, summed
    untrained_r2 : of several untrained networks; control_r2 : of the control task, whose contexts are so many symbols
    beyond : the last 1, 2, … LAST symbols; penalty : of the ridge regression
    """

    states: tuple[str, ...]
    numbers: int
    fitted_symbols: int
    held_out_symbols: int
    r2: float
    r2_by_state: tuple[float | None, ...]
    variance: float
    untrained_r2: tuple[float, ...]
    control_r2: float
    context_symbols: int
    contexts: int
    beyond: tuple[Beyond, ...]
    penalty: float
    seed: int

    @property
    def selectivity(self) -> float:
        return self.r2 - self.control_r2

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return fields | {"selectivity": self.selectivity}


def truth_of(path: Path) -> tuple[str, Truth]:
    """The text of a process and what is known of it. Raises DataError if they are missing or do not belong together."""
    truth = read_truth(path.with_name(path.stem + STATES))
    try:
        content = read_file(path, LARGEST)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if hashlib.sha256(content).hexdigest() != truth.sha256:
        raise DataError(
            f"{path} is not the text that {path.stem}{STATES} belongs to. Write both again: charrnn corpus process NAME"
        )
    text = content.decode(errors="replace")
    if len(text) != len(truth.states):
        raise DataError(f"{path} has {len(text):,} symbols and its states are {len(truth.states):,}")
    return text, truth


@blas_threads()
def fit_beliefs(
    model: Model, text: str, truth: Truth, *, held_out: float = 0.2, seed: int = 1
) -> BeliefResult:
    """Regress the beliefs on the model's state, on the first SYMBOLS of a text.

    held_out : share of the symbols, at the end, to measure on

    Raises DataError for a text that is too short, has unknown symbols, or never changes the belief.
    """
    if model.vocab.items is not None:
        raise DataError("a process writes one stream, and this model reads items. Name another --model")
    text = text[:SYMBOLS]
    if len(text) < FEWEST:
        raise DataError(
            f"the text has {len(text):,} symbols; at least {FEWEST:,} are needed. Write a longer one"
        )
    ids, beliefs = model.vocab.encode(text), truth.beliefs[: len(text)]
    cut = round(len(text) * (1 - held_out))
    parts = slice(WARM_UP, cut), slice(cut, len(text))
    if min(cut - WARM_UP, len(text) - cut) < WARM_UP:
        raise DataError(
            f"--held-out {held_out:g} of {len(text):,} symbols leaves too few to fit or to measure on"
        )
    if any(np.ptp(beliefs[part], axis=0).max() == 0 for part in parts):
        raise DataError(
            "the belief is the same after each symbol: there is nothing to find in the model's state"
        )
    rng = np.random.default_rng(seed)
    states = Steps(model).visited(ids)
    size = states.shape[1]
    K, codes = contexts(ids, size)
    if codes.max() + 1 <= size:
        raise DataError(
            f"this text has {codes.max() + 1:,} different contexts of {K} symbols, and the state has {size:,} numbers; "
            "the control task needs more contexts than that. Write a longer text, or name a smaller model"
        )
    fitted = _Ridge.fit(states[parts[0]], beliefs[parts[0]])
    errors, spread = fitted.errors(states[parts[1]], beliefs[parts[1]])
    controls = beliefs[rng.permutation(len(text))[codes]]  # of each context that of a random place
    seen = np.isin(codes, codes[parts[0]]) & (np.arange(len(text)) >= parts[1].start)
    if seen.sum() < FEWEST_SEEN:
        raise DataError(
            f"only {seen.sum():,} of the held-out symbols have a context that came before; the control task needs "
            f"{FEWEST_SEEN}. Write a longer text"
        )
    control = _Ridge.fit(states[parts[0]], controls[parts[0]])
    others = [_untrained(model, ids, k) for k in range(UNTRAINED)]
    return BeliefResult(
        truth.names,
        size,
        cut - WARM_UP,
        len(text) - cut,
        _share(errors.sum(), spread.sum()),
        tuple(_share(e, s) if s > 1e-9 * len(text) else None for e, s in zip(errors, spread, strict=True)),
        float(spread.sum() / (len(text) - cut)),
        tuple(_r2(other, beliefs, parts) for other in others),
        _share(*(part.sum() for part in control.errors(states[seen], controls[seen]))),
        K,
        int(codes.max()) + 1,
        tuple(
            _beyond(k, last, [states, *others], beliefs, parts)
            for k, last in enumerate(islice(_last_symbols(ids), LAST), 1)
        ),
        fitted.penalty,
        seed,
    )


def contexts(ids: np.ndarray, more_than: int) -> tuple[int, np.ndarray]:
    """The least K for which the last K symbols are more than so many different ones, and their number at each place.

    Places with fewer than K symbols before them are numbered as if the text went round. K is at most LONGEST.
    """
    each = enumerate(_last_symbols(ids), 1)
    return next((K, codes) for K, codes in each if K == LONGEST or codes.max() + 1 > more_than)


def _last_symbols(ids: np.ndarray) -> Iterator[np.ndarray]:
    """The number of the last K symbols at each place, for K = 1, 2, …"""
    codes = np.zeros(len(ids), np.int64)
    for K in count(1):
        pairs = codes * (int(ids.max()) + 1) + np.roll(ids, K - 1)
        codes = np.unique(pairs, return_inverse=True)[1].ravel()
        yield codes


def _untrained(model: Model, ids: np.ndarray, seed: int) -> np.ndarray:
    """The states of a network of the same shape that has learnt nothing."""
    steps = Steps(model)
    initialise(steps.network, np.random.default_rng(seed))
    return steps.visited(ids)


def _r2(states: np.ndarray, beliefs: np.ndarray, parts: tuple[slice, slice]) -> float:
    fitted = _Ridge.fit(states[parts[0]], beliefs[parts[0]])
    return _share(*(part.sum() for part in fitted.errors(states[parts[1]], beliefs[parts[1]])))


def _beyond(
    k: int, codes: np.ndarray, each: list[np.ndarray], beliefs: np.ndarray, parts: tuple[slice, slice]
) -> Beyond:
    """What the last k symbols, numbered by ``codes``, do not tell. each : states of the model, and of untrained ones

    Held-out places whose last symbols did not come before have no mean, and are left out.
    """
    known = np.isin(codes, codes[parts[0]])
    places = np.flatnonzero(known)
    cut = slice(*np.searchsorted(places, (parts[0].start, parts[0].stop)))
    within = cut, slice(cut.stop, len(places))
    fit = codes[parts[0]]
    counts = np.maximum(1, np.bincount(fit, minlength=codes.max() + 1))[:, None]

    def less_its_mean(values: np.ndarray) -> np.ndarray:
        means = np.zeros((len(counts), values.shape[1]))
        np.add.at(means, fit, values[parts[0]])
        return np.asarray(values[places] - (means / counts)[codes[places]])

    rest = less_its_mean(beliefs)
    left = float(
        (rest[within[1]] ** 2).sum() / ((beliefs[parts[1]] - beliefs[parts[1]].mean(axis=0)) ** 2).sum()
    )
    if left < LEAST_LEFT:
        return Beyond(k, left, None, None)
    r2, *others = (_r2(less_its_mean(states), rest, within) for states in each)
    return Beyond(k, left, r2, tuple(others))


def _share(errors: float, spread: float) -> float:
    """R²"""
    return float(1 - errors / spread)


@dataclass(frozen=True, eq=False)
class _Ridge:
    """y ≈ W x + b: the least Σ ‖y - W x - b‖² + N λ ‖W‖² for inputs scaled to a variance of 1."""

    weight: np.ndarray  # (F, K)
    bias: np.ndarray  # (K,)
    penalty: float

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> "_Ridge":
        """For x (N, F) and y (N, K); λ is the best of PENALTIES on the end of x when fitted on its beginning."""
        cut = round(len(x) * (1 - CHOSEN_ON))
        tried = cls._of(x[:cut], y[:cut], PENALTIES)
        losses = [one.errors(x[cut:], y[cut:])[0].sum() for one in tried]
        (chosen,) = cls._of(x, y, [PENALTIES[int(np.argmin(losses))]])
        return chosen

    @classmethod
    def _of(cls, x: np.ndarray, y: np.ndarray, penalties: list[float]) -> "list[_Ridge]":
        mean, scale, middle = x.mean(axis=0), x.std(axis=0), y.mean(axis=0)
        scale = np.where(scale > 1e-12, scale, 1)
        z = (x - mean) / scale
        values, vectors = np.linalg.eigh(z.T @ z / len(z))
        inner = vectors.T @ (z.T @ (y - middle)) / len(z)
        found = []
        for penalty in penalties:
            weight = vectors @ (inner / (np.maximum(values, 0) + penalty)[:, None]) / scale[:, None]
            found.append(cls(weight, middle - mean @ weight, penalty))
        return found

    def errors(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared errors and squared distances from the mean (K,) each, summed over the places."""
        return ((y - x @ self.weight - self.bias) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0)
