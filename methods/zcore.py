"""ZCore (Griffin et al. 2024): coverage without redundancy in random subspaces of the embeddings."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, hardest, register_method

SAMPLES_PER_IMAGE = 500
MOST_SAMPLES = 1_000_000
_CELLS = 2**16
"""Distances in memory at once: a step takes many samples for a pool of a few hundred images, one for a large pool."""

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
    """Return ZCore's scores: at each sampled point the nearest image gains 1 and its neighbours share a loss of 1.

    ZCore (Griffin et al. 2024). Distances are sums of absolute differences over the sample's dimensions. The
    neighbours of the image that gained share the loss in proportion to d^-exponent; a copy (d = 0) takes the whole
    loss. Deviation: the image itself is excluded by its index, where the released code excludes the first of the
    sorted distances, which among copies is another image.

    Args:
        embeddings: [N, D], finite. Not modified.
        dims: [S, m] dimensions of each sample, without repetition in a row.
        points: [S, m] the sampled coordinates in those dimensions.
        neighbors: number of neighbours that share the loss, at most N - 1.
        exponent: how fast a neighbour's share falls with its distance.

    Returns:
        float64 [N]; high = covers much and repeats little. The sum is 0 if N is 2 or more.
    """
    size = len(embeddings)
    # Stored by dimension: a sample reads a few dimensions whole, each of which is then contiguous.
    columns = np.ascontiguousarray(embeddings.T)
    # Otherwise numpy would compute distances of float32 embeddings in float64.
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
        # By its index: the nearest image may be a copy of the one that gained.
        apart[sample, covering] = np.inf
        # Not sorted: the shares are the same in any order.
        near = np.argpartition(apart, others - 1)[:, :others]
        distances = np.take_along_axis(apart, near, 1).astype(np.float64)
        nearest = distances.argmin(1)
        least = distances[sample, nearest]
        copied = least == 0
        with np.errstate(invalid="ignore"):  # 0 / 0 among copies, handled below
            # Relative to the nearest, so that no power overflows.
            shares = (least[:, None] / distances) ** exponent
        # In the limit of d = 0 a copy's share is infinitely larger than any other, so it takes the whole loss.
        shares[copied] = 0
        shares[copied, nearest[copied]] = 1
        shares /= shares.sum(1, keepdims=True)
        scores -= np.bincount(near.ravel(), shares.ravel(), size)
    return scores


def _distances(
    columns: NDArray[np.floating], dims: NDArray[np.integer], points: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return the L1 distances [B, N] between points [m, B] in dimensions [m, B] and images [D, N]."""
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

    Unlike numpy's triangular draw, this works for a dimension in which all images have the same value.

    Args:
        embeddings: [N, D], finite; N at least 1.
        samples: S, number of samples.
        subspace: m, dimensions per sample, at most D.
        rng: makes the draws.

    Returns:
        dims int64 [S, m], without repetition in a row, and points float64 [S, m] between the dimension's min and max.
    """
    size = embeddings.shape[1]
    dims = np.empty((samples, min(subspace, size)), dtype=np.int64)
    for column in range(dims.shape[1]):
        chosen = rng.integers(size - column, size=samples)
        for earlier in np.sort(dims[:, :column], axis=1).T:  # ascending: all remaining numbers are equally likely
            chosen += chosen >= earlier
        dims[:, column] = chosen
    low, mode, high = (find(embeddings, axis=0).astype(np.float64)[dims] for find in (np.min, np.median, np.max))
    # The inverse of the triangular distribution's CDF, multiplied out so that nothing is divided by a width of 0.
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
    """Keep the images that cover random subspaces of the embeddings without repeating each other.

    ZCore (Griffin et al. 2024). Every score starts at a random number in [0, 1). Then points are sampled in random
    subspaces: the image nearest to a point gains 1, and that image's neighbours share a loss of 1 in proportion to
    d^-exponent, where d is the L1 distance in the subspace. The highest scores are kept. No score is reported, since
    high means "covers much and repeats little", which is not hard.

    Deviations: the embeddings of one encoder, where the paper joins two. The image itself is excluded from its
    neighbours by its index, where the released code may exclude a copy instead. The number of samples is the released
    code's 1,000,000, but at most 500 per image, which limits pools of fewer than 2,000 images.

    With few samples, chance decides much. With 30 % of 2,000 CIFAR-10 images kept, embedded by
    ``efficientnet_lite0(size=96)``, two seeds have 36, 47, 58 and 68 % of their images in common at 20, 100, 200 and
    500 samples per image, where chance is 30 % (n = 1 pair of seeds); of 1,000 images 37 to 38, 64 to 65 and 77 to
    78 % at 20, 200 and 500 (n = 3 pairs; AMD EPYC, 2026-11-28). A pool of 50,000 images gets 20 samples per image;
    raise ``samples`` for more.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: draws dimensions, points and the initial scores.
        samples: S, number of samples; None is the smaller of 500 * N and 1,000,000.
        subspace: dimensions per sample.
        neighbors: number of neighbours that share the loss, at most N - 1.
        exponent: how fast a neighbour's share of the loss falls with its distance.

    Returns:
        int64 [n], unique, highest score first.

    Raises:
        SelectionError: an embedding is not finite.
    """
    embeddings = pool.embeddings
    check_finite("embedding values", embeddings)
    count = samples or min(SAMPLES_PER_IMAGE * len(pool), MOST_SAMPLES)
    # Shuffled, so that among copies it is not always the first that gains and the second that loses.
    order = rng.permutation(len(pool))
    scores, shuffled = np.zeros(len(pool)), embeddings[order]
    step = max(1, _DRAWN // min(subspace, embeddings.shape[1]))
    for start in range(0, count, step):
        dims, points = draw_points(embeddings, min(step, count - start), subspace, rng)
        scores += subspace_scores(shuffled, dims, points, neighbors=neighbors, exponent=exponent)
    # The paper's random initial scores decide between images that no sample has touched, which all have 0.
    scores += rng.random(len(pool))
    return order[hardest(scores, budget, rng)]
