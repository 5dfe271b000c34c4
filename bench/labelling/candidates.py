"""Items that may be chosen: none that is labelled, excluded or a near-duplicate, and not too many of a group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import SpecError
from bench.labelling.duplicates import without_duplicates
from bench.labelling.order import by_complement
from bench.labelling.rows import Rows, RowsAt, unmasked
from bench.progress import Progress

_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Limits:
    """Restrictions of a choice; all positions are among the N given items.

    Attributes:
        labelled: int64 [L], items that count as already chosen.
        excluded: int64, items that are never chosen.
        groups: int64 [N], group of each item; None if there are no groups.
        per_group: the most items of a group, including labelled ones; None if groups are chosen whole.
        similarity: cosine similarity from which items are near-duplicates, of which one is kept; None to keep all.
    """

    labelled: NDArray[np.int64] = field(default_factory=lambda: _NONE)
    excluded: NDArray[np.int64] = field(default_factory=lambda: _NONE)
    groups: NDArray[np.int64] | None = None
    per_group: int | None = 1
    similarity: float | None = None


class Candidates(NamedTuple):
    """Items that may be chosen.

    Attributes:
        positions: int64 [M], ascending; if groups are chosen whole, only the item that covers its group best.
        duplicates: int64, items left out as near-duplicates of another candidate or of a labelled item.
        grouped: int64, items left out by the limit of their group.
        left_out: beginning of a message about a budget that is too large: what happened to the other items.
        members: int64, ascending: the positions, and if groups are chosen whole, all items that come with them.
    """

    positions: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    grouped: NDArray[np.int64]
    left_out: str
    members: NDArray[np.int64]


def find_candidates(
    embeddings: Rows,
    limits: Limits,
    rng: np.random.Generator,
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> Candidates:
    """Return the items that may be chosen.

    Labelled and excluded items are left out first, then near-duplicates, then items beyond what a group may have.

    Args:
        embeddings: float32 [N, D], finite.
        limits: restrictions of the choice.
        rng: breaks ties inside groups.
        threads: CPU threads.
        progress: update function for the search for near-duplicates.
    """
    size = len(embeddings)
    # Items that are both labelled and excluded count as labelled: the choice should complement what is known.
    labelled = np.unique(limits.labelled)
    taken = np.union1d(labelled, limits.excluded)
    left = np.setdiff1d(np.arange(size), taken)
    left_out = f"of {size} items {len(labelled)} are labelled; " if len(labelled) else ""
    if hidden := len(taken) - len(labelled):
        left_out += f"of {size} items {hidden} are excluded; "
    duplicates = grouped = _NONE
    if limits.similarity is not None:
        order = np.concatenate([labelled, left])  # labelled items first, so that they are kept
        rows = RowsAt(embeddings, order)
        distinct = order[without_duplicates(rows, limits.similarity, threads=threads, progress=progress)]
        duplicates = np.setdiff1d(left, distinct)
        left = np.setdiff1d(left, duplicates)
        if len(duplicates):
            left_out += f"of {size} items {len(duplicates)} are near-duplicates of others; "
    if limits.groups is not None and limits.per_group is None:
        # Ignoring labelled items: a group that is labelled in part needs a head too, or its rest could not be chosen.
        heads = _capped(embeddings, left, _NONE, limits.groups, 1, rng)
        return Candidates(heads, duplicates, _NONE, left_out, left)
    if limits.groups is not None and limits.per_group is not None:
        capped = _capped(embeddings, left, labelled, limits.groups, limits.per_group, rng)
        grouped = np.setdiff1d(left, capped)
        left = capped
        if len(grouped):
            left_out += f"of {size} items {len(grouped)} are more than --per-group {limits.per_group} of their group; "
    return Candidates(left, duplicates, grouped, left_out, left)


def check_limits(limits: Limits, *, budget: int, items: int) -> None:
    """Refuse a budget that does not fit what is neither labelled nor excluded, before anything is embedded.

    Raises:
        SpecError: too few items are left, or only groups that are larger than the budget.
    """
    free = np.setdiff1d(np.arange(items), np.union1d(limits.labelled, limits.excluded))
    taken = items - len(free)
    # If nothing is taken, ``check_request`` refuses the budget in plainer words.
    if taken and budget > items - taken:
        raise SpecError(
            f"budget {budget} is not valid: of {items} items {taken} are labelled or excluded, "
            f"and {items - taken} are left."
        )
    if limits.groups is None:
        return
    if limits.per_group is None:
        check_whole_groups(
            limits.groups[free], budget, f"of {items} items {taken} are labelled or excluded; " if taken else ""
        )
        return
    size = int(limits.groups.max()) + 1
    known, left = (np.bincount(limits.groups[part], minlength=size) for part in (np.unique(limits.labelled), free))
    most = int(np.minimum(left, np.maximum(limits.per_group - known, 0)).sum())
    if budget > most:
        raise SpecError(
            f"--budget {budget} is not valid: of {items} items {len(free) - most} are more than --per-group "
            f"{limits.per_group} of their group, and {most} are left."
        )


def check_whole_groups(groups: NDArray[np.int64], budget: int, left_out: str) -> None:
    """Refuse a budget that is smaller than every group, or fewer than two groups.

    Args:
        groups: int64, group of each item that may be chosen.
        budget: n, items to label.
        left_out: beginning of a message: what happened to other items.

    Raises:
        SpecError: no choice of whole groups is possible.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    if len(sizes) < 2:
        raise SpecError(f"--per-group all is not valid: {left_out}the items form only {len(sizes)} group.")
    if sizes.min() > budget:
        raise SpecError(
            f"budget {budget} is not valid: {left_out}the smallest of {len(sizes):,} groups has {sizes.min():,} items, "
            "and --per-group all keeps groups whole."
        )


def limits_of(
    size: int, labelled: ArrayLike | None, exclude: ArrayLike | None, groups: ArrayLike | None, per_group: int | str
) -> Limits:
    """Return the limits that a caller's arrays describe.

    Args:
        size: N.
        labelled: positions; None for none.
        exclude: positions; None for none.
        groups: [N] values that can be compared; None for no groups. An item with a missing value (None, NaN or empty)
            is a group of its own.
        per_group: the most items of a group, or ``"all"``.

    Raises:
        SpecError: an array has no positions of items, or not one group for each item.
    """
    groups = None if groups is None else unmasked("groups", groups)
    if groups is not None and groups.shape != (size,):
        raise SpecError(f"groups has shape {groups.shape}; expected one for each of {size} items.")
    most = most_of_a_group(per_group, grouped=groups is not None)
    numbers = None if groups is None else number_groups(groups)
    return Limits(_positions("labelled", labelled, size), _positions("exclude", exclude, size), numbers, most)


def number_groups(groups: NDArray[Any]) -> NDArray[np.int64]:
    """Return numbers for the groups in the order of the items, and then for every item whose group is missing.

    Names of groups, and the order of a list's lines, have no influence: draws inside groups follow these numbers.

    Args:
        groups: [N] values that can be compared; missing ones are None, NaN or empty.
    """
    import pandas as pd

    # As objects, so that missing groups can be None whatever their type.
    values = groups.astype(object)
    values[groups == ""] = None
    try:
        numbers, names = pd.factorize(values)
    except TypeError as error:
        raise SpecError(f"groups holds values that cannot be compared: {error}; give numbers or texts.") from error
    alone = np.flatnonzero(numbers < 0)
    numbers[alone] = len(names) + np.arange(len(alone))
    return numbers.astype(np.int64)


def most_of_a_group(per_group: int | str, *, grouped: bool) -> int | None:
    """Return the most items of a group that may be chosen, or None for ``all``, which keeps groups whole.

    Raises:
        SpecError: not a number from 1 on, or there are no groups.
    """
    text = str(per_group).strip()
    if text != "all" and not (text.isdecimal() and int(text)):
        raise SpecError(f"--per-group {text} is not valid; the most items of a group, from 1 on, or all.")
    # 1 is the default, so it may not have been typed.
    if not grouped and text != "1":
        raise SpecError(f"--per-group {text} needs --groups (in Python: groups=...), which says what belongs together.")
    return None if text == "all" else int(text)


def _positions(name: str, positions: ArrayLike | None, size: int) -> NDArray[np.int64]:
    array = _NONE if positions is None else unmasked(name, positions)
    if array.size == 0:
        return _NONE
    expected = f"{name} must be positions of items, whole numbers from 0 to {size - 1}"
    if array.ndim != 1 or array.dtype.kind not in "iu":
        mask = " It looks like a mask: give np.flatnonzero(mask)." if array.dtype == bool else ""
        raise SpecError(f"{expected}; got {array.dtype} of shape {array.shape}.{mask}")
    outside = array[(array < 0) | (array >= size)]
    if len(outside):
        raise SpecError(f"{expected}; got {outside[0]}.")
    return np.unique(array.astype(np.int64))


def _capped(
    embeddings: Rows,
    left: NDArray[np.int64],
    labelled: NDArray[np.int64],
    groups: NDArray[np.int64],
    most: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the items of each group that cover it best, at most ``most`` with the labelled ones; ascending."""
    # Stable, so that members stay ascending and the same input gives the same choice.
    order = left[np.argsort(groups[left], kind="stable")]
    chosen = []
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        # Labelled items count towards the group's share, and as covered.
        known = labelled[groups[labelled] == groups[members[0]]] if len(members) else _NONE
        quota = max(0, most - len(known))
        if quota and len(members) > quota:
            everyone = np.concatenate([members, known])
            inside = np.arange(len(everyone))
            best = by_complement(embeddings[everyone], inside[: len(members)], inside[len(members) :], rng)
            members = everyone[best]
        chosen.append(members[:quota])
    return np.sort(np.concatenate(chosen)) if chosen else _NONE
