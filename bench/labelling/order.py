"""In which order to label a coreset, so that stopping early still leaves a varied set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def round_robin(clusters: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Take one item of each cluster in turn, until none is left.

    Inside a cluster the order is random: a coreset has no best image, and labelling the hardest first would make an
    early stop end with hard images alone.

    Args:
        clusters: int64 [n], cluster number of each item.
        rng: draws the order inside the clusters, and of the clusters in each turn.

    Returns:
        int64 [n], a permutation: any first m of it have at most one item more of a cluster than of another that still
        has items left.
    """
    shuffled = rng.permutation(len(clusters))
    by_cluster = shuffled[np.argsort(clusters[shuffled], kind="stable")]
    _, starts, sizes = np.unique(clusters[by_cluster], return_index=True, return_counts=True)
    turn = np.empty(len(clusters), dtype=np.int64)
    turn[by_cluster] = np.arange(len(clusters)) - np.repeat(starts, sizes)
    again = rng.permutation(len(clusters))
    return again[np.argsort(turn[again], kind="stable")]
