"""Signs that a choice is much less varied than what it was chosen from, or that nothing could be chosen by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.labelling.rows import Rows, in_blocks

_FAIR = 3
"""Times its fair share that a cluster must have of the choice, besides half of it."""
_FEWEST = 10
"""Items; a smaller choice has few clusters, or half of it in one, by chance."""


def collapse(clusters: NDArray[np.int64], classes: int) -> list[str]:
    """Say how a choice collapsed, and what to do: far fewer clusters than classes, or half of it in one cluster.

    Args:
        clusters: int64 [n], cluster of each chosen item.
        classes: about how many classes there are.

    Returns:
        Warnings, empty for a varied choice.
    """
    size, (numbers, counts) = len(clusters), np.unique(clusters, return_counts=True)
    if size < _FEWEST:
        return []
    advice = "; try another --method or --encoder, and look at the page before you label."
    warnings = []
    # A choice cannot come from more clusters than it has items.
    if 2 * len(numbers) <= min(size, classes):
        warnings.append(f"the choice comes from {len(numbers)} of the {classes} clusters that were looked for{advice}")
    largest = int(counts.max())
    if 2 * largest >= size and largest * classes >= _FAIR * size:
        number = int(numbers[counts.argmax()])
        warnings.append(f"{largest} of the {size} chosen items are of one cluster ({number}){advice}")
    return warnings


def oddities(rows: Rows, budget: int) -> list[str]:
    """Say what is odd about embeddings that were given; pictures may be black, or copies of each other.

    Args:
        rows: float32 [N, D], as they were given.
        budget: n, items to choose.
    """
    return [*empty_rows(rows), *copies(rows, budget)]


def copies(rows: Rows, budget: int) -> list[str]:
    """Say that fewer embeddings differ than items are chosen.

    Args:
        rows: float32 [N, D], what is chosen from.
        budget: n, items to choose.

    Returns:
        A warning, or none.
    """
    different: set[int] = set()
    for _, part in in_blocks(rows):
        different.update(hash(row.tobytes()) for row in part + 0.0)  # -0 and 0 are equal
        # Most pools differ from the first block on, and the rest of a large file need not be read for it.
        if len(different) >= budget:
            return []
    return [
        f"the {len(rows):,} items have {len(different):,} different embeddings, so the choice holds copies; choose "
        "fewer, or leave copies out (--skip-duplicates)."
    ]


def empty_rows(rows: Rows) -> list[str]:
    """Say how many embeddings are zeros alone, which tell nothing of their items.

    Args:
        rows: float32 [N, D], as they were given; of a black picture, pixels are zeros and no fault.

    Returns:
        A warning, or none.
    """
    empty = np.concatenate([inside.start + np.flatnonzero(~part.any(axis=1)) for inside, part in in_blocks(rows)])
    if not len(empty):
        return []
    return [
        f"{len(empty):,} of {len(rows):,} embeddings are zeros alone, the first in line {empty[0]} (counted from 0); "
        "perhaps what made them failed there."
    ]
