"""CRAIG (Mirzasoleiman et al. 2020): medoids of each class's gradients."""

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
"""Distances in memory at once: 32 MB of float32."""


def gradient_medoids(gradients: Gradients, budget: int) -> NDArray[np.int64]:
    """Greedily minimise L(S) = sum over i of min over j in S of |g_i - g_j|.

    This is facility location with the similarity d - |g_i - g_j|, where d is above every distance; from the second
    pick on, the gains do not depend on d. Memory holds N * (C + D) numbers and a block of distances, never N x N.

    Args:
        gradients: the gradients of N images. Not modified.
        budget: n, images to pick.

    Returns:
        int64 [at most n], unique, in the order of the picks; fewer than n if all remaining images are copies of
        picks. Ties go to the smallest position.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    squares = gradients.squares()
    # No two gradients are farther apart than twice the longest. If all are zero, the first pick must still gain.
    farthest = 2 * np.sqrt(squares.max(initial=0)) or np.float32(1)

    def similarity(picked: Positions, covered: Positions) -> NDArray[np.float32]:
        ours, theirs = (Gradients(gradients.errors[at], gradients.features[at]) for at in (picked, covered))
        apart = ours.distances(theirs)
        return np.maximum(farthest - apart, 0, out=apart)

    return greedy_cover(similarity, np.zeros(len(squares), dtype=np.float32), len(squares), budget)


def stood_for(gradients: Gradients, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each kept image, the number of images whose nearest kept gradient is its own.

    Args:
        gradients: the gradients of N images. Not modified.
        kept: int64 [n], unique positions, n >= 1.

    Returns:
        int64 [n], at least 1, with sum N. A kept image always stands for itself, even if a copy of it is kept too;
        other ties go to the first kept image.
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
    weighted=lambda params: params["weighted"],
)
def craig(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    epochs: Annotated[int, Field(ge=0)] = 10,
    weighted: bool = True,
) -> Weighted | NDArray[np.int64]:
    """Keep the medoids of each class's gradients, weighted by the number of images that each stands for.

    Mirzasoleiman et al. 2020. In each class, images are picked greedily to minimise the sum of the distances from
    every image's gradient to the nearest kept one. The weight of a kept image is the number of images whose nearest
    kept gradient is its own. Gradients are taken by the weights and the bias of the network's last layer, as in
    DeepCore and CORDS. The budget is split over classes in proportion to their sizes. Training scales the weights to a
    mean of 1, as the authors' code for networks does.

    Deviations: the authors' code takes the gradient by the network's outputs, softmax minus label. The choice is made
    once, after ``epochs`` passes of the proxy over the pool (our default), where CRAIG repeats it as the final network
    learns.

    Measured with 90 % of 5,000 CIFAR-10 images removed (``small_cnn``, 10 epochs, on a CPU, mean over the classes,
    n = 3, 2026-11-29): the weighted sum of the kept gradients differs from the class's sum by 0.08 to 0.09 of its
    length. Without weights the mean of the kept gradients differs from the class's mean by 0.50 to 0.59, and the mean
    of as many random images of the class by 0.13 to 0.15.

    Accuracy in that setting (400 iterations, a proxy of 10 epochs, an AMD EPYC, means of 3 seeds, 2026-11-29): 45.1 %
    with the weights, 39.8 % without, 47.3 % on random images. On 1,438 digits, 90 % removed (300 iterations, a proxy
    of 30 epochs): 91.9, 94.9 and 95.1 %. There the weights are so uneven that 144 images count as 22 equal ones, by
    (sum of w)^2 / sum of w^2.

    Memory holds the outputs, N * (C + D) numbers, and 64 MB. Time goes into training the proxy, once for all rates,
    and into a few passes over the pairs of a class: with 10 classes and 512 features, 3.8 s on one core for 500 of the
    5,000 images of a class and 10 s for 3,500 (a busy Intel Xeon, CPU seconds, n = 1, 2026-11-28).

    Args:
        pool: needs outputs of a network trained on the pool, and labels.
        budget: n, images to keep.
        rng: breaks ties, and draws the rest of a class once only copies are left.
        epochs: training epochs before the gradients are taken; at most the proxy's.
        weighted: whether training uses the weights; without them the method is not CRAIG.

    Returns:
        int64 [n], unique, class by class, in the order of the picks; with int64 [n] weights. Those of a class add up to
        its size.

    Raises:
        SelectionError: an output of the network is not finite.
    """
    gradients, labels = last_gradients(pool, epochs), pool.labels
    quotas = proportional_quotas(np.bincount(labels, minlength=pool.num_classes), budget, rng)
    kept, weights = [], []
    for number, quota in enumerate(quotas.tolist()):
        # Shuffled: ties between gains go to the smallest position, and data sets often have a meaningful order.
        members = rng.permutation(np.flatnonzero(labels == number))
        picks = gradient_medoids(gradients.of(members), quota)
        rest = np.delete(np.arange(len(members)), picks)[: quota - len(picks)]
        chosen = np.concatenate([picks, rest])
        kept.append(members[chosen])
        if weighted and quota:
            weights.append(stood_for(gradients.of(members), chosen))
    indices = np.concatenate(kept)
    return Weighted(indices, np.concatenate(weights)) if weighted else indices
