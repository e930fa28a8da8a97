"""Which characters a cell that follows a concept should make likelier, as the text itself shows.

    rise of the log-odds = log (a / (n − a)) − log (b / (m − b))

where ``a`` of the ``n`` characters that come next where the label is high are the target, and ``b`` of the ``m`` where
it is low. A concept's own target is a hint: it is among those tried, and the text may reverse its direction.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from charrnn.errors import UsageError
from charrnn.interpret.labels import Concept, Label
from charrnn.interpret.reading import END, characters_of
from charrnn.interpret.recording import Recording
from charrnn.model.model import Model

TARGETS = 8  # characters tried beside the hint
CLEAR = 3.0  # standard errors from which the text tells a direction
LARGE = 0.5  # nats from which a rise counts


@dataclass(frozen=True)
class Target:
    """Characters, and whether they should become more (1) or less (-1) likely where the label is high.

    log_odds : by how much they do on SELECT, in nats
    """

    characters: str
    direction: int
    log_odds: float


def symbol_ids(model: Model, characters: Iterable[str]) -> dict[str, int]:
    """The id of each character for which the vocabulary has a single symbol."""
    known = characters_of(model.vocab)[: model.vocab.unwritten.start]
    symbols = {s: k for k, s in enumerate(known) if s.isascii() or s == END or model.vocab.level == "char"}
    return {ch: symbols[ch] for ch in characters if ch in symbols}


def check_expectation(model: Model, concept: Concept) -> None:
    """Raise UsageError where a user expects characters of which the model has none, so that nothing could be tested."""
    told = concept.target
    if not concept.expectation_given or not isinstance(told, str) or symbol_ids(model, told):
        return
    alike = "".join(symbol_ids(model, told.swapcase()))
    hint = f"; upper and lower case differ, and it has one for {alike!r}" if alike else ""
    raise UsageError(f"--expect: the model has no single symbol for {told!r}{hint}")


def classes_of(recording: Recording, label: Label) -> np.ndarray:
    """Whether the label is low (0) or high (1) at each place (N,); -1 where it is neither, or does not count.

    A bool is high where it is on, a count in its highest third. Where the expectation holds after some character alone,
    as that of an indent after a newline, the last value before counts.
    """
    values, mask = label.values, label.mask
    if label.after:
        places = np.where(mask, np.arange(len(mask)), -1)
        last = np.maximum.accumulate(places)
        before = np.r_[-1, last[:-1]]
        mask = (before >= 0) & np.fromiter((ch in label.after for ch in recording.text), bool, len(mask))
        values = values[np.maximum(before, 0)]
    classes = np.full(len(values), -1, np.int8)
    if label.kind == "bool":
        classes[mask] = values[mask]
        return classes
    seen = values[recording.select][mask[recording.select]]
    if not len(seen) or seen.min() == seen.max():
        return classes
    low, high = np.quantile(seen, (1 / 3, 2 / 3), method="nearest")
    high = max(high, seen[seen > low].min() - 1) if low < seen.max() else seen.max() - 1
    low = min(low, high)
    classes[mask & (values <= low)] = 0
    classes[mask & (values > high)] = 1
    return classes


def targets_of(model: Model, recording: Recording, label: Label, classes: np.ndarray) -> list[Target]:
    """What to expect of a cell that follows a label: its hint, and the characters that the text of SELECT names.

    classes : as from ``classes_of``
    """
    part = slice(recording.select.start, recording.select.stop - 1)
    following = slice(part.start + 1, part.stop + 1)
    if label.stretches is None:
        joined = np.ones(part.stop - part.start, bool)
    else:  # the end of an item is expected in it
        its, next_its = label.stretches[part], label.stretches[following]
        ended = np.fromiter((ch == END for ch in recording.text[following]), bool, len(its))
        joined = (its >= 0) & ((its == next_its) | ended)
    codes = np.frombuffer(recording.text[following].encode("utf-32-le", "surrogatepass"), "<i4")
    kinds, codes = np.unique(codes, return_inverse=True)
    low, high = (
        np.bincount(codes[joined & (classes[part] == which)], minlength=len(kinds)).astype(float)
        for which in (0, 1)
    )
    names = [chr(k) for k in kinds]
    targets = []
    if hint := "".join(symbol_ids(model, label.target)):
        members = [k for k, name in enumerate(names) if name in hint]
        rise, errors = _rise(high[members].sum(), low[members].sum(), high.sum(), low.sum())
        clear = label.target_is_hint and abs(errors) >= CLEAR and abs(rise) >= LARGE
        targets.append(Target(hint, int(np.sign(rise)) if clear else label.direction, float(rise)))
    if label.target_is_hint and high.sum() and low.sum():
        rises, errors = _rise(high, low, high.sum(), low.sum())
        known = symbol_ids(model, names)
        order = [int(k) for k in np.argsort(-np.abs(errors), kind="stable")]
        told = [k for k in order if abs(errors[k]) >= CLEAR and abs(rises[k]) >= LARGE and names[k] in known]
        told = [k for k in told if names[k] != hint][:TARGETS]
        targets += [Target(names[k], int(np.sign(rises[k])), float(rises[k])) for k in told]
    return targets


def _rise(
    high: np.ndarray, low: np.ndarray, all_high: float, all_low: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rise of the log-odds of counts, and how many standard errors it is; half a character is added to each count."""
    cells = [np.asarray(one) + 0.5 for one in (high, all_high - high, low, all_low - low)]
    rise = np.log(cells[0] / cells[1]) - np.log(cells[2] / cells[3])
    return rise, rise / np.sqrt(sum(1 / one for one in cells))
