"""D2 pruning (Maharana et al. 2023): balance difficulty and diversity by message passing on the kNN graph."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import (
    Neighbors,
    NeverLearned,
    Pool,
    Score,
    SelectionError,
    check_budget,
    check_finite,
    count_hardest,
    fair_quotas,
    hard_to_easy,
    need,
    register_method,
)

from ._scores import check_dropping
from ._unread import refuse_unread
from .prototypicality import centroid_distance

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Kernel = Literal["code", "paper"]
SILENT = 1e-3
"""Median forward weight below which D2 warns: 10 neighbours would pass on at most 1 % of a difficulty in total."""
_log = logging.getLogger(__name__)


def symmetric_graph(neighbors_idx: NDArray[np.integer], neighbors_dist: NDArray[np.floating]) -> csr_array:
    """Return the symmetric kNN graph: an edge joins two images if at least one lists the other as a neighbour.

    Args:
        neighbors_idx: [N, k], without the image itself and without repetition in a row.
        neighbors_dist: [N, k], at least 0. If the two directions differ by rounding, the larger distance is used.

    Returns:
        csr_array [N, N] float64 of distances, symmetric; a distance of 0 is stored as the smallest normal float, so
        that it stays an edge.

    Raises:
        SelectionError: a distance is negative or not finite.
    """
    from scipy.sparse import csr_array

    check_finite("neighbour distances", neighbors_dist)
    if (neighbors_dist < 0).any():
        raise SelectionError("a neighbour distance is negative; distances must be 0 or more.")
    size, k = neighbors_idx.shape
    # Sparse arithmetic drops explicit zeros, and with them the edges between copies of an image.
    data = np.maximum(neighbors_dist.astype(np.float64), np.finfo(np.float64).tiny).ravel()
    listed = csr_array((data, neighbors_idx.ravel(), np.arange(size + 1) * k), shape=(size, size))
    # The larger of both directions makes the matrix symmetric to the last bit, so that messages have the same weight
    # both ways.
    return csr_array(listed.maximum(listed.T.tocsr()))


def edge_weights(
    distances: NDArray[np.floating], gamma: float, *, kernel: Kernel = "code", gamma_forward: float = 1.0
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the weights of forward and reverse messages over edges of the given lengths.

    Args:
        distances: d [...], at least 0. Not modified.
        gamma: decay of the reverse weight.
        kernel: ``code`` weights by exp(-d) forward and exp(-gamma d) back; ``paper`` by exp(-gamma_forward d^2)
            forward and exp(-gamma d^2) back.
        gamma_forward: decay of the forward weight; only for ``kernel="paper"``.

    Returns:
        The forward and the reverse weights, each of the shape of ``distances`` and in [0, 1].
    """
    exponent = distances if kernel == "code" else distances**2
    return np.exp(-exponent * (1.0 if kernel == "code" else gamma_forward)), np.exp(-gamma * exponent)


def warn_if_silent(distances: NDArray[np.floating], weights: NDArray[np.floating]) -> None:
    """Warn if neighbours are too far apart for messages: D2 then picks almost only by difficulty.

    Args:
        distances: lengths of the edges.
        weights: forward weights of the edges.
    """
    if weights.size and (middle := float(np.median(weights))) < SILENT:
        _log.warning(
            "d2: neighbours are too far apart for messages (median distance %.3g, forward weight %.2g), so difficulty "
            "decides nearly alone; metric=cosine brings them nearer",
            np.median(distances),
            middle,
        )


def greedy_messages(
    difficulty: NDArray[np.floating],
    graph: csr_array,
    budget: int,
    gamma: float,
    *,
    kernel: Kernel = "code",
    gamma_forward: float = 1.0,
) -> NDArray[np.int64]:
    """Pass one forward message per edge, then pick the image of largest value n times, with a reverse message each.

    A heap holds an upper bound per image and corrects it when it reaches the top, so that the cost of a pick depends
    on the image's neighbours and not on the pool.

    Args:
        difficulty: s [N], high = hard; finite. Not modified.
        graph: distances [N, N], symmetric.
        budget: n, images to keep.
        gamma: decay of the reverse message; with a small gamma a pick lowers its neighbours by more.
        kernel: see ``edge_weights``.
        gamma_forward: see ``edge_weights``.

    Returns:
        int64 [n], unique, in the order of the picks. Ties go to the smallest index.

    Raises:
        SelectionError: a score is not finite, or n is outside 0 to N.
    """
    from scipy.sparse import csr_array

    check_finite("scores", difficulty)
    check_budget(len(difficulty), budget)
    scores = difficulty.astype(np.float64)
    forward, reverse = edge_weights(graph.data, gamma, kernel=kernel, gamma_forward=gamma_forward)
    value = scores + csr_array((forward, graph.indices, graph.indptr), shape=graph.shape) @ scores
    indices, starts = graph.indices, graph.indptr.tolist()

    heap = list(zip((-value).tolist(), range(len(value)), strict=True))
    heapq.heapify(heap)
    taken = bytearray(len(value))
    picks: list[int] = []
    while len(picks) < budget:
        bound, node = heapq.heappop(heap)
        # The heap holds an image once for each bound that was pushed.
        if taken[node]:
            continue
        current = value[node]
        # Stale: a pick has changed the value since. An exact comparison is safe, as the bound is a copy of a value.
        if -bound != current:
            heapq.heappush(heap, (-float(current), node))
            continue
        taken[node] = True
        picks.append(node)
        edges = slice(starts[node], starts[node + 1])
        # ``-=`` by an array of indices needs unique indices; a row of the graph names no image twice.
        value[indices[edges]] -= reverse[edges] * current
        if current < 0:
            # A negative value raises its neighbours above the bounds that the heap holds for them.
            for other in indices[edges].tolist():
                if not taken[other]:
                    heapq.heappush(heap, (-float(value[other]), other))
    return np.asarray(picks, dtype=np.int64)


def diverse(
    difficulty: NDArray[np.floating],
    neighbors: Neighbors,
    budget: int,
    rng: np.random.Generator,
    *,
    gamma: float,
    kernel: Kernel = "code",
    gamma_forward: float = 1.0,
    beta: float = 0.0,
    classes: NDArray[np.integer] | None = None,
) -> NDArray[np.int64]:
    """Drop the floor(beta * N) hardest images, then pass messages over the rest, as a whole or inside each class.

    D2 (Maharana et al. 2023, section 3.2): x_i = s_i + sum over neighbours j of w_ij s_j. The image of largest x_i is
    picked n times, and each of its neighbours j loses exp(-gamma d_ij) x_i. Deviation: the kNN list of the whole pool
    is restricted to the remaining images (or to one class), where the released code searches neighbours again. Images
    are shuffled first, so that ties do not follow the order of the data set, which is often sorted by class.

    Args:
        difficulty: [N], high = hard; finite. Not modified.
        neighbors: kNN list of the pool.
        budget: n, images to keep.
        rng: breaks ties.
        gamma: see ``greedy_messages``.
        kernel: see ``greedy_messages``.
        gamma_forward: see ``greedy_messages``.
        beta: fraction of the pool that is dropped as too hard, in [0, 1).
        classes: [N] class numbers; if given, each class is selected on its own, with budgets as equal as the
            classes' remaining images allow.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: a score or distance is not finite, or fewer than n images would remain.
    """
    dropped = count_hardest(beta, len(difficulty), budget)
    remaining = rng.permutation(hard_to_easy(difficulty, rng)[dropped:])
    graph = symmetric_graph(neighbors.indices, neighbors.distances)
    warn_if_silent(graph.data, edge_weights(graph.data, gamma, kernel=kernel, gamma_forward=gamma_forward)[0])

    def select(nodes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        # Rows first: they are cheap to take from a CSR matrix, and the columns are then taken from fewer rows.
        inside = graph[nodes][:, nodes]
        picks = greedy_messages(difficulty[nodes], inside, count, gamma, kernel=kernel, gamma_forward=gamma_forward)
        return nodes[picks]

    if classes is None:
        return select(remaining, budget)
    quotas = fair_quotas(np.bincount(classes[remaining]), budget, rng)
    return np.concatenate(
        [select(remaining[classes[remaining] == number], int(quota)) for number, quota in enumerate(quotas)]
    )


def _check_kernel(params: Mapping[str, Any], rate: float) -> None:
    refuse_unread(params, "kernel=paper", params["kernel"] == "paper", {"gamma_forward": 1.0})


def _check(params: Mapping[str, Any], rate: float) -> None:
    check_dropping(params, rate)
    _check_kernel(params, rate)


def _neighbors(params: Mapping[str, Any]) -> Any:
    return need("neighbors", k=params["k"], metric=params["metric"])


@register_method(
    "d2",
    supervision="labels",
    needs=lambda params: [_neighbors(params), need("dynamics", of="labels")],
    paper="Maharana et al. 2023, arXiv:2310.07931",
    stochastic=True,
    check=_check,
)
def d2(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    score: Score = "forgetting",
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    k: Annotated[int, Field(ge=1)] = 10,
    gamma: Annotated[float, Field(ge=0)] = 1.0,
    kernel: Kernel = "code",
    gamma_forward: Annotated[float, Field(ge=0)] = 1.0,
    metric: Literal["cosine", "euclidean"] = "cosine",
    per_class: bool = False,
    never_learned: NeverLearned = "hardest",
) -> NDArray[np.int64]:
    """Keep hard and diverse images: pass messages on the kNN graph, with difficulty from true labels.

    D2 (Maharana et al. 2023, section 3.2). Every image starts at its difficulty s_i and adds the weighted
    difficulties of its neighbours: x_i = s_i + sum over j of w_ij s_j. The image with the largest x_i is then picked n
    times, and each of its neighbours j loses exp(-gamma d_ij) x_i, so that similar images are not picked together.

    Deviations: embeddings come from the cell's frozen encoder, where the paper uses a network trained on the labels.
    Distances are Euclidean between L2-normalised embeddings (``metric="cosine"``), because exp(-d) is close to 0 for
    raw embeddings that lie far apart (``efficientnet_lite0(size=64)``, 1,000 images of CIFAR-10, k = 10: median
    d = 60, against 0.92 by cosine); ``euclidean`` leaves the embeddings as they are, as the released code does, and
    warns if the median weight is below 0.001. The default weights are those of the released code; the paper squares
    the distance (``kernel``). AUM enters as max AUM - AUM, so that no difficulty is negative.

    Args:
        pool: needs neighbours, dynamics on true labels and, for ``per_class``, labels.
        budget: n, images to keep.
        rng: breaks ties.
        score: which score measures difficulty.
        beta: fraction of the pool that is dropped as too hard.
        k: neighbours per image.
        gamma: decay of the reverse message; with a small gamma a pick lowers its neighbours by more.
        kernel: weights over an edge of length d: ``code`` takes exp(-d) forward and exp(-gamma d) back, ``paper``
            exp(-gamma_forward d^2) forward and exp(-gamma d^2) back.
        gamma_forward: decay of the forward message; only for ``kernel="paper"``.
        metric: metric of the neighbours and their distances, ``cosine`` or ``euclidean``.
        per_class: whether to pass messages inside each class and balance the classes, instead of over the whole pool.
        never_learned: how ``score=forgetting`` counts images that the proxy never classified correctly: as the
            ``hardest`` (Toneva et al. 2019), or as ``zero`` forgetting events, the easiest (released code).

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: a score or distance is not finite, or fewer than n images would remain.
    """
    difficulty = pool.dynamics(of="labels").difficulty(score, never_learned=never_learned)
    if score in ("aum", "aum-logits"):
        difficulty = difficulty - difficulty.min()
    pool.report(scores=difficulty)
    return diverse(
        difficulty,
        pool.neighbors(k=k, metric=metric),
        budget,
        rng,
        gamma=gamma,
        kernel=kernel,
        gamma_forward=gamma_forward,
        beta=beta,
        classes=pool.labels if per_class else None,
    )


@register_method(
    "d2-label-free",
    supervision="none",
    needs=lambda params: [
        _neighbors(params),
        *([need("embeddings")] if params["prior"] == "prototypicality" else []),
    ],
    paper="Maharana et al. 2023, arXiv:2310.07931",
    stochastic=True,
    check=_check_kernel,
)
def d2_label_free(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    prior: Literal["uniform", "prototypicality"] = "uniform",
    k: Annotated[int, Field(ge=1)] = 10,
    gamma: Annotated[float, Field(ge=0)] = 1.0,
    kernel: Kernel = "code",
    gamma_forward: Annotated[float, Field(ge=0)] = 1.0,
    metric: Literal["cosine", "euclidean"] = "cosine",
) -> NDArray[np.int64]:
    """Keep diverse images: pass messages on the kNN graph, as d2 does, with a difficulty that needs no label.

    D2 (Maharana et al. 2023), the self-supervised setting. All images start equally difficult, or by their distance
    to a k-means centroid. Deviations as for ``d2``.

    Args:
        pool: needs neighbours and, for ``prior="prototypicality"``, embeddings.
        budget: n, images to keep.
        rng: breaks ties and seeds k-means.
        prior: difficulty of an image before any message: ``uniform`` (all equal), or ``prototypicality`` (distance to
            its k-means centroid, far = hard).
        k: neighbours per image.
        gamma: decay of the reverse message; with a small gamma a pick lowers its neighbours by more.
        kernel: weights over an edge of length d: ``code`` takes exp(-d) forward and exp(-gamma d) back, ``paper``
            exp(-gamma_forward d^2) forward and exp(-gamma d^2) back.
        gamma_forward: decay of the forward message; only for ``kernel="paper"``.
        metric: metric of the neighbours and their distances, ``cosine`` or ``euclidean``.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: a score or distance is not finite, or fewer than n images would remain.
    """
    uniform = prior == "uniform"
    difficulty = np.ones(len(pool)) if uniform else centroid_distance(pool.embeddings, pool.num_classes, rng)
    # Equal scores say nothing about the images.
    if not uniform:
        pool.report(scores=difficulty)
    return diverse(
        difficulty,
        pool.neighbors(k=k, metric=metric),
        budget,
        rng,
        gamma=gamma,
        kernel=kernel,
        gamma_forward=gamma_forward,
    )
