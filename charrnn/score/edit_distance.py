"""Edit distance (Levenshtein): the fewest symbols to put in, take out or replace that make one sequence of another.

D(i, j) = min( D(i-1, j) + 1, D(i, j-1) + 1, D(i-1, j-1) + (a_i ≠ b_j) )
"""

from collections.abc import Hashable, Sequence

import numpy as np


def distances(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance (k,) from a sequence (n,) to each of k sequences of equal length (m, k)."""
    places = np.arange(len(others) + 1)[:, None]
    row = np.broadcast_to(places, (len(others) + 1, others.shape[1]))
    for i, symbol in enumerate(one, start=1):
        new = np.empty_like(row)
        new[0] = i
        np.minimum(row[1:] + 1, row[:-1] + (others != symbol), out=new[1:])
        row = np.minimum.accumulate(new - places, axis=0) + places  # D(i, j-1) + 1, along j
    return row[-1]


def distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """The distance between two sequences."""
    if one == other:
        return 0
    number = {symbol: k for k, symbol in enumerate(dict.fromkeys([*one, *other]))}
    ids = [np.array([number[symbol] for symbol in sequence], np.intp) for sequence in (one, other)]
    return int(distances(ids[0], ids[1][:, None])[0])
