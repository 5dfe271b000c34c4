"""k-means sampling: the image nearest to each of n k-means centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, check_finite, register_method, unit_rows

from ._clusters import cluster, in_turn


@register_method(
    "kmeans-sampling",
    supervision="none",
    needs=("embeddings",),
    paper="Xu et al. 2003, 10.1007/3-540-36618-0_28 (Representative sampling)",
    stochastic=True,
)
def kmeans_sampling(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Cluster the L2-normalised embeddings into n clusters by k-means and keep the image nearest to each centre.

    Known as k-means sampling in active learning (Xu et al. 2003; ``KMeansSampling`` of common libraries). Deviation:
    all images are candidates, where the paper restricts them by a classifier's margin. Above 500 clusters, k-means
    runs on two levels: about sqrt(n) clusters, each of which is clustered again. If there are fewer than n distinct
    images, clusters give their next nearest images too.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: seeds k-means and breaks ties.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # Shuffled: ``in_turn`` takes the smaller index of equally near images; data sets are often stored by class.
    order = rng.permutation(len(pool))
    rows = unit_rows(pool.embeddings)[order]
    labels, distance = cluster(rows, budget, rng)
    return order[in_turn(labels, distance)[:budget]]
