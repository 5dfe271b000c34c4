"""Agreement of pseudo-labels with true labels: a diagnostic computed after selection, which no method can see."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from bench.errors import DataError


class PseudoLabelQuality(BaseModel):
    """Agreement of a pool's pseudo-labels with its true labels; high = good. Nothing is selected or chosen by it.

    Attributes:
        accuracy: percent of the pool that is right under the best one-to-one matching of clusters and classes.
        nmi: mutual information divided by the arithmetic mean of the entropies, 0 to 1.
        ari: adjusted Rand index, about 0 for random labels, 1 for equal partitions.
        clusters: number of clusters that occur.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: Annotated[float, Field(ge=0, le=100)]
    nmi: Annotated[float, Field(ge=0, le=1)]
    ari: Annotated[float, Field(ge=-1, le=1)]
    clusters: Annotated[int, Field(ge=1)]


def pseudo_label_quality(pseudo_labels: NDArray[np.integer], labels: NDArray[np.integer]) -> PseudoLabelQuality:
    """Return the agreement of pseudo-labels with true labels, by the three measures of the deep-clustering literature.

    Adaloglou et al. 2023, section 4. Matching is one-to-one: if several clusters share a class, only one of them is
    right, and a cluster without a class is wrong.

    Args:
        pseudo_labels: [N] cluster numbers, 0 or more; gaps are allowed.
        labels: [N] true labels, 0 or more.

    Raises:
        DataError: the arrays are empty or of different shapes.
    """
    if pseudo_labels.shape != labels.shape or pseudo_labels.ndim != 1 or not len(labels):
        raise DataError(f"pseudo-labels of shape {pseudo_labels.shape} cannot be compared with labels {labels.shape}.")
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return PseudoLabelQuality(
        accuracy=100 * int(right(pseudo_labels, labels).sum()) / len(labels),
        # Rounding can raise a perfect agreement slightly above 1.
        nmi=min(1.0, float(normalized_mutual_info_score(labels, pseudo_labels))),
        ari=float(adjusted_rand_score(labels, pseudo_labels)),
        clusters=len(np.unique(pseudo_labels)),
    )


def right(pseudo_labels: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which pseudo-labels are right under the best one-to-one matching of clusters and classes.

    Args:
        pseudo_labels: [N] cluster numbers, 0 or more; gaps are allowed.
        labels: [N] true labels, 0 or more.

    Returns:
        bool [N]; False for a cluster without a class.
    """
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics.cluster import contingency_matrix

    classes, clusters = linear_sum_assignment(contingency_matrix(labels, pseudo_labels), maximize=True)
    class_of = dict(zip(np.unique(pseudo_labels)[clusters], np.unique(labels)[classes], strict=True))
    # -1 is no class: a cluster without a class is wrong for all of its images.
    return np.array([class_of.get(cluster, -1) for cluster in pseudo_labels]) == labels
