"""GRAD-MATCH (Killamsetty et al. 2021): images whose gradients add up to the gradient of their class."""

from __future__ import annotations

import warnings
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, register_method

from ._gradients import Gradients, last_gradients, needs
from ._groups import proportional_quotas


def matching_pursuit(gradients: Gradients, budget: int, penalty: float) -> NDArray[np.int64]:
    """Minimise |sum over S of w_j g_j - sum of all g|^2 + lambda |w|^2 by orthogonal matching pursuit.

    scikit-learn's ``orthogonal_mp_gram``, on G + lambda I: its picks and weights are those of the gradients with one
    more coordinate each, sqrt(lambda) of its own, for which the penalty is a part of the distance. The gradients are
    measured in units of their root mean square length, so that lambda means the same in every pool.

    Args:
        gradients: of N images. Not modified.
        budget: n, images to pick.
        penalty: lambda, at least 0.

    Returns:
        int64 [at most n], unique, ascending; fewer than n where no image that is left makes the match better. Of equal
        ones the smallest position is picked.
    """
    from sklearn.linear_model import orthogonal_mp_gram

    if not budget:
        return np.empty(0, dtype=np.int64)
    # float64: the pursuit factorises what it has picked, and digits are lost with every pick.
    gram = gradients.products(gradients).astype(np.float64)
    mean = gram.trace() / len(gram)
    gram /= mean or 1.0
    target = gram.sum(1)
    gram[np.diag_indices_from(gram)] += penalty
    with warnings.catch_warnings():
        # It says that it ends before the budget, which the caller sees by the number of picks.
        warnings.filterwarnings("ignore", message="Orthogonal matching pursuit ended prematurely")
        weights = orthogonal_mp_gram(gram, target, n_nonzero_coefs=budget)
    return np.flatnonzero(weights)


@register_method(
    "grad-match-unweighted",
    supervision="labels",
    needs=needs,
    paper="Killamsetty et al. 2021, ICML, arXiv:2103.00123",
    stochastic=True,
)
def grad_match(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    epochs: Annotated[int, Field(ge=0)] = 10,
    penalty: Annotated[float, Field(ge=0)] = 0.5,
    block: Annotated[int, Field(ge=1)] = 1_000,
) -> NDArray[np.int64]:
    """Keep the images that GRAD-MATCH picks, trained on without the weights by which they match their class's gradient.

    Killamsetty et al. 2021: orthogonal matching pursuit with an L2 penalty on the weights, for each class on its own,
    with the gradients by the weights and the bias of the network's last layer. So this row is not GRAD-MATCH: the
    weights decide what is picked and are then left out, since every coreset is trained on alike here, and what is
    picked is mostly the images with the longest gradients of their class. At 90 % removed of 5,000 CIFAR-10 images
    their mean gradient is off the class's by 0.60 of its length, with the weights by 0.05, and that of as many random
    images by 0.14 (``small_cnn``, 10 epochs, mean over the classes, n = 1, 2026-11-29).

    Further deviations: the weights may be negative, where DeepCore's version keeps them above 0; the choice is made
    once, after ``epochs`` passes of the proxy over the pool (a number of ours), where GRAD-MATCH chooses anew as the
    final network learns; and a class of more than ``block`` images is matched in random parts of at most so many, each
    with its share of the budget.

    Memory is that of the outputs, N * (C + D) numbers, and some times ``block`` squared. Time is that of training the
    proxy, once for all rates, and in a part of B images of which n are kept it grows as B * n^2: with 10 classes
    and 512 features, 0.13 s of one core for 300 of 1,000 images and 1.1 s for 700 (an Intel Xeon, busy, CPU seconds,
    n = 1, 2026-11-28).

    Args:
        pool: needs outputs of a network trained on the pool, and labels.
        budget: n, images to keep.
        rng: splits large classes, breaks ties, and draws the rest where a match is exact before the budget is spent.
        epochs: of training before the gradients are taken; at most the proxy's.
        penalty: lambda, in units of the mean squared length of the part's gradients.
        block: images matched at once.

    Returns:
        int64 [n], unique, class by class.

    Raises:
        SelectionError: an output of the network is not finite.
    """
    gradients, labels = last_gradients(pool, epochs), pool.labels
    parts = [part for number in range(pool.num_classes) for part in _parts(labels == number, block, rng)]
    quotas = proportional_quotas(np.array([len(part) for part in parts]), budget, rng)
    kept = []
    for members, quota in zip(parts, quotas.tolist(), strict=True):
        picks = matching_pursuit(gradients.of(members), quota, penalty)
        kept.append(members[picks])
        kept.append(np.delete(members, picks)[: quota - len(picks)])
    return np.concatenate(kept)


def _parts(of_class: NDArray[np.bool_], block: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Split the images of a class, shuffled, into as few parts of nearly equal size as ``block`` allows."""
    members = rng.permutation(np.flatnonzero(of_class))
    return np.array_split(members, max(1, -(-len(members) // block)))
