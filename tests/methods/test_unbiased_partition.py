"""The unbiased partition against slow sums, and that each image is as likely to be kept as any other."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest

from bench.array_source import ArraySource
from bench.conformance.samples import digits
from bench.methods.unbiased_partition import _sums, spread
from bench.plugins import methods
from bench.selection import method_pool, run_method


def energy(points: np.ndarray, owner: np.ndarray) -> float:
    """Sum over the pairs inside blocks of 1 / (d + 0.01), one pair after the other."""
    return sum(
        1 / (math.dist(points[i], points[j]) + 0.01)
        for i in range(len(points))
        for j in range(i)
        if owner[i] == owner[j]
    )


def keep(embeddings: np.ndarray, budget: int, seed: int, **params: float) -> np.ndarray:
    entry, size = methods.get("unbiased-partition"), len(embeddings)
    source = ArraySource(embedding_array=embeddings)
    pool = method_pool(entry, params, source, size=size, num_classes=2, rate=1 - budget / size)
    return run_method(entry, pool, params, budget, seed).indices


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


def test_sums_are_those_of_a_slow_loop(points: np.ndarray) -> None:
    owner = np.repeat([0, 1, 2], 8)
    squares = np.einsum("nd,nd->n", points, points)
    expected = [
        [
            sum(1 / (math.dist(points[i], points[j]) + 0.01) for j in range(24) if j != i and owner[j] == block)
            for block in range(3)
        ]
        for i in range(24)
    ]
    np.testing.assert_allclose(_sums(points, squares, owner), expected, rtol=1e-5)


def test_every_step_lowers_the_sum_and_keeps_the_sizes(points: np.ndarray) -> None:
    start = np.repeat([0, 1, 2], 8)
    owners = [spread(points, start, steps, np.random.default_rng(1)) for steps in range(12)]
    found = [energy(points, owner) for owner in owners]
    assert all(np.bincount(owner).tolist() == [8, 8, 8] for owner in owners)
    assert all(after <= before + 1e-6 for before, after in itertools.pairwise(found))
    assert found[-1] < found[0]
    np.testing.assert_array_equal(start, np.repeat([0, 1, 2], 8))
    # A step takes the best of 256 proposals, which for 24 images are nearly all swaps there are.
    swaps = []
    for i in range(24):
        for j in range(i):
            if start[i] != start[j]:
                tried = start.copy()
                tried[[i, j]] = start[[j, i]]
                swaps.append(energy(points, tried))
    assert sum(value < found[1] - 1e-4 for value in swaps) <= len(swaps) // 20


def test_copies_end_in_different_blocks() -> None:
    angles = np.repeat(np.arange(6), 4) * np.pi / 3
    copies = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    for seed in range(5):
        kept = keep(copies, 6, seed, swaps=10.0)
        assert sorted((kept // 4).tolist()) == list(range(6)), "one of each four copies"


@pytest.mark.integration
def test_each_image_is_as_likely_to_be_kept() -> None:
    """Embeddings in a clump and far outside it; 5 of 17, so that two images stay out each time."""
    embeddings = np.random.default_rng(2).normal(size=(17, 2)).astype(np.float32)
    embeddings[:9] = 0.01 * embeddings[:9] + 1
    counts = np.zeros(17)
    for seed in range(1200):
        counts[keep(embeddings, 5, seed)] += 1
    expected = 1200 * 5 / 17
    spread_of_one = math.sqrt(1200 * 5 / 17 * 12 / 17)
    assert np.abs(counts - expected).max() < 4.5 * spread_of_one


def test_a_small_budget_of_a_large_pool_needs_no_matrix_of_all_pairs() -> None:
    embeddings = np.random.default_rng(3).normal(size=(20_000, 4)).astype(np.float32)
    tracemalloc.start()
    kept = {tuple(keep(embeddings, 2, seed, swaps=0.001)) for seed in range(3)}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == 3
    assert peak < 50_000_000  # 20,000 images in 10,000 blocks have sums of 1.6 GB


def test_it_covers_more_classes_evenly_than_chance() -> None:
    source = digits().source

    def off(kept: np.ndarray) -> float:
        """How far the coreset's mean is from the pool's."""
        rows = source.embeddings() / np.linalg.norm(source.embeddings(), axis=1, keepdims=True)
        return float(np.linalg.norm(rows[kept].mean(0) - rows.mean(0)))

    ours = np.mean([off(keep(source.embeddings(), 20, seed)) for seed in range(10)])
    chance = np.mean([off(np.random.default_rng(seed).choice(300, 20, replace=False)) for seed in range(10)])
    assert ours < 0.8 * chance
