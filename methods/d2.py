"""D2 pruning (Maharana et al. 2023): message passing on the kNN graph balances difficulty and diversity."""

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
"""A median forward weight below this is warned of: of 10 neighbours' difficulties 1 % would arrive in all."""
_log = logging.getLogger(__name__)


def symmetric_graph(neighbors_idx: NDArray[np.integer], neighbors_dist: NDArray[np.floating]) -> csr_array:
    """Return the distances between images of which at least one lists the other as a neighbour.

    Args:
        neighbors_idx: [N, k], without self and without repetition in a row.
        neighbors_dist: [N, k], at least 0. Of two directions that differ by rounding the larger counts.

    Returns:
        csr_array [N, N] float64, symmetric; a distance of 0 is stored as the smallest normal float, so that it is
        an edge.

    Raises:
        SelectionError: a distance is negative or not finite.
    """
    from scipy.sparse import csr_array

    check_finite("neighbour distances", neighbors_dist)
    if (neighbors_dist < 0).any():
        raise SelectionError("a neighbour distance is negative; distances must be 0 or more.")
    size, k = neighbors_idx.shape
    # Sparse arithmetic drops explicit zeros, and the edge between two copies of an image with them.
    data = np.maximum(neighbors_dist.astype(np.float64), np.finfo(np.float64).tiny).ravel()
    listed = csr_array((data, neighbors_idx.ravel(), np.arange(size + 1) * k), shape=(size, size))
    # The larger of both directions, so that the matrix is symmetric to the last bit: messages go both ways by one
    # weight.
    return csr_array(listed.maximum(listed.T.tocsr()))


def edge_weights(
    distances: NDArray[np.floating], gamma: float, *, kernel: Kernel = "code", gamma_forward: float = 1.0
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return how much of a value the forward and the reverse message carry over edges of these distances.

    Args:
        distances: [...], at least 0. Not modified.
        gamma: of the reverse message.
        kernel: ``code`` is exp(-d) forward and exp(-gamma d) back; ``paper`` is exp(-gamma_forward d^2) forward
            and exp(-gamma d^2) back.
        gamma_forward: of the forward message; for ``paper`` alone.

    Returns:
        Two arrays of the shape of ``distances``, each in [0, 1].
    """
    exponent = distances if kernel == "code" else distances**2
    return np.exp(-exponent * (1.0 if kernel == "code" else gamma_forward)), np.exp(-gamma * exponent)


def warn_if_silent(distances: NDArray[np.floating], weights: NDArray[np.floating]) -> None:
    """Warn where neighbours are so far apart that no message arrives: D2 then picks by difficulty nearly alone.

    Args:
        distances: of the edges.
        weights: of the forward message over them.
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
    """One forward message per edge, then n picks of the largest value, each with a reverse message.

    A heap holds one upper bound per image and corrects it when it comes to the top, so that a pick costs its
    neighbours and not the pool.

    Args:
        difficulty: s [N], high = hard; finite. Not modified.
        graph: distances [N, N], symmetric.
        budget: n, images to keep.
        gamma: of the reverse message; small = a pick lowers its neighbours by more.
        kernel: see ``edge_weights``.
        gamma_forward: see ``edge_weights``.

    Returns:
        int64 [n], unique, in the order of the picks; of equal values the smallest index is picked first.

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
        # An image is in the heap once for each bound that was pushed.
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
        # A row of the graph names no image twice, or ``-=`` by an array of indices would count it once.
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
    """Drop the floor(beta * N) hardest, then pass messages in what remains, as a whole or inside each class.

    D2 (Maharana et al. 2023, section 3.2). x_i = s_i + sum over neighbours j of w_ij s_j; n times the largest x_i is
    picked and each neighbour loses exp(-gamma d_ij) x_i. Deviation: the kNN list is that of the whole pool, restricted
    to the remaining images (or to one class); the released code searches neighbours again. Nodes are shuffled first,
    so that equal values are not picked in the order of the data set, which is often sorted by class.

    Args:
        difficulty: [N], high = hard; finite. Not modified.
        neighbors: kNN list of the pool.
        budget: n, images to keep.
        rng: breaks ties.
        gamma: see ``greedy_messages``.
        kernel: see ``greedy_messages``.
        gamma_forward: see ``greedy_messages``.
        beta: fraction of the pool that is dropped as too hard, in [0, 1).
        classes: [N] class numbers; where given, each class is selected by itself, with budgets as equal as the
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
        # Rows first: in a CSR matrix that is a slice, and columns are then looked for in what is left.
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
    """Pass messages on the kNN graph with difficulty from true labels: difficult and diverse images.

    D2 (Maharana et al. 2023). Deviations: embeddings of the cell's frozen encoder, where the paper takes those of a
    network trained on the labels; and ``metric="cosine"``, Euclidean distances between L2-normalised embeddings,
    because exp(-d) is next to 0 where raw embeddings lie far apart (``efficientnet_lite0(size=64)``, 1,000 images of
    CIFAR-10, k = 10: median d = 60, against 0.92 by cosine). ``euclidean`` takes the embeddings as they are, as the
    released code does with its own; a median weight below 0.001 is warned of. AUM enters as max AUM - AUM, so that no
    difficulty is negative. ``kernel="code"``, the default, takes the released code's weights
    exp(-d) and exp(-gamma * d); the paper squares the distance (``edge_weights``).

    Args:
        pool: needs neighbours, dynamics on true labels and, for ``per_class``, labels.
        budget: n, images to keep.
        rng: breaks ties.
        score: which score says what is hard.
        beta: fraction of the pool that is dropped as too hard.
        k: neighbours per image.
        gamma: of the reverse message.
        kernel: see ``edge_weights``.
        gamma_forward: of the forward message; for ``kernel="paper"`` alone.
        metric: of the neighbours and their distances.
        per_class: pass messages inside each class and balance the classes, instead of over the whole pool.
        never_learned: under ``score=forgetting``, what images count as that the proxy never had right: the hardest
            (Toneva et al. 2019), or ``zero`` forgettings, the easiest (released code).

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: see ``diverse``.
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
    """Pass messages on the kNN graph with difficulty from no label: all equal, or distance to the own prototype.

    D2 (Maharana et al. 2023), the self-supervised setting; deviations as in ``d2``.

    Args:
        pool: needs neighbours and, for ``prior="prototypicality"``, embeddings.
        budget: n, images to keep.
        rng: breaks ties, and is that of k-means.
        prior: difficulty of each image before any message: ``uniform``, or the distance to its k-means centroid.
        k: neighbours per image.
        gamma: of the reverse message.
        kernel: see ``edge_weights``.
        gamma_forward: of the forward message; for ``kernel="paper"`` alone.
        metric: of the neighbours and their distances.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: see ``diverse``.
    """
    uniform = prior == "uniform"
    difficulty = np.ones(len(pool)) if uniform else centroid_distance(pool.embeddings, pool.num_classes, rng)
    # Scores that are all equal say nothing of the images.
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
