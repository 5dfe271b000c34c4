from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import Neighbors, SelectionError
from bench.array_source import ArraySource, brute_force_neighbors
from bench.engine.notes import collected
from bench.methods.d2 import diverse, greedy_messages, symmetric_graph
from bench.plugins import methods
from bench.selection import method_pool, run_method
from tests.narrowing import present

Edges = dict[int, dict[int, float]]
Graph = tuple[list[float], np.ndarray, np.ndarray, int]


def message_passing(
    scores: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
    budget: int,
    gamma: float,
    kernel: str = "code",
    gamma_forward: float = 1.0,
) -> np.ndarray:
    graph = symmetric_graph(indices, distances)
    return greedy_messages(scores, graph, budget, gamma, kernel=kernel, gamma_forward=gamma_forward)


def edges_of(indices: np.ndarray, distances: np.ndarray) -> Edges:
    """Symmetric neighbours by explicit loops: {i: {j: d}}."""
    edges: Edges = {i: {} for i in range(len(indices))}
    for i, (row, apart) in enumerate(zip(indices.tolist(), distances.tolist(), strict=True)):
        for j, d in zip(row, apart, strict=True):
            edges[i][j] = edges[j][i] = max(d, edges[i].get(j, 0.0))
    return edges


def replay(
    scores: list[float],
    edges: Edges,
    gamma: float,
    kernel: str,
    gamma_forward: float,
    picks: list[int],
    budget: int,
) -> Iterator[dict[int, float]]:
    """Yield, for each pick, the values of the images that were left, from the definition in methods.md."""
    power = 1 if kernel == "code" else 2
    forward = 1.0 if kernel == "code" else gamma_forward
    x = [s + sum(math.exp(-forward * d**power) * scores[j] for j, d in edges[i].items()) for i, s in enumerate(scores)]
    left = set(range(len(scores)))
    for step in range(budget):
        yield {i: x[i] for i in left}
        i = picks[step]
        left.remove(i)
        for j, d in edges[i].items():
            x[j] -= math.exp(-gamma * d**power) * x[i]


@st.composite
def graphs(draw: st.DrawFn, exact: bool = False) -> Graph:
    size = draw(st.integers(2, 10))
    k = draw(st.integers(1, min(4, size - 1)))
    if exact:
        others = [draw(st.permutations([j for j in range(size) if j != i]))[:k] for i in range(size)]
        indices, distances = np.array(others), np.zeros((size, k), dtype=np.float32)
    else:
        points = [[draw(st.integers(0, 4)) / 2 for _ in range(2)] for _ in range(size)]
        indices, distances = brute_force_neighbors(np.array(points), k, "euclidean")
    scores = [float(draw(st.integers(-3, 5))) for _ in range(size)]
    return scores, indices, distances, draw(st.integers(0, size))


@given(graphs(), st.sampled_from([0.0, 0.1, 1.0, 2.5]), st.sampled_from(["code", "paper"]), st.sampled_from([0.5, 2.0]))
def test_every_pick_has_the_largest_value(graph: Graph, gamma: float, kernel: str, gamma_forward: float) -> None:
    scores, indices, distances, budget = graph
    picks = message_passing(np.array(scores), indices, distances, budget, gamma, kernel, gamma_forward)
    assert len(set(picks.tolist())) == budget
    edges = edges_of(indices, distances)
    for step, left in enumerate(replay(scores, edges, gamma, kernel, gamma_forward, picks.tolist(), budget)):
        assert left[picks[step]] == pytest.approx(max(left.values()), abs=1e-9, rel=1e-9)


@given(graphs(exact=True))
def test_picks_are_exactly_the_definition_with_ties_by_index(graph: Graph) -> None:
    # At distance 0 every weight is 1 and all values are integers, so equal values are equal in floating point.
    scores, indices, distances, budget = graph
    picks = message_passing(np.array(scores), indices, distances, budget, gamma=1.0).tolist()
    by_hand = []
    for left in replay(scores, edges_of(indices, distances), 1.0, "code", 1.0, picks, budget):
        by_hand.append(min(i for i, x in left.items() if x == max(left.values())))
    assert picks == by_hand


def test_three_images_by_hand() -> None:
    # 0 - 1 - 2 with distances 1 and 2; s = (1, 2, 4).
    indices, distances = np.array([[1], [0], [1]]), np.array([[1.0], [1.0], [2.0]])
    a, b = math.exp(-1), math.exp(-2)
    x = [1 + a * 2, 2 + a * 1 + b * 4, 4 + b * 2]
    assert message_passing(np.array([1.0, 2.0, 4.0]), indices, distances, 1, 1.0).tolist() == [2]
    # Reverse message of gamma 0.1: x_1 - exp(-0.2) * x_2 is negative, so image 0 comes before image 1.
    assert x[1] > x[0] > x[1] - math.exp(-0.2) * x[2]
    assert message_passing(np.array([1.0, 2.0, 4.0]), indices, distances, 3, 0.1).tolist() == [2, 0, 1]
    # A reverse message of nearly nothing leaves the order of the values.
    assert message_passing(np.array([1.0, 2.0, 4.0]), indices, distances, 3, 50.0).tolist() == [2, 1, 0]


def test_graph_keeps_the_edge_between_copies_and_is_symmetric() -> None:
    indices, distances = np.array([[1], [0], [0]]), np.array([[0.0], [0.0], [3.0]])
    graph = symmetric_graph(indices, distances).toarray()
    assert (np.argwhere(graph > 0).tolist()) == [[0, 1], [0, 2], [1, 0], [2, 0]]
    assert np.exp(-graph[0, 1]) == 1
    assert graph[0, 2] == graph[2, 0] == 3


def test_copies_are_not_picked_together(digits: ArraySource) -> None:
    pixels = np.repeat(digits.embeddings()[::9], 2, axis=0)
    neighbors = brute_force_neighbors(pixels, 5)
    kept = diverse(np.ones(len(pixels)), neighbors, 60, np.random.default_rng(0), gamma=0.1)
    assert len(set((kept // 2).tolist())) == 60


def test_uniform_difficulty_spreads_the_picks(digits: ArraySource) -> None:
    pixels, neighbors = digits.embeddings(), brute_force_neighbors(digits.embeddings(), 10)

    def from_the_nearest_pick(kept: np.ndarray) -> float:
        return np.sqrt(((pixels[:, None] - pixels[kept][None]) ** 2).sum(2)).min(1).mean()

    def adjacent(kept: np.ndarray) -> int:
        return int(np.isin(neighbors.indices[kept], kept).sum())

    kept = diverse(np.ones(1797), neighbors, 90, np.random.default_rng(0), gamma=1.0)
    chance = [np.random.default_rng(seed).choice(1797, 90, replace=False) for seed in range(5)]
    assert from_the_nearest_pick(kept) < min(from_the_nearest_pick(drawn) for drawn in chance)
    assert adjacent(kept) == 0 < min(adjacent(drawn) for drawn in chance)


def test_beta_drops_the_hardest(digits: ArraySource) -> None:
    difficulty = present(digits.dynamics_labels).difficulty("aum")
    kept = diverse(
        difficulty, brute_force_neighbors(digits.embeddings(), 5), 300, np.random.default_rng(0), gamma=1.0, beta=0.3
    )
    assert len(set(kept.tolist())) == 300
    assert difficulty[kept].max() <= np.sort(difficulty)[::-1][539]


def test_whole_remainder_is_kept_when_beta_is_the_rate(digits: ArraySource) -> None:
    difficulty = present(digits.dynamics_labels).difficulty("aum")
    kept = diverse(
        difficulty, brute_force_neighbors(digits.embeddings(), 5), 180, np.random.default_rng(0), gamma=1.0, beta=0.9
    )
    assert len(set(kept.tolist())) == 180
    with pytest.raises(SelectionError, match="largest valid beta"):
        diverse(
            difficulty,
            brute_force_neighbors(digits.embeddings(), 5),
            181,
            np.random.default_rng(0),
            gamma=1.0,
            beta=0.9,
        )


def test_classes_are_balanced_and_passed_apart(digits: ArraySource) -> None:
    entry, params = methods.get("d2"), {"per_class": True}
    pool = method_pool(entry, params, digits, size=1797, num_classes=10, rate=0.9)
    kept = run_method(entry, pool, params, 185, seed=0).indices
    assert set(np.bincount(digits.labels()[kept]).tolist()) == {18, 19}

    labels = digits.labels()
    indices, distances = brute_force_neighbors(digits.embeddings(), 10)
    scores = present(digits.dynamics_labels).difficulty("el2n")
    classes = np.where(labels == 3, 0, 1)
    rng = np.random.default_rng(0)
    both = diverse(scores, Neighbors(indices, distances), 100, rng, gamma=1.0, classes=classes)
    nodes = np.flatnonzero(labels == 3)
    inside = symmetric_graph(indices, distances)[nodes][:, nodes].toarray()
    edges = {i: {int(j): inside[i, j] for j in np.flatnonzero(inside[i])} for i in range(len(nodes))}
    picks = [int(np.searchsorted(nodes, i)) for i in both if labels[i] == 3]
    assert len(picks) == 50
    for step, left in enumerate(replay(scores[nodes].tolist(), edges, 1.0, "code", 1.0, picks, 50)):
        assert left[picks[step]] == pytest.approx(max(left.values()), rel=1e-9)


def test_equal_values_do_not_follow_the_order_of_the_data_set(digits: ArraySource) -> None:
    labels = digits.labels()
    neighbors = brute_force_neighbors(digits.embeddings(), 10)
    kept = diverse(np.zeros(1797), neighbors, 400, np.random.default_rng(0), gamma=1.0)
    assert np.bincount(labels[kept], minlength=10).min() > 20


def test_margins_enter_without_negative_difficulty(digits: ArraySource) -> None:
    entry, params = methods.get("d2"), {"score": "aum"}
    pool = method_pool(entry, params, digits, size=1797, num_classes=10, rate=0.9)
    kept = run_method(entry, pool, params, 180, seed=0).indices
    aum = present(digits.dynamics_labels).aum.astype(np.float64)
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=tuple(b"d2")))
    by_hand = diverse(aum.max() - aum, brute_force_neighbors(digits.embeddings(), 10), 180, rng, gamma=1.0)
    assert kept.tolist() == sorted(by_hand.tolist())


@pytest.mark.parametrize("per_class", [False, True])
def test_a_graph_whose_messages_die_out_is_warned_of(digits: ArraySource, per_class: bool) -> None:
    """Embeddings as long as those of a ViT: the picks are those of the score alone."""
    far = replace(digits, embedding_array=100 * digits.embeddings())
    entry = methods.get("d2")
    difficulty = present(digits.dynamics_labels).difficulty("el2n")

    def select(**params: Any) -> tuple[set[int], Any]:
        given = {"score": "el2n", "per_class": per_class, **params}
        pool = method_pool(entry, given, far, size=1797, num_classes=10, rate=0.9)
        with collected() as notes:
            kept = run_method(entry, pool, given, 180, seed=0).indices
        return set(kept.tolist()), notes

    hardest = set(np.argsort(-difficulty)[:180].tolist())
    silent, notes = select(metric="euclidean")
    assert len(notes) == 1
    assert "too far apart for messages" in notes[0]
    assert "metric=cosine" in notes[0]
    assert per_class or silent == hardest
    spread, notes = select(metric="cosine")
    assert notes == []
    assert spread != silent


@pytest.mark.parametrize(
    ("scores", "distances", "message"),
    [
        ([1.0, np.nan], [[1.0], [1.0]], "1 of 2 scores"),
        ([1.0, 1.0], [[np.nan], [1.0]], "1 of 2 neighbour distances"),
        ([1.0, 1.0], [[np.inf], [1.0]], "1 of 2 neighbour distances"),
        ([1.0, 1.0], [[-1.0], [1.0]], "negative"),
    ],
)
def test_bad_numbers_are_refused(scores: list[float], distances: list[list[float]], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        message_passing(np.array(scores), np.array([[1], [0]]), np.array(distances), 1, 1.0)


def test_memory_is_that_of_the_edges() -> None:
    # 20,000 images: a dense matrix would take 1.6 GB even in float32.
    size, offsets = 20_000, np.array([-2, -1, 1, 2])
    neighbors = Neighbors((np.arange(size)[:, None] + offsets) % size, np.ones((size, 4), dtype=np.float32))
    tracemalloc.start()
    try:
        kept = diverse(np.arange(size) % 7.0, neighbors, 2000, np.random.default_rng(0), gamma=1.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(kept) == 2000
    assert peak < 40e6


@pytest.mark.parametrize("size", [50_000, pytest.param(1_281_167, marks=pytest.mark.slow)])
def test_scale(size: int) -> None:
    # Neighbours on a ring whose members are stored in random order: local, as in embedding space.
    rng = np.random.default_rng(0)
    stored = rng.permutation(size)
    offsets = np.array([o for o in range(-5, 6) if o])
    indices = stored[(np.argsort(stored)[:, None] + offsets) % size]
    neighbors = Neighbors(indices, np.sort(rng.uniform(0.2, 1.0, indices.shape), axis=1).astype(np.float32))
    difficulty = rng.poisson(3, size).astype(np.float64)
    kept = diverse(difficulty, neighbors, size // 10, rng, gamma=1.0)
    assert len(np.unique(kept)) == size // 10
