"""From embeddings and a budget to the items to label, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.calls import Call
from bench.diagnostics import Diagnostics
from bench.errors import LabelAccessError, SpecError
from bench.labelling.duplicates import without_duplicates
from bench.labelling.items import items_selection, items_session
from bench.labelling.order import round_robin
from bench.plugins import MethodInfo, methods
from bench.refs import derive_seed
from bench.registry import Entry
from bench.selection import check_candidates, rate_of
from bench.underway import Progress

EFFORT = {"cpu": 1_000_000, "cuda": 100_000_000}
"""Items times heads times epochs of TEMI that a default selection spends, where the least of each allows it."""
_LEAST = 500


class Chosen(NamedTuple):
    """What to label.

    Attributes:
        positions: int64 [n], among the given items, in the order to label.
        clusters: int64 [n], pseudo-cluster of each.
        scores: float32 [N], high = hard, NaN for duplicates that were left out; None where the method has no score.
        variant: the method with all parameters that were set, by the user or by the size of the pool.
        chosen: parameters that the method chose itself.
        duplicates: items left out because they nearly equal another one.
        judged: candidate -> what a judge that reads no label said of it, high = good; empty where none was judged.
        taken: which of them this is.
    """

    positions: NDArray[np.int64]
    clusters: NDArray[np.int64]
    scores: NDArray[np.float32] | None
    variant: str
    chosen: Mapping[str, float]
    duplicates: int
    judged: Mapping[str, float] = {}
    taken: str = ""


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
    entry = methods.get(call.name)
    if entry.info.supervision in ("coreset", "labels"):
        able = [item.name for item in methods if item.info.supervision in ("none", "pseudo") and not item.info.unpruned]
        free = ", ".join(able)
        raise LabelAccessError(f"method {call.name!r} reads labels, and these items have none. Label-free: {free}.")
    params = entry.resolve(call.params)
    if not 2 <= budget <= items:
        raise SpecError(f"--budget {budget} is not valid: {left_out}of {items} items 2 to {items} can be kept.")
    if not 2 <= classes <= items:
        raise SpecError(f"--classes {classes} is not valid: {left_out}{items} items can form 2 to {items} clusters.")
    entry.info.check(params, rate_of(budget, items))
    check_candidates(entry, params, rate_of(budget, items))
    return entry


def affordable(entry: Entry[MethodInfo], call: Call, items: int, device: str) -> Call:
    """Fit TEMI's heads and epochs to the size of the pool, where the user did not set them.

    The defaults of the paper, 50 heads and 200 epochs, take a day for 100,000 items on 2 cores. Epochs come first,
    since few steps do not converge; then heads, of which the best by training loss counts. Fewer than 500 items count
    as 500: the heads' weights are read and written at each step however few there are.
    """
    temi = {"heads", "cluster_epochs"} <= entry.params.keys() and call.params.get("clustering", "temi") == "temi"
    if not temi:
        return call
    effort, items = EFFORT[device], max(items, _LEAST)
    epochs = call.params.get("cluster_epochs", min(200, max(5, effort // (4 * items))))
    heads = call.params.get("heads", min(50, max(3, effort // (epochs * items))))
    return Call(call.name, {**call.params, "heads": heads, "cluster_epochs": epochs})


def choose(
    embeddings: NDArray[np.float32],
    call: Call,
    *,
    budget: int,
    classes: int,
    seed: int,
    similarity: float | None,
    cache: Path,
    device: str,
    threads: int,
    begin: Callable[[str], Progress],
    left_out: str = "",
) -> Chosen:
    """Run a label-free method on embeddings.

    Args:
        embeddings: float32 [N, D], finite.
        call: the method with the user's parameters.
        budget: n, items to label.
        classes: about how many classes the items have; the number of clusters unless the method sets another.
        seed: of everything random.
        similarity: cosine similarity from which items are duplicates, of which one stays; None to keep all.
        cache: folder of the shared stages.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads.
        begin: starts a progress bar of that title; returns its update function.
        left_out: see ``check_method``.

    Raises:
        BenchError: see ``check_method``; or the selection cannot be made.
    """
    kept = np.arange(len(embeddings))
    if similarity is not None:
        kept = without_duplicates(embeddings, similarity, threads=threads, progress=begin("near-duplicates"))
    pool = np.ascontiguousarray(embeddings[kept])
    if duplicates := len(embeddings) - len(pool):
        left_out += f"of {len(embeddings)} items {duplicates} are near-duplicates of others; "
    entry = check_method(call, budget=budget, items=len(pool), classes=classes, left_out=left_out)
    call = affordable(entry, call, len(pool), device)
    session = items_session(pool, cache, device=device, threads=threads, begin=begin)
    selection = items_selection(pool, call, budget=budget, classes=classes, seed=seed)
    selected = session.get(selection).arrays
    indices, diagnostics = selected["indices"], Diagnostics.from_arrays(selected)
    stage = selection.pseudo_labels(**_clustering(entry, call.params))
    clusters = session.arrays(stage)["labels"][indices]
    order = round_robin(clusters, np.random.default_rng(derive_seed(seed, "order to label")))
    scores = None if diagnostics.scores is None else np.full(len(embeddings), np.nan, np.float32)
    if scores is not None:
        scores[kept] = diagnostics.scores
    return Chosen(
        positions=kept[indices[order]],
        clusters=clusters[order],
        scores=scores,
        variant=str(call),
        chosen=dict(diagnostics.chosen),
        duplicates=duplicates,
        judged=dict(diagnostics.judged),
        taken=diagnostics.taken,
    )


def _clustering(entry: Entry[MethodInfo], params: Mapping[str, Any]) -> dict[str, Any]:
    """The method's own pseudo-labels, as keywords, or k-means of the embeddings where it has none."""
    for item in entry.info.needs(entry.resolve(params)):
        if item.part in ("dynamics", "pseudo_labels", "rehearsal"):
            return {key: value for key, value in item.options.items() if key != "of"}
    return {"clustering": "kmeans"}
