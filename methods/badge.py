"""BADGE (Ash et al. 2020): rounds of labelling images whose gradients are large and diverse."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_budget, check_finite, register_method


def gradient_seeds(
    errors: NDArray[np.floating], features: NDArray[np.floating], budget: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """k-means++ seeding on the outer products of errors and features, which are never built.

    Arthur & Vassilvitskii 2007, without local trials: the first row is drawn uniformly, each further one with
    probability in proportion to its squared distance to the nearest pick. For g_i = e_i f_i^T that distance is
    |e_i|^2 |f_i|^2 + |e_j|^2 |f_j|^2 - 2 (e_i . e_j)(f_i . f_j): n * N * (C + D) operations and N * (C + D) numbers,
    where scikit-learn's ``kmeans_plusplus`` takes the rows themselves (N * C * D: 10 GB for 50,000 images, 100
    classes and 512 features). Where every row that is left is a copy of a pick, the draw is uniform.

    Args:
        errors: e [N, C], finite. Not modified.
        features: f [N, D], finite. Not modified.
        budget: n, rows to pick.
        rng: draws.

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
        # ``left`` besides the distance: rounding may leave a pick, or a copy of it, a little above 0.
        mass = np.where(left, apart, 0.0) if step else left.astype(np.float64)
        if not mass.any():
            mass = left.astype(np.float64)
        pick = int(rng.choice(len(mass), p=mass / mass.sum()))
        picks[step] = pick
        left[pick] = False
        # <e_i f_i^T, e_j f_j^T> = (e_i . e_j)(f_i . f_j), so that two small products stand for one of C * D numbers.
        products = (errors @ errors[pick]) * (features @ features[pick])
        # Cut at 0: rounding takes distances of near-copies below, and a probability must not be.
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
    """Label the budget in rounds: train on what is labelled, then draw images of large and diverse gradients.

    Ash et al. 2020, algorithm 1. The gradient is that of the last layer for the label that the network predicts:
    (softmax - onehot of its largest) times the penultimate features. The first round is uniform; each later one is
    drawn by ``gradient_seeds`` from the images without label.

    ``supervision="coreset"`` and not ``none``, because true labels steer the choice; and not ``labels``, because they
    are those of images already chosen (``Pool.reveal``), so that it costs n labels, as training on any coreset does.
    Tables show it in a section of its own, and mark its best cells among the methods that read labels: a method
    without labels never loses its mark to one with some.

    Deviations: the number of rounds is given and their sizes follow from the budget, where the paper labels 100 to
    10,000 images at a time; weights are those of the cell's proxy recipe, from the same start in each round; the
    first pick of a round is uniform as in k-means++, where the released code takes the largest gradient.

    Args:
        pool: needs outputs.
        budget: n, images to keep.
        rng: draws.
        rounds: R, of n / R images each; a budget below R has a round per image.

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
        # Shuffled, so that rounding in the distances of copies follows no order of the data set.
        left = rng.permutation(np.setdiff1d(np.arange(len(pool)), kept))
        # Indexing by an array copies, so the line after next does not write into the pool's probabilities.
        errors = probabilities[left]
        errors[np.arange(len(left)), errors.argmax(1)] -= 1
        kept = np.concatenate([kept, left[gradient_seeds(errors, features[left], size, rng)]])
    return kept
