"""Labelings of a pool by clusterings that no method's score uses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.clustering.kmeans import fit_kmeans
from bench.identity import derive_seed
from bench.knn import unit_rows

COMPONENTS = 64
"""Principal components that are clustered; with more, k-means mostly follows noise and takes longer."""
STARTS = 3
"""Labelings for each number of clusters; a single one would favour coresets that happen to suit its boundaries."""


def cluster_numbers(num_classes: int, size: int) -> list[int]:
    """Return half, once and twice the number of classes, so that coarse and fine differences both count."""
    numbers = (num_classes // 2, num_classes, 2 * num_classes)
    # A set, since few classes give the same number twice; at least 2, since anything predicts a single cluster.
    return sorted({min(max(2, count), size) for count in numbers})


def make_labelings(
    embeddings: NDArray[np.float32],
    num_classes: int,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.int64]:
    """Return several clusterings of the pool, by k-means on the principal components of the unit rows.

    Args:
        embeddings: float32 [N, D], finite.
        num_classes: C, approximate number of classes.
        seed: seed of the cell; it is used differently from pseudo-labels, so that no clustering judges itself.
        progress: called with (labelings done, labelings in all).

    Returns:
        int64 [L, N], one labeling a line, with ``STARTS`` for each of ``cluster_numbers``.
    """
    from sklearn.decomposition import PCA

    rows = unit_rows(embeddings)
    components = min(COMPONENTS, *rows.shape)
    pca_seed = derive_seed(seed, "labelings") % 2**32
    reduced = PCA(components, random_state=pca_seed).fit_transform(rows)
    runs = [(count, start) for count in cluster_numbers(num_classes, len(rows)) for start in range(STARTS)]
    labelings = np.empty((len(runs), len(rows)), dtype=np.int64)
    for number, (count, start) in enumerate(runs):
        start_seed = derive_seed(seed, "labelings", str(count), str(start)) % 2**32
        # One start each: with the best of several, labelings of the same number would be alike.
        labelings[number] = fit_kmeans(reduced, count, seed=start_seed, inits=1).labels_
        if progress is not None:
            progress(number + 1, len(runs))
    return labelings
