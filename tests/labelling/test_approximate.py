"""Neighbours of very many items, approximately: how many of the true ones are found, and what rests on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import bench
from bench.array_source import brute_force_neighbors
from bench.cli import app
from bench.knn import unit_rows
from bench.labelling import approximate
from bench.labelling.approximate import RECALL, approximate_neighbors
from bench.labelling.duplicates import without_duplicates
from bench.parts import Metric

K = 10


def clustered(size: int = 4_000, width: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(40, width))[rng.integers(40, size=size)] + rng.normal(size=(size, width))).astype(
        np.float32
    )


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 500 items on they count as very many."""
    monkeypatch.setattr(approximate, "EXACT", 500)


@pytest.mark.integration
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_most_true_neighbours_are_found_at_their_true_distance(metric: Metric, scale: float) -> None:
    rows = clustered() * np.float32(scale)
    found = approximate_neighbors(rows, K, metric)
    true = brute_force_neighbors(rows, K, metric)
    own = np.mean([len(np.intersect1d(*pair)) / K for pair in zip(found.neighbors.indices, true.indices, strict=True)])
    assert found.probes < 250, "it does not compare all"
    assert found.recall >= RECALL
    assert own == pytest.approx(found.recall, abs=0.02), "what it says of itself is so"
    assert (found.neighbors.indices != np.arange(len(rows))[:, None]).all()
    assert all(len(set(listed)) == K for listed in found.neighbors.indices.tolist())
    compared = unit_rows(rows) if metric == "cosine" else rows
    apart = np.linalg.norm(compared[found.neighbors.indices] - compared[:, None], axis=2)
    np.testing.assert_allclose(found.neighbors.distances, apart, rtol=1e-4, atol=1e-6)
    assert (np.diff(found.neighbors.distances) >= 0).all()


def test_items_whose_cells_hold_too_few_look_farther() -> None:
    rows = np.concatenate([clustered(2_000), 50 * np.eye(12, dtype=np.float32)])
    found = approximate_neighbors(rows, 60, "euclidean")
    assert found.neighbors.indices.min() >= 0
    assert np.isfinite(found.neighbors.distances).all()


def test_copies_and_rows_of_zeros_have_neighbours() -> None:
    rows = np.concatenate([clustered(1_500), np.zeros((30, 12), np.float32), np.tile(clustered(1), (200, 1))])
    found = approximate_neighbors(rows, K)
    assert found.neighbors.distances[1_500:].max() < 1e-5


@pytest.mark.integration
@pytest.mark.parametrize(("copies", "noise", "least"), [(20, 1e-3, 0.99), (20, 1e-4, 0.99), (100, 1e-4, 0)])
def test_what_is_said_of_near_duplicates_is_so_and_not_all_pairs_are_compared(
    copies: int, noise: float, least: float
) -> None:
    """The index tells a hundred so near to each other not apart; that is said, after a short search."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(4_000 // copies, 16)), copies, axis=0) + noise * rng.normal(size=(4_000, 16))
    found = approximate_neighbors(rows.astype(np.float32), K)
    exact = unit_rows(rows.astype(np.float32)).astype(np.float64)
    squares = np.square(exact).sum(1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * exact @ exact.T, 0))
    np.fill_diagonal(apart, np.inf)
    farthest = np.partition(apart, K - 1, axis=1)[:, K - 1]
    there = np.take_along_axis(apart, found.neighbors.indices, 1) <= farthest[:, None] * (1 + 1e-4) + 1e-6
    assert found.recall == pytest.approx(there.mean(), abs=0.03)
    assert found.recall >= least
    assert found.probes < 50


def test_near_duplicates_among_very_many_are_found(many: None) -> None:
    rng = np.random.default_rng(0)
    rows = clustered(2_000)
    twice = rng.permutation(np.concatenate([rows, rows[:400] * rng.uniform(0.5, 2, (400, 1))]))
    twice = np.concatenate([twice.astype(np.float32), np.zeros((3, 12), np.float32)])
    kept = without_duplicates(twice, 0.9999)
    assert len(np.unique(kept)) == len(kept)
    assert 2_001 <= len(kept) <= 2_005, "at most 1 % of 400 are missed, and nothing else is left out"
    assert kept.max() == 2_400, "of the rows of zeros the first"


def test_a_method_that_reads_neighbours_is_given_them(many: None, tmp_path: Path) -> None:
    rows = clustered(1_000)
    chosen = bench.select(rows, budget=15, num_classes=10, method="facility-location", cache_dir=tmp_path)
    assert len(chosen.indices) == 15
    assert len(list(tmp_path.glob("approximate-neighbors/*.npz"))) == 1
    assert not list(tmp_path.glob("neighbors/*.npz"))
    np.save(tmp_path / "x.npy", rows)
    given = ["--embeddings", str(tmp_path / "x.npy"), "--budget", "15", "--classes", "10", "--out"]
    given += [str(tmp_path / "x.csv"), "--cache-dir", str(tmp_path), "--overwrite"]
    for method, said in (("facility-location", True), ("kcenter", False)):
        done = CliRunner().invoke(app, ["select", *given, "--method", method])
        assert done.exit_code == 0, done.output or done.exception
        assert ("found approximately" in done.output) == said
    exact = bench.select(rows[:400], budget=15, num_classes=10, method="facility-location", cache_dir=tmp_path)
    assert len(exact.indices) == 15
    assert len(list(tmp_path.glob("neighbors/*.npz"))) == 1
