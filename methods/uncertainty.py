"""Least confidence, margin and entropy: the three usual scores of a network's uncertainty."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench import Pool, Score, hardest, need, register_method

Epochs = Literal["last", "all"]
_NEEDS = (need("dynamics", of="labels"),)


def _most_uncertain(
    pool: Pool, budget: int, rng: np.random.Generator, score: Score, epochs: Epochs
) -> NDArray[np.int64]:
    dynamics = pool.dynamics(of="labels")
    scores = dynamics.difficulty(score)
    if epochs == "all":
        # High is uncertain, as for the scores of the last epoch from ``difficulty``.
        means = {
            "least-confidence": dynamics.mean_least_confidence,
            "margin": -dynamics.mean_margin,
            "entropy": dynamics.mean_entropy,
        }
        scores = means[score].astype(np.float64)
    pool.report(scores=scores)
    return hardest(scores, budget, rng)


@register_method(
    "least-confidence",
    supervision="labels",
    needs=_NEEDS,
    paper="Lewis & Gale 1994, arXiv:cmp-lg/9407020; Coleman et al. 2020, arXiv:1906.11829",
    stochastic=True,
)
def least_confidence(
    pool: Pool, budget: int, rng: np.random.Generator, *, epochs: Epochs = "last"
) -> NDArray[np.int64]:
    """Keep the images for which the proxy's largest probability is lowest (high 1 - max p = uncertain).

    Lewis & Gale 1994; with a proxy, Coleman et al. 2020. Deviation: outputs come from the training forward pass
    (augmented view) in the last epoch, as for all dynamics here, where others run the trained network once more.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        epochs: whether to take the score of the ``last`` epoch, or its mean over ``all`` epochs.

    Returns:
        int64 [n], unique, most uncertain first.

    Raises:
        SelectionError: a score is not finite.
    """
    return _most_uncertain(pool, budget, rng, "least-confidence", epochs)


@register_method(
    "margin",
    supervision="labels",
    needs=_NEEDS,
    paper="Scheffer et al. 2001, 10.1007/3-540-44816-0_31",
    stochastic=True,
)
def margin(pool: Pool, budget: int, rng: np.random.Generator, *, epochs: Epochs = "last") -> NDArray[np.int64]:
    """Keep the images for which the proxy's two largest probabilities are closest (low p1 - p2 = uncertain).

    Scheffer et al. 2001. Unlike AUM, the score compares the proxy's two most likely classes and does not read the
    label. Deviation as for ``least-confidence``.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        epochs: whether to take the score of the ``last`` epoch, or its mean over ``all`` epochs.

    Returns:
        int64 [n], unique, most uncertain first.

    Raises:
        SelectionError: a score is not finite.
    """
    return _most_uncertain(pool, budget, rng, "margin", epochs)


@register_method(
    "entropy",
    supervision="labels",
    needs=_NEEDS,
    paper="Shannon 1948, 10.1002/j.1538-7305.1948.tb01338.x; Coleman et al. 2020, arXiv:1906.11829",
    stochastic=True,
)
def entropy(pool: Pool, budget: int, rng: np.random.Generator, *, epochs: Epochs = "last") -> NDArray[np.int64]:
    """Keep the images for which the proxy's outputs have the highest entropy (high -sum p ln p = uncertain).

    Shannon 1948; with a proxy, Coleman et al. 2020. Deviation as for ``least-confidence``.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        epochs: whether to take the score of the ``last`` epoch, or its mean over ``all`` epochs.

    Returns:
        int64 [n], unique, most uncertain first.

    Raises:
        SelectionError: a score is not finite.
    """
    return _most_uncertain(pool, budget, rng, "entropy", epochs)
