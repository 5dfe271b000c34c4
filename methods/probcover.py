"""ProbCover (Yehuda et al. 2022): cover as many images as possible with balls around the picks."""

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
"""Distances in memory at once: 16 MB of float32, whatever the size of the pool."""
_EVERYTHING = 2.1
"""More than the largest distance between rows of length 1."""


def pure_radius(rows: NDArray[np.float32], clusters: NDArray[np.integer], purity: float) -> float:
    """Return the largest radius at which enough of the open balls around the rows are pure.

    A ball is pure if all rows inside belong to one cluster. The ball of a row is pure up to the nearest row of another
    cluster, so the radius is a quantile of those distances. This takes N * N * D operations, a few rows at a time.

    Args:
        rows: float32 [N, D] of length at most 1, finite. Not modified.
        clusters: [N] cluster numbers.
        purity: share of the balls that must be pure, in (0, 1].

    Returns:
        The radius; 2.1 if every ball is pure at any radius, as with one cluster.
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
    # Decimal arithmetic: in binary floating point (1 - 0.95) * 20 is above 1.
    impure = min(int((1 - Decimal(str(purity))) * len(rows)), len(rows) - 1)
    # The balls are open, so at this radius at most ``impure`` of them contain a row of another cluster.
    return float(np.sqrt(np.clip(np.sort(nearest)[impure], 0, _EVERYTHING**2)))


def ball(radius: float) -> Kernel:
    """Return the kernel that is 1 for distances below the radius and 0 elsewhere; it takes squared distances."""
    # Below and not at the radius, or the balls of ``pure_radius`` would contain a row of another cluster.
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
    """Pick greedily the image whose ball contains the most images that are in no ball yet.

    Yehuda et al. 2022, algorithm 1, on L2-normalised embeddings. An image is in the ball of another if their distance
    is below delta. With ``delta="purity"`` (section 3.3), delta is the largest radius at which 95 % of the balls are
    pure: they contain images of one k-means cluster only, of as many clusters as there are classes. The row names
    delta.

    Deviation: once every image is in a ball, the rest of the budget is drawn uniformly, with a warning; the released
    code would pick image 0 again and again.

    Args:
        pool: needs embeddings; its number of classes is the number of clusters.
        budget: n, images to keep.
        rng: seeds k-means, breaks ties, and draws images once the pool is covered.
        delta: radius of the balls, or ``purity``, the rule above.
        purity: share of the balls that must be pure; only for ``delta="purity"``.

    Returns:
        int64 [n], unique, in the order of the picks: the first k are the picks of a budget of k.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # Shuffled: ``greedy_coverage`` breaks ties by position, and counts of images have many ties.
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
    rest = np.delete(np.arange(len(rows)), picks)  # ``order`` is random already
    return order[np.concatenate([picks, rest])[:budget]]
