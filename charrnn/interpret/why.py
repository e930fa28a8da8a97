"""Why a model expected a character: the parts that earlier characters, and cells, have in the log-odds.

    F = log p(C) - log p(D) = w · h + b[C] - b[D],      w = W[C] - W[D]

C is the target and D the character it is compared with; h is the output of the last layer after the last character
before the place, W and b are the head's. The sum over all symbols in the softmax cancels, so that F is linear in h.

Characters, by two kinds of occlusion, each of which is F minus the F of a text in which one character is another:
    replaced    x[s] becomes x̃[s] = Σ_v p(v) x_v, the mean input by the model's own prediction p of the symbol there
    removed     the text goes on without it
and by integrated gradients (charrnn.interpret.integrated), which share out F(x) - F(x') among them. The baseline x' has
the same input at every place: x̄ = mean of x̃[s] over the characters that are explained. So it lies amid what
the model reads, and tells it nothing of which character stood where; a zero vector would be no character at all.

Cells of the last layer: the part w[k] h[k] of each in F is exact, and w[k] (h[k] - h'[k]), the change against the
baseline, shares out the same F(x) - F(x'). The characters' parts in a cell's change are its own integrated gradients.
Layers below act through these cells alone, and so do the characters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError, UsageError
from charrnn.interpret.integrated import TOLERANCE, integrated_gradients
from charrnn.interpret.reading import Reading, character_names
from charrnn.interpret.recording import advance
from charrnn.model.model import Model, plain_copy
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Network
from charrnn.text.escapes import unescape
from charrnn.text.vocabulary import Vocabulary

CONTEXT = 200  # characters explained: what stands before them is read, and its state held
CELLS = 3  # whose changes are shared out among the characters


@dataclass(frozen=True)
class CellPart:
    """The part of cell `cell` of the last layer in the log-odds, in nats.

    contribution : w[k] h[k]; change : w[k] (h[k] - h'[k])
    characters : (N,), the integrated gradients of the change; None if it was not shared out
    """

    cell: int
    contribution: float
    change: float
    characters: np.ndarray | None = None


@dataclass(frozen=True)
class Why:
    """Why C rather than D, in nats of log p(C) - log p(D).

    text, names : the N characters explained, and what each is called; place : that of the character after them
    target, against : the names of C and D, and their probabilities
    log_odds, baseline_log_odds : F, and F of the baseline
    replaced, removed, integrated : (N,) the parts of the characters
    cells : all of the last layer, the largest change first; bias : b[C] - b[D]
    completeness_error : |sum of `integrated` - (log_odds - baseline_log_odds)|, or that of a cell where it is larger
    gradients : how many the integral took
    """

    text: str
    names: tuple[str, ...]
    place: int
    target: str
    target_probability: float
    against: str
    against_probability: float
    log_odds: float
    baseline_log_odds: float
    replaced: np.ndarray
    removed: np.ndarray
    integrated: np.ndarray
    layer: int
    cells: tuple[CellPart, ...]
    bias: float
    completeness_error: float
    gradients: int

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        columns = zip(self.names, self.replaced, self.removed, self.integrated, strict=True)
        return {
            "target": {"character": self.target, "probability": self.target_probability},
            "against": {"character": self.against, "probability": self.against_probability},
            "place": self.place,
            "log_odds_nats": self.log_odds,
            "baseline_log_odds_nats": self.baseline_log_odds,
            "completeness_error_nats": self.completeness_error,
            "gradients": self.gradients,
            "characters": [
                {
                    "place": place,
                    "character": character,
                    "replaced_nats": replaced,
                    "removed_nats": removed,
                    "integrated_nats": integrated,
                }
                for place, (character, replaced, removed, integrated) in enumerate(
                    columns, self.place - len(self.text)
                )
            ],
            "bias_nats": self.bias,
            "cells": [
                {
                    "layer": self.layer,
                    "cell": one.cell,
                    "contribution_nats": one.contribution,
                    "change_nats": one.change,
                    "characters_nats": one.characters,
                }
                for one in self.cells
            ],
        }


def symbol_of(vocab: Vocabulary, given: str, option: str) -> int:
    r"""The symbol that an option names: a character (\n, \t and \\ as in --stop), or end, that of an item.

    Of a model of bytes, the first byte of the character.

    Raises UsageError if it is no single character, DataError for a character that the model does not know.
    """
    if given == "end" and vocab.items is not None:
        return vocab.end
    character = unescape(given)
    if len(character) != 1:
        raise UsageError(
            f"{option} is {given!r}; it must be one character" + ", or end" * (vocab.items is not None)
        )
    try:
        return int(vocab.encode(character)[0])
    except DataError:
        raise DataError(f"{option} is {given!r}, a character that the model does not know") from None


@blas_threads()
def why(
    model: Model,
    before: Reading,
    target: int | None = None,
    against: int | None = None,
    *,
    place: int | None = None,
    context: int = CONTEXT,
    cells: int = CELLS,
    tolerance: float = TOLERANCE,
) -> Why:
    """Why the model expects a symbol after a text, in float64.

    before : what it reads before the place, as one stream, at least one character
    target, against : symbols; by default the likeliest one, and the likeliest one but the target
    place : of the character that is explained, as it is told; by default the number of characters before it
    context : how many characters are explained, the last ones; the state before them is held
    cells : how many of the last layer are explained by characters too; tolerance : of the integral

    Raises UsageError if target and against are the same or cannot be written, DataError for an empty text or one on
    which the network overflows.
    """
    if not len(before.text):
        raise DataError("there is no character before the place; nothing can be explained by earlier ones")
    network = plain_copy(model.network, np.float64)
    first = max(0, len(before.text) - context)
    begin = int(before.ends[first - 1]) + 1 if first else 0
    edges = np.r_[0, before.ends[first:] + 1 - begin]
    ids = before.ids[begin:].astype(np.intp)
    zero, nothing = model.network.zero_state(1), np.zeros(1, int)
    start = advance(model.network, before.ids, nothing, nothing + begin, zero).astype(np.float64)

    with np.errstate(over="ignore", invalid="ignore"):  # a ReLU network may overflow
        _, _, trace = network.forward(ids[:, None], start)
        h = np.concatenate([start[-1, 0], trace.top[:, 0]])  # (T+1, H), that before each symbol and the last
        states = np.array(
            [[one[f"{name}_prev"][:, 0] for name in network.cell.STATES] for one in trace.layers]
        )
        W, b = network.params["head.weight"], network.params["head.bias"]
        p = np.exp(log_softmax(h @ W.T + b))
    if not np.isfinite(p).all():
        raise DataError("the network overflows on this text: its predictions are not numbers")
    C, D = _contrast(model.vocab, p[-1], target, against)
    w, bias = W[C] - W[D], float(b[C] - b[D])

    expected = _inputs(network, p[:-1])  # (T, F), x̃
    replaced, removed = (
        after @ w + bias for after in _occluded(network, ids, states, expected, edges[:-1], edges[1:])
    )
    baseline = np.broadcast_to(expected.mean(axis=0), expected.shape)
    without = network.forward(baseline[:, None], start)[2].top[-1, 0].copy()
    log_odds, contributions, changes = h[-1] @ w + bias, w * h[-1], w * (h[-1] - without)
    order = np.argsort(-np.abs(changes), kind="stable")
    chosen = order[:cells]
    weights = np.concatenate([w[None], w * np.eye(len(w))[chosen]])
    found = integrated_gradients(
        network, _inputs(network, np.eye(len(b))[ids]), baseline, start, weights, tolerance=tolerance
    )
    parts = np.add.reduceat(found.parts, edges[:-1], axis=1)  # (D, N)
    shared = dict(zip(chosen.tolist(), parts[1:], strict=True))
    return Why(
        text=before.text[first:],
        names=tuple(character_names(model, before)[first:]),
        place=len(before.text) if place is None else place,
        target=model.vocab.name(C),
        target_probability=float(p[-1, C]),
        against=model.vocab.name(D),
        against_probability=float(p[-1, D]),
        log_odds=float(log_odds),
        baseline_log_odds=float(without @ w + bias),
        replaced=log_odds - replaced,
        removed=log_odds - removed,
        integrated=parts[0],
        layer=model.config.layers - 1,
        cells=tuple(
            CellPart(k, float(contributions[k]), float(changes[k]), shared.get(k)) for k in order.tolist()
        ),
        bias=bias,
        completeness_error=float(found.errors.max()),
        gradients=found.gradients,
    )


def _contrast(vocab: Vocabulary, p: np.ndarray, target: int | None, against: int | None) -> tuple[int, int]:
    """C and D, where they are not given the likeliest ones."""
    written = p[: vocab.written]
    for symbol in (target, against):
        if symbol is not None and symbol >= len(written):
            raise UsageError(f"{vocab.name(symbol)} is read by the model and never written")
    if len(written) < 2:
        raise UsageError("the model writes a single symbol; there is no other to compare it with")
    C = int(np.argmax(written)) if target is None else target
    others = np.where(np.arange(len(written)) == C, -1, written)
    D = int(np.argmax(others)) if against is None else against
    if C == D:
        raise UsageError(f"--target and --against are both {vocab.name(C)!r}; give two characters")
    return C, D


def _inputs(network: Network, shares: np.ndarray) -> np.ndarray:
    """The mean input (N, F) of the first layer where symbols have these shares (N, V)."""
    return shares @ network.params["embedding.weight"] if network.config.embedding else shares


def _occluded(
    network: Network,
    ids: np.ndarray,
    states: np.ndarray,
    expected: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The last outputs (N, H) after the text ids (T,) with each of N characters replaced, and with it removed.

    states : (L, S, T, H) before each symbol; expected : (T, F), read in place of one; starts, stops : symbols of each
    character
    """
    removed = states[:, :, starts]
    replaced, place = removed.copy(), starts.copy()
    while (here := place < stops).any():
        _, replaced[:, :, here], _ = network.forward(expected[place[here]][None], replaced[:, :, here])
        place[here] += 1
    N = len(starts)
    both = np.concatenate([replaced, removed], axis=2)
    stops = np.tile(stops, 2)
    last = advance(network, ids, stops, np.full(2 * N, len(ids)), both)[-1, 0]
    return last[:N], last[N:]
