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
    # Drawn with the guard off too, so that the switch changes no other random number.
    draws = {f"random {number + 1}": rng.choice(len(pool), budget, replace=False) for number in range(RANDOM_CORESETS)}
    all_of_them = {**candidates, **draws} if guard else dict(candidates)
    # Sorted: coresets of the same images must be judged alike, in whatever order their methods return them.
    judgements = pool.judge([np.sort(indices) for indices in all_of_them.values()], by=by)
    if unknown := int(np.isnan(judgements).sum()):
        raise SelectionError(f"cannot choose: the judge says NaN of {unknown} of {len(judgements)} coresets.")
    judged = dict(zip(all_of_them, judgements.tolist(), strict=True))
    # Among the candidates alone, in their order: a random coreset is taken only by the rule below.
    taken = max(candidates, key=judged.__getitem__)
    if guard:
        by_chance = [judged[name] for name in draws]
        # One standard deviation is a convention, and a weak test: were all candidates as good as random ones, the best
        # of 5 would pass in 59 % of all cases, the best of 12 in 81 % (simulated, 200,000 draws). A stricter one would
        # take random coresets yet more often, which cost more than it saved where it was measured.
        if judged[taken] <= np.mean(by_chance) + np.std(by_chance, ddof=1):
            taken = "random 1"
    pool.report(judged=judged, taken=taken)
    return taken, all_of_them[taken]
