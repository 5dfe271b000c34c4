"""How many clusters embeddings have, for a pool whose number of classes is not known."""

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
"""Images that are looked at; all their distances to each other are held at once."""
IMAGES_PER_CLUSTER = 10
"""Images of the sample per cluster at least; a convention."""
STEP = 2**0.25
"""Each candidate is this many times the one before; a convention."""


def estimate_num_clusters(embeddings: NDArray[np.floating], *, seed: int, progress: Progress | None = None) -> Arrays:
    """Estimate the number of clusters by the highest mean silhouette; no label is read.

    Rousseeuw 1987, over k-means (3 starts) of at most 2,000 L2-normalised embeddings drawn at random. The candidates
    are a geometric grid from 2 to a tenth of the sample, each about 1.19 times the one before, so more than 200
    clusters are never found and neighbouring numbers above 6 are not told apart.

    Args:
        embeddings: [N, D], finite.
        seed: the cell's; it draws the sample and the starts.
        progress: called with (candidates tried, K).

    Returns:
        ``num_clusters`` int64 [], of equally good ones the smallest; ``candidates`` int64 [K], ascending;
        ``silhouettes`` float64 [K], high = good, -1 where k-means found a single cluster.

    Raises:
        DataError: fewer than 20 images, or fewer than 2 distinct directions.
    """
    from sklearn.metrics import pairwise_distances, silhouette_score

    own_seed = derive_seed(seed, "cluster-count") % 2**32
    size = min(len(embeddings), SAMPLE)
    candidates = candidate_counts(size)
    if not len(candidates):
        raise DataError(
            f"the number of clusters cannot be estimated from {len(embeddings)} images, at least "
            f"{2 * IMAGES_PER_CLUSTER} are needed; give num_clusters."
        )
    drawn = np.sort(np.random.default_rng(own_seed).choice(len(embeddings), size, replace=False))
    points = unit_rows(embeddings[drawn])
    # Once for all candidates: ``silhouette_score`` would compute them again for each.
    distances = pairwise_distances(points)
    np.fill_diagonal(distances, 0)  # rounding leaves small numbers there, which silhouette_score refuses
    silhouettes = np.full(len(candidates), -1.0)
    for number, count in enumerate(candidates):
        labels = fit_kmeans(points, int(count), seed=own_seed, inits=3).labels_
        if len(np.unique(labels)) > 1:
            silhouettes[number] = silhouette_score(distances, labels, metric="precomputed")
        if progress is not None:
            progress(number + 1, len(candidates))
    if silhouettes.max() == -1:
        raise DataError("the number of clusters cannot be estimated: all embeddings point the same way.")
    # The first of equals, so the smallest: fewer clusters explain the same.
    best = candidates[silhouettes.argmax()]
    return {"num_clusters": np.array(best), "candidates": candidates, "silhouettes": silhouettes}


def candidate_counts(size: int) -> NDArray[np.int64]:
    """Return the geometric grid for a sample of ``size`` images: int64 [K], unique, ascending, 2 to size / 10."""
    most = size // IMAGES_PER_CLUSTER
    if most < 2:
        return np.empty(0, dtype=np.int64)
    steps = int(np.floor(np.log(most / 2) / np.log(STEP))) + 1
    return np.unique(np.rint(2 * STEP ** np.arange(steps)).astype(np.int64))
