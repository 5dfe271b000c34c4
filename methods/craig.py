"""CRAIG (Mirzasoleiman et al. 2020): medoids of the gradients of each class."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, Weighted, register_method

from ._coverage import Positions, greedy_cover
from ._gradients import Gradients, last_gradients, needs
from ._groups import proportional_quotas

_CELLS = 2**23
"""Distances held at once: 32 MB of float32."""


def gradient_medoids(gradients: Gradients, budget: int) -> NDArray[np.int64]:
    """Minimise L(S) = sum over i of min over j in S of |g_i - g_j|, one pick of the largest gain at a time.

    That is facility location by the similarity d - |g_i - g_j|, where d is above every distance; from the second pick
    on no gain depends on d. N * (C + D) numbers and a block of distances are held, never N x N.

    Args:
        gradients: of N images. Not modified.
        budget: n, images to pick.

    Returns:
        int64 [at most n], unique, in the order of the picks; fewer than n where all that are left are copies of
        picks. Of equal gains the smallest position is picked first.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    squares = gradients.squares()
    # No two gradients are further apart than twice the longest; and of zeros alone the first must still gain.
    farthest = 2 * np.sqrt(squares.max(initial=0)) or np.float32(1)

    def similarity(picked: Positions, covered: Positions) -> NDArray[np.float32]:
        ours, theirs = (Gradients(gradients.errors[at], gradients.features[at]) for at in (picked, covered))
        apart = ours.distances(theirs)
        return np.maximum(farthest - apart, 0, out=apart)

    return greedy_cover(similarity, np.zeros(len(squares), dtype=np.float32), len(squares), budget)


def stood_for(gradients: Gradients, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the images whose gradients are nearer to that of one kept image than to those of the others.

    Args:
        gradients: of N images. Not modified.
        kept: int64 [n], unique positions, n >= 1.

    Returns:
        int64 [n], at least 1, adding up to N: a kept image stands for itself, also beside a copy, and of others that
        are equally near the first stands for an image.
    """
    medoids, size = gradients.of(kept), len(gradients.errors)
    nearest = np.empty(size, dtype=np.int64)
    step = max(1, _CELLS // len(kept))
    for start in range(0, size, step):
        block = np.arange(start, min(start + step, size))
        nearest[block] = gradients.of(block).distances(medoids).argmin(1)
    nearest[kept] = np.arange(len(kept))
    return np.bincount(nearest, minlength=len(kept))


@register_method(
    "craig",
    supervision="labels",
    needs=needs,
    paper="Mirzasoleiman et al. 2020, ICML, arXiv:1906.01827",
    stochastic=True,
)
def craig(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    epochs: Annotated[int, Field(ge=0)] = 10,
    weighted: bool = True,
) -> Weighted | NDArray[np.int64]:
    """Keep the medoids of each class's gradients, weighted by how many images each stands for.

    Mirzasoleiman et al. 2020, greedily: for each class the sum of the distances from every image's gradient to the
    nearest kept one is made small, and a kept image weighs as much as the number of images to whose gradients its own
    is the nearest. The gradient is that by the weights and the bias of the network's last layer, as in DeepCore and
    CORDS; the budget is split over classes in proportion to their sizes. At 90 % removed of 5,000 CIFAR-10 images the
    weighted sum of the kept gradients is off the class's by 0.08 to 0.09 of its length; without weights their mean is
    off the class's mean by 0.50 to 0.59, and that of as many random images of the class by 0.13 to 0.15 (``small_cnn``,
    10 epochs, on a CPU, mean over the classes, n = 3, 2026-11-29).

    Deviation: the choice is made once, after ``epochs`` passes of the proxy over the pool (a number of ours),
    where CRAIG chooses anew as the final network learns.

    Memory is that of the outputs, N * (C + D) numbers, and 64 MB. Time is that of training the proxy, once for all
    rates, and of a few passes over the pairs of a class: with 10 classes and 512 features,
    3.8 s of one core for 500 of the 5,000 images of a class and 10 s for 3,500 (an Intel Xeon, busy, CPU seconds,
    n = 1, 2026-11-28).

    Args:
        pool: needs outputs of a network trained on the pool, and labels.
        budget: n, images to keep.
        rng: breaks ties, and draws the rest of a class in which only copies are left.
        epochs: of training before the gradients are taken; at most the proxy's.
        weighted: whether the images are trained on with their weights; false is not CRAIG.

    Returns:
        int64 [n], unique, class by class, in the order of the picks; with int64 [n] weights that add up to N.

    Raises:
        SelectionError: an output of the network is not finite.
    """
    gradients, labels = last_gradients(pool, epochs), pool.labels
    quotas = proportional_quotas(np.bincount(labels, minlength=pool.num_classes), budget, rng)
    kept, weights = [], []
    for number, quota in enumerate(quotas.tolist()):
        # Shuffled: equal gains are broken by position, and data sets are often stored class by class.
        members = rng.permutation(np.flatnonzero(labels == number))
        picks = gradient_medoids(gradients.of(members), quota)
        rest = np.delete(np.arange(len(members)), picks)[: quota - len(picks)]
        chosen = np.concatenate([picks, rest])
        kept.append(members[chosen])
        if weighted and quota:
            weights.append(stood_for(gradients.of(members), chosen))
    indices = np.concatenate(kept)
    return Weighted(indices, np.concatenate(weights)) if weighted else indices
