"""Greedy coverage of a pool by a kernel, without an N x N matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench import check_budget

Kernel = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Squared distances float32 [...] -> similarities in [0, 1] of the same shape; may work in place."""
Positions: TypeAlias = NDArray[np.int64] | slice
Similarity = Callable[[Positions, Positions], NDArray[np.float32]]
"""Positions of P candidates and of Q rows -> how well each candidate covers each row, float32 [P, Q], at least 0.

The result belongs to the caller, who may change it in place."""
_CELLS = 2**23
"""Similarities in memory at once: 32 MB of float32, whatever the size of the pool."""


def rbf(lengthscale: float) -> Kernel:
    """Return the kernel exp(-d^2 / h^2), which takes squared distances and works in place.

    Args:
        lengthscale: h, above 0.
    """

    def kernel(squares: NDArray[np.float32]) -> NDArray[np.float32]:
        # In place: the argument is a block of up to 2^23 numbers, and a copy of it would double the memory.
        squares /= -(lengthscale**2)
        return np.exp(squares, out=squares)

    return kernel


def greedy_coverage(
    rows: NDArray[np.float32],
    budget: int,
    kernel: Kernel,
    *,
    candidates: NDArray[np.float32] | None = None,
    before: NDArray[np.float32] | None = None,
) -> NDArray[np.int64]:
    """Greedily maximise C(S) = sum over i of max over s in S of kernel(|x_i - x_s|^2).

    Each step picks the candidate with the largest gain. A pick changes the gains only through the rows that it covers
    better than all earlier picks, so only their similarities are computed again. Whatever the budget, this takes a few
    passes over all pairs: about log n for a smooth kernel, one for a kernel with values 0 and 1. C(S) is at least
    1 - 1/e of the optimum (Nemhauser et al. 1978).

    Args:
        rows: x float32 [N, D], finite, the rows to cover. Not modified.
        budget: n, candidates to pick.
        kernel: see ``Kernel``.
        candidates: float32 [M, D], the rows that may be picked; None stands for ``rows``.
        before: float32 [L, D], rows that are in S from the start, such as images that already have a label.

    Returns:
        int64 [at most n] positions among the candidates, unique, in the order of the picks; fewer than n when no
        further candidate covers more. Ties go to the smallest position.

    Raises:
        SelectionError: n is outside 0 to the number of candidates.
    """
    chosen_from = rows if candidates is None else candidates
    squares, candidate_squares = (np.einsum("nd,nd->n", points, points) for points in (rows, chosen_from))

    def similarity(picked: Positions, covered: Positions) -> NDArray[np.float32]:
        # |x|^2 + |y|^2 - 2xy takes one matrix product. Rounding may make it negative, and a kernel of that exceeds 1.
        apart = chosen_from[picked] @ rows[covered].T
        apart *= -2
        apart += candidate_squares[picked, None]
        apart += squares[covered]
        return kernel(np.maximum(apart, 0, out=apart))

    best = np.zeros(len(rows), dtype=np.float32) if before is None else _covered(rows, before, kernel)
    return greedy_cover(similarity, best, len(chosen_from), budget)


def greedy_cover(similarity: Similarity, best: NDArray[np.float32], candidates: int, budget: int) -> NDArray[np.int64]:
    """Greedily maximise the sum over i of max(best_i, max over s in S of similarity(s, i)).

    See ``greedy_coverage``.

    Args:
        similarity: see ``Similarity``.
        best: float32 [N], how well each row is covered from the start. Not modified.
        candidates: M, the number of candidates.
        budget: n, candidates to pick.

    Returns:
        int64 [at most n] positions among the candidates, as ``greedy_coverage`` returns them.

    Raises:
        SelectionError: n is outside 0 to M.
    """
    check_budget(candidates, budget)
    step = max(1, _CELLS // max(candidates, 1))
    everything = slice(None)
    # float64: a gain is a sum over the whole pool, and small losses are subtracted from it many times.
    gains = np.zeros(candidates)
    for start in range(0, len(best), step):
        block = slice(start, start + step)
        gains += np.maximum(similarity(everything, block) - best[block], 0).sum(1, dtype=np.float64)
    picks: list[int] = []
    while len(picks) < budget:
        pick = int(gains.argmax())
        # All remaining candidates are copies of picks, or cover nothing new; the method decides how to spend the rest
        # of the budget.
        if gains[pick] <= 0:
            break
        picks.append(pick)
        raised = np.maximum(best, similarity(slice(pick, pick + 1), everything)[0])
        better = np.flatnonzero(raised > best)
        for start in range(0, len(better), step):
            part = better[start : start + step]
            lost = similarity(everything, part)
            # A candidate loses the part of its gain between the old and the new cover: below the old cover it gained
            # nothing, and above the new one it still gains.
            np.clip(lost, best[part], raised[part], out=lost)
            gains -= (lost - best[part]).sum(1, dtype=np.float64)
        # Only after the loop, which reads the old cover.
        best = raised
        # Rounding may leave the gain of a pick slightly above 0.
        gains[pick] = -np.inf
    return np.asarray(picks, dtype=np.int64)


def _covered(rows: NDArray[np.float32], by: NDArray[np.float32], kernel: Kernel) -> NDArray[np.float32]:
    """Return the similarity of every row to the most similar row of ``by``, float32 [N]; 0 if ``by`` is empty."""
    squares, by_squares = (np.einsum("nd,nd->n", points, points) for points in (rows, by))
    best = np.zeros(len(rows), dtype=np.float32)
    step = max(1, _CELLS // max(len(by), 1))
    for start in range(0, len(rows) if len(by) else 0, step):
        part = slice(start, start + step)
        apart = squares[part, None] + by_squares - 2 * (rows[part] @ by.T)
        best[part] = kernel(np.maximum(apart, 0, out=apart)).max(1)
    return best
