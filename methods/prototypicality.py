"""Distance to the own k-means centroid (Sorscher et al. 2022)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, fit_kmeans, hardest, register_method

_ROWS = 65_536
"""Rows whose differences to their centroids are held at once."""


def centroid_distance(
    embeddings: NDArray[np.floating], num_clusters: int, rng: np.random.Generator, *, inits: int = 10
) -> NDArray[np.float64]:
    """Return the Euclidean distance of every embedding to the centroid of its k-means cluster; far = hard.

    Args:
        embeddings: [N, D], finite, used as the encoder gave them (not normalised).
        num_clusters: C; cut to N.
        rng: seeds k-means.
        inits: k-means starts, of which the one with the lowest inertia counts.

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
    """Keep the images farthest from (hard) or nearest to (easy) their k-means centroid; C clusters.

    Sorscher et al. 2022. Distances are Euclidean, between embeddings as the encoder gave them (``centroid_distance``).

    Args:
        pool: needs embeddings; its number of classes is the number of clusters.
        budget: n, images to keep.
        rng: of k-means, and breaks ties.
        keep: which end, ``hard`` or ``easy``.
        inits: starts of k-means, of which the one with the lowest inertia counts.

    Returns:
        int64 [n], unique, the kept end first.

    Raises:
        SelectionError: an embedding is not finite.
    """
    distances = centroid_distance(pool.embeddings, pool.num_classes, rng, inits=inits)
    pool.report(scores=distances)
    # The reported scores stay high = hard whichever end is kept; only the choice turns round.
    return hardest(distances if keep == "hard" else -distances, budget, rng)
