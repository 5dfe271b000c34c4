from __future__ import annotations

import tracemalloc
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.array_source import ArraySource, brute_force_neighbors
from bench.dynamics import Dynamics
from bench.errors import DataError
from bench.parts import IMAGES, NO_OPTIONS, PARTS, Metric
from bench.pool import PoolSource
from tests.whole_pool import whole_pool


def dynamics(size: int) -> Dynamics:
    arrays: dict[str, Any] = {field.name: np.zeros(size, dtype=np.float32) for field in fields(Dynamics)}
    arrays |= {"forgetting": np.zeros(size, dtype=np.int32), "learned": np.ones(size, dtype=bool)}
    return Dynamics(**{**arrays, "epochs": 3})


@given(st.integers(2, 9), st.sampled_from(["cosine", "euclidean"]), st.integers(0, 2**31), st.data())
def test_neighbors_against_explicit_loops(size: int, metric: Metric, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, size - 1))
    points = np.random.default_rng(seed).integers(-2, 3, (size, 3)).astype(np.float32)
    rows = points.astype(np.float64)
    if metric == "cosine":
        rows = np.stack([row / (np.sqrt((row**2).sum()) or 1) for row in rows])
    found = brute_force_neighbors(points, k, metric)
    assert found.indices.shape == found.distances.shape == (size, k)
    for i in range(size):
        apart = {j: np.float32(np.sqrt(((rows[i] - rows[j]) ** 2).sum())) for j in range(size) if j != i}
        assert i not in found.indices[i]
        assert len(set(found.indices[i].tolist())) == k
        np.testing.assert_allclose(found.distances[i], sorted(apart.values())[:k], atol=1e-6)
        np.testing.assert_allclose(found.distances[i], [apart[j] for j in found.indices[i].tolist()], atol=1e-6)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.digits import load_digits

    pixels = load_digits().data[:200]
    whole = brute_force_neighbors(pixels, 5)
    monkeypatch.setattr("bench.array_source._DISTANCES_AT_ONCE", 700)
    parts = brute_force_neighbors(pixels, 5)
    np.testing.assert_array_equal(whole.indices, parts.indices)
    np.testing.assert_array_equal(whole.distances, parts.distances)


@pytest.mark.integration
def test_memory_does_not_grow_with_the_square_of_the_pool() -> None:
    # 5,000 images: the distances of all pairs would take 200 MB, and their order as much again.
    points = np.random.default_rng(0).normal(size=(5000, 2))
    tracemalloc.start()
    try:
        found = brute_force_neighbors(points, 3, "euclidean")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.indices.shape == (5000, 3)
    assert peak < 50e6


def test_copies_are_exactly_zero_apart() -> None:
    rows = np.repeat(np.random.default_rng(0).normal(size=(6, 300)), 2, axis=0)
    found = brute_force_neighbors(rows, 1, "euclidean")
    assert found.distances.max() == 0
    assert (found.indices[:, 0] == np.arange(12) ^ 1).all()


@pytest.mark.parametrize("k", [-1, 3])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(DataError, match="0 to 2"):
        brute_force_neighbors(np.eye(3), k)


def test_embeddings_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="of 1 image are not finite"):
        brute_force_neighbors(np.array([[1.0, np.nan], [0, 1]]), 1)


def test_source_gives_read_only_views_of_every_part() -> None:
    source: PoolSource = ArraySource(
        image_array=np.zeros((4, 1, 2, 2), dtype=np.uint8),
        embedding_array=np.eye(4, dtype=np.float32),
        label_array=np.zeros(4, dtype=np.int64),
        pseudo_label_array=np.ones(4, dtype=np.int64),
        dynamics_labels=dynamics(4),
        dynamics_pseudo=dynamics(4),
        rehearsal=lambda indices: len(indices) / 4,
    )
    pool = whole_pool(source, 4)
    arrays: list[Any] = [
        source.read(IMAGES, NO_OPTIONS),
        source.labels(),
        pool.embeddings,
        pool.pseudo_labels(clustering="kmeans"),
    ]
    arrays += pool.neighbors(2)
    for of in ("labels", "pseudo"):
        arrays += [array for name, array in pool.dynamics(of).arrays().items() if name != "epochs"]
    assert len(arrays) == 6 + 2 * (len(fields(Dynamics)) - 1)
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert pool.rehearse(np.arange(3), clustering="kmeans") == 0.75


@pytest.mark.parametrize("part", ["images", "embeddings", "pseudo_labels", "gradient_norms", "rehearsal"])
def test_missing_part_is_named(part: str) -> None:
    with pytest.raises(DataError, match=part.removesuffix("s")):
        ArraySource().read(PARTS[part], PARTS[part].chosen({}))
    with pytest.raises(DataError, match="dynamics_pseudo"):
        whole_pool(ArraySource(), 4).dynamics("pseudo")
    with pytest.raises(DataError, match="label_array"):
        ArraySource().labels()
