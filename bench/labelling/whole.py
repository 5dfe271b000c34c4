"""Choosing whole groups: all items of a video or a patient are labelled, or none, within a budget of items."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.grammar import Call
from bench.identity import derive_seed
from bench.labelling.candidates import Limits, check_whole_groups, find_candidates
from bench.labelling.choose import UNIFORM, Chosen, choose
from bench.labelling.collapse import collapse
from bench.labelling.items import ComputeSettings
from bench.labelling.order import by_complement
from bench.labelling.rows import Rows

_NONE = np.empty(0, dtype=np.int64)


def choose_to_label(
    embeddings: Rows,
    call: Call,
    *,
    budget: int,
    classes: int,
    seed: int,
    machine: ComputeSettings,
    limits: Limits,
    left_out: str = "",
) -> Chosen:
    """Choose items as ``choose`` does, which documents the arguments, or whole groups if ``limits`` says so.

    Each group is represented by its head, the item that covers the group best. The method chooses as many heads as
    groups of average size fill the budget. Groups are taken in the order of that choice, then in the order in which
    the remaining heads add most coverage. Groups that are labelled in part come first. A group that does not fit into
    the rest of the budget is skipped, so fewer items than the budget may be chosen.

    Returns:
        The items group by group, ascending inside each; an item's cluster is that of its group's head.

    Raises:
        BenchError: see ``choose``; or the budget is smaller than every group.
    """
    choose_here = partial(choose, embeddings, call, seed=seed, machine=machine, left_out=left_out)
    if limits.per_group is not None:
        return choose_here(budget=budget, classes=classes, limits=limits)
    assert limits.groups is not None
    rng = np.random.default_rng(derive_seed(seed, "groups to label"))
    groups = limits.groups
    progress = None if limits.similarity is None else machine.begin("near-duplicates")
    candidates = find_candidates(embeddings, limits, rng, threads=machine.threads, progress=progress)
    items, heads = candidates.members, candidates.positions
    sizes = np.bincount(groups[items], minlength=int(groups.max()) + 1)
    # Checked before anything was embedded, but near-duplicates and files that cannot be read were not known then.
    check_whole_groups(groups[items], budget, left_out + candidates.left_out)
    # A method's budget is at least 2.
    num_heads = min(len(heads), max(2, round(budget / sizes[groups[heads]].mean())))
    # All items but the heads are excluded, and groups are ignored, so that the method chooses among the heads.
    others = np.setdiff1d(np.arange(len(embeddings)), np.union1d(heads, limits.labelled))
    chosen = choose_here(
        budget=num_heads,
        classes=min(classes, len(heads)),
        limits=replace(limits, excluded=others, groups=None, per_group=1, similarity=None),
    )
    rest = np.setdiff1d(heads, chosen.positions)
    before = np.concatenate([limits.labelled, chosen.positions])
    rest = rng.permutation(rest) if call.name == UNIFORM else by_complement(embeddings, rest, before, rng)
    order = np.concatenate([chosen.positions, rest])
    # First complete the groups that are labelled in part.
    begun = np.isin(groups[order], groups[limits.labelled])
    positions = _filled(np.concatenate([order[begun], order[~begun]]), items, groups, budget)
    clusters, warnings = chosen.clusters, chosen.warnings
    if clusters is not None:
        # Of the heads that were taken in the end: items of a group lie close together, and are no sign of a collapse.
        taken = heads[np.isin(groups[heads], groups[positions])]
        known = limits.labelled[np.unique(groups[limits.labelled], return_index=True)[1]]
        number = int(chosen.chosen.get("num_clusters", min(classes, len(heads))))
        warnings = tuple(collapse(clusters[taken], number, clusters[known]))
        of_group = np.full(len(sizes), -1, dtype=np.int64)
        of_group[groups[heads]] = clusters[heads]
        clusters = clusters.copy()
        clusters[items] = of_group[groups[items]]
    return chosen._replace(
        positions=positions,
        clusters=clusters,
        duplicates=candidates.duplicates,
        grouped=_NONE,
        warnings=warnings,
    )


def _filled(
    heads: NDArray[np.int64], items: NDArray[np.int64], groups: NDArray[np.int64], budget: int
) -> NDArray[np.int64]:
    """Return the items of the heads' groups, in the order of the heads, skipping groups that do not fit."""
    by_group = items[np.argsort(groups[items], kind="stable")]
    numbers = groups[by_group]
    taken: list[NDArray[np.int64]] = []
    left = budget
    for number in groups[heads].tolist():
        members = by_group[np.searchsorted(numbers, number) : np.searchsorted(numbers, number, side="right")]
        # Skipped, not the end: a later, smaller group may still fit.
        if len(members) <= left:
            taken.append(members)
            left -= len(members)
    return np.concatenate(taken)
