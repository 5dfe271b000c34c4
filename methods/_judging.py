"""Taking the best of several coresets by a judge that reads no label, or a random one where none is better."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bench import Judge, Pool, SelectionError

RANDOM_CORESETS = 5
"""Random coresets that the guard compares with: enough for a standard deviation, few enough to cost next to nothing."""


def take_best(
    pool: Pool,
    candidates: Mapping[str, NDArray[np.int64]],
    budget: int,
    rng: np.random.Generator,
    *,
    by: Judge,
    guard: bool,
) -> tuple[str, NDArray[np.int64]]:
    """Have the candidates judged, report what all were judged, and return the best.

    Args:
        pool: needs the judge.
        candidates: name -> coreset int64 [n]; of equally good ones the first is taken.
        budget: n.
        rng: draws the random coresets of the guard, whether it is on or not.
        by: which judge, see ``Pool.judge``.
        guard: judge ``RANDOM_CORESETS`` random coresets too, and take the first of them where the best candidate is not
            above their mean by their standard deviation.

    Returns:
        Its name, or ``random 1``, and the coreset.

    Raises:
        SelectionError: a judgement is NaN.
    """
    draws = {f"random {number + 1}": rng.choice(len(pool), budget, replace=False) for number in range(RANDOM_CORESETS)}
    all_of_them = {**candidates, **draws} if guard else dict(candidates)
    found = pool.judge([np.sort(indices) for indices in all_of_them.values()], by=by)
    if np.isnan(found).any():
        raise SelectionError(f"cannot choose: the judge says NaN of {np.isnan(found).sum()} of {len(found)} coresets.")
    judged = dict(zip(all_of_them, found.tolist(), strict=True))
    taken = max(candidates, key=judged.__getitem__)
    if guard:
        by_chance = [judged[name] for name in draws]
        if judged[taken] <= np.mean(by_chance) + np.std(by_chance, ddof=1):
            taken = "random 1"
    pool.report(judged=judged, taken=taken)
    return taken, all_of_them[taken]
