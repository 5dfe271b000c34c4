"""Coverage-centric coreset selection (Zheng et al. 2023): drop the hardest, then sample score strata."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import (
    NeverLearned,
    Pool,
    Score,
    check_finite,
    count_hardest,
    fair_quotas,
    hard_to_easy,
    need,
    register_method,
)

from ._groups import proportional_quotas, sample_groups
from ._scores import check_dropping


def stratified(
    difficulty: NDArray[np.floating],
    budget: int,
    rng: np.random.Generator,
    *,
    beta: float,
    strata: int = 50,
    classes: NDArray[np.integer] | None = None,
) -> NDArray[np.int64]:
    """Drop the floor(beta * N) hardest images, then share the budget over equal-width strata of the remaining scores.

    CCS (Zheng et al. 2023, algorithm 1). Deviations from the released code, so that exactly n images are kept: the
    remainder of the division is distributed, the highest score belongs to the last stratum, and equal scores form one
    stratum.

    Args:
        difficulty: [N], high = hard; finite. Not modified.
        budget: n, images to keep.
        rng: breaks ties between scores and samples inside the strata.
        beta: fraction of the pool that is dropped as too hard, in [0, 1).
        strata: K, number of strata.
        classes: [N] class numbers; if given, each class is cut and sampled on its own, with a budget proportional to
            its size (class-proportional CCS, Tsai et al. 2025). A class drops fewer images if rounding would leave it
            fewer than its budget.

    Returns:
        int64 [n], unique, in random order.

    Raises:
        SelectionError: a score is not finite, or fewer than n images would remain.
    """
    dropped = count_hardest(beta, len(difficulty), budget)
    if classes is None:
        kept = _sample_strata(difficulty, hard_to_easy(difficulty, rng)[dropped:], budget, rng, strata)
        # Strata are taken one after the other; shuffled, the first images of the list represent all strata.
        return rng.permutation(kept)
    check_finite("scores", difficulty)
    # By the sizes before anything is dropped: a class with many mislabelled images keeps its share.
    quotas = proportional_quotas(np.bincount(classes), budget, rng)
    kept = np.empty(0, dtype=np.int64)
    for number, quota in enumerate(quotas.tolist()):
        members = np.flatnonzero(classes == number)
        # Budget 0: the whole budget was checked above, and ``min`` protects the class's own share.
        dropped = min(count_hardest(beta, len(members), 0), len(members) - quota)
        remaining = members[hard_to_easy(difficulty[members], rng)[dropped:]]
        kept = np.concatenate([kept, _sample_strata(difficulty, remaining, quota, rng, strata)])
    return rng.permutation(kept)


def _sample_strata(
    difficulty: NDArray[np.floating], remaining: NDArray[np.int64], budget: int, rng: np.random.Generator, strata: int
) -> NDArray[np.int64]:
    """Draw n of the remaining images, with the budget shared over strata of their scores."""
    if not budget:
        return remaining[:0]
    scores = difficulty[remaining].astype(np.float64)
    # Halved, so that the width of a range of extreme floats does not overflow.
    above = scores / 2 - scores.min() / 2
    width = above.max()
    stratum = np.zeros(len(scores), dtype=np.int64)
    # Equal scores form one stratum; the released code selects nothing from them.
    if width > 0:
        # The highest score lies on the upper edge of the last stratum and would open another.
        stratum = np.minimum((above / width * strata).astype(np.int64), strata - 1)
    quotas = fair_quotas(np.bincount(stratum, minlength=strata), budget, rng)
    return remaining[sample_groups(stratum, quotas, rng)]


@register_method(
    "ccs",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Zheng et al. 2023, arXiv:2210.15809",
    stochastic=True,
    check=check_dropping,
)
def ccs(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    strata: Annotated[int, Field(ge=1)] = 50,
    score: Score = "aum",
    per_class: bool = False,
    never_learned: NeverLearned = "hardest",
) -> NDArray[np.int64]:
    """Drop the beta * N hardest images, then share the budget over score strata and sample inside each.

    CCS (Zheng et al. 2023, algorithm 1). The scores that remain are split into K strata of equal width; the budget is
    shared over the strata as equally as their sizes allow, and images are drawn uniformly inside each.

    **The default drops nothing.** The paper tuned beta on test accuracy for every data set and rate (CIFAR-10: 0, 0,
    0.1, 0.1, 0.3 at 30, 50, 70, 80, 90 % removed, known second-hand), and gives no rule for it without a search.

    Deviations from the released code, so that exactly n images are kept: the remainder of the division is
    distributed, the highest score belongs to the last stratum, and equal scores form one stratum.

    Args:
        pool: needs dynamics on true labels and, for ``per_class``, labels.
        budget: n, images to keep.
        rng: breaks ties between scores and samples inside the strata.
        beta: fraction of the pool that is dropped as too hard, in [0, 1), at most the rate.
        strata: K, number of strata of equal width.
        score: which score measures difficulty.
        per_class: whether to drop, stratify and sample inside each class, with a budget proportional to its size
            (class-proportional CCS, Tsai et al. 2025, arXiv:2507.10904).
        never_learned: how ``score=forgetting`` counts images that the proxy never classified correctly: as the
            ``hardest`` (Toneva et al. 2019), or as ``zero`` forgetting events, the easiest (released code).

    Returns:
        int64 [n], unique, in random order.

    Raises:
        SelectionError: a score is not finite, or beta is above the rate.
    """
    difficulty = pool.dynamics(of="labels").difficulty(score, never_learned=never_learned)
    pool.report(scores=difficulty)
    classes = pool.labels if per_class else None
    return stratified(difficulty, budget, rng, beta=beta, strata=strata, classes=classes)
