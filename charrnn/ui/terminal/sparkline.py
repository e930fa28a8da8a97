"""Values as a line of small bars."""

from collections.abc import Sequence
from itertools import pairwise


def sparkline(values: Sequence[float], width: int, bars: str) -> str:
    """The values as a line of at most `width` bars, lowest to highest; neighbours are averaged to fit."""
    if not values:
        return ""
    if len(values) > width:
        edges = [round(k * len(values) / width) for k in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    scale = (len(bars) - 1) / (high - low) if high > low else 0
    return "".join(bars[round((value - low) * scale)] for value in values)
