"""In which order to label a choice, so that stopping early still leaves a good one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.knn import unit_rows
from bench.labelling.rows import Rows

WITNESSES = 5_000
"""Items by which an order is judged; more of them change it little."""
COVERED = 2_000
"""As many items are put in order by what they cover; further ones follow at random."""


def by_complement(
    rows: Rows,
    picks: NDArray[np.int64],
    labelled: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Order a choice so that its first k cover all items as well as k of it can beside those labelled, for every k.

    Coverage is that of MaxHerding (Bae et al. 2024): the sum over items of exp(-d^2) to the nearest one that is
    labelled or picked, one largest gain at a time. The first 2,000 are ordered so; the rest follows in random order.

    Args:
        rows: float32 [N, D], finite, of any length: all items. The picks, those labelled and 5,000 others are read.
        picks: int64 [n] positions in the rows, unique: the choice.
        labelled: int64 [L] positions in the rows: what counts as picked before.
        rng: draws the items by which coverage is judged, and breaks ties.

    Returns:
        int64 [n], the picks in another order.
    """
    from bench.methods._coverage import greedy_coverage, rbf

    # Shuffled first: of equal gains the first is taken, which must not be the order of the files.
    shuffled = rng.permutation(picks)
    everything = slice(None)
    judged = rows[everything if len(rows) <= WITNESSES else rng.choice(len(rows), WITNESSES, replace=False)]
    # h = 1, which MaxHerding's authors found robust on unit rows.
    first = greedy_coverage(
        unit_rows(judged),
        min(len(picks), COVERED),
        rbf(1.0),
        candidates=unit_rows(rows[shuffled]),
        before=unit_rows(rows[labelled]),
    )
    return np.concatenate([shuffled[first], np.delete(shuffled, first)])
