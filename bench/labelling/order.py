"""The order in which to label a choice, so that stopping early still leaves a good choice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.knn import unit_rows
from bench.labelling.rows import Rows

WITNESSES = 5_000
"""Items whose coverage decides the order; more of them change it little."""
COVERED = 2_000
"""Number of items that are ordered by their coverage; the others follow in random order."""


def by_complement(
    rows: Rows,
    picks: NDArray[np.int64],
    labelled: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return a choice in an order whose first k items, with the labelled ones, cover the pool well for every k.

    Coverage is MaxHerding's (Bae et al. 2024): the sum over all items of exp(-d^2), where d is the distance to the
    nearest labelled or picked item. Items are ordered greedily by their gain in coverage. Only the first 2,000 are
    ordered; the rest follows in random order.

    Args:
        rows: float32 [N, D], finite, all items. The picks, the labelled items and 5,000 random items are read.
        picks: int64 [n] positions in the rows, unique: the choice.
        labelled: int64 [L] positions in the rows: items that count as picked before.
        rng: draws the items whose coverage counts, and breaks ties.

    Returns:
        int64 [n], the picks in the order to label.
    """
    from bench.methods._coverage import greedy_coverage, rbf

    # Shuffled: ties go to the first pick, which must not depend on the order of the files.
    shuffled = rng.permutation(picks)
    everything = slice(None)
    covered = rows[everything if len(rows) <= WITNESSES else rng.choice(len(rows), WITNESSES, replace=False)]
    # h = 1, which MaxHerding's authors found robust on unit rows.
    first = greedy_coverage(
        unit_rows(covered),
        min(len(picks), COVERED),
        rbf(1.0),
        candidates=unit_rows(rows[shuffled]),
        before=unit_rows(rows[labelled]),
    )
    return np.concatenate([shuffled[first], np.delete(shuffled, first)])
