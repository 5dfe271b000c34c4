from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from bench.errors import DataError
from bench.knn import nearest_neighbors, unit_rows
from bench.parts import Metric


def brute_force(rows: np.ndarray, k: int) -> np.ndarray:
    """The k smallest distances of each row to the others, in float64."""
    distances = cdist(rows.astype(np.float64), rows.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


@pytest.fixture(params=["faiss", "torch"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs with faiss, and as on a machine that has none."""
    if request.param == "torch":
        monkeypatch.setattr("bench.knn.find_spec", lambda name: None)
    return request.param


def check(embeddings: np.ndarray, k: int, metric: Metric) -> None:
    found = nearest_neighbors(embeddings, k, metric)
    rows = unit_rows(embeddings) if metric == "cosine" else embeddings
    size = len(embeddings)
    assert found.indices.shape == (size, k)
    assert found.indices.dtype == np.int64
    assert found.distances.shape == (size, k)
    assert found.distances.dtype == np.float32
    assert (found.indices != np.arange(size)[:, None]).all(), "a row is its own neighbour"
    assert all(len(set(row)) == k for row in found.indices.tolist()), "a neighbour is listed twice"
    assert (np.diff(found.distances, axis=1) >= 0).all(), "not nearest first"
    # faiss ranks by |x|^2 - 2xy + |y|^2 in float32: neighbours whose squared distances differ by less than its
    # rounding error may stand for one another, so the k smallest distances agree up to that error.
    scale = float((rows.astype(np.float64) ** 2).sum(1).max())
    expected = brute_force(rows, k)
    np.testing.assert_allclose(found.distances.astype(np.float64) ** 2, expected**2, rtol=1e-4, atol=2e-6 * scale)
    claimed = np.linalg.norm(rows[found.indices] - rows[:, None], axis=2)
    np.testing.assert_allclose(found.distances, claimed, rtol=1e-5, atol=1e-7)


numbers = st.floats(-100, 100, width=32, allow_subnormal=False).map(lambda value: 0.0 if abs(value) < 1e-3 else value)
shapes = st.tuples(st.integers(2, 40), st.integers(1, 6))


@settings(deadline=None, max_examples=60)
@given(st.data(), arrays(np.float32, shapes, elements=numbers), st.sampled_from(["cosine", "euclidean"]))
def test_distances_are_those_of_brute_force(data: st.DataObject, embeddings: np.ndarray, metric: Metric) -> None:
    check(embeddings, data.draw(st.integers(1, len(embeddings) - 1)), metric)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 60), st.integers(1, 3), st.integers(0, 10**6), st.sampled_from(["cosine", "euclidean"]))
def test_duplicate_heavy_inputs(size: int, distinct: int, seed: int, metric: Metric) -> None:
    rng = np.random.default_rng(seed)
    few = rng.normal(size=(distinct, 5)).astype(np.float32)
    check(few[rng.integers(0, distinct, size)], int(rng.integers(1, size)), metric)


def test_indices_are_those_of_brute_force_where_distances_are_apart() -> None:
    rows = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    distances = cdist(rows, rows)
    np.fill_diagonal(distances, np.inf)
    found = nearest_neighbors(rows, 10, "euclidean")
    np.testing.assert_array_equal(found.indices, np.argsort(distances, axis=1)[:, :10])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("offset", [0, 10])
def test_near_duplicates_are_told_apart(offset: int, metric: Metric) -> None:
    """Squared distances here are below the rounding error of |x|^2 - 2xy + |y|^2 in float32."""
    rng = np.random.default_rng(0)
    groups = np.repeat(rng.normal(size=(40, 64)) + offset, 20, axis=0)
    embeddings = (groups + 1e-3 * rng.normal(size=groups.shape)).astype(np.float32)
    rows = unit_rows(embeddings) if metric == "cosine" else embeddings
    found = nearest_neighbors(embeddings, 10, metric)
    np.testing.assert_allclose(found.distances, brute_force(rows, 10), rtol=1e-3)


def test_more_rows_than_one_chunk() -> None:
    rows = np.random.default_rng(1).normal(size=(4200, 4)).astype(np.float32)
    found = nearest_neighbors(rows, 3, "euclidean")
    for row in (0, 4095, 4096, 4199):
        distances = np.linalg.norm(rows - rows[row], axis=1)
        distances[row] = np.inf
        assert found.indices[row].tolist() == np.argsort(distances)[:3].tolist()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_self_is_excluded_among_a_thousand_equal_rows(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.knn._HELD", 300_000)  # all rows are searched again, in four parts
    found = nearest_neighbors(np.ones((1000, 8), dtype=np.float32), 50, metric)
    assert (found.indices != np.arange(1000)[:, None]).all()
    assert (found.distances == 0).all()
    assert (np.diff(found.indices, axis=1) > 0).all(), "ties are not in the order of the indices"


def test_cosine_ignores_length_and_euclidean_does_not() -> None:
    rows = np.array([[1, 0], [100, 1], [0, 1], [1.2, 0.3]], dtype=np.float32)
    assert nearest_neighbors(rows, 1, "cosine").indices[0, 0] == 1
    assert nearest_neighbors(rows, 1, "euclidean").indices[0, 0] == 3


def test_a_zero_row_stays_zero_under_cosine() -> None:
    rows = np.array([[0, 0], [3, 0], [0, 0], [0, -4]], dtype=np.float32)
    found = nearest_neighbors(rows, 3, "cosine")
    assert found.indices[0].tolist() == [2, 1, 3]
    np.testing.assert_allclose(found.distances[0], [0, 1, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_rows_are_counted(bad: float) -> None:
    rows = np.ones((6, 3), dtype=np.float32)
    rows[1, 2] = rows[4, 0] = rows[4, 1] = bad
    with pytest.raises(DataError, match="embeddings of 2 images are not finite"):
        nearest_neighbors(rows, 2)


@pytest.mark.parametrize(("k", "size"), [(0, 5), (-1, 5), (5, 5), (1, 1)])
def test_k_out_of_range(k: int, size: int) -> None:
    with pytest.raises(DataError, match=f"k={k} neighbours of {size} images"):
        nearest_neighbors(np.eye(size, dtype=np.float32), k)


def test_every_chunk_is_reported() -> None:
    reports = []
    rows = np.random.default_rng(0).normal(size=(5_000, 4)).astype(np.float32)
    nearest_neighbors(rows, 3, progress=lambda *report: reports.append(report))
    assert reports == [(4_096, 5_000), (5_000, 5_000)]


def test_threads_change_nothing_and_the_input_is_left_alone() -> None:
    rows = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float32)
    before = rows.copy()
    one, two = nearest_neighbors(rows, 7, threads=1), nearest_neighbors(rows, 7, threads=2)
    np.testing.assert_array_equal(one.indices, two.indices)
    np.testing.assert_array_equal(rows, before)


def test_both_libraries_give_the_same_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(1).normal(size=(700, 24)).astype(np.float32)
    rows[300:350] = rows[:50] + 1e-5
    one = nearest_neighbors(rows, 20)
    monkeypatch.setattr("bench.knn.find_spec", lambda name: None)
    other = nearest_neighbors(rows, 20)
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_array_equal(one.distances, other.distances)


def ties(kind: str) -> np.ndarray:
    """Rows with more equal distances than a search has spare candidates; in float32 they are equal up to rounding."""
    rng = np.random.default_rng(0)
    if kind == "yes and no":
        return rng.integers(0, 2, size=(500, 6)).astype(np.float32)
    if kind == "counts":
        return rng.integers(0, 4, size=(700, 4)).astype(np.float32)
    return np.zeros((300, 5), dtype=np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["yes and no", "counts", "zeros"])
def test_ties_go_by_distance_and_index_in_every_library(kind: str, metric: Metric) -> None:
    embeddings = ties(kind)
    rows = unit_rows(embeddings) if metric == "cosine" else embeddings
    distances = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.fill_diagonal(distances, np.inf)
    expected = np.argsort(distances, axis=1, kind="stable")[:, :50]
    found = nearest_neighbors(embeddings, 50, metric)
    np.testing.assert_array_equal(found.indices, expected)
    np.testing.assert_array_equal(found.distances, np.take_along_axis(distances, expected, 1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_the_same_lists() -> None:
    rows = np.random.default_rng(1).normal(size=(3000, 24)).astype(np.float32)
    rows[300:350] = rows[:50] + 1e-5
    here, there = nearest_neighbors(rows, 20), nearest_neighbors(rows, 20, device="cuda")
    np.testing.assert_array_equal(here.indices, there.indices)
    np.testing.assert_array_equal(here.distances, there.distances)
