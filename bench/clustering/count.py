"""Estimating the number of clusters, for a pool whose number of classes is not known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.clustering.kmeans import fit_kmeans
from bench.data import Arrays
from bench.errors import DataError
from bench.identity import derive_seed
from bench.knn import unit_rows
from bench.progress import Progress

SAMPLE = 2000
"""Size of the sample; all distances inside it are in memory at once."""
IMAGES_PER_CLUSTER = 10
"""Least number of sampled images per cluster; a convention."""
STEP = 2**0.25
"""Ratio of successive candidates; a convention."""


def estimate_num_clusters(embeddings: NDArray[np.floating], *, seed: int, progress: Progress | None = None) -> Arrays:
    """Return the number of clusters with the highest mean silhouette; no label is read.

    Rousseeuw 1987, for k-means (3 starts) on at most 2,000 random L2-normalised embeddings. The candidates are a
    geometric grid from 2 to a tenth of the sample with a ratio of about 1.19. So the estimate is at most 200, and above
    6 it does not distinguish neighbouring numbers.

    Args:
        embeddings: [N, D], finite.
        seed: seed of the cell, which draws the sample and the starts.
        progress: called with (candidates tried, K).

    Returns:
        ``num_clusters`` int64 [], where ties go to the smallest; ``candidates`` int64 [K], ascending; ``silhouettes``
        float64 [K], high = good, -1 if k-means found a single cluster.

    Raises:
        DataError: fewer than 20 images, or fewer than 2 distinct directions.
    """
    from sklearn.metrics import pairwise_distances, silhouette_score

    count_seed = derive_seed(seed, "cluster-count") % 2**32
    size = min(len(embeddings), SAMPLE)
    candidates = candidate_counts(size)
    if not len(candidates):
        raise DataError(
            f"the number of clusters cannot be estimated from {len(embeddings)} images, at least "
            f"{2 * IMAGES_PER_CLUSTER} are needed; give num_clusters."
        )
    sample = np.sort(np.random.default_rng(count_seed).choice(len(embeddings), size, replace=False))
    points = unit_rows(embeddings[sample])
    # Once for all candidates: ``silhouette_score`` would compute them for each.
    distances = pairwise_distances(points)
    np.fill_diagonal(distances, 0)  # silhouette_score refuses the small numbers that rounding leaves there
    silhouettes = np.full(len(candidates), -1.0)
    for number, count in enumerate(candidates):
        labels = fit_kmeans(points, int(count), seed=count_seed, inits=3).labels_
        if len(np.unique(labels)) > 1:
            silhouettes[number] = silhouette_score(distances, labels, metric="precomputed")
        if progress is not None:
            progress(number + 1, len(candidates))
    if silhouettes.max() == -1:
        raise DataError("the number of clusters cannot be estimated: all embeddings point the same way.")
    # ``argmax`` takes the first of equals, so the smallest.
    best = candidates[silhouettes.argmax()]
    return {"num_clusters": np.array(best), "candidates": candidates, "silhouettes": silhouettes}


def candidate_counts(size: int) -> NDArray[np.int64]:
    """Return the geometric grid for a sample of ``size`` images: int64 [K], unique, ascending, 2 to size / 10."""
    most = size // IMAGES_PER_CLUSTER
    if most < 2:
        return np.empty(0, dtype=np.int64)
    steps = int(np.floor(np.log(most / 2) / np.log(STEP))) + 1
    return np.unique(np.rint(2 * STEP ** np.arange(steps)).astype(np.int64))
