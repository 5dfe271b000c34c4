"""Signs that a choice is much less varied than what it was chosen from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
