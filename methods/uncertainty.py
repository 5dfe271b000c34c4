"""Least confidence, margin and entropy: the three usual scores of what a network is unsure of."""

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
        # Turned so that high is uncertain, as ``difficulty`` turns the scores of the last epoch.
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
    """Keep the images whose largest probability is lowest, by the proxy (1 - max p high = uncertain).

    Selection via proxy (Coleman et al. 2020). Deviation: outputs are those of the training forward pass (augmented
    view) in the last epoch, as for all dynamics here, where others run the trained network once more.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        epochs: the score of the ``last`` epoch, or its mean over ``all``.

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
    """Keep the images whose two largest probabilities are nearest, by the proxy (p1 - p2 low = uncertain).

    Scheffer et al. 2001. Unlike AUM it compares the two classes that the proxy thinks of, not the label with the rest.
    Deviation as in ``least-confidence``.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        epochs: the score of the ``last`` epoch, or its mean over ``all``.

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
    """Keep the images whose outputs have the highest entropy, by the proxy (-sum p ln p high = uncertain).

    Deviation as in ``least-confidence``.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        epochs: the score of the ``last`` epoch, or its mean over ``all``.

    Returns:
        int64 [n], unique, most uncertain first.

    Raises:
        SelectionError: a score is not finite.
    """
    return _most_uncertain(pool, budget, rng, "entropy", epochs)
