"""Random selection with equal class counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, fair_quotas, register_method

from ._groups import sample_groups


def balanced(labels: NDArray[np.integer], num_classes: int, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw uniformly inside each class, with class counts as equal as the class sizes allow.

    Args:
        labels: [N] in [0, num_classes).
        num_classes: C.
        budget: n, at most N.
        rng: draws, and says which classes get the remainder of n / C.

    Returns:
        int64 [n], unique; two classes that are not exhausted differ by at most one image.
    """
    quotas = fair_quotas(np.bincount(labels, minlength=num_classes), budget, rng)
    return sample_groups(labels, quotas, rng)


@register_method("random-balanced", supervision="labels", stochastic=True)
def random_balanced(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw uniformly without replacement inside each class, class counts as equal as possible.

    Args:
        pool: needs labels.
        budget: n, images to keep.
        rng: of the draw, and of which classes get one image more.

    Returns:
        int64 [n], unique.
    """
    return balanced(pool.labels, pool.num_classes, budget, rng)
