"""Does a cell follow a concept, or another one beside it? Its score where the other is on, and where it is off.

A cell of "in a quotation, or in a parenthesis, but not in both" has an AUC of .755 for quotations. Among the places in
parentheses it says the opposite. Where a concept is only in step with another one, its cell has nothing to say within
either stratum.
"""

from collections.abc import Iterable

import numpy as np

from charrnn.interpret.labels import Label
from charrnn.interpret.scores import class_runs, excess, score

FEWEST_RUNS = 15  # of either class within a stratum
SAME = 0.95  # agreement, or |2·AUC − 1|, above which two concepts say the same


def weakest_stratum(
    signal: np.ndarray, sign: int, label: Label, others: Iterable[Label], part: slice
) -> tuple[float, str]:
    """The lowest of a cell's scores within the strata of other concepts, along its sign, and the stratum's name.

    The scale is that of ``excess``. Strata are where another concept is on or off (a count is on above 0) often enough:
    NaN and no name if none is.
    """
    lowest, name = float("nan"), ""
    values, its = label.values[part], None if label.stretches is None else label.stretches[part]
    for other in others:
        if other.name == label.name:
            continue
        for on in (False, True):
            within = label.mask[part] & other.mask[part] & ((other.values[part] > 0) == on)
            if min(class_runs(values, within, label.kind, its)) < FEWEST_RUNS or _same(label, other, part):
                continue
            found = sign * float(excess(score(signal[part], values, within, label.kind), label.kind))
            if np.isfinite(found) and not found >= lowest:
                lowest, name = found, f"{other.name} {'on' if on else 'off'}"
    return lowest, name


def _same(label: Label, other: Label, part: slice) -> bool:
    """Whether another concept says the same, or less: a bool as another bool, a count above 0, what a count tells."""
    both = label.mask[part] & other.mask[part]
    if not both.any():
        return True
    values, on = label.values[part][both], other.values[part][both] > 0
    if np.mean((values > 0) == on) > SAME:
        return True
    told = float(excess(score(values.astype(float), on, np.ones(len(on), bool), "bool"), "bool"))
    return bool(abs(told) > SAME)
