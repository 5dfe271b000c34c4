"""Sharing a budget over groups (classes, strata) and sampling inside each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def proportional_quotas(sizes: NDArray[np.integer], budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Split ``budget`` over groups in proportion to their sizes, by the largest-remainder method.

    Args:
        sizes: [G] images per group; groups may be empty.
        budget: n, at most sum(sizes).
        rng: breaks ties between remainders.

    Returns:
        int64 [G] with sum n. Each quota is n * size / N rounded down or up, so never more than the group's size.
    """
    total = int(sizes.sum())
    if not total:
        return np.zeros(len(sizes), dtype=np.int64)
    # Integers throughout: in floating point, equal remainders of n * size / N could differ by rounding.
    quotas, remainders = np.divmod(budget * sizes.astype(np.int64), total)
    # Balanced data has equal remainders; without the shuffle the first classes would always get the extra images.
    shuffled = rng.permutation(len(sizes))
    largest = shuffled[np.argsort(-remainders[shuffled], kind="stable")]
    quotas[largest[: budget - int(quotas.sum())]] += 1
    return quotas


def sample_groups(
    groups: NDArray[np.integer], quotas: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw ``quotas[g]`` positions uniformly without replacement from every group g.

    Args:
        groups: [N] group number of each position, in [0, G).
        quotas: int64 [G], each at most the group's size.
        rng: makes the draws.

    Returns:
        int64 [sum(quotas)] positions in 0 to N - 1, unique, ordered by group.
    """
    # A stable sort of a shuffled pool leaves each group in random order, so its first ``quota`` images are the draw.
    shuffled = rng.permutation(len(groups))
    order = shuffled[np.argsort(groups[shuffled], kind="stable")]
    sizes = np.bincount(groups, minlength=len(quotas))
    rank = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[rank < quotas[groups[order]]]
