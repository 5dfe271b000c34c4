"""Functions that most methods share, whatever their score: hardest images, random ties, and quotas of groups."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import SelectionError


def hard_to_easy(difficulty: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return pool indices from the hardest to the easiest; images of equal score come in an order drawn from ``rng``.

    Data sets are often stored class by class, so a tie broken by index would favour the first or the last classes.

    Args:
        difficulty: [N], high = hard; finite. Not modified.
        rng: breaks ties only.

    Returns:
        int64 [N], a permutation of 0 to N - 1.

    Raises:
        SelectionError: a score is NaN or infinite.
    """
    check_finite("scores", difficulty)
    shuffled = rng.permutation(len(difficulty))
    # float64 before the minus sign: the negative of an unsigned count would wrap round.
    return shuffled[np.argsort(-difficulty[shuffled].astype(np.float64), kind="stable")]


def hardest(difficulty: NDArray[np.floating], budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the ``budget`` hardest images; ties at the border are broken at random (see ``hard_to_easy``).

    Args:
        difficulty: [N], high = hard; finite. Not modified.
        budget: n, images to keep.
        rng: breaks ties.

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a score is not finite, or n is outside 0 to N.
    """
    check_budget(len(difficulty), budget)
    return hard_to_easy(difficulty, rng)[:budget]


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
        # Smallest first: what a small group cannot take is shared by all that follow, so one pass is enough.
        quotas[group] = min(int(sizes[group]), left // (len(sizes) - visited))
        left -= int(quotas[group])
    return quotas


def check_budget(size: int, budget: int) -> None:
    """Refuse a budget that a pool cannot meet.

    Args:
        size: N.
        budget: n, images to keep.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    if not 0 <= budget <= size:
        raise SelectionError(f"cannot keep {budget} of {size} images; the budget must lie in 0 to {size}.")


def check_finite(what: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity, which would silently be sorted to one end.

    Args:
        what: name of the values, for the message.
        values: an array of any shape.

    Raises:
        SelectionError: there are such values; the message gives their number.
    """
    # ``sort`` puts NaN at the end, where it would be kept or dropped as the easiest or hardest.
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise SelectionError(f"{bad} of {values.size} {what} are NaN or infinite; all must be finite.")


def count_hardest(beta: float, size: int, budget: int) -> int:
    """Return floor(beta * N), the number of hardest images to drop before ``budget`` others are kept.

    Computed in decimal arithmetic: in binary floating point floor(0.29 * 100) is 28.

    Args:
        beta: fraction of the pool in [0, 1).
        size: N.
        budget: n, images to keep.

    Returns:
        An integer in 0 to N - n.

    Raises:
        SelectionError: n is outside 0 to N, beta is outside [0, 1), or fewer than n images would remain.
    """
    check_budget(size, budget)
    if not 0 <= beta < 1:
        raise SelectionError(f"beta={beta} is not valid; it is the fraction of hardest images to drop, in [0, 1).")
    # ``str`` gives the digits that the user wrote; ``Decimal(beta)`` would be the binary number.
    dropped = int(Decimal(str(beta)) * size)
    if dropped + budget > size:
        raise SelectionError(
            f"beta={beta} drops the {dropped} hardest of {size} images and leaves {size - dropped}, fewer than the "
            f"{budget} to keep; the largest valid beta is {(size - budget) / size:.6g}."
        )
    return dropped
