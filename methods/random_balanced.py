"""Random selection with equal numbers of images per class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, fair_quotas, register_method

from ._groups import sample_groups


def balanced(labels: NDArray[np.integer], num_classes: int, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw images uniformly inside each class, with numbers per class as equal as the class sizes allow.

    Args:
        labels: [N] in [0, num_classes).
        num_classes: C.
        budget: n, at most N.
        rng: makes the draws, and decides which classes get the remainder of n / C.

    Returns:
        int64 [n], unique; two classes that are not exhausted differ by at most one image.
    """
    quotas = fair_quotas(np.bincount(labels, minlength=num_classes), budget, rng)
    return sample_groups(labels, quotas, rng)


@register_method("random-balanced", supervision="labels", stochastic=True)
def random_balanced(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw images at random inside each class, with numbers per class as equal as the class sizes allow.

    Images are drawn uniformly, without replacement.

    Args:
        pool: needs labels.
        budget: n, images to keep.
        rng: makes the draws, and decides which classes get one image more.

    Returns:
        int64 [n], unique.
    """
    return balanced(pool.labels, pool.num_classes, budget, rng)
