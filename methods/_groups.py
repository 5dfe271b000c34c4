"""Budgets over groups (classes, strata) and sampling inside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fair_quotas(sizes: NDArray[np.integer], budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Split ``budget`` over groups as equally as their sizes allow.

    CCS (Zheng et al. 2023, algorithm 1): from the smallest group up, each takes
    min(its size, remaining budget // remaining groups). Groups of one size are visited in an order drawn from ``rng``,
    because the remainder of the division goes to the last ones.

    Args:
        sizes: [G] images per group; groups may be empty.
        budget: n, at most sum(sizes).
        rng: orders groups of one size.

    Returns:
        int64 [G] that sums to n, each in 0 to the group's size; two groups that keep images back differ by at most 1.
    """
    quotas = np.zeros(len(sizes), dtype=np.int64)
    shuffled = rng.permutation(len(sizes))
    left = budget
    for visited, group in enumerate(shuffled[np.argsort(sizes[shuffled], kind="stable")]):
        quotas[group] = min(int(sizes[group]), left // (len(sizes) - visited))
        left -= int(quotas[group])
    return quotas


def proportional_quotas(sizes: NDArray[np.integer], budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Split ``budget`` over groups in proportion to their sizes, by the largest remainder.

    Args:
        sizes: [G] images per group; groups may be empty.
        budget: n, at most sum(sizes).
        rng: breaks ties of the remainders.

    Returns:
        int64 [G] that sums to n; each is n * size / N rounded down or up, so never more than the group's size.
    """
    total = int(sizes.sum())
    if not total:
        return np.zeros(len(sizes), dtype=np.int64)
    # Whole numbers throughout: a remainder of n * size / N in floating point could put a tie in the wrong order.
    quotas, remainders = np.divmod(budget * sizes.astype(np.int64), total)
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
        rng: draws.

    Returns:
        int64 [sum(quotas)] positions in 0 to N - 1, unique, ordered by group.
    """
    shuffled = rng.permutation(len(groups))
    order = shuffled[np.argsort(groups[shuffled], kind="stable")]
    sizes = np.bincount(groups, minlength=len(quotas))
    rank = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[rank < quotas[groups[order]]]
