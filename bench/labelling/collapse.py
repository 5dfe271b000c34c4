"""Warnings about choices that are not varied or contain copies, and about embeddings that say nothing."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from bench.labelling.rows import Rows, in_blocks

_FAIR = 3
"""A cluster must have this many times its fair share of the choice, and half of the choice, for a warning."""
_FEWEST = 10
"""A choice of fewer items has few clusters, or half of it in one, by chance."""


def collapse(clusters: NDArray[np.int64], classes: int) -> list[str]:
    """Return warnings if a choice has far fewer clusters than classes, or half of its items in one cluster.

    Args:
        clusters: int64 [n], cluster of each chosen item.
        classes: approximate number of classes.

    Returns:
        Warnings that say what to do; none for a varied choice.
    """
    size, (numbers, counts) = len(clusters), np.unique(clusters, return_counts=True)
    if size < _FEWEST:
        return []
    advice = "; try another --method or --encoder, and look at the page before you label."
    warnings = []
    # A choice cannot come from more clusters than it has items.
    if 2 * len(numbers) <= min(size, classes):
        warnings.append(f"the choice comes from only {len(numbers)} of {classes} clusters{advice}")
    largest = int(counts.max())
    if 2 * largest >= size and largest * classes >= _FAIR * size:
        number = int(numbers[counts.argmax()])
        warnings.append(f"{largest} of the {size} chosen items are in one cluster ({number}){advice}")
    return warnings


def copies(chosen: Collection[Hashable], labelled: Iterable[Hashable]) -> list[str]:
    """Return a warning if chosen items are exact copies of other chosen or labelled ones.

    Args:
        chosen: content of each chosen item, the same for copies.
        labelled: content of each labelled item.

    Returns:
        One warning, or none.
    """
    repeated = len(chosen) - len(set(chosen).difference(labelled))
    if not repeated:
        return []
    are = "is an exact copy of another" if repeated == 1 else "are exact copies of other"
    return [
        f"{repeated:,} of the {len(chosen):,} chosen items {are} chosen or labelled item{'s' * (repeated > 1)}; leave "
        "copies out (bench select --skip-duplicates, or bench.select(similarity=0.98))."
    ]


def empty_rows(rows: Rows) -> list[str]:
    """Return a warning if embeddings consist only of zeros, which say nothing about their items.

    Args:
        rows: float32 [N, D], the user's embeddings. (Pixels of a black picture are zeros too, and no fault.)

    Returns:
        One warning, or none.
    """
    empty = np.concatenate([inside.start + np.flatnonzero(~part.any(axis=1)) for inside, part in in_blocks(rows)])
    if not len(empty):
        return []
    return [
        f"{len(empty):,} of {len(rows):,} embeddings are all zeros, the first in line {empty[0]} (counted from 0); "
        "perhaps embedding failed there."
    ]
