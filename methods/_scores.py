"""Ranking by difficulty: what every score-based method shares."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import SelectionError, SpecError


def hard_to_easy(difficulty: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.int64]:
    """Pool indices from the hardest to the easiest, equal scores in an order drawn from ``rng``.

    Data sets are often stored class by class, so a tie broken by index would favour the first or the last classes.

    Args:
        difficulty: [N], high = hard; finite. Not modified.
        rng: breaks ties, and nothing else.

    Returns:
        int64 [N], a permutation of 0 to N - 1.

    Raises:
        SelectionError: a score is NaN or infinite.
    """
    check_finite("scores", difficulty)
    shuffled = rng.permutation(len(difficulty))
    return shuffled[np.argsort(-difficulty[shuffled].astype(np.float64), kind="stable")]


def hardest(difficulty: NDArray[np.floating], budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The ``budget`` hardest images; ties at the border are broken at random (see ``hard_to_easy``).

    Args:
        difficulty: [N], high = hard; finite. Not modified.
        budget: n, images to keep.
        rng: breaks ties.

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a score is not finite, or n is outside 0 to N.
    """
    count_hardest(0.0, len(difficulty), budget)
    return hard_to_easy(difficulty, rng)[:budget]


def count_hardest(beta: float, size: int, budget: int) -> int:
    """floor(beta * N), the number of hardest images to drop before ``budget`` others are kept.

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
    if not 0 <= budget <= size:
        raise SelectionError(f"cannot keep {budget} of {size} images; the budget must lie in 0 to {size}.")
    if not 0 <= beta < 1:
        raise SelectionError(f"beta={beta} is not valid; it is the fraction of hardest images to drop, in [0, 1).")
    dropped = int(Decimal(str(beta)) * size)
    if dropped + budget > size:
        raise SelectionError(
            f"beta={beta} drops the {dropped} hardest of {size} images and leaves {size - dropped}, fewer than the "
            f"{budget} to keep; the largest valid beta is {(size - budget) / size:.6g}."
        )
    return dropped


def check_finite(what: str, values: NDArray) -> None:
    """Refuse NaN and infinity: they would sort somewhere, silently.

    Raises:
        SelectionError: with how many there are.
    """
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise SelectionError(f"{bad} of {values.size} {what} are NaN or infinite; all must be finite.")


def beta_within_rate(params: Mapping[str, Any], rate: float) -> None:
    """The ``check`` of methods that drop the beta * N hardest: beta * N + n <= N holds where beta is at most the rate.

    Raises:
        SpecError: beta is above the rate.
    """
    beta = params["beta"]
    if beta != "auto" and beta > rate:
        raise SpecError(
            f"beta={beta:g} is not valid at rate {rate:g}: more would be dropped than is removed; valid: 0 to {rate:g}."
        )
