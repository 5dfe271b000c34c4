"""ZCore (Griffin et al. 2024): coverage and redundancy in random low-dimensional subspaces of the embeddings."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, hardest, register_method

SAMPLES_PER_IMAGE = 20
MOST_SAMPLES = 1_000_000


def subspace_scores(
    embeddings: NDArray[np.floating],
    dims: NDArray[np.integer],
    points: NDArray[np.floating],
    *,
    neighbors: int = 1000,
    exponent: float = 4.0,
) -> NDArray[np.float64]:
    """For each sampled point the nearest image gains 1, and that image's neighbours share a loss of 1.

    ZCore (Griffin et al. 2024). Distances are sums of absolute differences over the sample's own dimensions. The loss
    is shared in proportion to d^-exponent over the nearest neighbours of the image that gained; where one of them is
    a copy (d = 0), it alone loses 1. Deviation: the released code takes the first of the sorted distances for the
    image itself, which among copies is another image; here it is left out by its index.

    Args:
        embeddings: [N, D], finite. Not modified.
        dims: [S, m] dimensions of each sample, without repetition in a row.
        points: [S, m] the sampled coordinates in those dimensions.
        neighbors: how many neighbours share the loss; cut to N - 1.
        exponent: how fast a neighbour's share falls with its distance.

    Returns:
        float64 [N]; high covers much and repeats little. Sums to 0 where N is 2 or more.
    """
    columns = np.ascontiguousarray(embeddings.T)
    scores = np.zeros(len(embeddings))
    others = min(neighbors, len(embeddings) - 1)
    for chosen, point in zip(dims, points.astype(columns.dtype), strict=True):
        subspace = columns[chosen]
        covering = int(np.abs(subspace - point[:, None]).sum(0).argmin())
        scores[covering] += 1
        if not others:
            continue
        apart = np.abs(subspace - subspace[:, covering, None]).sum(0)
        apart[covering] = np.inf
        near = np.argpartition(apart, others - 1)[:others]
        distances = apart[near].astype(np.float64)
        nearest = int(distances.argmin())
        if distances[nearest] == 0:
            scores[near[nearest]] -= 1
        else:
            # Relative to the nearest, so that no power overflows.
            shares = (distances[nearest] / distances) ** exponent
            scores[near] -= shares / shares.sum()
    return scores


def draw_points(
    embeddings: NDArray[np.floating], samples: int, subspace: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Random dimensions, and in each a coordinate from the triangular distribution (min, median, max) of the pool.

    Args:
        embeddings: [N, D], finite; N at least 1.
        samples: S.
        subspace: m, dimensions per sample; cut to D.
        rng: draws.

    Returns:
        dims int64 [S, m], without repetition in a row, and points float64 [S, m] between the dimension's min and max.
        Unlike numpy's own triangular draw, a dimension in which all images agree gives that value.
    """
    size = embeddings.shape[1]
    dims = np.stack([rng.choice(size, min(subspace, size), replace=False) for _ in range(samples)])
    low, mode, high = (find(embeddings, axis=0).astype(np.float64)[dims] for find in (np.min, np.median, np.max))
    quantile = rng.random(dims.shape)
    width = high - low
    rising = quantile * width < mode - low
    points = np.where(
        rising, low + np.sqrt(quantile * width * (mode - low)), high - np.sqrt((1 - quantile) * width * (high - mode))
    )
    return dims, points


@register_method(
    "zcore",
    supervision="none",
    needs=("embeddings",),
    paper="Griffin et al. 2024, arXiv:2411.15349",
    stochastic=True,
)
def zcore(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    samples: Annotated[int, Field(ge=1)] | None = None,
    subspace: Annotated[int, Field(ge=1)] = 2,
    neighbors: Annotated[int, Field(ge=1)] = 1000,
    exponent: Annotated[float, Field(ge=0)] = 4.0,
) -> NDArray[np.int64]:
    """Keep the images that cover random subspaces of the embeddings without repeating others.

    ZCore (Griffin et al. 2024), scores of ``subspace_scores`` on top of a uniform random start in [0, 1). Deviations:
    the embeddings of one encoder, where the paper joins two; and a number of samples that grows with the pool up to
    the paper's 1,000,000 (which pools of 50,000 images or more get). No score is reported: high = covers much and
    repeats little, which is not hard.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: dimensions, points and start.
        samples: S; None is the smaller of 20 * N and 1,000,000.
        subspace: dimensions per sample.
        neighbors: see ``subspace_scores``.
        exponent: see ``subspace_scores``.

    Returns:
        int64 [n], unique, highest score first.

    Raises:
        SelectionError: an embedding is not finite.
    """
    embeddings = pool.embeddings
    check_finite("embedding values", embeddings)
    count = samples or min(SAMPLES_PER_IMAGE * len(pool), MOST_SAMPLES)
    # Shuffled, so that of several copies it is not always the first that covers and the second that loses.
    order = rng.permutation(len(pool))
    dims, points = draw_points(embeddings, count, subspace, rng)
    scores = subspace_scores(embeddings[order], dims, points, neighbors=neighbors, exponent=exponent)
    scores += rng.random(len(pool))
    return order[hardest(scores, budget, rng)]
