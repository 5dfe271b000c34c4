"""From embeddings and a budget to the items to label, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bench.clustering.kmeans import fit_kmeans
from bench.diagnostics import Diagnostics
from bench.errors import LabelAccessError, SpecError
from bench.grammar import Call
from bench.identity import derive_seed
from bench.knn import unit_rows
from bench.labelling.approximate import worthwhile
from bench.labelling.candidates import Limits, find_candidates
from bench.labelling.collapse import collapse
from bench.labelling.items import Machine, items_selection
from bench.labelling.order import by_complement
from bench.labelling.rows import Rows, in_blocks, rows_at
from bench.parts import Clustering
from bench.plugins import MethodInfo, methods
from bench.registry import Entry
from bench.selection import check_candidates, rate_for
from bench.stages.base import in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.neighbors import NeighborLists
from bench.weighted import kept_in

EFFORT = {"cpu": 1_000_000, "cuda": 100_000_000}
"""Items times heads times epochs of TEMI that a default selection spends, where the least of each allows it."""
_LEAST = 500
_ROUGH = 10_000
_MANY = 100
"""Clusters from which on one start of k-means does: seeding costs more than iterations, and three starts gave the same
warnings and a normalised mutual information within 0.008 (2,000 to 2,500 rows, 100 and 250 clusters, 2 seeds each)."""
UNIFORM = "random"
"""The method whose choice needs no order and no clusters."""
NO_LIMITS = Limits()
_NONE = np.empty(0, dtype=np.int64)


class Chosen(NamedTuple):
    """What to label.

    Attributes:
        positions: int64 [n], among the given items, in the order to label.
        clusters: int64 [N], cluster of each item, -1 for items that were left out; None for ``random``.
        scores: float32 [N], high = hard, NaN for items that were left out; None where the method has no score.
        variant: the method with all parameters that were set, by the user or by the size of the pool.
        chosen: parameters that the method chose itself.
        duplicates: int64, items left out because they nearly equal another one.
        grouped: int64, items left out because their group has enough.
        warnings: signs that the choice is not varied.
        judged: candidate -> what a judge that reads no label said of it, high = good; empty where none was judged.
        taken: which of them this is.
        approximate: whether it rests on a search for neighbours that compares not all pairs.
    """

    positions: NDArray[np.int64]
    clusters: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None
    variant: str
    chosen: Mapping[str, float]
    duplicates: NDArray[np.int64]
    grouped: NDArray[np.int64]
    warnings: tuple[str, ...]
    judged: Mapping[str, float] = {}
    taken: str = ""
    approximate: bool = False


def check_method(call: Call, *, budget: int, items: int, classes: int, left_out: str = "") -> Entry[MethodInfo]:
    """Look the method up and check what can be checked before anything is embedded.

    Args:
        call: the method.
        budget: n, items to keep.
        items: N, of which they are chosen.
        classes: about how many classes they have.
        left_out: for the message, what happened to other items: ``of 6 files 3 could not be read; ``.

    Raises:
        UnknownName: no such method or parameter.
        SpecError: a parameter, budget or number of classes that is not valid.
        LabelAccessError: the method needs labels.
    """
    entry = methods.get(call.name, usable=_label_free)
    if entry.info.supervision in ("coreset", "labels"):
        free = ", ".join(item.name for item in methods if _label_free(item))
        raise LabelAccessError(f"method {call.name!r} reads labels, and these items have none. Label-free: {free}.")
    params = entry.resolve(call.params)
    if items < 2:
        raise SpecError(
            f"nothing can be chosen: {left_out}a choice needs at least 2 items, and there is {items or 'none'}."
        )
    if not 2 <= budget <= items:
        raise SpecError(f"budget {budget} is not valid: {left_out}of {items} items 2 to {items} can be kept.")
    if not 2 <= classes <= items:
        raise SpecError(f"{classes} classes are not valid: {left_out}{items} items can form 2 to {items} clusters.")
    entry.info.check(params, rate_for(budget, items))
    check_candidates(entry, params, rate_for(budget, items))
    return entry


def _label_free(entry: Entry[MethodInfo]) -> bool:
    return entry.info.supervision in ("none", "pseudo") and not entry.info.unpruned


def affordable(entry: Entry[MethodInfo], call: Call, items: int, device: str) -> Call:
    """Fit TEMI's heads and epochs to the size of the pool, where the user did not set them.

    The defaults of the paper, 50 heads and 200 epochs, take a day for 100,000 items on 2 cores. Epochs come first,
    since few steps do not converge; then heads, of which the best by training loss counts. Fewer than 500 items count
    as 500: the heads' weights are read and written at each step however few there are.
    """
    temi = {"heads", "cluster_epochs"} <= entry.params.keys() and call.params.get("clustering", "temi") == "temi"
    if not temi:
        return call
    # As many epochs as leave room for four heads, then as many heads as still fit.
    effort, items = EFFORT[device], max(items, _LEAST)
    epochs = call.params.get("cluster_epochs", min(Clustering.epochs, max(5, effort // (4 * items))))
    heads = call.params.get("heads", min(Clustering.heads, max(3, effort // (epochs * items))))
    return Call(call.name, {**call.params, "heads": heads, "cluster_epochs": epochs})


def choose(
    embeddings: Rows,
    call: Call,
    *,
    budget: int,
    classes: int,
    seed: int,
    machine: Machine,
    limits: Limits = NO_LIMITS,
    left_out: str = "",
) -> Chosen:
    """Run a label-free method on embeddings, and put its choice in an order of which every beginning is a good choice.

    What is labelled counts as chosen: the method chooses from all items, for as many more as are labelled, and of its
    choice those come first, and are kept, that cover best what no labelled item covers (``by_complement``). A uniform
    draw is only drawn from the others: any beginning of it is a uniform draw too.

    Args:
        embeddings: float32 [N, D], finite; read a part at a time, but whole for a method that reads embeddings.
        call: the method with the user's parameters.
        budget: n, items to label.
        classes: about how many classes the items have; the number of clusters unless the method sets another.
        seed: of everything random.
        machine: what it is computed with.
        limits: what is labelled, excluded, grouped, or a near-duplicate.
        left_out: see ``check_method``.

    Raises:
        BenchError: see ``check_method``; or the selection cannot be made.
    """
    rng = np.random.default_rng(derive_seed(seed, "order to label"))
    told = None if limits.similarity is None else machine.begin("near-duplicates")
    candidates = find_candidates(embeddings, limits, rng, threads=machine.threads, progress=told)
    # By the user's own numbers first, which a message should name; below for what the method is asked for.
    check_method(
        call, budget=budget, items=len(candidates.positions), classes=classes, left_out=left_out + candidates.said
    )
    # A draw that depended on what is labelled would no longer be uniform over the others.
    labelled = _NONE if call.name == UNIFORM else np.unique(limits.labelled)
    kept = np.union1d(candidates.positions, labelled)
    pool = rows_at(embeddings, kept)
    wanted = budget + len(labelled)
    entry = check_method(call, budget=wanted, items=len(pool), classes=classes)
    call = affordable(entry, call, len(pool), machine.device)
    session = machine.session(pool)
    selection = items_selection(pool, call, budget=wanted, classes=classes, seed=seed)
    selected = session.get(selection).arrays
    indices = kept_in(selected).without_weights(str(call), "a list of what to label")
    diagnostics = Diagnostics.from_arrays(selected)
    clusters, sought = None, int(diagnostics.chosen.get("num_clusters", classes))
    if call.name == UNIFORM:
        order = rng.permutation(indices)
    else:
        # Positions in the pool, which is cut to the kept items; both are ascending.
        before = np.searchsorted(kept, labelled)
        order = by_complement(pool, np.setdiff1d(indices, before), before, rng)[:budget]
        options = _clustering(entry, call.params)
        inside = (
            rough_clusters(pool, classes, rng)
            if options is None
            else session.arrays(PseudoLabels.of(selection, options))["labels"]
        )
        # Of all kept items and not of the choice alone: the table of scores tells every item's cluster.
        clusters = _spread(inside, kept, len(embeddings), -1)
    positions = kept[order]
    return Chosen(
        positions=positions,
        clusters=clusters,
        scores=None if diagnostics.scores is None else _spread(diagnostics.scores, kept, len(embeddings), np.nan),
        variant=str(call),
        chosen=dict(diagnostics.chosen),
        duplicates=candidates.duplicates,
        grouped=candidates.grouped,
        warnings=() if clusters is None else tuple(collapse(clusters[positions], sought)),
        judged=dict(diagnostics.judged),
        taken=diagnostics.taken,
        approximate=(limits.similarity is not None and worthwhile(len(embeddings)))
        or (worthwhile(len(pool)) and any(isinstance(stage, NeighborLists) for stage in in_order([selection]))),
    )


def rough_clusters(rows: Rows, classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Cluster rows of length 1 by k-means of 10,000 of them, or as many as classes, to say where a choice comes from.

    Args:
        rows: float32 [N, D], of any length; they are scaled to 1.
        classes: C, 1 to N.
        rng: draws the rows and seeds k-means.

    Returns:
        int64 [N] in [0, C).
    """
    drawn = max(_ROUGH, classes)
    # Of a sample, since these clusters only describe a choice and change nothing in it.
    some = rows[slice(None) if len(rows) <= drawn else rng.choice(len(rows), drawn, replace=False)]
    model = fit_kmeans(unit_rows(some), classes, seed=int(rng.integers(2**31)), inits=3 if classes < _MANY else 1)
    parts = [model.predict(unit_rows(part)) for _, part in in_blocks(rows, _ROUGH)]
    return np.concatenate(parts).astype(np.int64)


def _spread(values: NDArray[Any], kept: NDArray[np.int64], size: int, missing: float) -> NDArray[Any]:
    """Spread the values of the kept items over all N, the others ``missing``."""
    spread = np.full(size, missing, dtype=values.dtype)
    spread[kept] = values
    return spread


def _clustering(entry: Entry[MethodInfo], params: Mapping[str, Any]) -> Clustering | None:
    """How the method's own pseudo-labels are made; None where it has none."""
    for item in entry.info.needs(entry.resolve(params)):
        if "pseudo-labels" in item.resources():
            return cast("Clustering", item.chosen)
    return None
