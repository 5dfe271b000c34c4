"""Shared steps from scores to images: drop the hardest, keep the next, or draw by a Beta density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import SpecError, check_budget, check_finite, count_hardest, hardest

from ._unread import refuse_unread


def next_hardest(order: NDArray[np.int64], budget: int, beta: float) -> NDArray[np.int64]:
    """Drop the floor(beta * N) hardest images (mostly mislabelled), keep the next n, drop the rest (easiest).

    ELFS (Zheng et al. 2025, section 3.3). The released code returns nothing when beta equals the rate; this function
    then keeps the n easiest images.

    Args:
        order: int64 [N], hardest first.
        budget: n, images to keep.
        beta: fraction of the pool in [0, 1).

    Returns:
        int64 [n], hardest first.

    Raises:
        SelectionError: beta leaves fewer than n images; the message names the largest valid beta.
    """
    start = count_hardest(beta, len(order), budget)
    return order[start : start + budget]


def beta_sample(
    score: NDArray[np.floating],
    confidence: NDArray[np.floating],
    budget: int,
    rng: np.random.Generator,
    *,
    rate: float,
    exponent: float,
) -> NDArray[np.int64]:
    """Draw n images without replacement, with probability proportional to BetaPDF(confidence; a, b) * score.

    This is DUAL's sampling (Cho et al. 2025, section 4.2): b = 15 (1 - mu) (1 - r^c) and a = 16 - b, where mu is the
    mean confidence of the 10 images with the highest scores, r the rate and c the exponent. High rates favour easy
    images. Deviations: confidences are clipped to [1e-6, 1 - 1e-6] and b to at least 1e-6, since the density is 0 or
    infinite beyond; images of probability 0 are drawn last, where the released code raises.

    Args:
        score: [N], at least 0, finite; high scores are drawn more often. Not modified.
        confidence: [N] in [0, 1], mean confidence in the label over early epochs. Not modified.
        budget: n, images to draw, 0 to N.
        rng: makes the draws.
        rate: r, fraction of the pool that is removed, in [0, 1].
        exponent: c, above 0.

    Returns:
        int64 [n], unique, in the order of the draws.

    Raises:
        SelectionError: a score or confidence is not finite, or n is outside 0 to N.
    """
    check_finite("scores", score)
    check_finite("confidences", confidence)
    check_budget(len(score), budget)
    if not budget:
        return np.empty(0, dtype=np.int64)
    shown = np.clip(confidence.astype(np.float64), 1e-6, 1 - 1e-6)
    # Not ``shown``: the paper's mu is the mean of the unclipped confidences.
    mean = float(confidence[hardest(score, min(10, len(score)), rng)].mean())
    b = max(15 * (1 - mean) * (1 - rate**exponent), 1e-6)
    a = 16 - b
    # A 1 in place of each 0 keeps the logarithm finite; the last sort key puts these images behind all others.
    chance = np.where(score > 0, score, 1).astype(np.float64)
    # The Beta function B(a, b) is left out: it is the same factor for every image.
    log_chance = (a - 1) * np.log(shown) + (b - 1) * np.log1p(-shown) + np.log(chance)
    # The n largest of log p + Gumbel noise are n draws without replacement (Efraimidis and Spirakis 2006).
    keys = log_chance + rng.gumbel(size=len(score))
    return np.lexsort((-keys, score <= 0))[:budget]


def beta_within_rate(params: Mapping[str, Any], rate: float) -> None:
    """Refuse a beta above the rate, since a method that drops beta * N images would have fewer than n left.

    Raises:
        SpecError: beta is above the rate.
    """
    beta = params["beta"]
    if beta != "auto" and beta > rate:
        raise SpecError(
            f"beta={beta:g} is not valid at rate {rate:g}: more would be dropped than is removed; valid: 0 to {rate:g}."
        )


def check_dropping(params: Mapping[str, Any], rate: float) -> None:
    """Refuse a beta above the rate, and a ``never_learned`` that the score ignores.

    Raises:
        SpecError: the message names the parameter.
    """
    beta_within_rate(params, rate)
    refuse_unread(params, "score=forgetting", params["score"] == "forgetting", {"never_learned": "hardest"})
