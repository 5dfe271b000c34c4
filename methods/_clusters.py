"""k-means with few or very many clusters, and taking images from clusters in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import fit_kmeans

from ._groups import proportional_quotas

# A convention. It is TypiClust's largest number of clusters too, so that its clusters stay those of one k-means.
_FLAT = 500
"""From more clusters than this on, k-means runs on two levels."""


def cluster(
    rows: NDArray[np.floating], clusters: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cluster by k-means; above 500 clusters on two levels, since N * n * D operations a step would take hours.

    The first level has about sqrt(n) clusters, and each of these is cut into a number of clusters in proportion to its
    size (at least one), by k-means again.

    Args:
        rows: [N, D], finite. Not modified.
        clusters: n, 1 to N.
        rng: seeds k-means.

    Returns:
        labels int64 [N] in [0, n), of which some may not occur (fewer distinct rows than n), and the Euclidean
        distance of every row to the mean of its cluster, float64 [N].
    """
    if clusters <= _FLAT:
        labels = _kmeans(rows, clusters, rng)
    else:
        labels = np.empty(len(rows), dtype=np.int64)
        # Renumbered: k-means leaves clusters empty where there are few distinct rows, and an empty one gets no quota.
        _, coarse, sizes = np.unique(_kmeans(rows, round(clusters**0.5), rng), return_inverse=True, return_counts=True)
        # One for each, and the rest by size - 1: so no quota is above the size of its cluster.
        quotas = 1 + proportional_quotas(sizes - 1, clusters - len(sizes), rng)
        for number, (quota, first) in enumerate(zip(quotas, np.cumsum(quotas) - quotas, strict=True)):
            members = np.flatnonzero(coarse == number)
            labels[members] = first + _kmeans(rows[members], int(quota), rng)
    return labels, _from_means(rows, labels, clusters)


def _kmeans(rows: NDArray[np.floating], clusters: int, rng: np.random.Generator) -> NDArray[np.int64]:
    # One start: ten cost five to ten times as much, and the images chosen were no better (CIFAR-10, 10 to 50 clusters).
    return fit_kmeans(rows, clusters, seed=int(rng.integers(2**31)), inits=1).labels_.astype(np.int64)


def _from_means(rows: NDArray[np.floating], labels: NDArray[np.int64], clusters: int) -> NDArray[np.float64]:
    """Distance of every row to the mean of the rows with its label, float64 [N]."""
    # The means of the final labels, not k-means's centres: those of the first level belong to no final cluster.
    distances = np.zeros(len(rows))
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(labels, minlength=clusters))[:-1]):
        # In float64, since images of a cluster are told apart by small differences of these distances.
        inside = rows[members].astype(np.float64)
        if len(members):
            distances[members] = np.linalg.norm(inside - inside.mean(0), axis=1)
    return distances


def in_turn(labels: NDArray[np.integer], distance: NDArray[np.floating], *, smallest: int = 1) -> NDArray[np.int64]:
    """Order all images: the first of every cluster, the largest cluster first, then the second of every cluster, ...

    Args:
        labels: [N] cluster numbers from 0.
        distance: [N]; in each cluster the nearest comes first, of equal ones the smaller index.
        smallest: clusters of fewer images come after all others.

    Returns:
        int64 [N], a permutation; of clusters of equal size that with the smaller number comes first.
    """
    sizes = np.bincount(labels)
    inside = np.lexsort((distance, labels))
    turn = np.empty(len(labels), dtype=np.int64)
    # The place of each image in its own cluster, from 0: its position in the sorted list less where the cluster begins.
    turn[inside] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # lexsort sorts by the last key first: small clusters at the end, then the turn, then large clusters before small.
    return np.lexsort((labels, -sizes[labels], turn, sizes[labels] < smallest))
