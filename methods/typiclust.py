"""TypiClust (Hacohen et al. 2022): the most typical image of every cluster."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, register_method, unit_rows

from ._clusters import cluster, in_turn

SMALLEST = 5
"""Clusters of fewer images come last; the paper leaves them out."""
_CELLS = 2**22
"""Distances in memory at once: 16 MB of float32, whatever the size of a cluster."""


def mean_neighbor_distance(rows: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Return the mean Euclidean distance of every row to its k nearest other rows, which is 1 / typicality.

    Args:
        rows: float32 [m, D], finite. Not modified.
        k: neighbours; at most m / 2 as in the released code, but at least 1 if there is another row.

    Returns:
        float64 [m], at least 0; low = typical. 0 for a single row.
    """
    size = len(rows)
    k = min(k, max(size // 2, 1), size - 1)
    if not k:
        return np.zeros(size)
    squares = np.einsum("md,md->m", rows, rows)
    means = np.empty(size)
    step = max(1, _CELLS // size)
    for start in range(0, size, step):
        chunk = slice(start, start + step)
        apart = np.maximum(squares[chunk, None] + squares - 2 * (rows[chunk] @ rows.T), 0)
        inside = np.arange(len(apart))
        # The row itself is excluded by its index, not by the smallest distance: a copy is a neighbour at distance 0.
        apart[inside, start + inside] = np.inf
        # The root comes before the mean: the paper averages distances, not their squares.
        means[chunk] = np.sqrt(np.partition(apart, k - 1)[:, :k]).mean(1, dtype=np.float64)
    return means


@register_method(
    "typiclust",
    supervision="none",
    needs=("embeddings",),
    paper="Hacohen et al. 2022, arXiv:2202.02794",
    stochastic=True,
)
def typiclust(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    k: Annotated[int, Field(ge=1)] = 20,
    max_clusters: Annotated[int, Field(ge=1)] = 500,
) -> NDArray[np.int64]:
    """Cluster the embeddings into n clusters and keep the most typical image of each, from the largest cluster on.

    Hacohen et al. 2022, section 3.2, for a pool without labelled images, on L2-normalised embeddings. Typicality is
    1 / mean distance to the k nearest images of the same cluster. Clusters of fewer than 5 images are skipped while
    others have images left. The paper uses at most 500 clusters; a larger budget visits them in rounds, and each
    cluster gives its next most typical image.

    Deviations: typicality is computed once per cluster, where the released code leaves out images already taken and
    computes it again (results can differ from the second round on); the released code also squares the distances.
    k-means is Lloyd's for any number of clusters, where the released code uses mini-batches above 50.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: seeds k-means and breaks ties.
        k: neighbours; at most half of the cluster.
        max_clusters: largest number of clusters.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # Shuffled: ``in_turn`` takes the smaller index of equally typical images; data sets are often stored by class.
    order = rng.permutation(len(pool))
    rows = unit_rows(pool.embeddings)[order]
    labels, _ = cluster(rows, min(budget, max_clusters), rng)
    distance = np.empty(len(rows))
    for number in np.unique(labels):
        # Neighbours of the same cluster only, as in the paper: an image between two clusters is typical of neither.
        members = np.flatnonzero(labels == number)
        distance[members] = mean_neighbor_distance(rows[members], k)
    return order[in_turn(labels, distance, smallest=SMALLEST)[:budget]]
