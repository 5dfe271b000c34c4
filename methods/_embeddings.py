"""What methods on embeddings share: rows of length 1, and k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench import fit_kmeans

from ._scores import check_finite

if TYPE_CHECKING:
    from sklearn.cluster import KMeans


def unit_rows(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """The embeddings with every row scaled to length 1.

    Args:
        embeddings: [N, D], finite. Not modified.

    Returns:
        float32 [N, D]; a zero row stays zero.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", embeddings)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.ascontiguousarray(embeddings / np.where(norms == 0, 1, norms), dtype=np.float32)


def kmeans(embeddings: NDArray[np.floating], clusters: int, rng: np.random.Generator, *, inits: int = 10) -> KMeans:
    """Fit k-means (``bench.fit_kmeans``); fewer distinct images than clusters leave clusters empty.

    Args:
        embeddings: [N, D], finite; N at least 1.
        clusters: how many; cut to N.
        rng: gives the seed.
        inits: starts, of which the one with the lowest inertia counts.

    Returns:
        The fitted model with ``labels_`` [N] and ``cluster_centers_`` [clusters, D].

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", embeddings)
    return fit_kmeans(embeddings, min(clusters, len(embeddings)), seed=int(rng.integers(2**31)), inits=inits)
