"""k-means, for methods and for pseudo-labels."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.knn import unit_rows

if TYPE_CHECKING:
    from sklearn.cluster import KMeans


def fit_kmeans(embeddings: NDArray[np.floating], clusters: int, *, seed: int, inits: int = 10) -> KMeans:
    """Return scikit-learn's k-means (Lloyd, k-means++) fitted to embeddings.

    With fewer distinct rows than clusters, some clusters are empty.

    Args:
        embeddings: [N, D], finite, used as they are.
        clusters: number of clusters, 1 to N.
        seed: seed of the starts, 0 to 2**32 - 1.
        inits: number of starts; the one with the lowest inertia is used.

    Returns:
        The fitted model with ``labels_`` [N] and ``cluster_centers_`` [clusters, D].
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(clusters, n_init=inits, random_state=seed)
    with warnings.catch_warnings():
        # It only warns about fewer distinct rows than clusters, which is allowed here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(embeddings)


def kmeans_clusters(embeddings: NDArray[np.float32], num_clusters: int, *, seed: int) -> NDArray[np.int64]:
    """Return clusters of the L2-normalised embeddings by Euclidean k-means with 10 starts.

    This is not spherical k-means (Dhillon and Modha 2001): centres are means of unit rows and are not scaled back to
    length 1, so a cluster of scattered rows has a short centre.

    Args:
        embeddings: float32 [N, D], finite.
        num_clusters: C, 1 to N.
        seed: seed of the starts.

    Returns:
        int64 [N] cluster numbers in [0, C); with fewer than C distinct directions some numbers do not occur.
    """
    return fit_kmeans(unit_rows(embeddings), num_clusters, seed=seed % 2**32).labels_.astype(np.int64)
