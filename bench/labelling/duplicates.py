"""Near-duplicates: of images that look almost the same, one is enough to label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.knn import nearest_neighbors
from bench.pool import Neighbors

_LISTED = 20


def without_duplicates(embeddings: NDArray[np.float32], similarity: float, *, threads: int = 1) -> NDArray[np.int64]:
    """Leave out every item that is nearly the same as an earlier one that stays.

    Args:
        embeddings: float32 [N, D], finite.
        similarity: cosine similarity from which two items count as the same, in (0, 1].
        threads: CPU threads of the neighbour search.

    Returns:
        int64, ascending positions of the items that stay: no two of them are that similar, and each of the others is
        that similar to one that stays.
    """
    kept = np.arange(len(embeddings))
    while len(kept) > 1:
        k = min(_LISTED, len(kept) - 1)
        neighbors = nearest_neighbors(embeddings[kept], k, "cosine", threads=threads)
        stays = first_of_each(neighbors, similarity)
        # A list that is full of duplicates may end before the last one, so what is left is searched again.
        full = k < len(kept) - 1 and (neighbors.distances[:, -1] <= _distance(similarity)).any()
        kept = kept[stays]
        if not full:
            break
    return kept


def first_of_each(neighbors: Neighbors, similarity: float) -> NDArray[np.bool_]:
    """Go through the items in order and keep each that has no near-duplicate, by either's list, among those kept.

    Args:
        neighbors: cosine neighbours of N items.
        similarity: as in ``without_duplicates``.

    Returns:
        bool [N].
    """
    rows, columns = np.nonzero(neighbors.distances <= _distance(similarity))
    pairs = np.stack([rows, neighbors.indices[rows, columns]])
    later, earlier = pairs.max(axis=0), pairs.min(axis=0)
    kept = np.ones(len(neighbors.indices), dtype=bool)
    for place in np.lexsort((earlier, later)):
        if kept[earlier[place]]:
            kept[later[place]] = False
    return kept


def _distance(similarity: float) -> float:
    """Between unit vectors: |a - b|^2 = 2 - 2 a.b; the slack covers the rounding of float32."""
    return float(np.sqrt(max(0.0, 2 - 2 * similarity))) + 1e-6
