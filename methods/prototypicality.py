"""Prototypicality (Sorscher et al. 2022): distance of an image to its k-means centroid."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, fit_kmeans, hardest, register_method

_ROWS = 65_536
"""Rows whose differences to their centroids are in memory at once."""


def centroid_distance(
    embeddings: NDArray[np.floating], num_clusters: int, rng: np.random.Generator, *, inits: int = 10
) -> NDArray[np.float64]:
    """Return the Euclidean distance of every embedding to the centroid of its k-means cluster; far = hard.

    Args:
        embeddings: [N, D], finite, used as the encoder returned them (not normalised).
        num_clusters: C, number of clusters; at most N are made.
        rng: seeds k-means.
        inits: k-means starts; the one with the lowest inertia is used.

    Returns:
        float64 [N], at least 0, high = hard (far from its prototype).

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", embeddings)
    clusters = min(num_clusters, len(embeddings))
    model = fit_kmeans(embeddings, clusters, seed=int(rng.integers(2**31)), inits=inits)
    distances = np.empty(len(embeddings), dtype=np.float64)
    for start in range(0, len(embeddings), _ROWS):
        rows = slice(start, start + _ROWS)
        distances[rows] = np.linalg.norm(embeddings[rows] - model.cluster_centers_[model.labels_[rows]], axis=1)
    return distances


@register_method(
    "prototypicality",
    supervision="none",
    needs=("embeddings",),
    paper="Sorscher et al. 2022, arXiv:2206.14486",
    stochastic=True,
)
def prototypicality(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    keep: Literal["hard", "easy"] = "hard",
    inits: Annotated[int, Field(ge=1)] = 10,
) -> NDArray[np.int64]:
    """Keep the images that are farthest from their k-means centroid, or nearest to it (far = hard).

    Sorscher et al. 2022. There are as many clusters as classes. Distances are Euclidean, between embeddings as the
    encoder returned them (not normalised).

    Args:
        pool: needs embeddings; its number of classes is the number of clusters.
        budget: n, images to keep.
        rng: seeds k-means and breaks ties.
        keep: whether to keep ``hard`` or ``easy`` images.
        inits: k-means starts; the one with the lowest inertia is used.

    Returns:
        int64 [n], unique, hardest first, or easiest first for ``keep="easy"``.

    Raises:
        SelectionError: an embedding is not finite.
    """
    distances = centroid_distance(pool.embeddings, pool.num_classes, rng, inits=inits)
    pool.report(scores=distances)
    # Reported scores are high = hard whichever end is kept; only the choice is reversed.
    return hardest(distances if keep == "hard" else -distances, budget, rng)
