"""Whole groups: all items of a video or a patient are labelled, or none, within a budget of items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.errors import SpecError
from bench.grammar import Call
from bench.identity import derive_seed
from bench.labelling.candidates import Limits, find_candidates
from bench.labelling.choose import UNIFORM, Chosen, choose
from bench.labelling.items import Machine
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
    machine: Machine,
    limits: Limits,
    left_out: str = "",
) -> Chosen:
    """As ``choose``, which says what the arguments are; where groups are to be kept whole, as many as the budget holds.

    Each group is represented by the item that covers the group best. The method chooses among these, for as many as
    groups of average size would fill the budget; groups are taken in the order of that choice, then in the order in
    which the rest covers most of what no item before it covers. One that no longer fits is passed over, so that less
    than the budget may be chosen. Groups of which some items are labelled come first.

    Returns:
        The items group by group, in their own order within each; ``clusters`` are those of the group's representative.

    Raises:
        BenchError: see ``choose``; or the budget holds no whole group.
    """
    if limits.per_group is not None:
        return choose(
            embeddings,
            call,
            budget=budget,
            classes=classes,
            seed=seed,
            machine=machine,
            limits=limits,
            left_out=left_out,
        )
    assert limits.groups is not None
    rng = np.random.default_rng(derive_seed(seed, "groups to label"))
    groups = limits.groups
    told = None if limits.similarity is None else machine.begin("near-duplicates")
    candidates = find_candidates(embeddings, limits, rng, threads=machine.threads, progress=told)
    items, heads = candidates.together, candidates.positions
    sizes = np.bincount(groups[items], minlength=int(groups.max()) + 1)
    _check(sizes[groups[heads]], budget, left_out + candidates.said)
    # At least 2, the least that a method is asked for.
    wanted = min(len(heads), max(2, round(budget / sizes[groups[heads]].mean())))
    # All but the heads are excluded and no group is told, so that the method chooses as if heads were the items.
    others = np.setdiff1d(np.arange(len(embeddings)), np.union1d(heads, limits.labelled))
    chosen = choose(
        embeddings,
        call,
        budget=wanted,
        classes=min(classes, len(heads)),
        seed=seed,
        limits=replace(limits, excluded=others, groups=None, per_group=1, similarity=None),
        machine=machine,
        left_out=left_out,
    )
    rest = np.setdiff1d(heads, chosen.positions)
    before = np.concatenate([limits.labelled, chosen.positions])
    rest = rng.permutation(rest) if call.name == UNIFORM else by_complement(embeddings, rest, before, rng)
    order = np.concatenate([chosen.positions, rest])
    # A group that is labelled in part would otherwise stay so, which whole groups are to prevent.
    begun = np.isin(groups[order], groups[limits.labelled])
    positions = _filled(np.concatenate([order[begun], order[~begun]]), items, groups, budget)
    clusters = chosen.clusters
    if clusters is not None:
        of_group = np.full(len(sizes), -1, dtype=np.int64)
        of_group[groups[heads]] = clusters[heads]
        clusters = clusters.copy()
        clusters[items] = of_group[groups[items]]
    return chosen._replace(positions=positions, clusters=clusters, duplicates=candidates.duplicates, grouped=_NONE)


def _check(sizes: NDArray[np.int64], budget: int, said: str) -> None:
    """Refuse groups of which none fits the budget, or of which there is nothing to choose."""
    if len(sizes) < 2:
        raise SpecError(f"--per-group all is not valid: {said}the items form only {len(sizes)} group.")
    if sizes.min() > budget:
        raise SpecError(
            f"budget {budget} is not valid: {said}the smallest of {len(sizes):,} groups has {sizes.min():,} items, "
            "and --per-group all keeps groups whole."
        )


def _filled(
    heads: NDArray[np.int64], items: NDArray[np.int64], groups: NDArray[np.int64], budget: int
) -> NDArray[np.int64]:
    """Return the items of one group after the other, as long as all of a group fit; ascending within each."""
    by_group = items[np.argsort(groups[items], kind="stable")]
    numbers = groups[by_group]
    taken: list[NDArray[np.int64]] = []
    left = budget
    for number in groups[heads].tolist():
        members = by_group[np.searchsorted(numbers, number) : np.searchsorted(numbers, number, side="right")]
        # Passed over and not the end: a smaller group behind it may still fit.
        if len(members) <= left:
            taken.append(members)
            left -= len(members)
    return np.concatenate(taken)
