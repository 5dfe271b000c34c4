"""k-means for any number of clusters, and an order that takes one image of each cluster in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import fit_kmeans

from ._groups import proportional_quotas

# A convention. It equals TypiClust's largest number of clusters, so that TypiClust always gets a single k-means.
_FLAT = 500
"""Above this number of clusters, k-means runs on two levels."""


def cluster(
    rows: NDArray[np.floating], clusters: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cluster the rows by k-means, on two levels above 500 clusters.

    With many clusters one k-means would take hours (N * n * D operations a step). The first level then has about
    sqrt(n) clusters, and k-means splits each of these again, into a number of clusters proportional to its size (at
    least one).

    Args:
        rows: [N, D], finite. Not modified.
        clusters: n, 1 to N.
        rng: seeds k-means.

    Returns:
        Labels int64 [N] in [0, n), and the Euclidean distance of every row to the mean of its cluster, float64 [N].
        Some labels do not occur when there are fewer than n distinct rows.
    """
    if clusters <= _FLAT:
        labels = _kmeans(rows, clusters, rng)
    else:
        labels = np.empty(len(rows), dtype=np.int64)
        # Renumbered: k-means leaves clusters empty when there are few distinct rows; an empty one must get no quota.
        _, coarse, sizes = np.unique(_kmeans(rows, round(clusters**0.5), rng), return_inverse=True, return_counts=True)
        # One for each cluster and the rest by size - 1, so that no quota exceeds the size of its cluster.
        quotas = 1 + proportional_quotas(sizes - 1, clusters - len(sizes), rng)
        for number, (quota, first) in enumerate(zip(quotas, np.cumsum(quotas) - quotas, strict=True)):
            members = np.flatnonzero(coarse == number)
            labels[members] = first + _kmeans(rows[members], int(quota), rng)
    return labels, _from_means(rows, labels, clusters)


def _kmeans(rows: NDArray[np.floating], clusters: int, rng: np.random.Generator) -> NDArray[np.int64]:
    # One start: ten took five to ten times as long and chose no better images (CIFAR-10, 10 to 50 clusters).
    return fit_kmeans(rows, clusters, seed=int(rng.integers(2**31)), inits=1).labels_.astype(np.int64)


def _from_means(rows: NDArray[np.floating], labels: NDArray[np.int64], clusters: int) -> NDArray[np.float64]:
    """Return the distance of every row to the mean of the rows with its label, float64 [N]."""
    # The means of the final labels, not k-means's centres: centres of the first level belong to no final cluster.
    distances = np.zeros(len(rows))
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(labels, minlength=clusters))[:-1]):
        # In float64: images of one cluster are ranked by small differences of these distances.
        inside = rows[members].astype(np.float64)
        if len(members):
            distances[members] = np.linalg.norm(inside - inside.mean(0), axis=1)
    return distances


def in_turn(labels: NDArray[np.integer], distance: NDArray[np.floating], *, smallest: int = 1) -> NDArray[np.int64]:
    """Return an order of all images that visits the clusters in rounds, from the largest cluster to the smallest.

    The first round takes the nearest image of every cluster, the second round the second nearest, and so on.

    Args:
        labels: [N] cluster numbers from 0.
        distance: [N]; in each cluster the nearest image comes first. Ties go to the smaller index.
        smallest: clusters with fewer images come after all others.

    Returns:
        int64 [N], a permutation. Of clusters of equal size the one with the smaller number comes first.
    """
    sizes = np.bincount(labels)
    inside = np.lexsort((distance, labels))
    turn = np.empty(len(labels), dtype=np.int64)
    # The rank of each image in its own cluster, from 0: its position in the sorted list minus the cluster's start.
    turn[inside] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # lexsort sorts by the last key first: small clusters go last, then by round, then large clusters before small.
    return np.lexsort((labels, -sizes[labels], turn, sizes[labels] < smallest))
