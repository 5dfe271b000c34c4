"""Facility location: every image should have a similar image in the coreset."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Neighbors, Pool, check_budget, need, register_method

from .d2 import symmetric_graph

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def lazy_greedy(similarity: csr_array, budget: int) -> NDArray[np.int64]:
    """Greedily maximise f(S) = sum over i of max over j in S of similarity[j, i], with lazy evaluation.

    Minoux 1978: gains never grow, so an old gain is an upper bound, and only the top of a heap of bounds is computed
    again. f(S) is at least 1 - 1/e of the optimum. Written here because the libraries do not fit: apricot-select has
    had no release since 2021, and submodlib-py breaks ties by index and brings six dependencies for 20 lines.

    Args:
        similarity: [N, N], at least 0; entries that are not stored are 0. Row j says how well j represents each image.
        budget: n, images to pick.

    Returns:
        int64 [n], unique, in the order of the picks. Ties go to the smallest index.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    size = similarity.shape[0]
    check_budget(size, budget)
    indices, values, starts = similarity.indices, similarity.data, similarity.indptr.tolist()
    covered = np.zeros(size)
    # Before the first pick the bounds are exact: nothing is covered, so a gain is the sum of a row.
    heap = list(zip((-similarity.sum(axis=1)).tolist(), range(size), strict=True))
    heapq.heapify(heap)
    picks: list[int] = []
    while len(picks) < budget:
        node = heap[0][1]
        row = slice(starts[node], starts[node + 1])
        at = indices[row]
        current = (-float(np.maximum(values[row] - covered[at], 0).sum()), node)
        # The image stays on top only if no other bound exceeds its current gain.
        heapq.heapreplace(heap, current)
        if heap[0] == current:
            heapq.heappop(heap)
            picks.append(node)
            # No row names an image twice, so the assignment loses nothing.
            covered[at] = np.maximum(covered[at], values[row])
    return np.asarray(picks, dtype=np.int64)


def cosine_similarity(neighbors: Neighbors) -> csr_array:
    """Return the cosine similarities of neighbours: pairs of which at least one image lists the other.

    Args:
        neighbors: kNN list by the cosine metric; a distance d gives the cosine 1 - d^2 / 2.

    Returns:
        csr_array [N, N] float64 in [0, 1], symmetric, with 1 on the diagonal; negative cosines count as 0.

    Raises:
        SelectionError: a distance is negative or not finite.
    """
    from scipy.sparse import csr_array

    graph = symmetric_graph(neighbors.indices, neighbors.distances)
    graph.data = np.clip(1 - graph.data**2 / 2, 0, 1)
    size = graph.shape[0]
    # A kNN list leaves out the image itself; without the 1 here an image would not represent itself.
    itself = csr_array((np.ones(size), np.arange(size), np.arange(size + 1)), shape=(size, size))
    return csr_array(graph + itself)


@register_method(
    "facility-location",
    supervision="none",
    needs=lambda params: [need("neighbors", k=params["k"], metric="cosine")],
    paper="Wei et al. 2015, ICML (Submodularity in data subset selection)",
    stochastic=True,
)
def facility_location(
    pool: Pool, budget: int, rng: np.random.Generator, *, k: Annotated[int, Field(ge=1)] = 50
) -> NDArray[np.int64]:
    """Pick greedily the images that represent the pool best: every image should have a similar one in the coreset.

    Facility location (Wei et al. 2015): maximise f(S) = sum over i of max over j in S of s_ij, one image at a time,
    where s is the cosine similarity of the embeddings. f(S) is at least 1 - 1/e of the optimum. Deviation: the
    similarity of two images is 0 unless one is among the other's k nearest neighbours, so that memory grows with
    N * k and not with N * N.

    Args:
        pool: needs neighbours by the cosine metric.
        budget: n, images to keep.
        rng: breaks ties.
        k: neighbours per image.

    Returns:
        int64 [n], unique, in the order of the picks.

    Raises:
        SelectionError: a distance is not finite.
    """
    # Shuffled: ``lazy_greedy`` breaks ties by index, and data sets are often stored class by class.
    order = rng.permutation(len(pool))
    similarity = cosine_similarity(pool.neighbors(k=k, metric="cosine"))
    return order[lazy_greedy(similarity[order][:, order], budget)]
