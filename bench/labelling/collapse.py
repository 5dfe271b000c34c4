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
_NONE = np.empty(0, dtype=np.int64)


def collapse(clusters: NDArray[np.int64], classes: int, labelled: NDArray[np.int64] = _NONE) -> list[str]:
    """Return warnings if a choice has far fewer clusters than classes, or half of its items in one cluster.

    A choice that complements labelled items leaves out what these cover, so a cluster counts as chosen if it has a
    labelled item, and may have half of the choice until it has its fair share of all.

    Args:
        clusters: int64 [n], cluster of each chosen item.
        classes: approximate number of classes.
        labelled: int64 [L], cluster of each labelled item.

    Returns:
        Warnings that say what to do; none for a varied choice.
    """
    size, (numbers, counts), known = len(clusters), np.unique(clusters, return_counts=True), np.unique(labelled)
    if size < _FEWEST:
        return []
    advice = "; try another --method or --encoder, and look at the page before you label."
    warnings = []
    covered = len(np.union1d(numbers, known))
    # A choice cannot add more clusters than it has items.
    if 2 * covered <= min(size + len(known), classes):
        come = "the choice and what is labelled come" if len(known) else "the choice comes"
        warnings.append(f"{come} from only {covered} of {classes} clusters{advice}")
    largest, number = int(counts.max()), int(numbers[counts.argmax()])
    in_all = largest + int((labelled == number).sum())
    crowded = in_all * classes > size + len(labelled)
    if crowded and 2 * largest >= size and largest * classes >= _FAIR * size:
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
