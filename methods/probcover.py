"""ProbCover (Yehuda et al. 2022): as many images as possible inside balls around the kept ones."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, register_method, unit_rows

from ._clusters import cluster
from ._coverage import Kernel, greedy_coverage
from ._unread import refuse_unread

_log = logging.getLogger(__name__)
_CELLS = 2**22
"""Distances held at once: 16 MB of float32, whatever the size of the pool."""
_EVERYTHING = 2.1
"""More than the largest distance between rows of length 1."""


def pure_radius(rows: NDArray[np.float32], clusters: NDArray[np.integer], purity: float) -> float:
    """Return the largest radius at which a share of the open balls around the rows holds rows of one cluster only.

    The ball of a row is pure up to the nearest row of another cluster, so the radius is a quantile of those distances.
    N * N * D operations, a few rows at a time.

    Args:
        rows: float32 [N, D] of length at most 1, finite. Not modified.
        clusters: [N] cluster numbers.
        purity: share of the balls that must be pure, in (0, 1].

    Returns:
        The radius; 2.1 where every ball is pure at any radius, as with one cluster.
    """
    squares = np.einsum("nd,nd->n", rows, rows)
    nearest = np.full(len(rows), np.inf)
    for number in np.unique(clusters):
        inside = np.flatnonzero(clusters == number)
        outside = np.flatnonzero(clusters != number)
        others = rows[outside].T
        step = max(1, _CELLS // max(len(outside), 1))
        for start in range(0, len(inside) if len(outside) else 0, step):
            chunk = inside[start : start + step]
            nearest[chunk] = squares[chunk] + (squares[outside] - 2 * (rows[chunk] @ others)).min(1)
    # In decimal arithmetic: in binary floating point (1 - 0.95) * 20 is above 1.
    impure = min(int((1 - Decimal(str(purity))) * len(rows)), len(rows) - 1)
    # Open balls: at this radius those whose stranger lies nearer are impure, at most ``impure`` of them.
    return float(np.sqrt(np.clip(np.sort(nearest)[impure], 0, _EVERYTHING**2)))


def ball(radius: float) -> Kernel:
    """Return the kernel that is 1 for distances below the radius and 0 elsewhere, of squared distances."""
    # Below and not at the radius, or the balls of ``pure_radius`` would hold their nearest stranger.
    return lambda squares: (squares < radius**2).astype(np.float32)


@register_method(
    "probcover",
    supervision="none",
    needs=("embeddings",),
    paper="Yehuda et al. 2022, arXiv:2205.11320",
    stochastic=True,
    check=lambda params, rate: refuse_unread(params, "delta=purity", params["delta"] == "purity", {"purity": 0.95}),
)
def probcover(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    delta: Annotated[float, Field(gt=0)] | Literal["purity"] = "purity",
    purity: Annotated[float, Field(gt=0, le=1)] = 0.95,
) -> NDArray[np.int64]:
    """Pick greedily the image whose ball holds the most images that no ball holds yet.

    Yehuda et al. 2022, algorithm 1, on L2-normalised embeddings; two images are in each other's ball where their
    distance is below delta. By ``delta="purity"``, section 3.3, delta is the largest radius at which 95 % of the balls
    hold images of one k-means cluster alone (C clusters); the row names it. Once every image is in a ball, the rest of
    the budget is drawn uniformly, which is warned of: the released code would pick image 0 again and again.

    Args:
        pool: needs embeddings; its number of classes is the number of clusters.
        budget: n, images to keep.
        rng: k-means, ties, and the images beyond those that cover the pool.
        delta: the radius, or the rule.
        purity: share of pure balls; for ``delta="purity"`` alone.

    Returns:
        int64 [n], unique, in the order of the picks: the first k are what a budget of k picks.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # ``greedy_coverage`` breaks ties by position, of which counts of images have many.
    order = rng.permutation(len(pool))
    rows = unit_rows(pool.embeddings)[order]
    if delta == "purity":
        clusters, _ = cluster(rows, min(pool.num_classes, len(pool)), rng)
        delta = pure_radius(rows, clusters, purity)
        pool.report(delta=delta)
    picks = greedy_coverage(rows, budget, ball(delta))
    if len(picks) < budget:
        _log.warning(
            "probcover: %d images cover the pool at delta=%.3g; the other %d are drawn at random",
            len(picks),
            delta,
            budget - len(picks),
        )
    rest = np.delete(np.arange(len(rows)), picks)  # already in an order drawn from rng
    return order[np.concatenate([picks, rest])[:budget]]
