"""Labelings of a pool by clusterings that no method's score rests on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.clustering.kmeans import fit_kmeans
from bench.identity import derive_seed
from bench.knn import unit_rows

COMPONENTS = 64
"""Principal components that are clustered: beyond them k-means mostly follows noise, and takes longer."""
STARTS = 3
"""Labelings of each number of clusters: one alone would favour coresets that happen to suit its boundaries."""


def cluster_numbers(num_classes: int, size: int) -> list[int]:
    """Return half as many clusters as classes, as many, and twice as many: coarse and fine differences both count."""
    numbers = (num_classes // 2, num_classes, 2 * num_classes)
    # A set, as small numbers of classes give the same twice; one cluster would be predicted by anything.
    return sorted({min(max(2, count), size) for count in numbers})


def make_labelings(
    embeddings: NDArray[np.float32],
    num_classes: int,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.int64]:
    """Cluster the pool several times, by k-means on the principal components of the unit rows.

    Args:
        embeddings: float32 [N, D], finite.
        num_classes: C, about how many classes there are.
        seed: the cell's; another purpose than that of pseudo-labels, so that no clustering judges itself.
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
        # One start each: the best of several would make the labelings of one number alike.
        labelings[number] = fit_kmeans(reduced, count, seed=start_seed, inits=1).labels_
        if progress is not None:
            progress(number + 1, len(runs))
    return labelings
