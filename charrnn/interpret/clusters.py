"""k-means: K centres, each the mean of the points that are nearer to it than to any other (Lloyd 1957, 1982).

The first centres are points drawn one by one with probability in proportion to the squared distance from those that
there are (Arthur and Vassilvitskii 2007).
"""

import numpy as np

ROUNDS = 50


def squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N, K) of points (N, D) and centres (K, D), up to rounding."""
    lengths = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
    return np.maximum(lengths - 2 * points @ centres.T, 0)


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The centre (N,) nearest to each point."""
    return squared_distances(points, centres).argmin(axis=1)


def k_means(points: np.ndarray, K: int, rng: np.random.Generator) -> np.ndarray:
    """At most K centres (K, D) of points (N, D): fewer where there are fewer different points, none without a point."""
    centres = points[rng.integers(len(points), size=1)]
    left = squared_distances(points, centres)[:, 0]
    while len(centres) < K and left.max() > 1e-12 * (1 + (points**2).sum(axis=1).max()):
        drawn = points[rng.choice(len(points), p=left / left.sum())][None]
        centres = np.concatenate([centres, drawn])
        left = np.minimum(left, squared_distances(points, drawn)[:, 0])
    own = nearest(points, centres)
    for _ in range(ROUNDS):
        members = np.eye(len(centres))[own]  # (N, K)
        counts = members.sum(axis=0)
        means = members.T @ points / np.maximum(counts, 1)[:, None]
        centres = np.where(counts[:, None] > 0, means, centres)
        before, own = own, nearest(points, centres)
        if (before == own).all():
            break
    return centres[np.unique(own)]
