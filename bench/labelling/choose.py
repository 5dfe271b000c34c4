"""Choosing the items to label from embeddings and a budget, in the order to label."""

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
from bench.labelling.items import ComputeSettings, items_selection
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
"""Items times heads times epochs of TEMI that a default selection spends, if the minimum of each allows it."""
_LEAST = 500
_ROUGH = 10_000
_MANY = 100
"""From this number of clusters on, k-means starts once: seeding costs more than iterations, and three starts gave the
same warnings and a normalised mutual information within 0.008 (2,000 to 2,500 rows, 100 and 250 clusters, 2 seeds
each)."""
UNIFORM = "random"
"""The method whose choice needs no order and no clusters."""
NO_LIMITS = Limits()
_NONE = np.empty(0, dtype=np.int64)


class Chosen(NamedTuple):
    """Items to label, and how they were chosen.

    Attributes:
        positions: int64 [n], positions among the given items, in the order to label.
        clusters: int64 [N], cluster of each item, -1 for items that were left out; None for ``random``.
        scores: float32 [N], high = hard, NaN for items that were left out; None if the method has no score.
        variant: the method with all parameters that were set, by the user or by the size of the pool.
        chosen: parameters that the method chose itself.
        duplicates: int64, items left out because they nearly equal another item.
        grouped: int64, items left out by the limit of their group.
        warnings: signs that the choice is not varied.
        judged: candidate -> its judgement without labels, high = good; empty if nothing was judged.
        taken: the candidate that was chosen.
        approximate: whether the search for neighbours did not compare all pairs.
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


def check_request(call: Call, *, budget: int, items: int, classes: int, left_out: str = "") -> Entry[MethodInfo]:
    """Return the method's entry; refuse a method, budget or number of classes that is not valid.

    This needs no embeddings, so that a user hears of a mistake before anything is embedded.

    Args:
        call: the method.
        budget: n, items to choose.
        items: N, items to choose from.
        classes: approximate number of classes.
        left_out: beginning of a message, what happened to other items: ``of 6 files 3 could not be read; ``.

    Raises:
        UnknownName: no such method or parameter.
        SpecError: a parameter, the budget or the number of classes is not valid.
        LabelAccessError: the method needs labels.
    """
    entry = check_label_free(call)
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


def check_label_free(call: Call) -> Entry[MethodInfo]:
    """Return the method's entry; refuse one that reads labels, or a parameter that is not valid whatever the items are.

    Raises:
        BenchError: see ``check_request``.
    """
    entry = methods.get(call.name, usable=_label_free)
    if entry.info.supervision in ("coreset", "labels"):
        free = ", ".join(item.name for item in methods if _label_free(item))
        raise LabelAccessError(f"method {call.name!r} reads labels, and these items have none. Label-free: {free}.")
    entry.resolve(call.params)
    return entry


def _label_free(entry: Entry[MethodInfo]) -> bool:
    return entry.info.supervision in ("none", "pseudo") and not entry.info.unpruned


def affordable(entry: Entry[MethodInfo], call: Call, items: int, device: str) -> Call:
    """Return the call with TEMI's heads and epochs reduced to the size of the pool, unless the user set them.

    The paper's defaults, 50 heads and 200 epochs, take a day for 100,000 items on 2 cores. Epochs have priority, since
    TEMI does not converge in few steps; heads get the rest, and the best head by training loss is used. Fewer than
    500 items count as 500: each step reads and writes the heads' weights however few items there are.
    """
    temi = {"heads", "cluster_epochs"} <= entry.params.keys() and call.params.get("clustering", "temi") == "temi"
    if not temi:
        return call
    # As many epochs as leave room for four heads, then as many heads as fit.
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
    machine: ComputeSettings,
    limits: Limits = NO_LIMITS,
    left_out: str = "",
) -> Chosen:
    """Choose items with a label-free method, in an order whose first k are a good choice of k items.

    Labelled items count as already chosen: the method chooses from all items, and its budget grows by the number of
    labelled ones. The items of its choice that best cover what no labelled item covers come first and are kept
    (``by_complement``). For ``random``, items are drawn only from those without a label; the first k of a uniform draw
    are a uniform draw too.

    Args:
        embeddings: float32 [N, D], finite; read in parts, or whole for a method that reads embeddings.
        call: the method with the user's parameters.
        budget: n, items to label.
        classes: approximate number of classes; the number of clusters unless the method sets another.
        seed: seed of everything random.
        machine: cache, device and threads.
        limits: labelled and excluded items, groups and near-duplicates.
        left_out: see ``check_request``.

    Raises:
        BenchError: see ``check_request``; or the selection cannot be made.
    """
    rng = np.random.default_rng(derive_seed(seed, "order to label"))
    progress = None if limits.similarity is None else machine.begin("near-duplicates")
    candidates = find_candidates(embeddings, limits, rng, threads=machine.threads, progress=progress)
    size, left_out = len(candidates.positions), left_out + candidates.left_out
    # First with the user's own numbers, which a message should name; below with those that the method gets. Labelled
    # items are clustered too, so that fewer items than classes may be left.
    check_request(call, budget=budget, items=size, classes=min(classes, size), left_out=left_out)
    # A draw that depended on the labelled items would not be uniform over the others, and it has no clusters.
    labelled, classes = (_NONE, min(classes, size)) if call.name == UNIFORM else (np.unique(limits.labelled), classes)
    pooled = np.union1d(candidates.positions, labelled)
    pool = rows_at(embeddings, pooled)
    enlarged = budget + len(labelled)
    entry = check_request(call, budget=enlarged, items=len(pool), classes=classes, left_out=left_out)
    call = affordable(entry, call, len(pool), machine.device)
    session = machine.session(pool)
    selection = items_selection(pool, call, budget=enlarged, classes=classes, seed=seed)
    selected = session.get(selection).arrays
    indices = kept_in(selected).without_weights(str(call), "a list of what to label")
    diagnostics = Diagnostics.from_arrays(selected)
    clusters, num_clusters = None, int(diagnostics.chosen.get("num_clusters", classes))
    if call.name == UNIFORM:
        order = rng.permutation(indices)
    else:
        # Positions in the pool; ``pooled`` and ``labelled`` are both ascending.
        before = np.searchsorted(pooled, labelled)
        order = by_complement(pool, np.setdiff1d(indices, before), before, rng)[:budget]
        options = _clustering(entry, call.params)
        inside = (
            rough_clusters(pool, classes, rng)
            if options is None
            else session.arrays(PseudoLabels.of(selection, options))["labels"]
        )
        # For the whole pool and not only the choice: the table of scores has every item's cluster.
        clusters = _spread(inside, pooled, len(embeddings), -1)
    positions = pooled[order]
    return Chosen(
        positions=positions,
        clusters=clusters,
        scores=None if diagnostics.scores is None else _spread(diagnostics.scores, pooled, len(embeddings), np.nan),
        variant=str(call),
        chosen=dict(diagnostics.chosen),
        duplicates=candidates.duplicates,
        grouped=candidates.grouped,
        warnings=() if clusters is None else tuple(collapse(clusters[positions], num_clusters, clusters[labelled])),
        judged=dict(diagnostics.judged),
        taken=diagnostics.taken,
        approximate=(limits.similarity is not None and worthwhile(len(embeddings)))
        or (worthwhile(len(pool)) and any(isinstance(stage, NeighborLists) for stage in in_order([selection]))),
    )


def rough_clusters(rows: Rows, classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return rough clusters of the rows, which only describe a choice: k-means fitted to a sample of 10,000 rows.

    Args:
        rows: float32 [N, D]; they are scaled to length 1.
        classes: C, number of clusters, 1 to N; the sample has at least as many rows.
        rng: draws the sample and seeds k-means.

    Returns:
        int64 [N] in [0, C).
    """
    size = max(_ROUGH, classes)
    sample = rows[slice(None) if len(rows) <= size else rng.choice(len(rows), size, replace=False)]
    model = fit_kmeans(unit_rows(sample), classes, seed=int(rng.integers(2**31)), inits=3 if classes < _MANY else 1)
    parts = [model.predict(unit_rows(part)) for _, part in in_blocks(rows, _ROUGH)]
    return np.concatenate(parts).astype(np.int64)


def _spread(values: NDArray[Any], positions: NDArray[np.int64], size: int, missing: float) -> NDArray[Any]:
    """Return an array of ``size`` with the values at the positions and ``missing`` elsewhere."""
    spread = np.full(size, missing, dtype=values.dtype)
    spread[positions] = values
    return spread


def _clustering(entry: Entry[MethodInfo], params: Mapping[str, Any]) -> Clustering | None:
    """Return the options of the method's pseudo-labels; None if it has none."""
    for item in entry.info.needs(entry.resolve(params)):
        if "pseudo-labels" in item.resources():
            return cast("Clustering", item.chosen)
    return None
