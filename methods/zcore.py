"""ZCore (Griffin et al. 2024): coverage and redundancy in random low-dimensional subspaces of the embeddings."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, hardest, register_method

SAMPLES_PER_IMAGE = 500
MOST_SAMPLES = 1_000_000
_CELLS = 2**16
"""Distances held at once: pools of a few hundred images take many samples in one step, large ones one at a time."""

_DRAWN = 2**22
"""Coordinates drawn at once."""


def subspace_scores(
    embeddings: NDArray[np.floating],
    dims: NDArray[np.integer],
    points: NDArray[np.floating],
    *,
    neighbors: int = 1000,
    exponent: float = 4.0,
) -> NDArray[np.float64]:
    """Score images: at each sampled point the nearest gains 1, and that image's neighbours share a loss of 1.

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
    size = len(embeddings)
    # By dimension: a sample reads two or so of them whole, which lie in one piece this way.
    columns = np.ascontiguousarray(embeddings.T)
    # Or numpy would compute every distance of float32 embeddings in float64.
    points = points.astype(columns.dtype)
    scores = np.zeros(size)
    others = min(neighbors, size - 1)
    step = max(1, _CELLS // max(size, 1))
    for start in range(0, len(dims), step):
        chosen = dims[start : start + step].T
        covering = _distances(columns, chosen, points[start : start + step].T).argmin(1)
        scores += np.bincount(covering, minlength=size)
        if not others:
            continue
        apart = _distances(columns, chosen, columns[chosen, covering])
        sample = np.arange(len(apart))
        # By its index: the nearest of all may be a copy of the image that gained.
        apart[sample, covering] = np.inf
        # Unsorted, since the shares are the same in any order.
        near = np.argpartition(apart, others - 1)[:, :others]
        distances = np.take_along_axis(apart, near, 1).astype(np.float64)
        nearest = distances.argmin(1)
        least = distances[sample, nearest]
        copied = least == 0
        with np.errstate(invalid="ignore"):  # 0 / 0 among copies, which are dealt with below
            # Relative to the nearest, so that no power overflows.
            shares = (least[:, None] / distances) ** exponent
        # A copy's share is infinite beside any other's, so it takes the whole loss, as in the limit.
        shares[copied] = 0
        shares[copied, nearest[copied]] = 1
        shares /= shares.sum(1, keepdims=True)
        scores -= np.bincount(near.ravel(), shares.ravel(), size)
    return scores


def _distances(
    columns: NDArray[np.floating], dims: NDArray[np.integer], points: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return the sums of absolute differences [B, N] between points [m, B] in dimensions [m, B] and N images [D, N]."""
    apart = np.zeros((dims.shape[1], columns.shape[1]), columns.dtype)
    for chosen, coordinates in zip(dims, points, strict=True):
        part = columns[chosen]
        part -= coordinates[:, None]
        apart += np.abs(part, out=part)
    return apart


def draw_points(
    embeddings: NDArray[np.floating], samples: int, subspace: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw dimensions, and in each a coordinate from the triangular distribution (min, median, max) of the pool.

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
    dims = np.empty((samples, min(subspace, size)), dtype=np.int64)
    for column in range(dims.shape[1]):
        chosen = rng.integers(size - column, size=samples)
        for earlier in np.sort(dims[:, :column], axis=1).T:  # ascending, so that each number left is as likely
            chosen += chosen >= earlier
        dims[:, column] = chosen
    low, mode, high = (find(embeddings, axis=0).astype(np.float64)[dims] for find in (np.min, np.median, np.max))
    # The inverse of the triangular distribution's CDF, multiplied out: nothing is divided by a width of 0.
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
    version=2,
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

    ZCore (Griffin et al. 2024), scores of ``subspace_scores`` on top of a uniform random start in [0, 1). Deviation:
    the embeddings of one encoder, where the paper joins two. No score is reported: high = covers much and repeats
    little, which is not hard.

    The samples are the released code's 1,000,000, and at most 500 for each image, which pools of less than 2,000 images
    get. Few samples keep much by chance: of 2,000 CIFAR-10 images, embedded by ``efficientnet_lite0(size=96)``, two
    seeds keep 36, 47, 58 and 68 % in common of the 30 % kept with 20, 100, 200 and 500 samples for each image, where
    chance is 30 % (n = 1 pair of seeds); of 1,000 images 37 to 38, 64 to 65 and 77 to 78 % with 20, 200 and 500 (n = 3
    pairs; AMD EPYC, 2026-11-28). A pool of 50,000 has 20 for each: ``samples`` takes more.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: dimensions, points and start.
        samples: S; None is the smaller of 500 * N and 1,000,000.
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
    scores, shuffled = np.zeros(len(pool)), embeddings[order]
    step = max(1, _DRAWN // min(subspace, embeddings.shape[1]))
    for start in range(0, count, step):
        dims, points = draw_points(embeddings, min(step, count - start), subspace, rng)
        scores += subspace_scores(shuffled, dims, points, neighbors=neighbors, exponent=exponent)
    # The paper's random start. It decides among images that no sample has touched, all of which have 0.
    scores += rng.random(len(pool))
    return order[hardest(scores, budget, rng)]
