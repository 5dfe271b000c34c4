"""TypiClust (Hacohen et al. 2022): the most typical image of every cluster."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, register_method, unit_rows

from ._clusters import cluster, in_turn

SMALLEST = 5
"""Clusters of fewer images come last: the paper leaves them out."""
_CELLS = 2**22
"""Distances held at once: 16 MB of float32, however large a cluster is."""


def mean_neighbor_distance(rows: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Return the mean Euclidean distance of every row to its k nearest other rows; 1 / typicality.

    Args:
        rows: float32 [m, D], finite. Not modified.
        k: neighbours; cut to m / 2, as in the released code, and to 1 at least where there is another row.

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
        # The row itself by its index, not the smallest distance: a copy is a neighbour at distance 0.
        apart[inside, start + inside] = np.inf
        # The root before the mean: of distances, as in the paper, not of their squares.
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
    """Cluster the L2-normalised embeddings into n clusters and keep the most typical image of each, largest first.

    Hacohen et al. 2022, section 3.2, with no image labelled before: typicality is 1 / mean distance to the k nearest
    images of the own cluster; clusters of fewer than 5 images are passed over while others have images left. The paper
    stops at 500 clusters; a larger budget goes round them, and a cluster gives its next most typical image in each
    round. Deviation: typicality is computed once per cluster, where the released code computes it again without the
    images already taken, which can differ from the second round on; it also squares the distances. k-means above 50
    clusters is Lloyd's, where the released code takes mini-batches.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: k-means, and ties.
        k: neighbours; cut to half of the cluster.
        max_clusters: the most clusters.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # ``in_turn`` takes the smaller index of equally typical images, and data sets are often stored class by class.
    order = rng.permutation(len(pool))
    rows = unit_rows(pool.embeddings)[order]
    labels, _ = cluster(rows, min(budget, max_clusters), rng)
    distance = np.empty(len(rows))
    for number in np.unique(labels):
        # Neighbours in the own cluster alone, as in the paper: an image between two clusters is typical of neither.
        members = np.flatnonzero(labels == number)
        distance[members] = mean_neighbor_distance(rows[members], k)
    return order[in_turn(labels, distance, smallest=SMALLEST)[:budget]]
