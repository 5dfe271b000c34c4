"""Dropping the hardest: what methods with a ``beta`` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import SpecError, count_hardest


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
