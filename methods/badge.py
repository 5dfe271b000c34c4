"""BADGE (Ash et al. 2020): label images with large and diverse gradients, in rounds."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_budget, check_finite, register_method


def gradient_seeds(
    errors: NDArray[np.floating], features: NDArray[np.floating], budget: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Pick rows by k-means++ seeding on the gradients g_i = e_i f_i^T, without building them.

    Arthur & Vassilvitskii 2007, without local trials: the first row is drawn uniformly, each further row with
    probability proportional to its squared distance to the nearest pick. That distance is
    |e_i|^2 |f_i|^2 + |e_j|^2 |f_j|^2 - 2 (e_i . e_j)(f_i . f_j), so it takes n * N * (C + D) operations and memory for
    N * (C + D) numbers. scikit-learn's ``kmeans_plusplus`` needs the gradients themselves (N * C * D numbers: 10 GB
    for 50,000 images, 100 classes and 512 features). If all remaining rows are copies of picks, the draw is uniform.

    Args:
        errors: e [N, C], finite. Not modified.
        features: f [N, D], finite. Not modified.
        budget: n, rows to pick.
        rng: makes the draws.

    Returns:
        int64 [n], unique, in the order of the picks.

    Raises:
        SelectionError: a number is not finite, or n is outside 0 to N.
    """
    check_finite("gradient errors", errors)
    check_finite("gradient features", features)
    check_budget(len(errors), budget)
    squares = np.einsum("nc,nc->n", errors, errors) * np.einsum("nd,nd->n", features, features)
    apart = np.full(len(errors), np.inf)
    left = np.ones(len(errors), dtype=bool)
    picks = np.empty(budget, dtype=np.int64)
    for step in range(budget):
        # ``left`` as well as the distance: rounding may leave the distance of a pick slightly above 0.
        mass = np.where(left, apart, 0.0) if step else left.astype(np.float64)
        if not mass.any():
            mass = left.astype(np.float64)
        pick = int(rng.choice(len(mass), p=mass / mass.sum()))
        picks[step] = pick
        left[pick] = False
        # <e_i f_i^T, e_j f_j^T> = (e_i . e_j)(f_i . f_j): two small products replace one of C * D numbers.
        products = (errors @ errors[pick]) * (features @ features[pick])
        # Clipped at 0: rounding makes distances of near-copies negative, and a probability must not be.
        np.minimum(apart, np.maximum(squares + squares[pick] - 2 * products, 0), out=apart)
    return picks


@register_method(
    "badge",
    supervision="coreset",
    needs=("outputs",),
    paper="Ash et al. 2020, arXiv:1906.03671",
    stochastic=True,
)
def badge(
    pool: Pool, budget: int, rng: np.random.Generator, *, rounds: Annotated[int, Field(ge=2)] = 10
) -> NDArray[np.int64]:
    """Label the budget in rounds: train on the labelled images, then draw images with large and diverse gradients.

    Ash et al. 2020, algorithm 1. An image's gradient is the last layer's, for the label that the network predicts:
    (softmax - one-hot prediction) times the penultimate features. The first round is drawn uniformly; later rounds
    draw from the unlabelled images by k-means++ seeding on the gradients.

    The supervision is ``coreset``: the choice uses true labels, but only those of images already chosen
    (``Pool.reveal``). The method costs n labels, as training on any coreset does. Tables show it in a section of its
    own and mark its best cells among the methods that read labels, so that it never takes the mark of a method
    without labels.

    Deviations: ``rounds`` sets the number of rounds and so their sizes, where the paper labels 100 to 10,000 images
    at a time; the network is trained by the cell's proxy recipe, from the same initial weights in each round; the
    first pick of a round is uniform as in k-means++, where the released code takes the largest gradient.

    Args:
        pool: needs outputs.
        budget: n, images to keep.
        rng: makes the draws.
        rounds: R, rounds of n / R images each; with a budget below R each round labels one image.

    Returns:
        int64 [n], unique, in the order of the labelling.

    Raises:
        SelectionError: an output of the network is not finite.
    """
    sizes = [len(part) for part in np.array_split(np.arange(budget), min(rounds, budget))]
    kept = rng.choice(len(pool), sizes[0], replace=False)
    for size in sizes[1:]:
        pool.reveal(kept)
        probabilities, features = pool.outputs()
        # Shuffled, so that rounding in the distances of copies does not depend on the order of the data set.
        left = rng.permutation(np.setdiff1d(np.arange(len(pool)), kept))
        # Indexing by an array copies, so the second line below does not write into the pool's probabilities.
        errors = probabilities[left]
        errors[np.arange(len(left)), errors.argmax(1)] -= 1
        kept = np.concatenate([kept, left[gradient_seeds(errors, features[left], size, rng)]])
    return kept
