"""Dropping the hardest: what methods with a ``beta`` share."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import SelectionError, SpecError, check_budget


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
    check_budget(size, budget)
    if not 0 <= beta < 1:
        raise SelectionError(f"beta={beta} is not valid; it is the fraction of hardest images to drop, in [0, 1).")
    dropped = int(Decimal(str(beta)) * size)
    if dropped + budget > size:
        raise SelectionError(
            f"beta={beta} drops the {dropped} hardest of {size} images and leaves {size - dropped}, fewer than the "
            f"{budget} to keep; the largest valid beta is {(size - budget) / size:.6g}."
        )
    return dropped


def next_hardest(order: NDArray[np.int64], budget: int, beta: float) -> NDArray[np.int64]:
    """Drop the floor(beta * N) hardest (mostly mislabelled), keep the next n, drop the rest (easiest).

    ELFS (Zheng et al. 2025, section 3.3). The released code returns nothing when beta equals the rate; here that
    keeps the n easiest.

    Args:
        order: int64 [N], hardest first.
        budget: n, images to keep.
        beta: fraction of the pool in [0, 1).

    Returns:
        int64 [n], hardest first.

    Raises:
        SelectionError: see ``count_hardest``; it names the largest valid beta.
    """
    start = count_hardest(beta, len(order), budget)
    return order[start : start + budget]


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
