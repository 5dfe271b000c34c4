"""Which items may be chosen: not those labelled or excluded, near-duplicates, or more of a group than is wanted."""

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
    """What restricts a choice; all positions are among the N given items.

    Attributes:
        labelled: int64 [L], what counts as chosen already.
        excluded: int64, what is never chosen.
        groups: int64 [N], group of each item; None where items belong to none.
        per_group: most items of a group, those labelled included; None where groups are chosen whole.
        similarity: cosine similarity from which items are near-duplicates, of which one stays; None to keep all.
    """

    labelled: NDArray[np.int64] = field(default_factory=lambda: _NONE)
    excluded: NDArray[np.int64] = field(default_factory=lambda: _NONE)
    groups: NDArray[np.int64] | None = None
    per_group: int | None = 1
    similarity: float | None = None


class Candidates(NamedTuple):
    """What may be chosen.

    Attributes:
        positions: int64 [M], ascending; of groups that are chosen whole the item that covers each best.
        duplicates: int64, near-duplicates of another candidate or of a labelled item, left out.
        grouped: int64, left out because their group has enough.
        said: for the message about a budget that is too large, what became of the other items.
        together: int64, ascending: the positions, and of groups that are chosen whole all others that may be.
    """

    positions: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    grouped: NDArray[np.int64]
    said: str
    together: NDArray[np.int64]


def find_candidates(
    embeddings: Rows,
    limits: Limits,
    rng: np.random.Generator,
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> Candidates:
    """Leave out what is labelled or excluded, then near-duplicates, then what is more than a group may have.

    Args:
        embeddings: float32 [N, D], finite.
        limits: what restricts the choice.
        rng: breaks ties inside groups.
        threads: CPU threads.
        progress: of the search for near-duplicates.
    """
    size = len(embeddings)
    # What is labelled and excluded too counts as labelled: it is known, and the choice is to complement it.
    labelled = np.unique(limits.labelled)
    taken = np.union1d(labelled, limits.excluded)
    left = np.setdiff1d(np.arange(size), taken)
    said = f"of {size} items {len(labelled)} are labelled; " if len(labelled) else ""
    if hidden := len(taken) - len(labelled):
        said += f"of {size} items {hidden} are excluded; "
    duplicates = grouped = _NONE
    if limits.similarity is not None:
        order = np.concatenate([labelled, left])  # labelled ones first: they stay
        rows = RowsAt(embeddings, order)
        stay = order[without_duplicates(rows, limits.similarity, threads=threads, progress=progress)]
        duplicates = np.setdiff1d(left, stay)
        left = np.setdiff1d(left, duplicates)
        if len(duplicates):
            said += f"of {size} items {len(duplicates)} are near-duplicates of others; "
    if limits.groups is not None and limits.per_group is None:
        # Without those labelled: a group that was begun needs a head too, or the rest of it could not be chosen.
        heads = _capped(embeddings, left, _NONE, limits.groups, 1, rng)
        return Candidates(heads, duplicates, _NONE, said, left)
    if limits.groups is not None and limits.per_group is not None:
        stay = _capped(embeddings, left, labelled, limits.groups, limits.per_group, rng)
        grouped = np.setdiff1d(left, stay)
        left = stay
        if len(grouped):
            said += f"of {size} items {len(grouped)} are more than --per-group {limits.per_group} of their group; "
    return Candidates(left, duplicates, grouped, said, left)


def check_limits(limits: Limits, *, budget: int, items: int) -> None:
    """Refuse a budget that what is labelled or excluded leaves no items for, before anything is embedded.

    Raises:
        SpecError: too few items are left.
    """
    taken = len(np.union1d(limits.labelled, limits.excluded))
    # Where nothing is taken, ``check_method`` says the same of the budget in plainer words.
    if taken and budget > items - taken:
        raise SpecError(
            f"budget {budget} is not valid: of {items} items {taken} are labelled or excluded, "
            f"and {items - taken} are left."
        )
    if limits.groups is not None and limits.per_group is not None:
        labelled = np.unique(limits.labelled)
        left = np.setdiff1d(np.arange(items), np.union1d(labelled, limits.excluded))
        size = int(limits.groups.max()) + 1
        known, free = (np.bincount(limits.groups[part], minlength=size) for part in (labelled, left))
        most = int(np.minimum(free, np.maximum(limits.per_group - known, 0)).sum())
        if budget > most:
            raise SpecError(
                f"--budget {budget} is not valid: of {items} items {len(left) - most} are more than --per-group "
                f"{limits.per_group} of their group, and {most} are left."
            )


def limits_of(
    size: int, labelled: ArrayLike | None, exclude: ArrayLike | None, groups: ArrayLike | None, per_group: int | str
) -> Limits:
    """Check arrays that a caller gave.

    Args:
        size: N.
        labelled: positions; None for none.
        exclude: positions; None for none.
        groups: [N] anything that can be compared; None for none. An item whose own is missing (None, NaN or empty) is a
            group of its own.
        per_group: most items of a group, or ``"all"``.

    Raises:
        SpecError: not positions of the items, or not a group for each.
    """
    groups = None if groups is None else unmasked("groups", groups)
    if groups is not None and groups.shape != (size,):
        raise SpecError(f"groups has shape {groups.shape}; expected one for each of {size} items.")
    most = most_of_a_group(per_group, grouped=groups is not None)
    numbers = None if groups is None else _numbered(groups)
    return Limits(_positions("labelled", labelled, size), _positions("exclude", exclude, size), numbers, most)


def _numbered(groups: NDArray[Any]) -> NDArray[np.int64]:
    """Give numbers to the groups, from 0 as they are sorted, and then every item that is in none."""
    import pandas as pd

    # As objects, which may be None whatever type the groups came in.
    values = groups.astype(object)
    values[groups == ""] = None
    try:
        numbers, names = pd.factorize(values, sort=True)
    except TypeError as error:
        raise SpecError(f"groups holds what cannot be compared: {error}; give numbers or texts.") from error
    alone = np.flatnonzero(numbers < 0)
    numbers[alone] = len(names) + np.arange(len(alone))
    return numbers.astype(np.int64)


def most_of_a_group(given: int | str, *, grouped: bool) -> int | None:
    """Read how many items of a group may be chosen: a number, or None for ``all``, which keeps groups whole.

    Raises:
        SpecError: not a number from 1 on, or there are no groups.
    """
    text = str(given).strip()
    if text != "all" and not (text.isdecimal() and int(text)):
        raise SpecError(f"--per-group {text} is not valid; the most items of a group, from 1 on, or all.")
    # 1 is the default, which nobody needs to have typed.
    if not grouped and text != "1":
        raise SpecError(f"--per-group {text} needs --groups, which says what belongs together.")
    return None if text == "all" else int(text)


def _positions(name: str, given: ArrayLike | None, size: int) -> NDArray[np.int64]:
    array = _NONE if given is None else unmasked(name, given)
    if array.size == 0:
        return _NONE
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= size:
        raise SpecError(f"{name} must be positions of items, whole numbers from 0 to {size - 1}.")
    return np.unique(array.astype(np.int64))


def _capped(
    embeddings: Rows,
    left: NDArray[np.int64],
    labelled: NDArray[np.int64],
    groups: NDArray[np.int64],
    most: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the items of each group that cover it best, as many as it may have beside those labelled; ascending."""
    # Stable, so that members stay ascending, and the same input gives the same choice.
    order = left[np.argsort(groups[left], kind="stable")]
    stay = []
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        # What is labelled counts as part of the group's share, and as covered.
        mine = labelled[groups[labelled] == groups[members[0]]] if len(members) else _NONE
        quota = max(0, most - len(mine))
        if quota and len(members) > quota:
            everyone = np.concatenate([members, mine])
            inside = np.arange(len(everyone))
            best = by_complement(embeddings[everyone], inside[: len(members)], inside[len(members) :], rng)
            members = everyone[best]
        stay.append(members[:quota])
    return np.sort(np.concatenate(stay)) if stay else _NONE
